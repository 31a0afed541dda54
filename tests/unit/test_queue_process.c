/* How long a program of the MTA may take: what prints may go on, what is silent is killed. The
 * programs are real; the clock and the waiting of mailhooks-queue go by this test's time. */
#include "common/list.h"
#include "policy/queue_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define STEP_MS 20000	 /* from one line of the list to the next */
#define SHORT_WAIT_MS 50 /* in which something silent says nothing */
#define SPENT_MS 10000	 /* of real time from one look at the clock to the next, at most */

static char directory[] = "/tmp/queue-process.XXXXXX", *program, *fifo;
static struct config config;

/* ---- time ---- */

static int64_t ahead_ms;    /* the clock, of the real one */
static bool nothing_to_say; /* the program: waits that would be long are over at once */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __real_poll(struct pollfd *p, nfds_t n, int ms);
int __wrap_poll(struct pollfd *p, nfds_t n, int ms);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int rc = __real_clock_gettime(id, t);

	t->tv_sec += ahead_ms / 1000;
	return rc;
}

int __wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	int rc = __real_poll(p, n, nothing_to_say ? SHORT_WAIT_MS : ms);

	if (rc == 0)
		ahead_ms += ms;
	return rc;
}

/* ---- signals ---- */

static pid_t spared; /* 0: kill() works; else it may not, and this is whom it was to end */

int __real_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal);

int __wrap_kill(pid_t pid, int signal)
{
	if (spared == 0)
		return __real_kill(pid, signal);
	spared = pid;
	errno = EPERM;
	return -1;
}

/* ---- the program ---- */

static int open_directory(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	program = xasprintf("%s/postqueue", directory);
	fifo = xasprintf("%s/next", directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	config.agent.commands = directory;
	config.agent.config_directory = (char *)(uintptr_t) "";
	return 0;
}

static int close_directory(void **state)
{
	(void)state;
	unlink(program);
	unlink(fifo);
	free(program);
	free(fifo);
	return rmdir(directory);
}

static void write_program(const char *text)
{
	FILE *f = fopen(program, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\ncd %s\n%s", directory, text);
	fclose(f);
	assert_int_equal(chmod(program, 0700), 0);
}

static unsigned lines; /* that were read */

/* The program prints a line and waits; it may go on when STEP_MS have passed. */
static bool take_line(const char *bytes, size_t n, void *arg)
{
	int fd;

	(void)arg;
	assert_int_equal(bytes[n - 1], '\n');
	lines++;
	ahead_ms += STEP_MS;
	if (strncmp(bytes, "end", 3) == 0)
		return true;
	fd = open(fifo, O_WRONLY);
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
	return true;
}

static const struct queue_output reader = {take_line, NULL, {-1, -1}};

/* Returns how long it took. */
static int64_t run(bool expected)
{
	int64_t begin = ahead_ms;
	char why[200] = "";

	lines = 0;
	if (queue_command_run(&config, "l", 1, &reader, why, sizeof why) != expected)
		fail_msg("after %u lines: %s", lines, why);
	if (!expected)
		assert_non_null(strstr(why, "ended by us"));
	return ahead_ms - begin;
}

#define PRINT "exec 3<>next\nprint() { echo line $1; read go <&3; }\n"

/* A long queue: each line is soon there, all of them are not. */
static void test_slow_list(void **state)
{
	(void)state;
	write_program(PRINT "for i in 1 2 3 4 5; do print $i; done\necho end\n");
	assert_int_equal(run(true), 6 * STEP_MS);
	assert_int_equal(lines, 6);
	assert_true(6 * STEP_MS > QUEUE_COMMAND_MS);
}

static void test_endless_list(void **state)
{
	(void)state;
	write_program(PRINT "while true; do print x; done\n");
	assert_in_range(run(false), QUEUE_LIST_MS, QUEUE_LIST_MS + STEP_MS);
}

/* Sendmail sorts its queue before it prints anything. */
static void test_silent_list(void **state)
{
	int64_t took;

	(void)state;
	nothing_to_say = true;
	write_program("exec sleep 25\n");
	took = run(false);
	assert_in_range(took, QUEUE_COMMAND_MS - SPENT_MS, QUEUE_COMMAND_MS);
	free(program);
	program = xasprintf("%s/sendmail", directory);
	config.agent.mta = AGENT_SENDMAIL;
	write_program("exec sleep 25\n");
	took = run(false);
	assert_in_range(took, QUEUE_LIST_MS - SPENT_MS, QUEUE_LIST_MS);
	unlink(program);
	free(program);
	program = xasprintf("%s/postqueue", directory);
	config.agent.mta = AGENT_NONE;
	nothing_to_say = false;
}

/* The client has gone, or we are told to stop. */
static void test_nobody_reads(void **state)
{
	struct queue_output output = {take_line, NULL, {-1, -1}};
	char why[200] = "";
	int pipes[2];

	(void)state;
	write_program("exec sleep 25\n");
	assert_int_equal(pipe(pipes), 0);
	close(pipes[1]);
	for (size_t i = 0; i < 2; i++) {
		int64_t begin = ahead_ms;

		output.ends[i] = pipes[0];
		assert_false(queue_command_run(&config, "l", 1, &output, why, sizeof why));
		assert_int_equal(ahead_ms, begin);
		output.ends[i] = -1;
	}
	close(pipes[0]);
}

/* One that has become another user, as postsuper(1) does, while we lack the right to end it: it is
 * left to itself, the next command runs, and it is taken notice of when it has ended (R18). */
static void test_cannot_be_ended(void **state)
{
	siginfo_t info;
	pid_t other;

	(void)state;
	nothing_to_say = true;
	spared = -1;
	write_program("exec sleep 60\n");
	run(false);
	other = spared;
	assert_true(other > 0);
	spared = 0;
	nothing_to_say = false;
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0); /* nobody has waited for it */
	write_program("echo end\n");
	run(true);
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)other, &info, WEXITED | WNOWAIT), 0);
	run(true);
	assert_int_equal(waitpid(other, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slow_list),
	    cmocka_unit_test(test_endless_list),
	    cmocka_unit_test(test_silent_list),
	    cmocka_unit_test(test_nobody_reads),
	    cmocka_unit_test(test_cannot_be_ended),
	};

	return cmocka_run_group_tests(tests, open_directory, close_directory);
}
