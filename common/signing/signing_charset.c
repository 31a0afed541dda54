/* signing_charset.c - see signing_charset.h. iconv converts, GLib decomposes. */
#include "common/signing/signing_charset.h"

#include <glib.h>

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <strings.h>

/* Names of mail and what their texts really are, as all mail programs read them: glibc's own
 * Shift_JIS has a yen sign for the backslash. */
static const struct {
	const char *name, *real;
} aliases[] = {
    {"", "US-ASCII"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"x-sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"ms_kanji", "CP932"},
    {"ks_c_5601-1987", "CP949"},
    {"euc-kr", "CP949"},
    {"gb2312", "GBK"},
    {"x-gbk", "GBK"},
    {"utf8", "UTF-8"},
    {"cp-850", "CP850"},
};

static const struct {
	const char *beginning;
	enum signing_charset kind;
} families[] = {
    {"iso-2022-", CHARSET_ISO2022},
    {"iso2022", CHARSET_ISO2022},
    {"csiso2022", CHARSET_ISO2022},
    {"utf-16", CHARSET_WIDE},
    {"utf16", CHARSET_WIDE},
    {"utf-32", CHARSET_WIDE},
    {"utf32", CHARSET_WIDE},
    {"ucs-", CHARSET_WIDE},
    {"ucs2", CHARSET_WIDE},
    {"ucs4", CHARSET_WIDE},
    {"iso-10646", CHARSET_WIDE},
    {"csunicode", CHARSET_UNFIT},
    {"utf-7", CHARSET_UNFIT},
    {"utf7", CHARSET_UNFIT},
    {"hz", CHARSET_UNFIT},
};

static const char *real_name(const char *charset)
{
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (strcasecmp(charset, aliases[i].name) == 0)
			return aliases[i].real;
	return charset;
}

/* iconv_open() takes suffixes that change what it does, and paths of its own. */
static iconv_t open_converter(const char *to, const char *from)
{
	if (strpbrk(to, "/,") != NULL || strpbrk(from, "/,") != NULL || strlen(to) > 60 ||
	    strlen(from) > 60)
		return (iconv_t)-1;
	return iconv_open(real_name(to), real_name(from));
}

static bool keeps_ascii(iconv_t cd)
{
	char ascii[0x7f - 0x20 + 1], out[4 * sizeof ascii], *in = ascii, *to = out;
	size_t n = 0, left, room = sizeof out;

	for (char c = 0x20; c < 0x7f; c++)
		ascii[n++] = c;
	left = n;
	return iconv(cd, &in, &left, &to, &room) != (size_t)-1 && (size_t)(to - out) == n &&
	       memcmp(ascii, out, n) == 0;
}

enum signing_charset signing_charset_kind(const char *charset)
{
	enum signing_charset kind = CHARSET_UNFIT;
	iconv_t cd;

	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (strncasecmp(charset, families[i].beginning, strlen(families[i].beginning)) == 0)
			return families[i].kind;
	cd = open_converter("UTF-8", charset);
	if (cd == (iconv_t)-1)
		return CHARSET_UNKNOWN;
	if (keeps_ascii(cd))
		kind = CHARSET_ASCII;
	iconv_close(cd);
	return kind;
}

bool signing_charset_is(const char *charset, const char *name)
{
	return strcasecmp(real_name(charset), real_name(name)) == 0;
}

const char *signing_charset_exact(const char *charset, const char *bytes, size_t n)
{
	bool little = n >= 2 && memcmp(bytes, "\xff\xfe", 2) == 0;

	if (strcasecmp(charset, "utf-16") == 0 || strcasecmp(charset, "utf16") == 0)
		return little ? "UTF-16LE" : "UTF-16BE"; /* RFC 2781 4.3 */
	if (strcasecmp(charset, "utf-32") == 0 || strcasecmp(charset, "utf32") == 0)
		return little ? "UTF-32LE" : "UTF-32BE";
	return charset;
}

/* ---- conversion ---- */

/* What is left of a character when it must be ASCII. */
static void nearest(struct signing_bytes *out, gunichar c)
{
	static const struct {
		gunichar c;
		const char *ascii;
	} table[] = {
	    {0xa9, "(c)"},
	    {0xab, "<<"},
	    {0xbb, ">>"},
	    {0xad, ""},
	    {0xae, "(R)"},
	    {0xb7, "*"},
	    {0xc6, "AE"},
	    {0xd8, "O"},
	    {0xdf, "ss"},
	    {0xe6, "ae"},
	    {0xf8, "o"},
	    {0x110, "D"},
	    {0x111, "d"},
	    {0x131, "i"},
	    {0x141, "L"},
	    {0x142, "l"},
	    {0x152, "OE"},
	    {0x153, "oe"},
	    {0x2010, "-"},
	    {0x2011, "-"},
	    {0x2012, "-"},
	    {0x2013, "-"},
	    {0x2014, "-"},
	    {0x2015, "-"},
	    {0x2018, "'"},
	    {0x2019, "'"},
	    {0x201a, "'"},
	    {0x201c, "\""},
	    {0x201d, "\""},
	    {0x201e, "\""},
	    {0x2022, "*"},
	    {0x2039, "<"},
	    {0x203a, ">"},
	    {0x20ac, "EUR"},
	    {0x200b, ""},
	    {0x200c, ""},
	    {0x200d, ""},
	    {0xfeff, ""},
	};
	char utf8[8] = "";
	char *apart;
	size_t before = out->n;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (table[i].c == c) {
			signing_bytes_text(out, table[i].ascii);
			return;
		}
	}
	g_unichar_to_utf8(c, utf8);
	apart = g_utf8_normalize(utf8, -1, G_NORMALIZE_ALL); /* the accents fall off */
	for (const char *p = apart; p != NULL && *p != '\0'; p++)
		if ((unsigned char)*p < 0x80)
			signing_bytes_add(out, p, 1);
	g_free(apart);
	if (out->n == before)
		signing_bytes_text(out, "?");
}

/* Runs the converter over *n bytes of *in as far as it goes; true: all of them. */
static bool step(iconv_t cd, struct signing_bytes *out, char **in, size_t *n)
{
	char buffer[4096];

	for (;;) {
		char *to = buffer;
		size_t room = sizeof buffer, rc = iconv(cd, in, n, &to, &room);

		signing_bytes_add(out, buffer, (size_t)(to - buffer));
		if (rc != (size_t)-1)
			return true;
		if (errno != E2BIG)
			return false;
	}
}

/* Back to ASCII, for a charset with states. */
static void finish(iconv_t cd, struct signing_bytes *out)
{
	char buffer[16], *to = buffer;
	size_t room = sizeof buffer;

	if (iconv(cd, NULL, NULL, &to, &room) != (size_t)-1)
		signing_bytes_add(out, buffer, (size_t)(to - buffer));
}

/* The character at `in`, which the charset does not have, in ASCII. False: not even that. */
static bool put_missing(
    iconv_t cd, struct signing_bytes *out, const char *in, enum signing_missing missing)
{
	struct signing_bytes ascii = {NULL, 0, 0};
	gunichar c = g_utf8_get_char(in);
	char entity[16], *p;
	size_t n;
	bool done;

	if (missing == MISSING_ENTITY) {
		g_snprintf(entity, sizeof entity, "&#%u;", c);
		signing_bytes_text(&ascii, entity);
	} else {
		nearest(&ascii, c);
	}
	p = ascii.s;
	n = ascii.n;
	done = n == 0 || step(cd, out, &p, &n);
	signing_bytes_free(&ascii);
	return done;
}

bool signing_from_utf8(struct signing_bytes *out, const char *text, size_t n, const char *charset,
    enum signing_missing missing)
{
	iconv_t cd = open_converter(charset, "UTF-8");
	char *in = (char *)text; /* iconv() does not write there */
	bool done = true;

	if (cd == (iconv_t)-1)
		return false;
	while (done && !step(cd, out, &in, &n)) {
		size_t character = (size_t)(g_utf8_next_char(in) - in);

		done =
		    missing != MISSING_FAILS && character <= n && put_missing(cd, out, in, missing);
		in += character;
		n -= done ? character : 0;
	}
	if (done)
		finish(cd, out);
	iconv_close(cd);
	return done;
}

bool signing_to_utf8(struct signing_bytes *out, const char *bytes, size_t n, const char *charset)
{
	iconv_t cd = open_converter("UTF-8", charset);
	char *in = (char *)bytes;
	bool done;

	if (cd == (iconv_t)-1)
		return false;
	done = step(cd, out, &in, &n);
	iconv_close(cd);
	return done;
}

/* Every byte means something there but five. */
static void from_windows(struct signing_bytes *out, const char *text)
{
	iconv_t cd = open_converter("UTF-8", "WINDOWS-1252");
	char *in = (char *)text;
	size_t n = strlen(text);

	if (cd == (iconv_t)-1)
		return;
	while (!step(cd, out, &in, &n)) {
		signing_bytes_text(out, "\xef\xbf\xbd");
		in++;
		n--;
	}
	iconv_close(cd);
}

char *signing_clean(const char *text)
{
	struct signing_bytes utf8 = {NULL, 0, 0};
	char *out, *q;

	if (g_utf8_validate(text, -1, NULL))
		signing_bytes_text(&utf8, text);
	else
		from_windows(&utf8, text);
	out = q = xmalloc(utf8.n + 1);
	for (size_t i = 0; i < utf8.n; i++) {
		char c = utf8.s[i];

		if (c == '\r') {
			*q++ = '\n';
			i += utf8.s[i + 1] == '\n';
		} else if ((unsigned char)c >= ' ' ? c != 0x7f : c == '\t' || c == '\n') {
			*q++ = c;
		}
	}
	while (q > out && q[-1] == '\n')
		q--;
	*q = '\0';
	signing_bytes_free(&utf8);
	return out;
}
