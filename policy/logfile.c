/* logfile.c - see logfile.h.
 *
 * Looks for news by stat(2) when asked to, instead of with inotify(7): that tells nothing of files
 * on network file systems, and would still have to be followed by all of these checks. */
#include "policy/logfile.h"

#include "common/list.h"
#include "common/log.h"
#include "policy/logfile_rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct logfile {
	char *path;
	int fd;				       /* -1: none is open */
	char identity[LOGFILE_IDENTITY_BYTES]; /* "": not known yet */
	int64_t offset;			       /* of the first byte in the buffer */
	char *buffer;
	size_t have, used;  /* bytes in the buffer, and those that were returned */
	bool skipping;	    /* inside of a line that is too long */
	bool complained;    /* that there is no file to read */
	int64_t written_ns; /* of the content that was read last; for the search after a gap */
};

static void begin(struct logfile *f, int fd, int64_t offset)
{
	if (f->fd >= 0 && f->fd != fd)
		close(f->fd);
	f->fd = fd;
	f->identity[0] = '\0';
	f->offset = offset;
	f->have = f->used = 0;
	f->skipping = false;
	f->complained = false;
	/* A content that is known by its first line stays known by it. */
	if (fd >= 0 && !logfile_identity(fd, f->identity))
		f->identity[0] = '\0';
}

static void complain(struct logfile *f, const char *why)
{
	if (!f->complained)
		log_error(NULL,
		    "%s: %s: send attempts are not recorded until it can be read; mailhooks.conf(5) "
		    "says what maillog.source needs",
		    f->path, why);
	f->complained = true;
}

static bool open_first(struct logfile *f)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0) {
		complain(f, strerror(errno));
		return false;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		complain(f, "not a file");
		close(fd);
		return false;
	}
	begin(f, fd, 0);
	return true;
}

static void gap(const struct logfile *f, const char *what)
{
	log_warn(NULL,
	    "gap in %s: %s; what was written after byte %" PRId64
	    " of the earlier content, if anything, is lost",
	    f->path, what, f->offset + (int64_t)f->have);
}

/* ---- rotation ---- */

/* The content is no longer what it was: it has been cut, perhaps after it had been copied. */
static void on_cut(struct logfile *f)
{
	int64_t at = f->offset;
	bool skipping = f->skipping;
	char identity[LOGFILE_IDENTITY_BYTES];
	int copy;

	memcpy(identity, f->identity, sizeof identity);
	copy = logfile_find(f->path, identity, at + (int64_t)f->have);
	if (copy >= 0) {
		begin(f, copy, at);
		f->skipping = skipping;
		return;
	}
	gap(f, "it was cut, and there is no copy of it");
	begin(f, f->fd, 0);
}

/* Still the content that we know? */
static bool is_same(struct logfile *f)
{
	char identity[LOGFILE_IDENTITY_BYTES];
	struct stat st;

	return fstat(f->fd, &st) == 0 && st.st_size >= f->offset + (int64_t)f->have &&
	       logfile_identity(f->fd, identity) && strcmp(identity, f->identity) == 0;
}

/* Is there another file in the place of the one that we read? */
static bool is_replaced(const struct logfile *f)
{
	struct stat ours, theirs;

	return fstat(f->fd, &ours) == 0 && stat(f->path, &theirs) == 0 &&
	       (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev);
}

/* We read a copy, and the file is still, or again, the same. */
static bool back_to_original(struct logfile *f)
{
	int fd = logfile_find(f->path, f->identity, f->offset + (int64_t)f->have), ours = f->fd;

	if (fd < 0)
		return false;
	f->fd = fd;
	if (is_replaced(f)) { /* it is only the copy that we have */
		f->fd = ours;
		close(fd);
		return false;
	}
	f->fd = ours;
	begin(f, fd, f->offset);
	return true;
}

/* ---- reading ---- */

/* Bytes behind those in the buffer. 0: none now. -1: begin again, something has changed. */
static ssize_t fill(struct logfile *f)
{
	ssize_t n;

	if (f->identity[0] == '\0' && !logfile_identity(f->fd, f->identity))
		return 0;
	n = pread(
	    f->fd, f->buffer + f->have, LOGFILE_LINE_BYTES - f->have, f->offset + (int64_t)f->have);
	/* Checked after reading, so that what was read is known to be of that content. */
	if (!is_same(f)) {
		on_cut(f);
		return -1;
	}
	if (n > 0) {
		f->have += (size_t)n;
		f->written_ns = logfile_written_ns(f->fd);
	}
	return n > 0 ? n : 0;
}

/* A new file without a line says nothing: the writer may still have the old one open. One with a
 * line says that it has done with the old one, which is looked at once more after that. */
static bool move_on(struct logfile *f)
{
	int fd;

	if (back_to_original(f))
		return true;
	fd = logfile_next_after(f->path, f->written_ns, f->identity);
	if (fd < 0)
		return false;
	if (fill(f) != 0) {
		close(fd);
		return true;
	}
	if (f->have > 0)
		gap(f, "its last line has no end");
	if (logfile_is_compressed_after(f->path, f->written_ns))
		gap(f, "a later one was compressed before it was read");
	begin(f, fd, 0);
	return true;
}

static void drop(struct logfile *f, size_t n)
{
	memmove(f->buffer, f->buffer + n, f->have - n);
	f->have -= n;
	f->offset += (int64_t)n;
}

/* A whole line that is in the buffer. */
static bool take_line(
    struct logfile *f, struct maillog_text *line, char key[static LOGFILE_KEY_BYTES])
{
	char *end;

	while ((end = memchr(f->buffer + f->used, '\n', f->have - f->used)) != NULL) {
		size_t start = f->used;

		f->used = (size_t)(end - f->buffer) + 1;
		if (f->skipping) {
			f->skipping = false;
			continue;
		}
		*line = (struct maillog_text){f->buffer + start, f->used - start - 1};
		snprintf(
		    key, LOGFILE_KEY_BYTES, "%s:%" PRId64, f->identity, f->offset + (int64_t)start);
		return true;
	}
	drop(f, f->used);
	f->used = 0;
	if (f->have == LOGFILE_LINE_BYTES) {
		if (!f->skipping)
			log_warn(NULL, "%s: a line above %d bytes is passed over", f->path,
			    LOGFILE_LINE_BYTES);
		f->skipping = true;
	}
	if (f->skipping)
		drop(f, f->have);
	return false;
}

bool logfile_next(struct logfile *f, struct maillog_text *line, char key[static LOGFILE_KEY_BYTES])
{
	if (f->fd < 0 && !open_first(f))
		return false;
	for (;;) {
		ssize_t n;

		if (take_line(f, line, key))
			return true;
		n = fill(f);
		if (n == 0 && (!is_replaced(f) || !move_on(f)))
			return false;
	}
}

/* ---- the position ---- */

void logfile_position(const struct logfile *f, char *out, size_t size)
{
	snprintf(out, size, "file 1 %s %" PRId64 " %d %" PRId64,
	    f->identity[0] != '\0' ? f->identity : "-", f->offset + (int64_t)f->used,
	    f->skipping ? 1 : 0, f->written_ns);
}

static void resume(struct logfile *f, const char *position)
{
	char identity[LOGFILE_IDENTITY_BYTES];
	int64_t offset, written;
	int skipping, fd;

	if (sscanf(position, "file 1 %32s %" SCNd64 " %d %" SCNd64, identity, &offset, &skipping,
		&written) != 4 ||
	    offset < 0 || strcmp(identity, "-") == 0)
		return;
	fd = logfile_find(f->path, identity, offset);
	if (fd >= 0) {
		begin(f, fd, offset);
		f->skipping = skipping != 0;
		f->written_ns = written;
		return;
	}
	f->offset = offset;
	gap(f, "what was read last is no longer there");
	f->offset = 0;
	fd = logfile_next_after(f->path, written, identity);
	if (fd >= 0)
		begin(f, fd, 0);
}

struct logfile *logfile_open(const char *path, const char *position)
{
	struct logfile *f = xcalloc(1, sizeof *f);

	f->path = xstrdup(path);
	f->fd = -1;
	f->buffer = xmalloc(LOGFILE_LINE_BYTES);
	if (position != NULL)
		resume(f, position);
	return f;
}

void logfile_close(struct logfile *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->buffer);
	free(f);
}
