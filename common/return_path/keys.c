/* keys.c - see keys.h. */
#include "common/return_path/keys.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBERED_LEAST_BYTES 16 /* of a BATV secret: 128 bits; guesses of shorter ones are made */
#define FILES 8			/* remembered: two settings, and those before a reload */

/* ---- parsing ---- */

static struct keys *keys_new(void)
{
	struct keys *k = xcalloc(1, sizeof *k);

	k->references = 1;
	return k;
}

static void keys_free(struct keys *k)
{
	for (size_t i = 0; i < k->n; i++) {
		explicit_bzero(k->v[i].secret, k->v[i].n);
		free(k->v[i].secret);
	}
	free(k->v);
	free(k);
}

static void add(struct keys *k, int number, const char *secret, size_t n)
{
	k->v = xgrow(k->v, k->n, sizeof *k->v);
	k->v[k->n++] = (struct key){number, xstrndup(secret, n), n};
}

/* One line "N secret"; NULL when fine, else what is wrong. */
static const char *numbered_line(struct keys *k, const char *line, size_t n)
{
	size_t at = 1;

	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	if (n == 0 || line[0] == '#')
		return NULL;
	while (at < n && (line[at] == ' ' || line[at] == '\t'))
		at++;
	if (line[0] < '0' || line[0] > '9' || at < 2 || at == n)
		return "a digit, a blank and a secret are wanted";
	if (n - at < NUMBERED_LEAST_BYTES)
		return "the secret is shorter than 16 characters";
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].number == line[0] - '0')
			return "the number of this key is used above";
	add(k, line[0] - '0', line + at, n - at);
	return NULL;
}

static const char *plain_line(struct keys *k, const char *line, size_t n)
{
	if (n == 0)
		return NULL;
	if (k->n == LIMIT_KEYS)
		return "too many secrets: take away those whose addresses have expired";
	add(k, (int)k->n, line, n);
	return NULL;
}

static const char *parse_line(enum keys_format format, struct keys *k, const char *line, size_t n)
{
	while (n > 0 && line[n - 1] == '\r')
		n--;
	if (memchr(line, '\0', n) != NULL)
		return "there is a zero byte in it";
	if (n > LIMIT_KEY_BYTES)
		return "it is longer than 1000 bytes";
	return format == KEYS_NUMBERED ? numbered_line(k, line, n) : plain_line(k, line, n);
}

struct keys *keys_parse(
    enum keys_format format, const char *text, size_t n, char *error, size_t size)
{
	struct keys *k = keys_new();
	const char *end = text + n, *line = text, *wrong = NULL;
	int number = 0;

	while (line < end && wrong == NULL) {
		const char *lf = memchr(line, '\n', (size_t)(end - line));
		const char *stop = lf != NULL ? lf : end;

		number++;
		wrong = parse_line(format, k, line, (size_t)(stop - line));
		line = stop + (lf != NULL);
	}
	if (wrong != NULL)
		snprintf(error, size, "line %d: %s", number, wrong);
	else if (k->n > 0)
		return k;
	else
		snprintf(error, size, "there is no key in it");
	keys_free(k);
	return NULL;
}

/* ---- files ---- */

static const char *wrong_with_file(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is no file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs neither to root nor to the user that this program runs as (chown)";
	if ((st->st_mode & (S_IWGRP | S_IRWXO)) != 0)
		return "more than its owner can write it, or everybody can read it (chmod 0640)";
	if (st->st_size > LIMIT_KEY_FILE_BYTES)
		return "it is larger than 64 KiB";
	return NULL;
}

static struct keys *read_open(
    enum keys_format format, int fd, const struct stat *st, char *error, size_t size)
{
	size_t most = (size_t)st->st_size, have = 0;
	char *text = xmalloc(most + 1);
	struct keys *k = NULL;
	ssize_t n;

	while (have < most && (n = read(fd, text + have, most - have)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		have += (size_t)n;
	}
	if (have < most)
		snprintf(error, size, "it could not be read to its end");
	else
		k = keys_parse(format, text, have, error, size);
	explicit_bzero(text, most);
	free(text);
	return k;
}

struct keys *keys_read(enum keys_format format, const char *path, char *error, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct keys *k = NULL;
	const char *wrong;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		snprintf(error, size, "%s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	wrong = wrong_with_file(&st);
	if (wrong != NULL)
		snprintf(error, size, "%s", wrong);
	else
		k = read_open(format, fd, &st, error, size);
	close(fd);
	return k;
}

/* ---- files that are in use ---- */

static struct known {
	char *path; /* NULL: free */
	enum keys_format format;
	struct stat st; /* when it was read last; zeroed when it was not there */
	bool tried;
	struct keys *keys; /* NULL: never usable */
} known[FILES];

static size_t next; /* the place that a further file takes */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct known *find(enum keys_format format, const char *path)
{
	struct known *f;

	for (size_t i = 0; i < FILES; i++)
		if (known[i].path != NULL && known[i].format == format &&
		    strcmp(known[i].path, path) == 0)
			return &known[i];
	f = &known[next++ % FILES];
	free(f->path);
	if (f->keys != NULL && --f->keys->references == 0)
		keys_free(f->keys);
	*f = (struct known){.path = xstrdup(path), .format = format};
	return f;
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void refresh(struct known *f)
{
	char error[256];
	struct keys *k;
	struct stat st;

	if (stat(f->path, &st) != 0)
		memset(&st, 0, sizeof st);
	if (f->tried && same(&st, &f->st))
		return;
	k = keys_read(f->format, f->path, error, sizeof error);
	if (k == NULL) {
		log_error(NULL, "key file %s: %s; %s", f->path, error,
		    f->keys != NULL ? "the keys read before stay in force"
				    : "nothing is signed or verified until that is put right");
	} else {
		if (f->keys != NULL)
			log_info(NULL, "key file %s: read again; keys: %zu", f->path, k->n);
		if (f->keys != NULL && --f->keys->references == 0)
			keys_free(f->keys);
		f->keys = k;
	}
	f->tried = true;
	f->st = st;
}

struct keys *keys_current(enum keys_format format, const char *path)
{
	struct known *f;
	struct keys *k;

	pthread_mutex_lock(&lock);
	f = find(format, path);
	refresh(f);
	k = f->keys;
	if (k != NULL)
		k->references++;
	pthread_mutex_unlock(&lock);
	return k;
}

void keys_unref(struct keys *k)
{
	bool last;

	if (k == NULL)
		return;
	pthread_mutex_lock(&lock);
	last = --k->references == 0;
	pthread_mutex_unlock(&lock);
	if (last)
		keys_free(k);
}
