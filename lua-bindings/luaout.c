/* luaout.c - see luaout.h.
 *
 * A sink is one file. Writers share its lock, so one slow write does not queue the others; whoever
 * opens the file again has it alone. */
#include "lua-bindings/luaout.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 1000	  /* how often a sink checks that its file is still the one at its path */
#define COMPLAIN_MS 60000 /* at most one log line per sink and minute about a failure */
#define ENTRY_BYTES (2 * LIMIT_TRACEBACK_BYTES) /* escapes make a traceback longer */

struct sink {
	const char *setting; /* for messages */
	pthread_rwlock_t lock;
	char *path; /* NULL or "" = throw away */
	int fd;	    /* -1 = not open */
	dev_t dev;
	ino_t ino;
	int open_errno; /* why fd is -1 */
	_Atomic int64_t next_look, next_complaint;
};

static struct sink out = {.setting = "lua.out", .lock = PTHREAD_RWLOCK_INITIALIZER, .fd = -1};
static struct sink errors = {.setting = "lua.errors", .lock = PTHREAD_RWLOCK_INITIALIZER, .fd = -1};

/* Who hears what would go to a file. */
struct capture {
	_Atomic bool listening;
	void (*ear)(const char *, size_t, void *);
	void *arg;
};

static pthread_mutex_t ear_lock = PTHREAD_MUTEX_INITIALIZER;
static struct capture capture_out, capture_errors;

/* The caller has the lock alone. */
static void sink_close(struct sink *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* Open the file unless it is open and still stands at its path. The caller has the lock alone.
 * O_NONBLOCK: an administrator may have put a FIFO there, and nobody reads it. */
static void sink_look(struct sink *s)
{
	struct stat st;

	if (s->path == NULL || *s->path == '\0') {
		sink_close(s);
		return;
	}
	if (s->fd >= 0 && stat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		return;
	sink_close(s);
	s->fd =
	    open(s->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	if (s->fd < 0) {
		s->open_errno = errno;
	} else if (fstat(s->fd, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
}

static void sink_complain(struct sink *s, int error)
{
	int64_t now = clock_ms(), next = atomic_load(&s->next_complaint);

	if (now < next ||
	    !atomic_compare_exchange_strong(&s->next_complaint, &next, now + COMPLAIN_MS))
		return;
	pthread_rwlock_rdlock(&s->lock);
	log_warn(NULL,
	    "cannot write %s = \"%s\": %s; lines are lost, mail is not affected. Make the file "
	    "writable for this process or change the setting",
	    s->setting, s->path != NULL ? s->path : "", strerror(error));
	pthread_rwlock_unlock(&s->lock);
}

static void sink_write(struct sink *s, const char *text, size_t n, const char *end)
{
	struct iovec v[] = {{(void *)text, n}, {(void *)end, strlen(end)}};
	int64_t now = clock_ms(), next = atomic_load(&s->next_look);
	size_t whole = n + v[1].iov_len;
	int error = 0;

	if (now >= next && atomic_compare_exchange_strong(&s->next_look, &next, now + LOOK_MS)) {
		pthread_rwlock_wrlock(&s->lock);
		sink_look(s);
		pthread_rwlock_unlock(&s->lock);
	}
	pthread_rwlock_rdlock(&s->lock);
	if (s->fd >= 0) {
		ssize_t done = writev(s->fd, v, 2);

		if (done < 0)
			error = errno;
		else if ((size_t)done < whole)
			error = ENOSPC; /* what a short write to a file means */
	} else if (s->path != NULL && *s->path != '\0') {
		error = s->open_errno;
	}
	pthread_rwlock_unlock(&s->lock);
	if (error != 0)
		sink_complain(s, error);
}

static void sink_set(struct sink *s, const char *path)
{
	pthread_rwlock_wrlock(&s->lock);
	if (s->path == NULL || strcmp(s->path, path) != 0) {
		sink_close(s);
		xreplace(&s->path, path);
		atomic_store(&s->next_complaint, 0);
	}
	sink_look(s);
	pthread_rwlock_unlock(&s->lock);
}

static void sink_reopen(struct sink *s)
{
	pthread_rwlock_wrlock(&s->lock);
	sink_close(s);
	sink_look(s);
	pthread_rwlock_unlock(&s->lock);
}

void luaout_configure(const struct config *cfg)
{
	sink_set(&out, cfg->lua.out != NULL ? cfg->lua.out : "");
	sink_set(&errors, cfg->lua.errors != NULL ? cfg->lua.errors : "");
}

void luaout_reopen(void)
{
	sink_reopen(&out);
	sink_reopen(&errors);
}

static void capture(struct capture *c, void (*to)(const char *, size_t, void *), void *arg)
{
	pthread_mutex_lock(&ear_lock);
	c->ear = to;
	c->arg = arg;
	atomic_store(&c->listening, to != NULL);
	pthread_mutex_unlock(&ear_lock);
}

void luaout_capture(void (*to)(const char *, size_t, void *), void *arg)
{
	capture(&capture_out, to, arg);
}

void luaout_capture_errors(void (*to)(const char *, size_t, void *), void *arg)
{
	capture(&capture_errors, to, arg);
}

static bool captured(struct capture *c, const char *text, size_t n)
{
	bool taken;

	if (!atomic_load(&c->listening))
		return false;
	pthread_mutex_lock(&ear_lock);
	taken = c->ear != NULL;
	if (taken)
		c->ear(text, n, c->arg);
	pthread_mutex_unlock(&ear_lock);
	return taken;
}

void luaout_print(const char *text, size_t n)
{
	if (!captured(&capture_out, text, n))
		sink_write(&out, text, n, "\n");
}

struct entry {
	char text[ENTRY_BYTES];
	size_t n;
};

static void entry_add(struct entry *e, const char *before, const char *s, size_t n)
{
	size_t room = sizeof e->text - 2; /* the line end and the NUL */

	for (; *before != '\0' && e->n < room; before++)
		e->text[e->n++] = *before;
	if (e->n < room)
		e->n += log_escape(e->text + e->n, room - e->n, s, n);
}

static void entry_field(struct entry *e, const char *before, const char *s)
{
	if (s != NULL && *s != '\0')
		entry_add(e, before, s, strlen(s));
}

static void entry_head(
    struct entry *e, const struct log_id *id, const char *script, const char *hook)
{
	char stamp[40] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm) != NULL)
		strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S %z", &tm);
	entry_field(e, "", stamp);
	if (id != NULL) {
		entry_field(e, " session=", id->session);
		entry_field(e, " queue=", id->queue);
	}
	entry_field(e, " script=", script);
	entry_field(e, " hook=", hook);
}

bool luaout_error(
    const struct log_id *id, const char *script, const char *hook, const char *traceback)
{
	const char *end = traceback + strnlen(traceback, LIMIT_TRACEBACK_BYTES);
	struct entry e = {.n = 0};

	if (captured(&capture_errors, traceback, (size_t)(end - traceback)))
		return true;
	entry_head(&e, id, script, hook);
	for (const char *line = traceback; line < end;) {
		size_t n = (size_t)(end - line);
		const char *stop = memchr(line, '\n', n);

		if (stop != NULL)
			n = (size_t)(stop - line);
		while (n > 0 && *line == '\t') { /* Lua indents the levels itself */
			line++;
			n--;
		}
		entry_add(&e, "\n\t", line, n);
		line += n + 1;
	}
	sink_write(&errors, e.text, e.n, "\n");
	return false;
}
