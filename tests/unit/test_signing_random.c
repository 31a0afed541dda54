/* Many messages, made at random from what mail is made of: what is not the signature is as
 * it was, attachments to the byte (R8, R9). */
#include "tests/unit/mime_checks.h"
#include "tests/unit/random.h"
#include "tests/unit/signing_check.h"

#include "common/signing/signing_encode.h"

#define MESSAGES 800

/* Enough text to have its characters in, in UTF-8. */
static const char *const words[] = {"Hello", " ", "\n", "=", "--", "-- \n", " \n",
    "a long sentence ", "</body>", "<p>", "&amp;", ".", "\n.\n", "> quoted\n", "From me\n", "\t",
    "<br>\n", "<!-- x -->",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
static const char *const foreign[] = {
    "\xc3\xa4", "\xe2\x82\xac", "\xd0\x9f\xd1\x80", "\xe6\x97\xa5", "\xce\xb1"};
static const char *const charsets[] = {"us-ascii", "utf-8", "iso-8859-1", "iso-8859-15",
    "windows-1251", "windows-1252", "koi8-r", "shift_jis", "iso-2022-jp", "euc-kr", "gb18030",
    "big5", "utf-16", "utf-16le", "x-unknown"};
static const char *const kinds[] = {"mixed", "alternative", "related", "mixed", "parallel"};

struct maker {
	uint64_t seed;
	struct signing_bytes out;
	unsigned depth, boundaries;
};

static unsigned pick(struct maker *m, unsigned n)
{
	return random_next(&m->seed) % n;
}

static void put(struct maker *m, const char *text)
{
	signing_bytes_text(&m->out, text);
}

/* Text in a charset: what it has not is left out. */
static struct signing_bytes some_text(struct maker *m, const char *charset, const char *eol)
{
	struct signing_bytes utf8 = {NULL, 0, 0}, laid = {NULL, 0, 0}, out = {NULL, 0, 0};
	unsigned n = pick(m, 30);

	signing_bytes_add(&utf8, "", 0);
	for (unsigned i = 0; i < n; i++)
		if (pick(m, 4) > 0)
			signing_bytes_text(&utf8, words[pick(m, sizeof words / sizeof *words)]);
		else if (strcmp(charset, "us-ascii") != 0)
			signing_bytes_text(
			    &utf8, foreign[pick(m, sizeof foreign / sizeof *foreign)]);
	signing_lay_out(
	    &laid, utf8.s, &(struct signing_layout){.trail = pick(m, 3) > 0, .eol = eol});
	signing_bytes_add(&out, "", 0);
	if (strcmp(charset, "x-unknown") == 0)
		signing_bytes_add(&out, laid.s, laid.n);
	else
		assert_true(signing_from_utf8(&out, laid.s, laid.n, charset, MISSING_NEAREST));
	signing_bytes_free(&utf8);
	signing_bytes_free(&laid);
	return out;
}

static void put_text(struct maker *m)
{
	const char *charset = charsets[pick(m, sizeof charsets / sizeof *charsets)];
	bool wide = strncmp(charset, "utf-16", 6) == 0;
	unsigned how = wide ? 3 : pick(m, 4);
	static const char *const names[] = {"", "8bit", "quoted-printable", "base64"};
	struct signing_bytes text = some_text(m, charset, how == 3 && pick(m, 2) ? "\n" : "\r\n");
	char *line = xasprintf("Content-Type: text/%s; %scharset=\"%s\"\r\n",
	    pick(m, 2) ? "plain" : "html", pick(m, 4) == 0 ? "format=flowed; " : "", charset);

	put(m, line);
	free(line);
	if (how > 0) {
		put(m, "Content-Transfer-Encoding: ");
		put(m, names[how]);
		put(m, "\r\n");
	}
	if (pick(m, 6) == 0)
		put(m, "Content-Disposition: attachment; filename=a\r\n");
	put(m, "\r\n");
	if (how < 2)
		signing_bytes_add(&m->out, text.s, text.n);
	else if (how == 2)
		signing_quoted(&m->out, text.s, text.n);
	else
		signing_base64(&m->out, text.s, text.n, 4 + pick(m, 73), 0);
	if (pick(m, 3) == 0)
		put(m, "\r\n");
	signing_bytes_free(&text);
}

static void put_file(struct maker *m)
{
	static const char any[] = "abc\r\n-=";
	char bytes[400];
	size_t n = random_bytes(&m->seed, bytes, sizeof bytes - 1, any, sizeof any - 1);

	put(m, "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
	       "Content-Disposition: attachment; filename=f.bin\r\n\r\n");
	signing_base64(&m->out, bytes, n, 76, 0);
	put(m, pick(m, 2) ? "\r\n" : "\r\n\r\n");
}

static void put_entity(struct maker *m)
{
	unsigned parts = 1 + pick(m, 4);
	char *boundary;

	if (m->depth > 3 || pick(m, 3) == 0) {
		if (m->depth > 0 && pick(m, 3) == 0)
			put_file(m);
		else
			put_text(m);
		return;
	}
	if (m->depth > 0 && pick(m, 8) == 0) {
		put(m, "Content-Type: message/rfc822\r\n\r\nSubject: inside\r\n");
		m->depth++;
		put_entity(m);
		m->depth--;
		return;
	}
	boundary = xasprintf("=_%u-%u", m->boundaries++, pick(m, 100));
	put(m, "Content-Type: multipart/");
	put(m, kinds[pick(m, sizeof kinds / sizeof *kinds)]);
	put(m, "; boundary=\"");
	put(m, boundary);
	put(m, pick(m, 2) ? "\"\r\n\r\n" : "\"\r\n\r\npreamble\r\n");
	m->depth++;
	for (unsigned i = 0; i < parts; i++) {
		put(m, i > 0 ? "\r\n--" : "--");
		put(m, boundary);
		put(m, pick(m, 5) ? "\r\n" : " \t\r\n");
		put_entity(m);
	}
	m->depth--;
	put(m, "\r\n--");
	put(m, boundary);
	put(m, pick(m, 4) ? "--\r\n" : "--\r\nepilogue\r\n");
	free(boundary);
}

static void test_random(void **state)
{
	struct maker m = {.seed = UINT64_C(0x5157) << 20 | 1};
	size_t count = 0;

	(void)state;
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct rig_bytes b = {NULL, 0, 0, 0};
		const char *wrong;
		bool is_signed;

		put(&m, "Subject: s\r\nMIME-Version: 1.0\r\n");
		put_entity(&m);
		if (m.out.s[m.out.n - 1] != '\n')
			put(&m, "\r\n");
		b.s = m.out.s;
		b.n = m.out.n;
		b.most = pick(&m, 2) ? 0 : 1 + pick(&m, 100);
		wrong = check_signing(&b, &is_signed);
		if (wrong != NULL)
			fail_msg("message %u: %s\n%.3000s", i, wrong, b.s);
		count += is_signed;
		m.out.n = 0;
	}
	signing_bytes_free(&m.out);
	assert_true(count > MESSAGES / 2); /* the check looked at something */
}

/* A message that cannot be read to its end is never signed, wherever the reading stops. */
static void test_unreadable(void **state)
{
	static const char text[] =
	    "Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n";

	(void)state;
	for (size_t i = 1; i < sizeof text; i++) {
		struct rig_bytes whole = {text, sizeof text - 1, 0, 0}, b = whole;
		const struct mime_source source = {rig_read, &b};
		struct mime *m = rig_parse(&whole);
		const char *const texts[SIGNING_FORMATS] = {CHECK_PLAIN, NULL};
		struct signing_changes c = {.body = NULL};
		const char *why = NULL;
		struct signing *g;

		b.fails_at = i;
		g = signing_look(m, &source, &why);
		if (g != NULL && signing_add(g, texts, &c, &why)) {
			struct rig_out out = {NULL, 0, 0};
			const struct mime_sink sink = {rig_write, &out};

			assert_int_equal(patch_write(c.body, &source, 0, &sink), MIME_UNREAD);
			free(out.s);
			signing_changes_clear(&c);
		} else {
			assert_non_null(why);
		}
		signing_free(g);
		mime_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
