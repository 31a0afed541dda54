/* queue_process.c - see queue_process.h. */
#include "policy/queue_process.h"

#include "common/clock.h"
#include "common/log.h"
#include "policy/queue_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_STEP_US 2000 /* between two looks whether a program has ended */
#define KILLED_MS 2000	  /* a program that was killed has ended by then */

/* Nothing is inherited but what is listed. out: -1 = nobody reads what it prints. */
static int spawn(char *argv[], int out, pid_t *pid)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
	char *environment[] = {path, locale, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none;
	int rc;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&files, out, 1);
	else
		posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0); /* it logs too */
	rc = posix_spawn(pid, argv[0], &files, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* There is something to read. False: nothing came until end_ms, or nobody reads any more. */
static bool wait_for_output(int in, int64_t end_ms, const struct queue_output *output)
{
	struct pollfd p[] = {{.fd = in, .events = POLLIN},
	    {.fd = output->ends[0], .events = POLLIN}, {.fd = output->ends[1], .events = POLLIN}};
	int64_t left = end_ms - clock_ms();

	return left > 0 && poll(p, sizeof p / sizeof *p, (int)left) > 0 && p[1].revents == 0 &&
	       p[2].revents == 0;
}

/* A long queue takes its time: what prints may go on. False: it was silent until *end_ms, it goes
 * on for too long, or the reader wants no more. */
static bool pass_on(int in, int quiet_ms, int64_t *end_ms, const struct queue_output *output)
{
	char bytes[QUEUE_PACKET_BYTES - 1];
	int64_t last_ms = clock_ms() + QUEUE_LIST_MS;
	ssize_t n = 1;

	while (n > 0) {
		if (!wait_for_output(in, *end_ms, output))
			return false;
		n = read(in, bytes, sizeof bytes);
		if (n > 0 &&
		    (clock_ms() >= last_ms || !output->take(bytes, (size_t)n, output->arg)))
			return false;
		*end_ms = clock_ms() + quiet_ms;
	}
	return n == 0;
}

/* Those that were killed and had not ended at once, or could not be killed: a program that waits
 * for a disk, or one of another user while we lack CAP_KILL. */
static void reap_late(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		log_info(NULL, "process %d, which was given up, has ended", (int)pid);
}

/* Waits for KILLED_MS at most. */
static void end_it(pid_t pid, const char *program)
{
	int64_t end_ms = clock_ms() + KILLED_MS;

	if (kill(pid, SIGKILL) != 0) {
		log_error(NULL, "%s (process %d) cannot be ended and goes on by itself: %s",
		    program, (int)pid, strerror(errno));
		return;
	}
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_ms() >= end_ms) {
			log_error(NULL, "%s (process %d) does not end, although it was killed",
			    program, (int)pid);
			return;
		}
		usleep(WAIT_STEP_US);
	}
}

static bool wait_for_end(pid_t pid, const char *program, int64_t end_ms, bool kill_it, int *status)
{
	while (waitpid(pid, status, WNOHANG) == 0) {
		if (kill_it || clock_ms() >= end_ms) {
			end_it(pid, program);
			return false;
		}
		usleep(WAIT_STEP_US);
	}
	return true;
}

bool queue_process_run(
    struct strlist *argv, int quiet_ms, const struct queue_output *output, char *why, size_t size)
{
	int64_t end_ms = clock_ms() + quiet_ms;
	int pipes[2] = {-1, -1}, status = 0, rc;
	bool fine = true;
	pid_t pid;

	reap_late();
	argv->v = xrealloc(argv->v, (argv->n + 1) * sizeof *argv->v);
	argv->v[argv->n] = NULL;
	if (output != NULL && pipe2(pipes, O_CLOEXEC) != 0) {
		snprintf(why, size, "pipe: %s", strerror(errno));
		return false;
	}
	rc = spawn(argv->v, pipes[1], &pid);
	if (output != NULL)
		close(pipes[1]);
	if (rc == 0) {
		fine = output == NULL || pass_on(pipes[0], quiet_ms, &end_ms, output);
		fine &= wait_for_end(pid, argv->v[0], end_ms, !fine, &status);
	}
	if (output != NULL)
		close(pipes[0]);
	if (rc != 0)
		snprintf(why, size, "%s: %s", argv->v[0], strerror(rc));
	else if (!fine)
		snprintf(why, size, "%s: ended by us", argv->v[0]);
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		snprintf(why, size, "%s: wait status %d, see the mail log", argv->v[0], status);
	else
		return true;
	return false;
}
