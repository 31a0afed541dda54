/* Verdicts: what wins, what is kept, what is refused, and how it reads. */
#include "common/limits.h"
#include "common/log.h"
#include "common/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_described(const struct verdict *v, const char *expected)
{
	char *text = verdict_describe(v);

	assert_string_equal(text, expected);
	free(text);
}

static void test_empty(void **state)
{
	struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_int_equal(v.action, VERDICT_CONTINUE);
	expect_described(&v, "continue\n");
	verdict_reset(&v);
	verdict_reset(&v); /* twice is fine */
	expect_described(&v, "continue\n");
}

static void test_first_refusal_wins(void **state)
{
	struct verdict v;
	struct reply r;

	(void)state;
	verdict_init(&v);
	verdict_refuse_text(&v, 550, NULL, "no");
	verdict_refuse_text(&v, 451, NULL, "later");
	expect_described(&v, "reply 550 5.7.1 no\n");
	verdict_discard(&v);
	expect_described(&v, "reply 550 5.7.1 no\n");
	verdict_reset(&v);

	verdict_discard(&v);
	expect_described(&v, "discard\n");
	reply_parse(&r, "451-4.7.1 a\n451 4.7.1 b", 23, NULL);
	verdict_refuse(&v, &r);
	reply_free(&r); /* it was copied */
	expect_described(&v, "reply 451 4.7.1 a / b\n");
	verdict_reset(&v);
}

static void count_bugs(enum log_level level, const char *line, void *arg)
{
	int *bugs = arg;

	(void)line;
	*bugs += level == LOG_LVL_BUG;
}

static void test_success_is_no_refusal(void **state)
{
	static const int codes[] = {250, 354, 0, 199, 600, -550};
	struct verdict v;
	int bugs = 0;

	(void)state;
	log_capture(count_bugs, &bugs);
	verdict_init(&v);
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		verdict_refuse_text(&v, codes[i], NULL, "x");
		assert_int_equal(v.action, VERDICT_CONTINUE);
		assert_int_equal(bugs, i + 1);
	}
	log_capture(NULL, NULL);
	verdict_reset(&v);
}

static void test_everything_described(void **state)
{
	struct verdict v;
	const char *why;

	(void)state;
	verdict_init(&v);
	assert_true(verdict_header(&v, HEADER_INSERT, "X-A", 0, "one", &why));
	assert_true(verdict_header(&v, HEADER_APPEND, "X-B", 7, " two\r\n\tfold", &why));
	assert_true(verdict_header(&v, HEADER_CHANGE, "Subject", 2, "\033[1m", &why));
	assert_true(verdict_header(&v, HEADER_DELETE, "X-C", 1, "ignored", &why));
	assert_true(verdict_header(&v, HEADER_DELETE, "X-D", 3, NULL, &why));
	assert_true(verdict_recipient(&v, true, "a@b.test", "NOTIFY=NEVER", &why));
	assert_true(verdict_recipient(&v, true, "b@b.test", "", &why));
	assert_true(verdict_recipient(&v, false, "c@b.test", NULL, &why));
	assert_true(verdict_sender(&v, "old@b.test", "RET=FULL", &why));
	assert_true(verdict_sender(&v, "", "RET=HDRS", &why));
	verdict_quarantine(&v, "looks odd\r\n");
	assert_true(verdict_body(&v, "x", 1, &why));
	assert_true(verdict_body(&v, "new\nbody", 8, &why));
	assert_string_equal(v.body, "new\r\nbody\r\n");
	assert_int_equal(v.headers[1].index, 0);
	assert_null(v.headers[3].value);
	assert_null(v.recipients[1].parameters);
	expect_described(&v, "continue\n"
			     "header insert 0 X-A: one\n"
			     "header append X-B: two\\n\\tfold\n"
			     "header change 2 Subject: \\x1b[1m\n"
			     "header delete 1 X-C\n"
			     "header delete 3 X-D\n"
			     "recipient add <a@b.test> NOTIFY=NEVER\n"
			     "recipient add <b@b.test>\n"
			     "recipient remove <c@b.test>\n"
			     "sender <> RET=HDRS\n"
			     "quarantine looks odd\n"
			     "body 11 bytes\n");
	verdict_reset(&v);
}

static bool collect(void *out, const void *bytes, size_t n)
{
	strncat(out, bytes, n);
	return true;
}

/* R9, R10: a patch of the body adds lines of mail only, and nothing before the body. The verdict
 * keeps the message that it changes. */
static void test_patch(void **state)
{
	static const struct message_options options = {100, "/tmp", 1000};
	static const struct {
		uint64_t at;
		const char *bytes, *body;
	} cases[] = {
	    {6, "a\r\n", "a\r\nx\r\n"},
	    {9, "a\r\n.\r\n", "x\r\na\r\n.\r\n"},
	    {9, "", "x\r\n"},
	    {4, "a\r\n", NULL},
	    {9, "a\n.\n", NULL},
	    {9, "a\r", NULL},
	    {9, "\r\r\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct message *m = message_new(&options);
		struct patch *p = patch_new();
		char body[100] = "";
		const struct mime_sink sink = {collect, body};
		const char *why = NULL;
		struct verdict v;

		verdict_init(&v);
		message_header(m, "A", "");
		message_body(m, "x\r\n", 3);
		assert_int_equal(message_body_offset(m), 6);
		patch_replace(p, cases[i].at, 0, cases[i].bytes, strlen(cases[i].bytes));
		assert_int_equal(verdict_patch(&v, p, m, &why), cases[i].body != NULL);
		assert_int_equal(why == NULL, cases[i].body != NULL);
		message_free(m); /* the session is done with it */
		if (cases[i].body != NULL) {
			char *described =
			    xasprintf("continue\nbody %zu bytes\n", strlen(cases[i].body));

			assert_int_equal(verdict_write_body(&v, &sink), MIME_OK);
			assert_string_equal(body, cases[i].body);
			expect_described(&v, described);
			free(described);
		}
		verdict_reset(&v);
		assert_false(verdict_has_body(&v));
	}
}

/* R10: each way in goes through the check that belongs to it. */
static void test_r10_refused(void **state)
{
	struct verdict v;
	const char *why;

	(void)state;
	verdict_init(&v);
#define REFUSED(call)                 \
	do {                          \
		why = NULL;           \
		assert_false(call);   \
		assert_non_null(why); \
	} while (0)
	REFUSED(verdict_header(&v, HEADER_INSERT, "X A", 0, "v", &why));
	REFUSED(verdict_header(&v, HEADER_INSERT, "X-A", 0, "v\r\nBcc: x", &why));
	REFUSED(verdict_header(&v, HEADER_INSERT, "X-A", 0, NULL, &why));
	REFUSED(verdict_header(&v, HEADER_INSERT, "X-A", -1, "v", &why));
	REFUSED(verdict_header(&v, HEADER_APPEND, "X-A", 0, "v\rw", &why));
	REFUSED(verdict_header(&v, HEADER_CHANGE, "X-A", 0, "v", &why));
	REFUSED(verdict_header(&v, HEADER_DELETE, "X-A", 0, NULL, &why));
	REFUSED(verdict_header(&v, HEADER_DELETE, "X:A", 1, NULL, &why));
	REFUSED(verdict_recipient(&v, true, "", NULL, &why));
	REFUSED(verdict_recipient(&v, true, "a@b\r\n", NULL, &why));
	REFUSED(verdict_recipient(&v, true, "a,b@c", NULL, &why));
	REFUSED(verdict_recipient(&v, true, "a@b", "NOTIFY=NEVER\r\nDATA", &why));
	REFUSED(verdict_recipient(&v, false, "", NULL, &why));
	REFUSED(verdict_recipient(&v, false, "a@b>", NULL, &why));
	REFUSED(verdict_recipient(&v, false, "a@b", "NOTIFY=NEVER", &why));
	REFUSED(verdict_sender(&v, "a@b\n", NULL, &why));
	REFUSED(verdict_sender(&v, "<>", NULL, &why));
	REFUSED(verdict_sender(&v, "", "RET=", &why));
#undef REFUSED
	expect_described(&v, "continue\n");
	verdict_reset(&v);
}

static void test_refused_changes_nothing(void **state)
{
	struct verdict v;
	const char *why;

	(void)state;
	verdict_init(&v);
	assert_true(verdict_sender(&v, "a@b", "RET=FULL", &why));
	assert_false(verdict_sender(&v, "c@d", "RET=", &why));
	assert_false(verdict_sender(&v, "c d", NULL, &why));
	assert_false(verdict_recipient(&v, true, "a@b", "=", &why));
	assert_false(verdict_header(&v, HEADER_APPEND, "X", 0, "a\nb", &why));
	expect_described(&v, "continue\nsender <a@b> RET=FULL\n");
	assert_true(verdict_sender(&v, "c@d", NULL, &why));
	expect_described(&v, "continue\nsender <c@d>\n");
	verdict_reset(&v);
}

static void test_limits(void **state)
{
	struct verdict v;
	const char *why = NULL;

	(void)state;
	verdict_init(&v);
	for (int i = 0; i < LIMIT_HEADER_CHANGES; i++)
		assert_true(verdict_header(&v, HEADER_APPEND, "X", 0, "v", &why));
	assert_false(verdict_header(&v, HEADER_APPEND, "X", 0, "v", &why));
	assert_non_null(strstr(why, "too many"));
	for (int i = 0; i < LIMIT_RECIPIENTS; i++)
		assert_true(verdict_recipient(&v, i % 2 == 0, "a@b", NULL, &why));
	assert_false(verdict_recipient(&v, true, "a@b", NULL, &why));
	assert_non_null(strstr(why, "too many"));
	assert_int_equal(v.nheaders, LIMIT_HEADER_CHANGES);
	assert_int_equal(v.nrecipients, LIMIT_RECIPIENTS);
	verdict_reset(&v);
}

static void test_quarantine_reason(void **state)
{
	char reason[3000];
	struct verdict v;

	(void)state;
	verdict_init(&v);
	verdict_quarantine(&v, NULL);
	assert_string_equal(v.quarantine, "held by a script");
	verdict_quarantine(&v, " \r\n");
	assert_string_equal(v.quarantine, "held by a script");
	verdict_quarantine(&v, "a\nb");
	assert_string_equal(v.quarantine, "a?b");
	memset(reason, 'x', sizeof reason - 1);
	reason[sizeof reason - 1] = '\0';
	verdict_quarantine(&v, reason);
	assert_int_equal(strlen(v.quarantine), LIMIT_REPLY_LINE_BYTES);
	verdict_reset(&v);
}

/* One change, one line: whoever compares or reads the text cannot be lied to. */
static void test_description_cannot_be_forged(void **state)
{
	struct verdict v;
	const char *why;
	char *text;
	int lines = 0;

	(void)state;
	verdict_init(&v);
	verdict_refuse_text(&v, 550, NULL, "a\nheader delete 1 Subject");
	assert_true(
	    verdict_header(&v, HEADER_APPEND, "X", 0, "a\n sender <x@y>\n\tb\x85\xff", &why));
	assert_true(verdict_recipient(&v, true, "\xc2\x9b@b", NULL, &why)); /* C1 control */
	text = verdict_describe(&v);
	for (const char *p = text; *p != '\0'; p++) {
		lines += *p == '\n';
		assert_true(*p == '\n' || ((unsigned char)*p >= ' ' && (unsigned char)*p < 0x7f));
	}
	assert_int_equal(lines, 3);
	free(text);
	verdict_reset(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_patch),
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_first_refusal_wins),
	    cmocka_unit_test(test_success_is_no_refusal),
	    cmocka_unit_test(test_everything_described),
	    cmocka_unit_test(test_r10_refused),
	    cmocka_unit_test(test_refused_changes_nothing),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_quarantine_reason),
	    cmocka_unit_test(test_description_cannot_be_forged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
