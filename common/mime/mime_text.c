/* mime_text.c - foreign text to clean UTF-8; see mime_internal.h.
 *
 * iconv and not GMime's wrapper: that one guesses from the locale of the process, and a wrong
 * byte makes it give up. */
#include "common/mime/mime_internal.h"

#include "common/limits.h"
#include "common/list.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* RFC 3629: bytes of the character that starts at s, 0 when it is not well-formed. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char from, to, second_from, second_to, length;
	} forms[] = {
	    {0x00, 0x7f, 0, 0, 1},
	    {0xc2, 0xdf, 0x80, 0xbf, 2},
	    {0xe0, 0xe0, 0xa0, 0xbf, 3},
	    {0xe1, 0xec, 0x80, 0xbf, 3},
	    {0xed, 0xed, 0x80, 0x9f, 3},
	    {0xee, 0xef, 0x80, 0xbf, 3},
	    {0xf0, 0xf0, 0x90, 0xbf, 4},
	    {0xf1, 0xf3, 0x80, 0xbf, 4},
	    {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		size_t length = forms[i].length;

		if (s[0] < forms[i].from || s[0] > forms[i].to)
			continue;
		if (length > n ||
		    (length > 1 && (s[1] < forms[i].second_from || s[1] > forms[i].second_to)))
			return 0;
		for (size_t k = 2; k < length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return length;
	}
	return 0;
}

static bool is_utf8(const unsigned char *s, size_t n)
{
	for (size_t length; n > 0; s += length, n -= length)
		if ((length = utf8_length(s, n)) == 0)
			return false;
	return true;
}

/* Control characters go, wrong bytes become U+FFFD, blanks at the ends go, long text is cut. */
static char *clean(const unsigned char *s, size_t n, unsigned *flags)
{
	char *out = xmalloc(LIMIT_MIME_NAME_BYTES + 1);
	size_t at = 0;

	while (n > 0 && (*s == ' ' || *s == '\t')) {
		s++;
		n--;
	}
	while (n > 0) {
		size_t length = utf8_length(s, n);
		const unsigned char *from = length ? s : (const unsigned char *)"\xef\xbf\xbd";
		size_t size = length ? length : 3;
		/* C0, DEL and C1 (U+0080 to U+009F) */
		bool control =
		    length > 0 && (s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0));

		if (control) {
			*flags |= MIME_NAME_CHANGED;
		} else if (at + size > LIMIT_MIME_NAME_BYTES) {
			*flags |= MIME_CUT;
			break;
		} else {
			memcpy(out + at, from, size);
			at += size;
		}
		s += length ? length : 1;
		n -= length ? length : 1;
	}
	while (at > 0 && (out[at - 1] == ' ' || out[at - 1] == '\t'))
		at--;
	out[at] = '\0';
	return xrealloc(out, at + 1);
}

/* Converts what can be converted, U+FFFD for the rest; returns the bytes in out. */
static size_t convert(iconv_t cd, char *in, size_t n, char *out, size_t room)
{
	size_t left = room;

	while (n > 0 && left >= 3) {
		if (iconv(cd, &in, &n, &out, &left) != (size_t)-1 || errno == E2BIG || left < 3)
			break;
		memcpy(out, "\xef\xbf\xbd", 3);
		out += 3;
		left -= 3;
		if (errno == EINVAL) /* an incomplete character at the end */
			break;
		in++;
		n--;
	}
	(void)iconv(cd, NULL, NULL, &out, &left); /* what it holds back to combine characters */
	return room - left;
}

char *mime_text(const void *bytes, size_t n, const char *charset, unsigned *flags)
{
	char *out, *in, *text;
	size_t room;
	iconv_t cd;

	if (n > LIMIT_MIME_FIELD_BYTES) {
		n = LIMIT_MIME_FIELD_BYTES;
		*flags |= MIME_CUT;
	}
	if (charset == NULL)
		charset = is_utf8(bytes, n) ? "UTF-8" : "CP1252";
	if (strcasecmp(charset, "UTF-8") == 0)
		return clean(bytes, n, flags);
	cd = iconv_open("UTF-8", charset);
	if (cd == (iconv_t)-1)
		return clean(bytes, n, flags);
	room = 4 * n + 4;
	out = xmalloc(room);
	in = xmalloc(n);
	memcpy(in, bytes, n);
	n = convert(cd, in, n, out, room);
	iconv_close(cd);
	text = clean((unsigned char *)out, n, flags);
	free(in);
	free(out);
	return text;
}
