/* test_lock.c - unit tests of common/daemon/lock.c, with real processes (R18). */
#include "common/daemon/lock.h"
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "mailhooks-test"

static char directory[] = "/tmp/mailhooks-lock-XXXXXX", path[PATH_MAX], error[512];

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/%s.lock", directory, PROGRAM);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

/* Another process with the lock; it goes on at each byte that `go` is given. */
struct other {
	pid_t pid;
	int go, did;
};

static _Noreturn void be_other(int go, int did)
{
	char byte, text[512];
	int fd;

	if (!lock_state(directory, PROGRAM, &fd, text, sizeof text) || fd < 0)
		_exit(1);
	if (write(did, "L", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(2);
	lock_stopping(fd);
	if (write(did, "S", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(3);
	_exit(0);
}

static void expect_other(struct other *o, char what)
{
	char byte = 0;

	assert_int_equal(read(o->did, &byte, 1), 1);
	assert_int_equal(byte, what);
}

static struct other start_other(void)
{
	int go[2], did[2];
	struct other o;

	assert_int_equal(pipe(go) | pipe(did), 0);
	o = (struct other){fork(), go[1], did[0]};
	if (o.pid == 0) {
		close(go[1]);
		be_other(go[0], did[1]);
	}
	close(go[0]);
	close(did[1]);
	expect_other(&o, 'L');
	return o;
}

static int end_other(struct other *o)
{
	int status = 0;

	close(o->go);
	close(o->did);
	assert_int_equal(waitpid(o->pid, &status, 0), o->pid);
	return status;
}

static void test_one_of_each_program(void **state)
{
	struct other o = start_other();
	char pid[32];
	int fd, theirs;

	(void)state;
	snprintf(pid, sizeof pid, "(process %d)", (int)o.pid);
	assert_false(lock_state(directory, PROGRAM, &fd, error, sizeof error));
	assert_int_equal(fd, -1);
	assert_non_null(strstr(error, pid));
	assert_non_null(strstr(error, directory));
	assert_true(lock_state(directory, "another", &theirs, error, sizeof error));
	assert_true(theirs >= 0);
	unlock(theirs);
	snprintf(error, sizeof error, "%s/another.lock", directory);
	assert_int_equal(unlink(error), 0);
	kill(o.pid, SIGKILL);
	assert_true(WIFSIGNALED(end_other(&o)));
	assert_true(lock_state(directory, PROGRAM, &fd, error, sizeof error)); /* a dead one's */
	assert_true(fd >= 0);
	unlock(fd);
}

/* The other process ends once somebody says that he waits for it. */
static void let_it_end(enum log_level level, const char *line, void *arg)
{
	const struct other *o = arg;
	char wanted[64];

	(void)level;
	snprintf(wanted, sizeof wanted, "waiting until process %d has stopped", (int)o->pid);
	if (strstr(line, wanted) != NULL && write(o->go, "e", 1) != 1)
		log_bug(NULL, "the other process does not listen");
}

/* One that answers what is in progress is waited for, however it ends. */
static void test_stopping_one_is_waited_for(void **state)
{
	struct other o = start_other();
	int fd;

	(void)state;
	assert_int_equal(write(o.go, "s", 1), 1);
	expect_other(&o, 'S');
	log_capture(let_it_end, &o);
	assert_true(lock_state(directory, PROGRAM, &fd, error, sizeof error));
	log_capture(NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(end_other(&o), 0); /* it was told to, and not left alone */
	unlock(fd);
}

static void hear(enum log_level level, const char *line, void *heard)
{
	if (level == LOG_LVL_WARN)
		snprintf(heard, sizeof error, "%s", line);
}

/* No lock file can be made: mail is more important. Links lead nowhere (R4). */
static void test_no_lock_file(void **state)
{
	char heard[sizeof error], other[PATH_MAX];
	struct stat st;
	int fd;

	(void)state;
	snprintf(other, sizeof other, "%s/other", directory);
	fclose(fopen(other, "w"));
	log_capture(hear, heard);
	for (int i = 0; i < 3; i++) {
		*heard = '\0';
		unlink(path);
		if (i > 0)
			assert_int_equal(i == 1 ? symlink(other, path) : link(other, path), 0);
		assert_true(
		    lock_state(i == 0 ? "/proc" : directory, PROGRAM, &fd, error, sizeof error));
		assert_int_equal(fd, -1);
		assert_non_null(strstr(heard, PROGRAM));
	}
	log_capture(NULL, NULL);
	unlock(-1);
	lock_stopping(-1);
	assert_int_equal(stat(other, &st) | unlink(other), 0);
	assert_int_equal(st.st_size, 0); /* nobody wrote to it */
}

/* Started by hand as root once, the service without privileges can lock afterwards. */
static void test_a_start_as_root(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	unlink(path);
	assert_int_equal(chown(directory, 12345, 12346), 0);
	assert_true(lock_state(directory, PROGRAM, &fd, error, sizeof error));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 12346);
	unlock(fd);
	/* what is there already stays whose it is */
	assert_int_equal(chown(path, 54321, 54321), 0);
	assert_true(lock_state(directory, PROGRAM, &fd, error, sizeof error));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_uid, 54321);
	unlock(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_of_each_program),
	    cmocka_unit_test(test_stopping_one_is_waited_for),
	    cmocka_unit_test(test_no_lock_file),
	    cmocka_unit_test(test_a_start_as_root),
	};

	log_open("test_lock", LOG_TO_STDERR, LOG_AS_TEXT, 0, LOG_LVL_INFO);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
