/* mime.c - see mime.h: what callers see of a parsed message. */
#include "common/mime.h"

#include "common/list.h"
#include "common/message.h"
#include "common/mime/mime_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static pthread_once_t gmime_ready = PTHREAD_ONCE_INIT;

static const char *const flag_names[MIME_FLAGS] = {
    "duplicate-field",
    "duplicate-boundary",
    "duplicate-charset",
    "duplicate-name",
    "names-differ",
    "encoded-container",
    "unterminated",
    "no-boundary",
    "no-parts",
    "boundary-reused",
    "boundary-like",
    "after-close",
    "too-deep",
    "too-many",
    "bad-field",
    "no-blank-line",
    "bad-type",
    "bad-parameter",
    "unknown-encoding",
    "bad-encoding",
    "eight-bit-header",
    "nul",
    "bare-line-end",
    "cut",
    "name-changed",
    "file-damaged",
    "not-unpacked",
};

/* g_mime_init() registers every type, so threads do not race for that later; it counts its calls
 * without a lock. It is never undone: other threads may be parsing. */
static void start_gmime(void)
{
	g_mime_init();
}

void mime_prepare(void)
{
	pthread_once(&gmime_ready, start_gmime);
}

static ssize_t read_message(void *arg, uint64_t offset, void *out, size_t n)
{
	return message_read(arg, offset, out, n);
}

struct mime *mime_parse(const struct message *message)
{
	/* message_read() does not change it; the source of a test may */
	const struct mime_source source = {read_message, (struct message *)message};

	return mime_parse_source(&source);
}

struct mime *mime_parse_source(const struct mime_source *source)
{
	struct mime *m = xcalloc(1, sizeof *m);
	int error;

	mime_prepare();
	m->source = *source;
	if (mime_structure(m) && mime_attachments(m))
		return m;
	error = errno;
	mime_free(m);
	errno = error;
	return NULL;
}

void mime_free(struct mime *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->nnodes; i++) {
		struct mime_section *s = &m->nodes[i].s;

		free(s->path);
		free(s->type);
		free(s->subtype);
		free(s->type_filename);
		free(s->disposition);
		free(s->disposition_filename);
		free(s->encoding);
		free(s->charset);
	}
	for (size_t i = 0; i < m->nfiles; i++) {
		free(m->files[i].a.name);
		free(m->files[i].a.type);
	}
	free(m->nodes);
	free(m->files);
	free(m);
}

size_t mime_section_count(const struct mime *m)
{
	return m->nnodes;
}

const struct mime_section *mime_section(const struct mime *m, size_t i)
{
	return i < m->nnodes ? &m->nodes[i].s : NULL;
}

const struct mime_section *mime_find(const struct mime *m, const char *path)
{
	if (*path == '\0')
		return mime_section(m, 0);
	for (size_t i = 0; i < m->nnodes; i++)
		if (strcasecmp(m->nodes[i].s.path, path) == 0)
			return &m->nodes[i].s;
	return NULL;
}

size_t mime_attachment_count(const struct mime *m)
{
	return m->nfiles;
}

const struct mime_attachment *mime_attachment(const struct mime *m, size_t i)
{
	return i < m->nfiles ? &m->files[i].a : NULL;
}

unsigned mime_flags(const struct mime *m)
{
	unsigned flags = 0;

	for (size_t i = 0; i < m->nnodes; i++)
		flags |= m->nodes[i].s.flags;
	for (size_t i = 0; i < m->nfiles; i++)
		flags |= m->files[i].a.flags;
	return flags;
}

const char *mime_flag_name(enum mime_flag flag)
{
	for (unsigned bit = 0; bit < MIME_FLAGS; bit++)
		if (flag == 1u << bit)
			return flag_names[bit];
	return NULL;
}

const char *mime_kind_name(enum mime_kind kind)
{
	static const char *const names[] = {
	    [MIME_PART] = "MIME",
	    [MIME_UUE] = "UUE",
	    [MIME_BINHEX] = "BINHEX",
	    [MIME_PART_UUE] = "MIMEUUE",
	    [MIME_PART_BINHEX] = "MIMEBINHEX",
	    [MIME_TNEF] = "TNEF",
	};

	return names[kind];
}

bool mime_write_fd(void *fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t written = write(*(const int *)fd, p, n);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		p += written;
		n -= (size_t)written;
	}
	return true;
}

enum mime_result mime_read(
    const struct mime *m, const char *path, enum mime_piece piece, const struct mime_sink *sink)
{
	const struct mime_section *s = mime_find(m, path);
	enum mime_result result = MIME_OK;
	struct mime_reader *reader;
	ssize_t got = 0;
	char *buffer;

	if (s == NULL)
		return MIME_ABSENT;
	reader = xmalloc(sizeof *reader);
	buffer = xmalloc(MIME_OUT);
	mime_reader_start(reader, &m->source, piece == MIME_BODY ? s->body : s->start,
	    piece == MIME_HEADER ? s->body : s->end, GMIME_CONTENT_ENCODING_DEFAULT);
	while (result == MIME_OK && (got = mime_reader_read(reader, buffer)) > 0)
		if (!sink->write(sink->arg, buffer, (size_t)got))
			result = MIME_STOPPED;
	if (got < 0)
		result = MIME_UNREAD;
	free(buffer);
	free(reader);
	return result;
}
