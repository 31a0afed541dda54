/* Lists of strings: copies, order, and the allocator that never says no. */
#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

static void test_list_owns_copies(void **state)
{
	struct strlist l = STRLIST_INIT;
	char text[8];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "%d", i);
		strlist_add(&l, text);
	}
	assert_int_equal(l.n, 100);
	assert_string_equal(l.v[0], "0");
	assert_string_equal(l.v[99], "99");
	strlist_addn(&l, "abcdef", 3);
	assert_string_equal(l.v[100], "abc");
	strlist_addn(&l, "ab", 9); /* ends at the NUL */
	assert_string_equal(l.v[101], "ab");
	strlist_clear(&l);
	assert_int_equal(l.n, 0);
	assert_null(l.v);
	strlist_clear(&l);
}

static void test_remove_keeps_the_order(void **state)
{
	struct strlist l = STRLIST_INIT;

	(void)state;
	strlist_add(&l, "a");
	strlist_add(&l, "b");
	strlist_add(&l, "c");
	strlist_remove(&l, 1);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0], "a");
	assert_string_equal(l.v[1], "c");
	strlist_remove(&l, 2); /* there is none */
	assert_int_equal(l.n, 2);
	strlist_remove(&l, 1);
	strlist_remove(&l, 0);
	assert_int_equal(l.n, 0);
	strlist_add(&l, "d");
	assert_string_equal(l.v[0], "d");
	strlist_clear(&l);
}

static void test_copy_replaces(void **state)
{
	struct strlist from = STRLIST_INIT, to = STRLIST_INIT;

	(void)state;
	strlist_add(&from, "a");
	strlist_add(&to, "old");
	strlist_add(&to, "older");
	strlist_copy(&to, &from);
	assert_int_equal(to.n, 1);
	assert_string_equal(to.v[0], "a");
	assert_ptr_not_equal(to.v[0], from.v[0]);
	strlist_copy(&to, &to);
	assert_string_equal(to.v[0], "a");
	strlist_clear(&from);
	strlist_copy(&to, &from);
	assert_int_equal(to.n, 0);
	strlist_clear(&to);
}

static void test_look_up(void **state)
{
	struct strlist l = STRLIST_INIT;

	(void)state;
	assert_false(strlist_has(&l, ""));
	strlist_add(&l, "Example.COM");
	assert_true(strlist_has(&l, "Example.COM"));
	assert_false(strlist_has(&l, "example.com"));
	assert_false(strlist_has(&l, "Example"));
	assert_true(strlist_has_nocase(&l, "example.com"));
	assert_false(strlist_has_nocase(&l, "example.comm"));
	strlist_clear(&l);
}

static void test_strings(void **state)
{
	char *s = xasprintf("%s-%d", "a", 7), *zero = xmalloc(0);

	(void)state;
	assert_string_equal(s, "a-7");
	xreplace(&s, s + 2); /* a part of itself */
	assert_string_equal(s, "7");
	xreplace(&s, NULL);
	assert_null(s);
	assert_non_null(zero);
	free(zero);
}

/* ASan's malloc shall refuse as the C library's does. Asked for by ASan, unused without it. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* No caller sees NULL: the process ends with a status that the supervisor understands. */
static void test_out_of_memory_ends(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		close(STDERR_FILENO); /* the message is not the test's */
		free(xcalloc(SIZE_MAX / 4, 8));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_OSERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list_owns_copies),
	    cmocka_unit_test(test_remove_keeps_the_order),
	    cmocka_unit_test(test_copy_replaces),
	    cmocka_unit_test(test_look_up),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_out_of_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
