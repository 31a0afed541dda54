/* Places that only root can change, and others. What belongs to somebody else needs root to try. */
#include "policy/queue_paths.h"

#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char top[] = "/tmp/queue-paths.XXXXXX", inner[64], linked[64];

static int open_directory(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(inner, sizeof inner, "%s/inner", top);
	snprintf(linked, sizeof linked, "%s/link", top);
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_int_equal(symlink("/usr/sbin", linked), 0);
	return 0;
}

static int close_directory(void **state)
{
	(void)state;
	unlink(linked);
	rmdir(inner);
	return rmdir(top);
}

static void check(const char *path, const char *expected)
{
	char *unsafe = queue_paths_unsafe(path);

	if (unsafe == NULL ? expected != NULL : expected == NULL || strcmp(unsafe, expected) != 0)
		fail_msg("%s: %s", path, unsafe != NULL ? unsafe : "safe");
	free(unsafe);
}

static void test_of_the_system(void **state)
{
	(void)state;
	check("/", NULL);
	check("/usr/sbin", NULL);
	check("/usr/sbin/not/there", NULL);
	check("/tmp", "/tmp"); /* anybody's, although sticky */
}

static void test_owner(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		check(inner, inner);
		return;
	}
	check(inner, NULL);
	check(linked, NULL);
	assert_int_equal(chown(inner, 65534, 0), 0);
	check(inner, inner);
	assert_int_equal(chown(inner, 0, 0), 0);
	assert_int_equal(chown(top, 65534, 0), 0);
	check(inner, top);
	check(linked, top);
	assert_int_equal(chown(top, 0, 0), 0);
}

static void test_mode(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(inner, 0777), 0);
	check(inner, inner);
	assert_int_equal(chmod(inner, 01777), 0);
	check(inner, inner);
	assert_int_equal(chmod(inner, 0775), 0);
	check(inner, NULL); /* root's group */
	assert_int_equal(chown(inner, 0, 65534), 0);
	check(inner, inner);
	assert_int_equal(chmod(inner, 0755), 0);
	check(inner, NULL);
	assert_int_equal(chmod(top, 0777), 0);
	check(inner, top);
	assert_int_equal(chmod(top, 01777), 0);
	check(inner, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_of_the_system),
	    cmocka_unit_test(test_owner),
	    cmocka_unit_test(test_mode),
	};

	return cmocka_run_group_tests(tests, open_directory, close_directory);
}
