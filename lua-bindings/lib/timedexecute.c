/* timedexecute.c - see timedexecute.h.
 *
 * No shell is involved (R1): the program line is split into words here, and nothing in it is
 * expanded. The child gets a fixed environment, /dev/null as standard input, output and error, no
 * other descriptor, no blocked or ignored signal, and a process group of its own, which is killed
 * when the time is over. It is started with posix_spawn(), which is safe in a process with threads.
 *
 * Nothing may raise between the start of a program and its end, or it would never be waited for. */
#include "lua-bindings/lib/timedexecute.h"

#include "common/clock.h"
#include "common/waiting.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MOST 256
#define PROGRAM_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
#define POLL_MS 5 /* where the kernel has no pidfd */

static const char *const environment[] = {"PATH=" PROGRAM_PATH, "LANG=C.UTF-8", "HOME=/", NULL};

struct words {
	char *argv[ARGUMENTS_MOST + 1];
	int n;
};

/* ---- words ---- */

/* One word from *line on, unquoted, to *out; both move on. */
static void l_split_word(lua_State *L, const char **line, char **out)
{
	char quote = '\0';

	for (; **line != '\0' && (quote != '\0' || strchr(" \t\r\n", **line) == NULL); (*line)++) {
		char c = **line;

		if (quote == '\0' && (c == '"' || c == '\'')) {
			quote = c;
			continue;
		}
		if (c == quote) {
			quote = '\0';
			continue;
		}
		if (c == '\\' && quote == '"' && ((*line)[1] == '"' || (*line)[1] == '\\'))
			c = *++*line;
		*(*out)++ = c;
	}
	if (quote != '\0')
		luaL_error(L, "os.timedexecute: the quote %c has no end", quote);
	*(*out)++ = '\0';
}

static void l_add_word(lua_State *L, struct words *w, char *word)
{
	if (w->n >= ARGUMENTS_MOST)
		luaL_error(L, "os.timedexecute: more than %d arguments", ARGUMENTS_MOST);
	w->argv[w->n++] = word;
}

/* Words live in a userdata that stays on the stack. */
static void l_split_line(lua_State *L, struct words *w)
{
	size_t n;
	const char *line = luaL_checklstring(L, 1, &n);
	char *out = lua_newuserdatauv(L, n + 2, 0);

	luaL_argcheck(L, strlen(line) == n, 1, "program line contains a zero byte");
	for (;;) {
		line += strspn(line, " \t\r\n");
		if (*line == '\0')
			return;
		l_add_word(L, w, out);
		l_split_word(L, &line, &out);
	}
}

/* A list of words, taken as they are; the strings stay alive in a table on the stack. */
static void l_take_list(lua_State *L, struct words *w)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, 1);

	lua_newtable(L);
	for (lua_Integer i = 1; i <= n; i++) {
		size_t length;
		const char *word;

		lua_rawgeti(L, 1, i);
		word = luaL_checklstring(L, -1, &length);
		luaL_argcheck(L, strlen(word) == length, 1, "an argument contains a zero byte");
		l_add_word(L, w, (char *)word);
		lua_rawseti(L, -2, i);
	}
}

/* ---- one run ---- */

struct run {
	pid_t pid;
	int pidfd; /* -1: not supported */
	int status;
	bool in_time;
};

/* A name without a slash is searched for in PROGRAM_PATH, not in that of the daemon. */
static const char *l_find_program(lua_State *L, const char *name)
{
	const char *at = PROGRAM_PATH;

	if (strchr(name, '/') != NULL)
		return name;
	for (;;) {
		size_t n = strcspn(at, ":");
		const char *path;

		lua_pushlstring(L, at, n);
		path = lua_pushfstring(L, "%s/%s", lua_tostring(L, -1), name);
		if (access(path, X_OK) == 0)
			return path;
		if (at[n] == '\0')
			return name; /* posix_spawn() says what is wrong */
		at += n + 1;
	}
}

/* 0, or why the program could not be started. */
static int start(struct run *r, const char *path, char *const argv[])
{
	const short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	error = posix_spawnattr_setflags(&attributes, flags);
	if (error == 0)
		error = posix_spawnattr_setsigmask(&attributes, &none);
	if (error == 0)
		error = posix_spawnattr_setsigdefault(&attributes, &all);
	if (error == 0)
		error = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	for (int fd = 1; fd <= 2 && error == 0; fd++)
		error = posix_spawn_file_actions_adddup2(&files, 0, fd);
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (error == 0)
		error = posix_spawn(
		    &r->pid, path, &files, &attributes, argv, (char *const *)environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return error;
}

/* Has the program ended? */
static bool reap(struct run *r, int flags)
{
	pid_t got;

	do {
		got = waitpid(r->pid, &r->status, flags);
	} while (got < 0 && errno == EINTR);
	return got != 0; /* also when somebody else waited for it */
}

/* Wait until it ends or the time is over. */
static bool wait_for(struct run *r, int64_t until)
{
	int64_t left;

	while (!reap(r, WNOHANG)) {
		left = until - clock_ms();
		if (left <= 0)
			return false;
		if (r->pidfd >= 0) {
			struct pollfd p = {.fd = r->pidfd, .events = POLLIN};

			poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
		} else {
			struct timespec t = {.tv_nsec = POLL_MS * 1000000};

			nanosleep(&t, NULL);
		}
	}
	return true;
}

static int run(struct run *r, const char *path, char *const argv[], int64_t until)
{
	int error = start(r, path, argv);

	if (error != 0)
		return error;
	r->pidfd = pidfd_open(r->pid, 0);
	r->in_time = wait_for(r, until);
	if (!r->in_time) {
		kill(-r->pid, SIGKILL);
		reap(r, 0);
	}
	if (r->pidfd >= 0)
		close(r->pidfd);
	return 0;
}

/* exit status as a shell tells it */
static int exit_code(const struct run *r)
{
	return WIFEXITED(r->status) ? WEXITSTATUS(r->status) : 128 + WTERMSIG(r->status);
}

/*** os.timedexecute(program, milliseconds [, show]) -> exitcode, errorcode
 * Runs a program without a shell and waits for it. program is a line that is split at blanks ("..."
 * and '...' keep blanks, and in "..." a backslash goes before " and \; nothing is expanded), or a
 * list of words, which is the safe form when a word comes from a mail. A program that takes longer
 * is killed with its process group. exitcode: its exit status, 128 + signal when it was killed, -1
 * when it did not start. errorcode: 0, or the errno of the failure to start it (2 no such file, 11
 * too many sessions wait), 110 when the time was over. The time counts as the hook's. show is
 * ignored. */
int l_timedexecute(lua_State *L)
{
	struct words w = {.n = 0};
	struct run r = {.pidfd = -1};
	int64_t now = clock_ms(), until;
	int left = runtime_left_ms(runtime_of(L)), error = EAGAIN;
	lua_Number time;
	const char *path;

	l_refuse_in_safety_mode(L, "os.timedexecute");
	time = luaL_checknumber(L, 2);
	lua_settop(L, 1);
	if (lua_istable(L, 1))
		l_take_list(L, &w);
	else
		l_split_line(L, &w);
	luaL_argcheck(L, w.n > 0, 1, "no program; os.timedexecute(program, milliseconds)");
	path = l_find_program(L, w.argv[0]);
	l_charge(L, 100 * WORK_SYSCALL);
	until = now + (time < left ? time > 0 ? (int64_t)time : 0 : left);
	if (waiting_enter()) {
		error = run(&r, path, w.argv, until);
		waiting_leave();
	}
	if (runtime_left_ms(runtime_of(L)) <= 0)
		l_deadline(L);
	lua_pushinteger(L, error == 0 ? exit_code(&r) : -1);
	lua_pushinteger(L, error != 0 ? error : r.in_time ? 0 : ETIMEDOUT);
	return 2;
}
