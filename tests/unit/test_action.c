/* Which action Postfix may be told at which stage, and in which words. */
#include "policy/action.h"

#include "common/limits.h"
#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* wanted NULL: not legal there. */
static void expect(const char *state, const char *action, const char *wanted)
{
	const char *why = "";
	char *out = action_check(action, strlen(action), stage_of(state), &why);

	if (wanted == NULL ? out != NULL : out == NULL || strcmp(out, wanted) != 0)
		fail_msg("\"%s\" at %s gives \"%s\", not \"%s\"; %s", action, state,
		    out != NULL ? out : "(nothing)", wanted != NULL ? wanted : "(nothing)",
		    why != NULL ? why : "");
	if (out == NULL)
		assert_non_null(why);
	free(out);
}

static void test_words(void **state)
{
	(void)state;
	expect("RCPT", "DUNNO", "DUNNO");
	expect("RCPT", "  reject   go away \n", "REJECT go away");
	expect("RCPT", "Defer_If_Permit later", "DEFER_IF_PERMIT later");
	expect("RCPT", "OK", "OK");
	expect("RCPT", "OK go", NULL);
	expect("RCPT", "permit_mynetworks", "permit_mynetworks");
	expect("RCPT", "REJECTED", NULL);
	expect("RCPT", "whatever", NULL);
	expect("RCPT", "", NULL);
	expect("RCPT", " \t", NULL);
	expect("RCPT", "REJECT a\nb", NULL);
	expect("RCPT", "REJECT a\tb", "REJECT a b");
	expect("RCPT", "REJECT a\x7f", NULL);
}

/* A number alone is OK to Postfix, 2xx is an error: neither is ever sent. */
static void test_codes(void **state)
{
	(void)state;
	expect("RCPT", "550 5.7.1 no", "550 5.7.1 no");
	expect("RCPT", "450 wait", "450 4.7.1 wait");
	expect("RCPT", "550 4.7.1 wrong class", "550 5.7.1 wrong class");
	expect("RCPT", "550", "550 5.7.1 Refused");
	expect("RCPT", "550 5.7.1 one\r\n550 5.7.1 two", "550 5.7.1 one");
	expect("RCPT", "250 2.0.0 fine", NULL);
	expect("RCPT", "250", NULL);
	expect("RCPT", "354 go on", NULL);
	expect("RCPT", "12345", NULL);
	expect("RCPT", "99", NULL);
	expect("CONNECT", "421 4.7.0 bye", "421 4.7.0 bye");
	expect("RCPT", "550 5", "550 5.7.1 5");
}

/* Observed on Postfix 3.7: these are skipped, or refused with a configuration error, elsewhere. */
static void test_stages(void **state)
{
	static const struct {
		const char *action, *stages;
	} legal[] = {
	    {"HOLD why", "MAIL RCPT DATA END-OF-MESSAGE"},
	    {"DISCARD", "MAIL RCPT DATA END-OF-MESSAGE"},
	    {"FILTER smtp:[127.0.0.1]:25", "MAIL RCPT DATA END-OF-MESSAGE"},
	    {"REDIRECT a@b.test", "MAIL RCPT DATA END-OF-MESSAGE"},
	    {"BCC a@b.test", "MAIL RCPT DATA END-OF-MESSAGE"},
	    {"PREPEND X-A: b", "MAIL RCPT DATA"},
	    {"reject_unauth_destination", "RCPT"},
	    {"WARN x", "CONNECT EHLO HELO MAIL RCPT DATA END-OF-MESSAGE VRFY ETRN LATER"},
	    {"550 5.7.1 no", "CONNECT EHLO HELO MAIL RCPT DATA END-OF-MESSAGE VRFY ETRN LATER"},
	};
	static const char *const all[] = {"CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA",
	    "END-OF-MESSAGE", "VRFY", "ETRN", "LATER"};

	(void)state;
	for (size_t i = 0; i < sizeof legal / sizeof *legal; i++)
		for (size_t k = 0; k < sizeof all / sizeof *all; k++)
			expect(all[k], legal[i].action,
			    strstr(legal[i].stages, all[k]) != NULL ? legal[i].action : NULL);
}

static void test_arguments(void **state)
{
	char *long_text = xmalloc(LIMIT_POLICY_ACTION_BYTES + 2);
	const char *why;

	(void)state;
	expect("RCPT", "REDIRECT nobody", NULL);
	expect("RCPT", "REDIRECT", NULL);
	expect("RCPT", "BCC a@b c@d", NULL);
	expect("RCPT", "FILTER smtp", NULL);
	expect("RCPT", "FILTER :x", NULL);
	expect("RCPT", "PREPEND no header", NULL);
	expect("RCPT", "PREPEND X-A:", NULL);
	expect("RCPT", "PREPEND X A: b", NULL);
	memset(long_text, 'x', LIMIT_POLICY_ACTION_BYTES + 1);
	memcpy(long_text, "WARN ", 5);
	assert_null(action_check(long_text, LIMIT_POLICY_ACTION_BYTES + 1, STAGE_RCPT, &why));
	assert_null(action_check("WARN a\0b", 8, STAGE_RCPT, &why));
	free(long_text);
}

static void test_refuses(void **state)
{
	(void)state;
	assert_true(action_refuses("550 5.7.1 no"));
	assert_true(action_refuses("DEFER_IF_PERMIT x"));
	assert_true(action_refuses("REJECT"));
	assert_false(action_refuses("OK"));
	assert_false(action_refuses("HOLD x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_codes),
	    cmocka_unit_test(test_stages),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
