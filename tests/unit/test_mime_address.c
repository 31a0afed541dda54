/* The first mailbox of a field: names and encodings, groups, what is no address, hostile values. */
#include "common/mime_address.h"

#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_first_mailbox(void **state)
{
	static const struct {
		const char *value, *address, *name;
	} cases[] = {
	    {"ann@one.test", "ann@one.test", ""},
	    {"<ann@one.test>", "ann@one.test", ""},
	    {"Ann Lee <ann@one.test>, bob@two.test", "ann@one.test", "Ann Lee"},
	    {"\"Lee, Ann\" <ann@one.test>", "ann@one.test", "Lee, Ann"},
	    {"=?utf-8?q?M=C3=BCller?= <ann@one.test>", "ann@one.test", "M\303\274ller"},
	    {"=?iso-8859-1?q?M=FCller?= <ann@one.test>", "ann@one.test", "M\303\274ller"},
	    {"=?utf-8?q?two=0D=0Alines?= <ann@one.test>", "ann@one.test", "two  lines"},
	    {"friends: Ann <ann@one.test>, bob@two.test;", "ann@one.test", "Ann"},
	    {"nobody:;, bob@two.test", "bob@two.test", ""},
	    {"", NULL, NULL},
	    {" ", NULL, NULL},
	    {"nobody:;", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *address, *name;
		bool found = mime_first_address(cases[i].value, &address, &name);

		if (found != (cases[i].address != NULL) ||
		    (found && (strcmp(address, cases[i].address) != 0 ||
				  strcmp(name, cases[i].name) != 0)))
			fail_msg("\"%s\" gives \"%s\" and \"%s\"", cases[i].value,
			    found ? address : "nothing", found ? name : "nothing");
		free(address);
		free(name);
	}
}

/* A megabyte of what nests or repeats ends soon, whatever it gives. */
static void test_hostile_values(void **state)
{
	static const char *const pieces[] = {
	    "(", "<", "\"", "a,", "a:", "a@[", "=?utf-8?q?", "\\", ";"};

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		size_t n = strlen(pieces[i]), times = (1u << 20) / n;
		char *value = xmalloc(n * times + 1), *address, *name;

		for (size_t k = 0; k < times; k++)
			memcpy(value + k * n, pieces[i], n + 1);
		(void)mime_first_address(value, &address, &name);
		free(value);
		free(address);
		free(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_mailbox),
	    cmocka_unit_test(test_hostile_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
