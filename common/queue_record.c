/* queue_record.c - see queue_record.h.
 *
 * The file is "name length\nbytes\n" for each value and ends with "end 0\n\n", without which it is
 * not whole. Files, and not the store: the queue is on this host's disk as well, and a record must
 * be there when a Redis is not. */
#include "common/queue_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_BYTES (1u << 20)	     /* of a file; what is above it is not read, so ... */
#define RECORD_LIST_BYTES (1u << 18) /* kept of the header, and of the recipients ... */
#define RECORD_TEXT_BYTES (1u << 16) /* and of one text: it never comes to that */
#define RECORD_HEAD_BYTES 32	     /* in front of a value, at most */
#define ID_LEAST 5
#define ID_MOST 24

enum value { VALUE_TEXT, VALUE_NUMBER, VALUE_LIST };

static const struct {
	const char *name;
	enum value type;
	size_t offset;
} values[] = {
    {"sender", VALUE_TEXT, offsetof(struct queue_record, sender)},
    {"reason", VALUE_TEXT, offsetof(struct queue_record, reason)},
    {"token", VALUE_TEXT, offsetof(struct queue_record, token)},
    {"filter", VALUE_TEXT, offsetof(struct queue_record, filter)},
    {"chosen", VALUE_TEXT, offsetof(struct queue_record, chosen)},
    {"size", VALUE_NUMBER, offsetof(struct queue_record, size)},
    {"noted", VALUE_NUMBER, offsetof(struct queue_record, noted_ms)},
    {"arrival", VALUE_NUMBER, offsetof(struct queue_record, arrival_ms)},
    {"priority", VALUE_NUMBER, offsetof(struct queue_record, priority)},
    {"held", VALUE_NUMBER, offsetof(struct queue_record, held_ms)},
    {"released", VALUE_NUMBER, offsetof(struct queue_record, released_ms)},
    {"held_before", VALUE_NUMBER, offsetof(struct queue_record, held_before_ms)},
    {"retries", VALUE_NUMBER, offsetof(struct queue_record, retries)},
    {"last_try", VALUE_NUMBER, offsetof(struct queue_record, last_try_ms)},
    {"asked", VALUE_NUMBER, offsetof(struct queue_record, asked_ms)},
    {"last_chance", VALUE_NUMBER, offsetof(struct queue_record, last_chance)},
    {"recipient", VALUE_LIST, offsetof(struct queue_record, recipients)},
    {"header", VALUE_LIST, offsetof(struct queue_record, header_lines)},
};

#define NVALUES (sizeof values / sizeof *values)

void queue_record_clear(struct queue_record *r)
{
	free(r->sender);
	free(r->reason);
	free(r->token);
	free(r->filter);
	free(r->chosen);
	strlist_clear(&r->recipients);
	strlist_clear(&r->header_lines);
	*r = (struct queue_record){0};
}

bool queue_record_is_id(const char *id)
{
	size_t n = strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return id[n] == '\0' && n >= ID_LEAST && n <= ID_MOST;
}

bool queue_record_token(char out[QUEUE_RECORD_TOKEN_BYTES])
{
	unsigned char random[(QUEUE_RECORD_TOKEN_BYTES - 1) / 2];

	out[0] = '\0';
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return false;
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
	return true;
}

/* ---- writing ---- */

static void put(FILE *f, const char *name, const char *text)
{
	size_t n = strnlen(text, RECORD_TEXT_BYTES);

	fprintf(f, "%s %zu\n%.*s\n", name, n, (int)n, text);
}

static void put_list(FILE *f, const char *name, const struct strlist *list)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->n; i++) {
		bytes += RECORD_HEAD_BYTES + strlen(list->v[i]);
		if (bytes > RECORD_LIST_BYTES)
			break; /* the script sees the first ones */
		put(f, name, list->v[i]);
	}
}

static void put_all(FILE *f, const struct queue_record *r)
{
	char number[32];

	for (size_t i = 0; i < NVALUES; i++) {
		const char *p = (const char *)r + values[i].offset, *text;

		switch (values[i].type) {
		case VALUE_TEXT:
			text = *(char *const *)p;
			put(f, values[i].name, text != NULL ? text : "");
			break;
		case VALUE_NUMBER:
			snprintf(number, sizeof number, "%" PRId64, *(const int64_t *)p);
			put(f, values[i].name, number);
			break;
		case VALUE_LIST:
			put_list(f, values[i].name, (const struct strlist *)p);
			break;
		}
	}
	put(f, "end", "");
}

/* The file is complete and, if anything depends on it, on the disk. */
static bool finish(FILE *f, bool durable)
{
	bool fine = fflush(f) == 0 && !ferror(f) && (!durable || fsync(fileno(f)) == 0);
	int error = errno;

	fine &= fclose(f) == 0;
	if (!fine && error != 0)
		errno = error;
	return fine;
}

static bool sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool fine = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return fine;
}

static FILE *create(const char *directory, char **path)
{
	int fd;
	FILE *f;

	if (mkdir(directory, 0750) != 0 && errno != EEXIST)
		return NULL;
	*path = xasprintf("%s/.new.XXXXXX", directory);
	fd = mkostemp(*path, O_CLOEXEC);
	if (fd < 0)
		return NULL;
	fchmod(fd, 0660);
	f = fdopen(fd, "w");
	if (f == NULL) {
		close(fd);
		unlink(*path);
	}
	return f;
}

bool queue_record_save(const char *directory, const char *id, const struct queue_record *r)
{
	bool durable = r->held_ms != 0, fine;
	char *new = NULL, *path;
	FILE *f;

	if (!queue_record_is_id(id)) {
		errno = EINVAL;
		return false;
	}
	f = create(directory, &new);
	if (f == NULL) {
		free(new);
		return false;
	}
	path = xasprintf("%s/%s", directory, id);
	put_all(f, r);
	fine = finish(f, durable) && rename(new, path) == 0;
	if (!fine)
		unlink(new);
	free(new);
	free(path);
	return fine && (!durable || sync_directory(directory));
}

/* ---- reading ---- */

static bool set_value(struct queue_record *r, const char *name, size_t length, const char *text)
{
	for (size_t i = 0; i < NVALUES; i++) {
		char *p = (char *)r + values[i].offset, *end;

		if (strlen(values[i].name) != length || strncmp(values[i].name, name, length) != 0)
			continue;
		switch (values[i].type) {
		case VALUE_TEXT:
			xreplace((char **)p, text);
			return true;
		case VALUE_NUMBER:
			*(int64_t *)p = strtoll(text, &end, 10);
			return *end == '\0' && end != text;
		case VALUE_LIST:
			strlist_add((struct strlist *)p, text);
			return true;
		}
	}
	return true; /* of a newer version */
}

/* False: damaged. The text ends with a zero byte; every value's line break becomes one too. */
static bool parse(struct queue_record *r, char *text, size_t size)
{
	char *p = text, *end = text + size;

	while (p < end) {
		char *blank = strchr(p, ' '), *rest, *value;
		size_t n;

		if (blank == NULL || blank[1] < '0' || blank[1] > '9')
			return false;
		n = strtoul(blank + 1, &rest, 10);
		value = rest + 1;
		if (*rest != '\n' || n >= (size_t)(end - rest) - 1 || value[n] != '\n')
			return false;
		value[n] = '\0';
		if (strlen(value) != n || !set_value(r, p, (size_t)(blank - p), value))
			return false;
		if (strncmp(p, "end ", 4) == 0)
			return value + n + 1 == end && r->sender != NULL;
		p = value + n + 1;
	}
	return false;
}

static char *read_whole(const char *path, size_t *size)
{
	FILE *f = fopen(path, "re");
	char *text;

	if (f == NULL)
		return NULL;
	text = xmalloc(RECORD_BYTES + 1);
	*size = fread(text, 1, RECORD_BYTES, f);
	text[*size] = '\0';
	fclose(f);
	return text;
}

bool queue_record_load(const char *directory, const char *id, struct queue_record *r)
{
	char *path, *text;
	size_t size;
	bool fine;

	queue_record_clear(r);
	if (!queue_record_is_id(id)) {
		errno = EINVAL;
		return false;
	}
	path = xasprintf("%s/%s", directory, id);
	text = read_whole(path, &size);
	free(path);
	if (text == NULL)
		return false;
	fine = parse(r, text, size);
	free(text);
	if (!fine) {
		queue_record_clear(r);
		errno = EBADMSG;
	}
	return fine;
}

int64_t queue_record_written_ms(const char *directory, const char *id)
{
	char *path = xasprintf("%s/%s", directory, id);
	struct stat st;
	int rc = queue_record_is_id(id) ? stat(path, &st) : -1;

	free(path);
	return rc == 0 ? (int64_t)st.st_mtime * 1000 : 0;
}

void queue_record_remove(const char *directory, const char *id)
{
	char *path;

	if (!queue_record_is_id(id))
		return;
	path = xasprintf("%s/%s", directory, id);
	unlink(path);
	free(path);
}

bool queue_record_list(const char *directory, struct strlist *ids)
{
	DIR *d = opendir(directory);
	const struct dirent *e;

	if (d == NULL)
		return errno == ENOENT;
	while ((e = readdir(d)) != NULL)
		if (queue_record_is_id(e->d_name))
			strlist_add(ids, e->d_name);
	closedir(d);
	return true;
}
