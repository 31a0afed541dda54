/* spool.c - see spool.h.
 *
 * By hand although tmpfile(3) exists: that one writes to /tmp, which may be memory, and buffers
 * through stdio what is read at random. */
#include "common/spool.h"

#include "common/list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES 4096 /* most messages are short: start small and double */

struct spool {
	const char *directory;
	char *memory; /* the first bytes */
	size_t cap;   /* allocated */
	size_t most;  /* memory holds no byte beyond this offset; the file begins there */
	int fd;	      /* -1 before the file is needed */
	uint64_t size;
};

struct spool *spool_new(const char *directory, size_t memory)
{
	struct spool *s = xcalloc(1, sizeof *s);

	s->directory = directory;
	s->most = memory;
	s->fd = -1;
	return s;
}

void spool_free(struct spool *s)
{
	if (s == NULL)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->memory);
	free(s);
}

uint64_t spool_size(const struct spool *s)
{
	return s->size;
}

/* Where the file system has no nameless files, the name lives between two system calls. */
static int open_named(const char *directory)
{
	char *path = xasprintf("%s/spool.XXXXXX", directory);
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd >= 0)
		unlink(path);
	free(path);
	return fd;
}

static int open_nameless(const char *directory)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);

	/* EISDIR: a kernel that does not know the flag. */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		fd = open_named(directory);
	return fd;
}

/* Memory for n bytes, n <= most. False: there is none; the file takes over from here. */
static bool make_room(struct spool *s, size_t n)
{
	size_t cap = s->cap > 0 ? s->cap : FIRST_BYTES;
	char *memory;

	if (n <= s->cap)
		return true;
	while (cap < n)
		cap = cap <= s->most / 2 ? 2 * cap : s->most;
	memory = realloc(s->memory, cap);
	if (memory == NULL)
		return false;
	s->memory = memory;
	s->cap = cap;
	return true;
}

static int write_all(int fd, const char *bytes, size_t n, off_t offset)
{
	while (n > 0) {
		ssize_t written = pwrite(fd, bytes, n, offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written == 0)
			errno = EIO;
		if (written <= 0)
			return -1;
		bytes += written;
		n -= (size_t)written;
		offset += written;
	}
	return 0;
}

int spool_append(struct spool *s, const void *bytes, size_t n)
{
	const char *p = bytes;
	size_t in_memory = 0;

	if (s->size < s->most) {
		in_memory = n < s->most - s->size ? n : s->most - (size_t)s->size;
		if (!make_room(s, (size_t)s->size + in_memory)) {
			s->most = (size_t)s->size;
			in_memory = 0;
		}
	}
	if (in_memory > 0)
		memcpy(s->memory + s->size, p, in_memory);
	if (n > in_memory) {
		if (s->fd < 0)
			s->fd = open_nameless(s->directory);
		if (s->fd < 0)
			return -1;
		if (write_all(s->fd, p + in_memory, n - in_memory,
			(off_t)(s->size + in_memory - s->most)) < 0)
			return -1;
	}
	s->size += n;
	return 0;
}

ssize_t spool_read(const struct spool *s, uint64_t offset, void *out, size_t n)
{
	ssize_t got;

	if (offset >= s->size)
		return 0;
	if (n > s->size - offset)
		n = (size_t)(s->size - offset);
	if (offset < s->most) {
		if (n > s->most - offset)
			n = s->most - (size_t)offset;
		memcpy(out, s->memory + offset, n);
		return (ssize_t)n;
	}
	if (n > SSIZE_MAX)
		n = SSIZE_MAX;
	do
		got = pread(s->fd, out, n, (off_t)(offset - s->most));
	while (got < 0 && errno == EINTR);
	if (got == 0) { /* bytes that we wrote are gone */
		errno = EIO;
		return -1;
	}
	return got;
}
