/* Owner and mode of a socket: root sets them in a directory where another user can put what he
 * likes (R4). */
#include "common/daemon/privileges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void test_a_link_leads_nowhere(void **state)
{
	struct identity id = {.uid = geteuid(), .gid = getegid()};
	char directory[] = "/var/tmp/mailhooks-test.XXXXXX", precious[64], error[200] = "";
	struct sockaddr_un own = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(precious, sizeof precious, "%s/precious", directory);
	snprintf(own.sun_path, sizeof own.sun_path, "%s/socket", directory);
	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
	assert_true(privileges_own(own.sun_path, &id, "", "", 0640, error, sizeof error));
	assert_int_equal(mode_of(own.sun_path), 0640);

	assert_int_equal(rename(own.sun_path, precious), 0);
	assert_int_equal(symlink(precious, own.sun_path), 0);
	assert_false(privileges_own(own.sun_path, &id, "", "", 0666, error, sizeof error));
	assert_non_null(strstr(error, own.sun_path));
	assert_int_equal(mode_of(precious), 0640);

	close(fd);
	unlink(own.sun_path);
	unlink(precious);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_link_leads_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
