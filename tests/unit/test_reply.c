/* Replies of scripts: what is read, what is repaired, and that nothing unsafe comes out (R10). */
#include "common/list.h"
#include "common/reply.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct example {
	const char *input;
	const char *text; /* as reply_text() has it; NULL: nonsense */
	unsigned problems;
};

static const struct example examples[] = {
    /* what VPOP3's scripts write */
    {"550 go away", "550 5.7.1 go away", 0},
    {"550 5.7.1 text", "550 5.7.1 text", 0},
    {"550-line1\r\n550 line2", "550 5.7.1 line1 / line2", 0},
    {"550-5.7.2 a\n550-5.7.2 b\n550 5.7.2 c", "550 5.7.2 a / b / c", 0},
    {"421", "421 4.3.2", 0},
    {"550", "550 5.7.1", 0},
    {"550 ", "550 5.7.1", 0},
    {"550-", "550 5.7.1", 0},
    {"  550 text", "550 5.7.1 text", 0},
    {"550\ttext", "550 5.7.1 text", 0},
    {"\r\n550 text\r\n\r\n", "550 5.7.1 text", 0},
    {"550  two blanks", "550 5.7.1  two blanks", 0},
    {"550   5.1.1   three", "550 5.1.1   three", 0},
    {"550 100% sure %s%n", "550 5.7.1 100% sure %s%n", 0},
    {"550 a\tb", "550 5.7.1 a b", 0},
    {"550 ut\xc3\xa9", "550 5.7.1 ut\xc3\xa9", 0},
    {"550 5.7.1", "550 5.7.1", 0},
    {"550-\r\n550 5.1.1 second", "550 5.1.1 / second", 0},
    /* lines without a code, or with something that only looks like one */
    {"550-first\nlast", "550 5.7.1 first / last", 0},
    {"550 5.1.1 first\n5.1.1 last", "550 5.1.1 first / last", 0},
    {"550 5.1.1 first\n5.2.2 last", "550 5.1.1 first / 5.2.2 last", 0},
    {"550-limit\n300 messages", "550 5.7.1 limit / 300 messages", 0},
    {"550-limit\n5500 messages", "550 5.7.1 limit / 5500 messages", 0},
    {"550-a\n\n  550 b", "550 5.7.1 a /  / b", 0},
    {"550-a\n  b", "550 5.7.1 a /   b", 0},
    {"550 5.6.7.8 is listed", "550 5.7.1 5.6.7.8 is listed", 0},
    {"550 5.7.1234 x", "550 5.7.1 5.7.1234 x", 0},
    {"550 5.7 x", "550 5.7.1 5.7 x", 0},
    {"550 3.7.1 x", "550 5.7.1 3.7.1 x", 0},
    {"550 5.7.1,x", "550 5.7.1 5.7.1,x", 0},
    /* repaired */
    {"550 4.7.1 x", "550 5.7.1 x", REPLY_CLASS},
    {"450 5.7.1 x", "450 4.2.0 x", REPLY_CLASS},
    {"354 5.7.1 x", "354 x", REPLY_CLASS},
    {"550-a\n451 b", "550 5.7.1 a / b", REPLY_CODES_DIFFER},
    {"550-a\n551-5.1.6 b\n550 c", "550 5.1.6 a / b / c", REPLY_CODES_DIFFER},
    {"550 a\rb", "550 5.7.1 a?b", REPLY_CONTROL},
    {"550 \033[31mred\177", "550 5.7.1 ?[31mred?", REPLY_CONTROL},
    /* cannot be sent by a milter, but are replies */
    {"250 fine", "250 fine", 0},
    {"250 2.0.0 fine", "250 2.0.0 fine", 0},
    {"250-a\n251 b", "250 a / b", REPLY_CODES_DIFFER},
    {"220 mail.example ESMTP", "220 mail.example ESMTP", 0},
    {"354 go on", "354 go on", 0},
    /* nonsense */
    {"600 x", NULL, 0},
    {"199 x", NULL, 0},
    {"55", NULL, 0},
    {"55 x", NULL, 0},
    {"5500", NULL, 0},
    {"550x", NULL, 0},
    {"-550 x", NULL, 0},
    {"x", NULL, 0},
    {"5 50", NULL, 0},
    {"\x85\x85\x85", NULL, 0},
};

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		const struct example *e = &examples[i];
		unsigned problems = ~0u;
		struct reply r;
		char *text;

		if (reply_parse(&r, e->input, strlen(e->input), &problems) !=
			(e->text != NULL ? REPLY_OK : REPLY_NONSENSE) ||
		    problems != e->problems)
			fail_msg("example %zu, \"%s\": problems %u", i, e->input, problems);
		text = reply_text(&r);
		assert_string_equal(text, e->text != NULL ? e->text : "");
		free(text);
		reply_free(&r);
	}
}

static void test_none(void **state)
{
	static const char *const none[] = {"", " ", "\t", "\r\n", "  \n \r\n\t"};
	struct reply r;
	unsigned problems;

	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		assert_int_equal(reply_parse(&r, none[i], strlen(none[i]), &problems), REPLY_NONE);
		assert_int_equal(r.code, 0);
		assert_int_equal(problems, 0);
	}
	assert_int_equal(reply_parse(&r, NULL, 0, NULL), REPLY_NONE);
	assert_int_equal(reply_parse(&r, NULL, 7, NULL), REPLY_NONE);
}

static void test_nul_is_replaced(void **state)
{
	static const char input[] = "550 a\0b";
	unsigned problems;
	struct reply r;

	(void)state;
	assert_int_equal(reply_parse(&r, input, sizeof input - 1, &problems), REPLY_OK);
	assert_string_equal(r.lines[0], "a?b");
	assert_int_equal(problems, REPLY_CONTROL);
	reply_free(&r);
	assert_int_equal(reply_parse(&r, "550\0", 4, &problems), REPLY_NONSENSE);
}

/* Every refusal has an enhanced code of its own class that libmilter takes. */
static void test_default_xcodes(void **state)
{
	static const struct {
		int code;
		const char *xcode;
	} some[] = {{421, "4.3.2"}, {450, "4.2.0"}, {451, "4.3.0"}, {452, "4.3.1"}, {530, "5.7.0"},
	    {535, "5.7.8"}, {550, "5.7.1"}, {552, "5.3.4"}, {554, "5.7.1"}, {556, "5.1.10"},
	    {459, "4.7.1"}, {599, "5.0.0"}, {400, "4.0.0"}, {557, "5.7.1"}};

	(void)state;
	for (int code = 400; code < 600; code++) {
		struct reply r;
		int class, subject, detail, end = 0;

		reply_set(&r, code, NULL, "x");
		assert_int_equal(
		    sscanf(r.xcode, "%1d.%3d.%3d%n", &class, &subject, &detail, &end), 3);
		assert_int_equal(r.xcode[end], '\0');
		assert_int_equal(class, code / 100);
		for (size_t i = 0; i < sizeof some / sizeof *some; i++)
			if (some[i].code == code)
				assert_string_equal(r.xcode, some[i].xcode);
		reply_free(&r);
	}
}

static void expect_cut(const char *unit, size_t count, size_t kept, bool cut)
{
	size_t n = strlen(unit);
	char *input = calloc(1, 4 + n * count + 1);
	unsigned problems;
	struct reply r;

	memcpy(input, "550 ", 4);
	for (size_t i = 0; i < count; i++)
		memcpy(input + 4 + i * n, unit, n);
	assert_int_equal(reply_parse(&r, input, strlen(input), &problems), REPLY_OK);
	assert_int_equal(strlen(r.lines[0]), kept);
	assert_memory_equal(r.lines[0], input + 4, kept);
	assert_int_equal(problems, cut ? REPLY_LONG : 0);
	reply_free(&r);
	free(input);
}

static void test_long_lines(void **state)
{
	(void)state;
	expect_cut("x", LIMIT_REPLY_LINE_BYTES, LIMIT_REPLY_LINE_BYTES, false);
	expect_cut("x", LIMIT_REPLY_LINE_BYTES + 1, LIMIT_REPLY_LINE_BYTES, true);
	expect_cut("\xe9", LIMIT_REPLY_LINE_BYTES + 9, LIMIT_REPLY_LINE_BYTES, true); /* Latin-1 */
	/* not in the middle of a character: 980 is no multiple of 3 */
	expect_cut("\xe2\x82\xac", 400, LIMIT_REPLY_LINE_BYTES - 2, true);
	expect_cut("a\xf0\x9f\x98\x80", 400, LIMIT_REPLY_LINE_BYTES, true);
	expect_cut("a\xf0\x9f\x98\x80"
		   "bcd",
	    400, LIMIT_REPLY_LINE_BYTES - 3, true);
	/* libmilter wants '%' doubled and measures then */
	expect_cut("%", LIMIT_REPLY_LINE_BYTES / 2, LIMIT_REPLY_LINE_BYTES / 2, false);
	expect_cut("%", LIMIT_REPLY_LINE_BYTES, LIMIT_REPLY_LINE_BYTES / 2, true);
}

static void test_many_lines(void **state)
{
	char input[100 * 8] = "";
	unsigned problems;
	struct reply r;

	(void)state;
	for (int i = 0; i < 100; i++)
		memcpy(input + i * 8, i < 99 ? "550-abc\n" : "550 abc\n", 8);
	assert_int_equal(reply_parse(&r, input, LIMIT_REPLY_LINES * 8, &problems), REPLY_OK);
	assert_int_equal(r.nlines, LIMIT_REPLY_LINES);
	assert_int_equal(problems, 0);
	reply_free(&r);
	assert_int_equal(reply_parse(&r, input, sizeof input, &problems), REPLY_OK);
	assert_int_equal(r.nlines, LIMIT_REPLY_LINES);
	assert_int_equal(problems, REPLY_LINES);
	reply_free(&r);
}

static void test_set(void **state)
{
	static const struct {
		int code;
		const char *xcode, *text, *expected;
	} cases[] = {
	    {550, NULL, "no", "550 5.7.1 no"},
	    {550, "5.1.1", "no", "550 5.1.1 no"},
	    {550, "4.1.1", "no", "550 5.7.1 no"},
	    {550, "5.1.1 x", "no", "550 5.7.1 no"},
	    {550, "5.1", "no", "550 5.7.1 no"},
	    {550, "", "no", "550 5.7.1 no"},
	    {451, "4.7.1", NULL, "451 4.7.1"},
	    {451, "4.7.1", "", "451 4.7.1"},
	    {550, NULL, "a\nb\r\n", "550 5.7.1 a?b"},
	    {250, NULL, "fine", "250 fine"},
	    {199, NULL, "x", ""},
	    {600, NULL, "x", ""},
	    {-1, NULL, "x", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct reply r;
		char *text;

		reply_set(&r, cases[i].code, cases[i].xcode, cases[i].text);
		text = reply_text(&r);
		assert_string_equal(text, cases[i].expected);
		free(text);
		reply_free(&r);
	}
}

static void test_copy(void **state)
{
	struct reply a, b;

	(void)state;
	reply_parse(&a, "550-one\n550 two", 15, NULL);
	reply_set(&b, 451, NULL, "later");
	reply_copy(&b, &a);
	reply_free(&a);
	assert_int_equal(a.code, 0);
	assert_int_equal(a.nlines, 0);
	assert_int_equal(b.code, 550);
	assert_int_equal(b.nlines, 2);
	assert_string_equal(b.lines[1], "two");
	reply_copy(&b, &b);
	assert_string_equal(b.lines[0], "one");
	reply_free(&b);
}

static void test_problem_text(void **state)
{
	char out[300], small[8];

	(void)state;
	assert_string_equal(reply_problem_text(0, out, sizeof out), "");
	assert_string_equal(
	    reply_problem_text(REPLY_LONG, out, sizeof out), "text cut at 980 bytes");
	assert_string_equal(reply_problem_text(REPLY_CONTROL | REPLY_LINES, out, sizeof out),
	    "control characters replaced by '?', lines after the first 32 dropped");
	for (unsigned bit = REPLY_CONTROL; bit <= REPLY_CODES_DIFFER; bit <<= 1)
		assert_true(reply_problem_text(bit, out, sizeof out)[0] != '\0');
	assert_true(strlen(reply_problem_text(~0u, out, sizeof out)) < sizeof out - 1);
	assert_string_equal(reply_problem_text(REPLY_LONG, small, sizeof small), "text cu");
}

/* What smfi_setmlreply is going to get: see the limits observed of it. */
static void expect_safe(const struct reply *r)
{
	assert_in_range(r->code, 200, 599);
	assert_in_range(r->nlines, 1, LIMIT_REPLY_LINES);
	if (r->code >= 400)
		assert_int_equal(r->xcode[0] - '0', r->code / 100);
	for (int i = 0; i < r->nlines; i++) {
		size_t n = strlen(r->lines[i]);

		for (const char *p = r->lines[i]; *p != '\0'; p++) {
			assert_false((unsigned char)*p < ' ' || *p == 0x7f);
			n += *p == '%';
		}
		assert_in_range(n, 0, LIMIT_REPLY_LINE_BYTES);
	}
}

/* R10: no value of a script yields a second reply, a second line or a reply out of step. */
static void test_r10_any_bytes(void **state)
{
	static const char likely[] = "55550421 -- ..\r\n\n\tab%\xc3\xa9";
	uint64_t seed = 20;
	char input[300];
	int ok = 0;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		size_t n = random_bytes(&seed, input, 60, likely, sizeof likely); /* with NUL */
		unsigned problems;
		struct reply r;
		char *text;

		if (round % 2 == 0 && n > 4)
			memcpy(input, round % 4 == 0 ? "550-" : "451 ", 4);
		if (reply_parse(&r, input, n, &problems) == REPLY_OK) {
			ok++;
			expect_safe(&r);
			text = reply_text(&r);
			assert_null(strpbrk(text, "\r\n"));
			free(text);
		} else {
			assert_int_equal(r.code, 0);
			assert_int_equal(r.nlines, 0);
		}
		reply_free(&r);
	}
	assert_true(ok > 50000); /* or the test proves nothing */
}

/* R5: a megabyte of anything is read once. */
static void test_r5_huge(void **state)
{
	static const char *const units[] = {
	    "5", "550-", "550 \n", "\n", " ", "%", "5.7.1 ", "\xf0"};
	size_t size = 1u << 20;
	char *input = malloc(size);

	(void)state;
	for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
		struct reply r;

		for (size_t i = 0; i < size; i++)
			input[i] = units[u][i % strlen(units[u])];
		memcpy(input, "550 ", 4);
		assert_int_equal(reply_parse(&r, input, size, NULL), REPLY_OK);
		expect_safe(&r);
		reply_free(&r);
	}
	free(input);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_nul_is_replaced),
	    cmocka_unit_test(test_default_xcodes),
	    cmocka_unit_test(test_long_lines),
	    cmocka_unit_test(test_many_lines),
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_problem_text),
	    cmocka_unit_test(test_r10_any_bytes),
	    cmocka_unit_test(test_r5_huge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
