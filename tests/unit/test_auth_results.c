/* Whose Authentication-Results a field claims to be (R7). */
#include "common/auth_results.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_claims(void **state)
{
	static const struct {
		const char *value, *id;
		bool claims;
	} cases[] = {
	    {" mail.test; spf=pass", "mail.test", true},
	    {" MAIL.Test ; none", "mail.test", true},
	    {"mail.test;", "mail.test", true},
	    {" mail.test 1; dkim=pass", "mail.test", true},
	    {"\n\tmail.test; spf=pass", "mail.test", true},
	    {" (a (nested \\) comment)) mail.test(.example.com); x", "mail.test", true},
	    {" \"mail.test\"; spf=pass", "mail.test", true},
	    {" other.test; spf=pass", "mail.test", false},
	    {" mail.test.evil; spf=pass", "mail.test", false},
	    {" xmail.test; spf=pass", "mail.test", false},
	    {" other.test (mail.test); spf=pass", "mail.test", false},
	    {" other.test; x", "", true},
	    {"", "mail.test", true}, /* cannot be read: gone */
	    {" (never closed mail.test", "mail.test", true},
	    {" ; spf=pass", "mail.test", true},
	    {" \"open; spf=pass", "mail.test", true},
	    {" \"ma\\il.test\"; spf=pass", "mail.test", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (auth_results_claims(cases[i].value, cases[i].id) != cases[i].claims)
			fail_msg("\"%s\" and \"%s\"", cases[i].value, cases[i].id);
}

static void test_deep_comments(void **state)
{
	char *deep = malloc(1000001);

	(void)state; /* R5: no recursion */
	memset(deep, '(', 1000000);
	deep[1000000] = '\0';
	assert_true(auth_results_claims(deep, "mail.test"));
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_deep_comments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
