/* queue_command.c - see queue_command.h. */
#include "policy/queue_command.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/queue_record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_STEP_US 2000 /* between two looks whether a command has ended */
#define ID_BYTES 32

static const struct {
	char letter;
	bool id, output;
	const char *program, *option;
} commands[] = {
    {QUEUE_LIST, false, true, "postqueue", "-j"},
    {QUEUE_HOLD, true, false, "postsuper", "-h"},
    {QUEUE_RELEASE, true, false, "postsuper", "-H"},
    {QUEUE_EXPIRE, true, false, "postsuper", "-e"},
    {QUEUE_TRY, true, false, "postqueue", "-i"},
};

#define NCOMMANDS (sizeof commands / sizeof *commands)

/* The id behind the letter, "" = none. False: it does not fit or has a zero byte. */
static bool take_id(const char *request, size_t n, char id[ID_BYTES])
{
	if (n > ID_BYTES)
		return false;
	memcpy(id, request + 1, n - 1);
	id[n - 1] = '\0';
	return strlen(id) == n - 1;
}

static size_t find(const char *request, size_t n)
{
	for (size_t i = 0; n > 0 && i < NCOMMANDS; i++)
		if (commands[i].letter == request[0])
			return i;
	return NCOMMANDS;
}

const char *queue_command_refused(const char *request, size_t n)
{
	size_t i = find(request, n);
	char id[ID_BYTES];

	if (i == NCOMMANDS)
		return "unknown command";
	if (!take_id(request, n, id) || (commands[i].id ? !queue_record_is_id(id) : id[0] != '\0'))
		return "not a queue id";
	return NULL;
}

/* argv of the command i; [0] is to be freed. */
static void prepare(const struct config *c, size_t i, char *id, char *argv[6])
{
	size_t n = 0;

	argv[n++] = xasprintf("%s/%s", c->agent.commands, commands[i].program);
	if (c->agent.config_directory[0] != '\0') {
		argv[n++] = (char *)(uintptr_t) "-c";
		argv[n++] = c->agent.config_directory;
	}
	argv[n++] = (char *)(uintptr_t)commands[i].option;
	if (commands[i].id)
		argv[n++] = id;
	argv[n] = NULL;
}

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

/* False: time is up, or the reader wants no more. */
static bool pass_on(int in, int64_t end_ms, bool (*output)(const char *, size_t, void *), void *arg)
{
	char bytes[QUEUE_PACKET_BYTES - 1];
	struct pollfd p = {.fd = in, .events = POLLIN};
	ssize_t n = 1;

	while (n > 0) {
		int64_t left = end_ms - clock_ms();

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return false;
		n = read(in, bytes, sizeof bytes);
		if (n > 0 && !output(bytes, (size_t)n, arg))
			return false;
	}
	return n == 0;
}

static bool wait_for(pid_t pid, int64_t end_ms, bool kill_it, int *status)
{
	while (waitpid(pid, status, WNOHANG) == 0) {
		if (kill_it || clock_ms() >= end_ms) {
			kill(pid, SIGKILL);
			waitpid(pid, status, 0);
			return false;
		}
		usleep(WAIT_STEP_US);
	}
	return true;
}

static bool run(
    char *argv[], bool (*output)(const char *, size_t, void *), void *arg, char *why, size_t size)
{
	int64_t end_ms = clock_ms() + QUEUE_COMMAND_MS;
	int pipes[2] = {-1, -1}, status = 0, rc;
	bool fine = true;
	pid_t pid;

	if (output != NULL && pipe2(pipes, O_CLOEXEC) != 0) {
		snprintf(why, size, "pipe: %s", strerror(errno));
		return false;
	}
	rc = spawn(argv, pipes[1], &pid);
	if (output != NULL)
		close(pipes[1]);
	if (rc == 0) {
		fine = output == NULL || pass_on(pipes[0], end_ms, output, arg);
		fine &= wait_for(pid, end_ms, !fine, &status);
	}
	if (output != NULL)
		close(pipes[0]);
	if (rc != 0)
		snprintf(why, size, "%s: %s", argv[0], strerror(rc));
	else if (!fine)
		snprintf(why, size, "%s %s: ended by us", argv[0], argv[1]);
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		snprintf(
		    why, size, "%s %s: wait status %d, see the mail log", argv[0], argv[1], status);
	else
		return true;
	return false;
}

bool queue_command_run(const struct config *c, const char *request, size_t n,
    bool (*output)(const char *bytes, size_t n, void *arg), void *arg, char *why, size_t size)
{
	const char *refused = queue_command_refused(request, n);
	size_t i = find(request, n);
	char id[ID_BYTES], *argv[6];
	bool fine;

	if (refused != NULL || !take_id(request, n, id)) {
		snprintf(why, size, "%s", refused);
		return false;
	}
	prepare(c, i, id, argv);
	fine = run(argv, commands[i].output ? output : NULL, arg, why, size);
	free(argv[0]);
	return fine;
}
