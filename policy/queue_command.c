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
#define SENDMAIL_ID 14 /* letters and digits of a whole id: Sendmail looks for parts of ids */
#define WORDS 4

/* The id is the last word, or the end of it. queue: behind it, the only queue of Postfix in which
 * the message is looked for: since it was listed it may have been released, and be on its way. */
static const struct command {
	bool sendmail;
	char letter;
	bool id, output;
	const char *program, *words[WORDS], *queue;
} commands[] = {
    {false, QUEUE_LIST, false, true, "postqueue", {"-j"}},
    {false, QUEUE_HOLD, true, false, "postsuper", {"-h", ""}, "deferred"},
    {false, QUEUE_RELEASE, true, false, "postsuper", {"-H", ""}},
    {false, QUEUE_EXPIRE, true, false, "postsuper", {"-e", ""}},
    {false, QUEUE_REQUEUE, true, false, "postsuper", {"-r", ""}, "hold"},
    {false, QUEUE_PICKUP, false, false, "postkick", {"public", "pickup", "W"}},
    {false, QUEUE_TRY, true, false, "postqueue", {"-i", ""}},
    {true, QUEUE_LIST, false, true, "sendmail", {"-bp"}},
    {true, QUEUE_LIST_HELD, false, true, "sendmail", {"-bp", "-qQ"}},
    {true, QUEUE_HOLD, true, false, "sendmail", {"-QCheckFile", "-qI"}},
    {true, QUEUE_RELEASE, true, false, "sendmail", {"-Q", "-qQ", "-qI"}},
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

static bool is_sendmail(const struct config *c)
{
	return c->agent.mta == AGENT_SENDMAIL;
}

static const struct command *find(const struct config *c, const char *request, size_t n)
{
	for (size_t i = 0; n > 0 && i < NCOMMANDS; i++)
		if (commands[i].letter == request[0] && commands[i].sendmail == is_sendmail(c))
			return &commands[i];
	return NULL;
}

static bool is_id(const struct command *command, const char *id)
{
	if (!command->id)
		return id[0] == '\0';
	return queue_record_is_id(id) && (!command->sendmail || strlen(id) >= SENDMAIL_ID);
}

const char *queue_command_refused(const struct config *c, const char *request, size_t n)
{
	const struct command *command = find(c, request, n);
	char id[ID_BYTES];

	if (command == NULL)
		return "unknown command";
	if (!take_id(request, n, id) || !is_id(command, id))
		return "not a queue id";
	return NULL;
}

/* The words of a command, ended by NULL. */
static void prepare(
    const struct config *c, const struct command *command, const char *id, struct strlist *argv)
{
	size_t last = 0;
	char *text = xasprintf("%s/%s", c->agent.commands, command->program);

	strlist_add(argv, text);
	free(text);
	if (c->agent.config_directory[0] != '\0') {
		strlist_add(argv, command->sendmail ? "-C" : "-c");
		text = xasprintf(
		    "%s%s", c->agent.config_directory, command->sendmail ? "/sendmail.cf" : "");
		strlist_add(argv, text);
		free(text);
	}
	while (last + 1 < WORDS && command->words[last + 1] != NULL)
		last++;
	for (size_t i = 0; i <= last; i++) {
		text = xasprintf("%s%s", command->words[i], i == last ? id : "");
		strlist_add(argv, text);
		free(text);
	}
	if (command->queue != NULL)
		strlist_add(argv, command->queue);
	argv->v = xrealloc(argv->v, (argv->n + 1) * sizeof *argv->v);
	argv->v[argv->n] = NULL;
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

/* A long queue takes its time: what prints may go on. False: nothing came until *end_ms, it goes on
 * for too long, or the reader wants no more. */
static bool pass_on(
    int in, int64_t *end_ms, bool (*output)(const char *, size_t, void *), void *arg)
{
	char bytes[QUEUE_PACKET_BYTES - 1];
	struct pollfd p = {.fd = in, .events = POLLIN};
	int64_t last_ms = clock_ms() + QUEUE_LIST_MS;
	ssize_t n = 1;

	while (n > 0) {
		int64_t left = *end_ms - clock_ms();

		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return false;
		n = read(in, bytes, sizeof bytes);
		if (n > 0 && (clock_ms() >= last_ms || !output(bytes, (size_t)n, arg)))
			return false;
		*end_ms = clock_ms() + QUEUE_COMMAND_MS;
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
		fine = output == NULL || pass_on(pipes[0], &end_ms, output, arg);
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

/* ---- settings of Postfix ---- */

struct said {
	char text[4096];
	size_t n;
};

static bool take_text(const char *bytes, size_t n, void *arg)
{
	struct said *s = arg;

	if (s->n + n >= sizeof s->text)
		return false;
	memcpy(s->text + s->n, bytes, n);
	s->n += n;
	return true;
}

/* A zeroed *said gets the value of a parameter. */
static bool read_parameter(const struct config *c, const char *name, struct said *said)
{
	const struct command postconf = {.program = "postconf", .words = {"-x", "-h", name}};
	struct strlist argv = STRLIST_INIT;
	char why[200];
	bool fine;

	prepare(c, &postconf, "", &argv);
	fine = run(argv.v, take_text, said, why, sizeof why);
	strlist_clear(&argv);
	return fine;
}

/* "5d", "36h"; without a unit it is days, as postconf(5) has it for this one. */
static int64_t seconds_of(const char *text)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}, {'\n', 86400}};
	char *end;
	int64_t n = strtoll(text, &end, 10);

	for (size_t i = 0; end != text && n >= 0 && i < sizeof units / sizeof *units; i++)
		if (*end == units[i].unit)
			return n < INT32_MAX ? n * units[i].seconds : -1;
	return -1;
}

int64_t queue_command_lifetime_s(const struct config *c)
{
	struct said said = {.n = 0};

	if (is_sendmail(c) || !read_parameter(c, "maximal_queue_lifetime", &said))
		return -1;
	return seconds_of(said.text);
}

/* Postfix forgets the sender of a message that is requeued, so the map must be asked for it. */
static bool asks_for_sender(const struct config *c)
{
	struct said said = {.n = 0};

	return read_parameter(c, "header_checks", &said) && strstr(said.text, ":header") != NULL;
}

/* ---- requests ---- */

bool queue_command_run(const struct config *c, const char *request, size_t n,
    bool (*output)(const char *bytes, size_t n, void *arg), void *arg, char *why, size_t size)
{
	const char *refused = queue_command_refused(c, request, n);
	const struct command *command = find(c, request, n);
	struct strlist argv = STRLIST_INIT;
	char id[ID_BYTES];
	bool fine;

	if (refused != NULL || !take_id(request, n, id)) {
		snprintf(why, size, "%s", refused);
		return false;
	}
	if (command->letter == QUEUE_REQUEUE && !asks_for_sender(c)) {
		snprintf(why, size,
		    "header_checks of Postfix does not ask the map \"header\": the "
		    "message would go without its sender; `mailhooks setup` has the "
		    "line");
		return false;
	}
	prepare(c, command, id, &argv);
	fine = run(argv.v, command->output ? output : NULL, arg, why, size);
	strlist_clear(&argv);
	return fine;
}
