/* File names, types and encodings of a section, and what is ambiguous in its fields (R8). */
#include "tests/unit/mime_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

/* The header of a message without a body. */
static struct mime *parse_header(const char *header, struct rig_bytes *b)
{
	char *text = xasprintf("%s\n\n", header);

	*b = (struct rig_bytes){0};
	b->s = rig_crlf(text, &b->n);
	free(text);
	return rig_parse(b);
}

static void done(struct mime *m, struct rig_bytes *b)
{
	mime_free(m);
	free((char *)b->s);
}

#define CT "Content-Type: application/x; "
#define CD "Content-Disposition: attachment; "

static void test_file_names(void **state)
{
	static const struct {
		const char *header, *name;
		unsigned flags;
	} cases[] = {
	    {CT "name=plain.txt", "plain.txt", 0},
	    {CT "NAME=\"with blank.txt\"", "with blank.txt", 0},
	    {CT "name=\"quo\\\"te\\\\.txt\"", "quo\"te\\.txt", 0},
	    {CT "name=a.txt (comment)", "a.txt", MIME_BAD_PARAMETER},
	    {CT "name=two words.txt", "two words.txt", MIME_BAD_PARAMETER},
	    {CT "name=copy (2) of it.txt; x=y", "copy (2) of it.txt", MIME_BAD_PARAMETER},
	    {CT "name=\"unclosed.txt", "unclosed.txt", MIME_BAD_PARAMETER},
	    /* GMime alone stops at what it cannot read */
	    {CT "charset=; name=a.txt", "a.txt", MIME_BAD_PARAMETER},
	    {CT "x=\"y\" name=a.txt", "a.txt", MIME_BAD_PARAMETER},
	    {CT "?=x; =y; name=a.txt", "a.txt", MIME_BAD_PARAMETER},
	    {CT "\"x\"; name=a.txt", "a.txt", MIME_BAD_PARAMETER},
	    {CT "\n\tcharset=utf-8;\n\tname=folded.txt", "folded.txt", 0},
	    /* RFC 2231 */
	    {CT "name*=utf-8''f%C3%BCr.txt", "f\xc3\xbcr.txt", 0},
	    {CT "name*=iso-8859-1'de'f%FCr.txt", "f\xc3\xbcr.txt", 0},
	    {CT "name*0=long; name*1=name.txt", "longname.txt", 0},
	    {CT "name*1=name.txt; name*0=long", "longname.txt", 0},
	    {CT "name*0*=utf-8''%E2%82; name*1*=%AC.txt", "\xe2\x82\xac.txt", 0},
	    {CT "name*0*=koi8-r''%C1; name*1=\"%C1.txt\"", "\xd0\xb0%C1.txt", 0},
	    {CT "name*0*=windows-1251'ru'%E0; name*1*=%E1; name*2=.txt", "\xd0\xb0\xd0\xb1.txt", 0},
	    /* RFC 2047, which is not allowed here and everywhere */
	    {CT "name=\"=?utf-8?Q?f=C3=BCr_x.txt?=\"", "f\xc3\xbcr x.txt", 0},
	    {CT "name=\"=?iso-8859-1?B?ZvxyLnR4dA==?=\"", "f\xc3\xbcr.txt", 0},
	    {CT "name==?utf-8?Q?unquoted.txt?=", "unquoted.txt", 0},
	    {CT "name=\"=?utf-8?Q?two?=\n =?utf-8?Q?parts.txt?=\"", "twoparts.txt", 0},
	    /* neither: UTF-8 as it is, and windows-1252 */
	    {CT "name=\"f\xc3\xbcr.txt\"", "f\xc3\xbcr.txt", MIME_EIGHT_BIT_HEADER},
	    {CT "name=\"f\xfcr\x80.txt\"", "f\xc3\xbcr\xe2\x82\xac.txt", MIME_EIGHT_BIT_HEADER},
	    {CT "name*=utf-8''%ff.txt", "\xc3\xbf.txt", 0},
	    {CT "name*=no-such-charset''a%62.txt", "ab.txt", 0},
	    /* what no name has */
	    {CT "name*=utf-8''a%0d%0a%1b.txt", "a.txt", MIME_NAME_CHANGED},
	    {CT "name*=utf-8''a%c2%85b%7f.txt", "ab.txt", MIME_NAME_CHANGED},
	    {CT "name=\"  a.txt \"", "a.txt", 0},
	    {CT "name=../../etc/passwd", "../../etc/passwd", 0}, /* data, never a path (R15) */
	    {CT "name*=utf-8''evil.exe%00.txt", "evil.exe", MIME_NUL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rig_bytes b;
		struct mime *m = parse_header(cases[i].header, &b);

		assert_string_equal(mime_section(m, 0)->type_filename, cases[i].name);
		assert_int_equal(mime_section(m, 0)->flags, cases[i].flags);
		assert_string_equal(mime_attachment(m, 0)->name, cases[i].name);
		done(m, &b);
	}
}

static void test_fields(void **state)
{
	struct rig_bytes b;
	struct mime *m =
	    parse_header("Content-Type: Text/HTML; charset=\"UTF-8\"; name=a.html\n"
			 "content-disposition: ATTACHMENT (really);\n filename=a.html\n"
			 "Content-Transfer-Encoding:\n  Base64 (comment)",
		&b);
	const struct mime_section *s = mime_section(m, 0);

	(void)state;
	assert_string_equal(s->type, "text");
	assert_string_equal(s->subtype, "html");
	assert_string_equal(s->charset, "UTF-8");
	assert_string_equal(s->disposition, "attachment");
	assert_string_equal(s->disposition_filename, "a.html");
	assert_string_equal(s->encoding, "base64");
	assert_int_equal(s->flags, 0);
	done(m, &b);

	m = parse_header("Subject: none of it", &b);
	s = mime_section(m, 0);
	assert_string_equal(s->type, "text");
	assert_string_equal(s->subtype, "plain");
	assert_string_equal(s->charset, "");
	assert_string_equal(s->disposition, "");
	assert_string_equal(s->disposition_filename, "");
	assert_string_equal(s->type_filename, "");
	assert_string_equal(s->encoding, "");
	done(m, &b);
}

static const struct {
	const char *header;
	unsigned flags;
} ambiguous[] = {
    {"Content-Type: text/plain\nContent-Type: text/html", MIME_DUPLICATE_FIELD},
    {"Content-Type: text/plain\ncontent-type: text/plain", MIME_DUPLICATE_FIELD},
    {"Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64", MIME_DUPLICATE_FIELD},
    {CD "filename=a\n" CD "filename=b", MIME_DUPLICATE_FIELD},
    {"Content-ID: <a>\nContent-ID: <b>", MIME_DUPLICATE_FIELD},
    {"MIME-Version: 1.0\nMIME-Version: 1.0", MIME_DUPLICATE_FIELD},
    {"Content-Type: multipart/mixed; boundary=a; boundary=b", MIME_DUPLICATE_BOUNDARY},
    {"Content-Type: multipart/mixed; boundary=a; Boundary*=us-ascii''b", MIME_DUPLICATE_BOUNDARY},
    {"Content-Type: multipart/mixed; boundary=\"a\" boundary=b",
	MIME_DUPLICATE_BOUNDARY | MIME_BAD_PARAMETER},
    {"Content-Type: multipart/mixed; boundary=a; \"; boundary=b",
	MIME_DUPLICATE_BOUNDARY | MIME_BAD_PARAMETER},
    {"Content-Type: text/plain; charset=a; charset=b", MIME_DUPLICATE_CHARSET},
    {CT "name=a; name=b", MIME_DUPLICATE_NAME},
    {CT "name=a; name*=utf-8''b", MIME_DUPLICATE_NAME},
    {CT "name*0=a; name*0=b", MIME_DUPLICATE_NAME},
    {CT "name*0=a; name*1=b; name=c", MIME_DUPLICATE_NAME},
    {CT "name*0=a; name*100=b", MIME_DUPLICATE_NAME},
    {CT "name*0=a; name*1=b", 0},
    {CD "filename=a; filename=b", MIME_DUPLICATE_NAME},
    {CT "name=a\n" CD "filename=a", 0},
    {CT "name=a\n" CD "filename=b", MIME_NAMES_DIFFER},
    {CT "name=\"a", MIME_BAD_PARAMETER},
    {CT "name=a (unclosed", MIME_BAD_PARAMETER},
    {CT "name=two words.txt", MIME_BAD_PARAMETER},
    {CT "nonsense", MIME_BAD_PARAMETER},
    {CT "name=\"a; name=b\"", 0},
    {CT "(name=b) name=a", MIME_BAD_PARAMETER},
    {CT "name**=a", MIME_BAD_PARAMETER},
    {CT "name*1=a", MIME_BAD_PARAMETER},
    {CT "name*0=a; name*2=a", MIME_BAD_PARAMETER},
    {CT "name*=a", MIME_BAD_PARAMETER},
    {CT "name*=utf-8'a", MIME_BAD_PARAMETER},
    {CT "name*0*=a; name*1=b", MIME_BAD_PARAMETER},
    {CT "name=", MIME_BAD_PARAMETER},
    {CT "name=\"\"", 0},
    {"Content-Type: multipart/mixed; charset=; boundary=b", MIME_BAD_PARAMETER},
    {CT ";; name=a;", 0},
    {"Content-Type: text", MIME_BAD_TYPE},
    {"Content-Type: nonsense; name=a.exe", MIME_BAD_TYPE},
    {"Content-Type:", MIME_BAD_TYPE},
    {"Content-Type: /", MIME_BAD_TYPE},
    {"Content-Type: text/html more", MIME_BAD_TYPE},
    {"Content-Type: text/html, text/plain", MIME_BAD_TYPE},
    {"Content-Type: text/html (a comment) ; charset=x", 0},
    {"Content-Disposition: attachment filename=x", MIME_BAD_PARAMETER},
    {"Content-Type: application/octet-stream", 0},
    {"Content-Transfer-Encoding: x-nonsense", MIME_UNKNOWN_ENCODING},
    {"Content-Transfer-Encoding: 8BIT", 0},
    {"Content-Transfer-Encoding: 7bit base64", MIME_BAD_PARAMETER},
    {"Content-Transfer-Encoding: x-uuencode", MIME_BAD_ENCODING}, /* no file in it */
    {"Content-Type: multipart/mixed; boundary=a\nContent-Transfer-Encoding: base64",
	MIME_ENCODED_CONTAINER},
    {"Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable",
	MIME_ENCODED_CONTAINER},
    {"Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit", 0},
};

static void test_ambiguous(void **state)
{
	const unsigned structure = MIME_UNTERMINATED | MIME_NO_PARTS | MIME_NO_BLANK_LINE;

	(void)state;
	for (size_t i = 0; i < sizeof ambiguous / sizeof *ambiguous; i++) {
		struct rig_bytes b;
		struct mime *m = parse_header(ambiguous[i].header, &b);

		assert_int_equal(mime_flags(m) & ~structure, ambiguous[i].flags);
		done(m, &b);
	}
}

/* What is chosen where it is ambiguous: the first. */
static void test_choices(void **state)
{
	struct rig_bytes b;
	struct mime *m =
	    parse_header("Content-Type: text/html; charset=a; charset=b\n"
			 "Content-Type: image/png\n" CD "filename=a.txt; filename=b.exe",
		&b);

	(void)state;
	assert_string_equal(mime_section(m, 0)->subtype, "html");
	assert_string_equal(mime_section(m, 0)->charset, "a");
	assert_string_equal(mime_section(m, 0)->disposition_filename, "a.txt");
	done(m, &b);

	/* a type that cannot be read keeps its parameters, and text stays text */
	m = parse_header("Content-Type: nonsense; name=a.exe", &b);
	assert_string_equal(mime_section(m, 0)->type, "application");
	assert_string_equal(mime_section(m, 0)->subtype, "octet-stream");
	assert_string_equal(mime_section(m, 0)->type_filename, "a.exe");
	done(m, &b);
	m = parse_header("Content-Type: text; charset=utf-8", &b);
	assert_string_equal(mime_section(m, 0)->subtype, "plain");
	assert_string_equal(mime_section(m, 0)->charset, "utf-8");
	done(m, &b);
}

static void test_long_names(void **state)
{
	static const char unit[] = "\xe2\x82\xac"; /* three bytes: the limit is inside one */
	char *name = xmalloc(3 * 1000 + 1), *header;
	struct rig_bytes b;
	struct mime *m;

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		memcpy(name + 3 * i, unit, 3);
	name[3000] = '\0';
	header = xasprintf(CT "name=\"%s\"", name);
	m = parse_header(header, &b);
	assert_true(mime_section(m, 0)->flags & MIME_CUT);
	assert_int_equal(strlen(mime_section(m, 0)->type_filename), 1023);
	assert_null(rig_broken(m, b.n));
	done(m, &b);
	free(header);
	free(name);
}

/* Items that cost time are bounded in a field and in a message (64 and 10000). */
static void test_many_words(void **state)
{
	size_t n = 300;
	char *words = xmalloc(n * 24 + 1), *header, *part, *text;
	struct rig_bytes b;
	struct mime *m;

	(void)state;
	*words = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(words + strlen(words), 25, "=?iso-8859-%zu?q?x?= ", 1 + i % 9);
	header = xasprintf("Content-Type: text/plain; name=\"%s\"", words);
	m = parse_header(header, &b);
	assert_true(mime_section(m, 0)->flags & MIME_CUT);
	assert_true(strlen(mime_section(m, 0)->type_filename) <= 64);
	done(m, &b);

	part = xasprintf("--b\n%s\n\n", header);
	text = xstrdup("Content-Type: multipart/mixed; boundary=b\n\n");
	for (size_t i = 0; i < 200; i++) {
		char *more = xasprintf("%s%s", text, part);

		free(text);
		text = more;
	}
	b.s = rig_crlf(text, &b.n);
	m = rig_parse(&b);
	assert_int_equal(mime_section_count(m), 201);
	assert_string_equal(mime_section(m, 200)->type_filename, "");
	assert_true(mime_section(m, 200)->flags & MIME_CUT);
	done(m, &b);
	free(text);
	free(part);
	free(header);
	free(words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_file_names),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_ambiguous),
	    cmocka_unit_test(test_choices),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_many_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
