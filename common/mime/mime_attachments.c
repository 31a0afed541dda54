/* mime_attachments.c - the attachments of a message: which they are, and their bytes again.
 *
 * Each section without sections inside is decoded once. A file that lies inside another thing
 * (text, TNEF) is remembered by its offset in the decoded body; to save it the body is decoded
 * again up to there. So nothing of the contents is kept, and saving takes the same way as
 * listing: what was listed is what is written. The one thing held in memory is a TNEF stream
 * while it is listed: LIMIT_TNEF_BYTES at most, and LIMIT_TNEF_HELD_BYTES of all messages that are
 * looked into at the same time. */
#include "common/mime/mime_internal.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/mime/mime_embedded.h"
#include "common/mime/tnef.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What one pass over a section needs. */
struct pass {
	struct mime *mime;
	size_t section;
	struct mime_reader reader;
	union {
		char bytes[MIME_OUT];
		struct mime_lines lines;
	} buffer;
	struct embedded embedded;
	size_t found; /* files inside */
};

static bool is_type(const struct mime_node *n, const char *type)
{
	return strcmp(n->s.type, type) == 0;
}

static const char *file_name(const struct mime_node *n)
{
	return *n->s.disposition_filename != '\0' ? n->s.disposition_filename : n->s.type_filename;
}

static bool has_parts(const struct mime_node *n)
{
	return is_type(n, "multipart") && n->children > 0;
}

static bool is_attachment(const struct mime_node *n)
{
	if (has_parts(n))
		return false;
	/* RFC 2183 2.8: an unknown disposition is to be treated as "attachment" */
	if (*n->s.disposition != '\0' && strcmp(n->s.disposition, "inline") != 0)
		return true;
	if (*file_name(n) != '\0')
		return true;
	if (is_type(n, "message"))
		return n->s.flags & MIME_ENCODED_CONTAINER;
	return !is_type(n, "text") && !is_type(n, "multipart");
}

static bool is_tnef(const struct mime_node *n)
{
	return (is_type(n, "application") && (strcmp(n->s.subtype, "ms-tnef") == 0 ||
						 strcmp(n->s.subtype, "vnd.ms-tnef") == 0)) ||
	       strcasecmp(file_name(n), "winmail.dat") == 0;
}

/* The body is one file in another text form. */
static bool is_encoded_file(const struct mime_node *n)
{
	return n->encoding == GMIME_CONTENT_ENCODING_UUENCODE || n->binhex;
}

static bool is_readable(const struct mime_node *n)
{
	return is_type(n, "text") || is_type(n, "message") || is_type(n, "multipart");
}

/* NULL, and the section is flagged, when there are too many. */
static struct mime_file *add_file(struct mime *m, size_t section, enum mime_kind kind)
{
	struct mime_file *f;

	if (m->nfiles == LIMIT_MIME_ATTACHMENTS) {
		m->nodes[section].s.flags |= MIME_TOO_MANY;
		return NULL;
	}
	if ((m->nfiles & (m->nfiles - 1)) == 0)
		m->files = xrealloc(m->files, (m->nfiles ? 2 * m->nfiles : 1) * sizeof *f);
	f = &m->files[m->nfiles++];
	*f = (struct mime_file){.a = {.section = section + 1, .kind = kind}};
	return f;
}

static struct mime_file *add_part(struct mime *m, size_t section)
{
	const struct mime_node *n = &m->nodes[section];
	struct mime_file *f = add_file(m, section, MIME_PART);

	if (f != NULL) {
		f->a.name = xstrdup(file_name(n));
		f->a.type = xasprintf("%s/%s", n->s.type, n->s.subtype);
	}
	return f;
}

static void start_reader(struct pass *p)
{
	const struct mime_node *n = &p->mime->nodes[p->section];

	mime_reader_start(&p->reader, &p->mime->source, n->s.body, n->s.end,
	    n->entered ? GMIME_CONTENT_ENCODING_DEFAULT : n->encoding);
}

/* A file in the text of the section is complete. */
static void list_embedded(void *arg, const struct embedded_file *file)
{
	struct pass *p = arg;
	struct mime_node *n = &p->mime->nodes[p->section];
	bool encoded = is_encoded_file(n);
	enum mime_kind kind = file->binhex ? MIME_BINHEX : MIME_UUE;
	const char *stated = encoded && p->found == 0 ? file_name(n) : "";
	struct mime_file *f;
	char *name;

	if (p->mime->is_mime || p->section > 0)
		kind = file->binhex ? MIME_PART_BINHEX : MIME_PART_UUE;
	p->found++;
	n->s.flags |= file->flags;
	f = add_file(p->mime, p->section, kind);
	if (f == NULL) {
		p->embedded.full = true;
		return;
	}
	f->a.flags = file->flags;
	name =
	    mime_text(file->name, file->name_size, file->binhex ? "MACINTOSH" : NULL, &f->a.flags);
	if (*stated != '\0' && *name != '\0' && strcmp(stated, name) != 0)
		n->s.flags |= MIME_NAMES_DIFFER;
	f->a.name = xstrdup(*stated != '\0' ? stated : name);
	free(name);
	if (encoded && !file->binhex)
		f->a.type = xasprintf("%s/%s", n->s.type, n->s.subtype);
	else
		f->a.type = xstrdup("application/octet-stream");
	f->a.size = file->size;
	f->from = file->from;
}

/* Runs the lines of the section through p->embedded, which the caller has set up; *size is what
 * the body has decoded. */
static bool search_lines(struct pass *p, uint64_t *size)
{
	struct mime_line line;
	int rc;

	start_reader(p);
	mime_lines_start(&p->buffer.lines, &p->reader, 0);
	*size = 0;
	while ((rc = mime_lines_next(&p->buffer.lines, &line)) > 0) {
		embedded_line(&p->embedded, &line);
		*size = line.offset + line.n + line.eol;
		if (p->embedded.done || p->embedded.stopped)
			return true;
	}
	embedded_end(&p->embedded);
	return rc == 0;
}

static bool list_text(struct pass *p, uint64_t *size)
{
	struct mime *m = p->mime;
	uint64_t room = LIMIT_BINHEX_MESSAGE_BYTES - m->unpacked;
	size_t first = m->nfiles;

	p->embedded = (struct embedded){.bare_binhex = m->nodes[p->section].binhex,
	    .found = list_embedded,
	    .arg = p,
	    .wanted = UINT64_MAX,
	    .room = room};
	if (!search_lines(p, size))
		return false;
	for (size_t i = first; i < m->nfiles; i++)
		m->files[i].room = room;
	m->unpacked += room - p->embedded.room;
	m->nodes[p->section].s.flags |= p->embedded.flags;
	return true;
}

static bool measure(struct pass *p, uint64_t *size)
{
	ssize_t got;

	start_reader(p);
	*size = 0;
	while ((got = mime_reader_read(&p->reader, p->buffer.bytes)) > 0)
		*size += (uint64_t)got;
	return got == 0;
}

/* The text of a TNEF stream names its character set by the number of a code page of Windows. */
static char *text_of(const struct tnef_text *t, unsigned *flags)
{
	const void *bytes = t->s != NULL ? (const void *)t->s : "";
	char charset[32];

	if (t->codepage == 1200)
		return mime_text(bytes, t->n, "UTF-16LE", flags);
	if (t->codepage == 65001)
		return mime_text(bytes, t->n, "UTF-8", flags);
	snprintf(charset, sizeof charset, "CP%u", t->codepage);
	return mime_text(bytes, t->n, charset, flags);
}

static void list_tnef_files(struct mime *m, size_t section, const void *bytes, size_t n)
{
	struct mime_node *node = &m->nodes[section];
	struct tnef t;

	tnef_read(&t, bytes, n);
	if (t.damaged || t.wrong_sum || !t.is_tnef)
		node->s.flags |= MIME_FILE_DAMAGED;
	if (t.too_many)
		node->s.flags |= MIME_TOO_MANY;
	if (t.too_deep)
		node->s.flags |= MIME_NOT_UNPACKED;
	for (size_t i = 0; i < t.nfiles; i++) {
		struct mime_file *f = add_file(m, section, MIME_TNEF);

		if (f == NULL)
			break;
		f->a.name = text_of(&t.files[i].name, &f->a.flags);
		f->a.type = text_of(&t.files[i].type, &f->a.flags);
		for (char *c = f->a.type; *c != '\0'; c++)
			*c = g_ascii_tolower(*c);
		if (strchr(f->a.type, '/') == NULL)
			xreplace(&f->a.type, t.files[i].message ? "application/ms-tnef"
								: "application/octet-stream");
		f->a.size = t.files[i].size;
		f->from = t.files[i].offset;
	}
	tnef_clear(&t);
}

/* Memory for a TNEF stream, of the share of all threads; NULL: there is none at the moment. */
static _Atomic uint64_t held;

static char *hold(uint64_t size)
{
	char *bytes = NULL;

	if (atomic_fetch_add(&held, size) + size <= LIMIT_TNEF_HELD_BYTES)
		bytes = malloc(size);
	if (bytes == NULL)
		atomic_fetch_sub(&held, size);
	return bytes;
}

static void let_go(char *bytes, uint64_t size)
{
	free(bytes);
	atomic_fetch_sub(&held, size);
}

/* Measures a TNEF stream, and lists its files when it can be held in memory. */
static bool list_tnef(struct pass *p, uint64_t *size)
{
	struct mime_node *n = &p->mime->nodes[p->section];
	uint64_t encoded = n->s.end - n->s.body;
	uint64_t cap = encoded + MIME_OUT; /* decoding never makes more of it */
	char *bytes = NULL;
	ssize_t got;

	if (encoded / 4 * 3 <= LIMIT_TNEF_BYTES) /* base64; anything else only has more */
		bytes = hold(cap);
	if (bytes == NULL) {
		n->s.flags |= MIME_NOT_UNPACKED;
		return measure(p, size);
	}
	start_reader(p);
	*size = 0;
	while ((got = mime_reader_read(&p->reader, bytes + *size)) > 0)
		*size += (uint64_t)got;
	if (got == 0 && *size <= LIMIT_TNEF_BYTES)
		list_tnef_files(p->mime, p->section, bytes, *size);
	else
		n->s.flags |= MIME_NOT_UNPACKED;
	let_go(bytes, cap);
	return got == 0;
}

/* Decodes a section without sections inside, once, and lists what is found in it. */
static bool list_contents(struct pass *p, bool encoded, uint64_t *size)
{
	struct mime_node *n = &p->mime->nodes[p->section];
	bool read;

	if (is_tnef(n) && !encoded)
		read = list_tnef(p, size);
	else if (encoded || is_readable(n))
		read = list_text(p, size);
	else
		read = measure(p, size);
	n->s.flags |= p->reader.flags;
	return read;
}

static bool list_section(struct pass *p)
{
	struct mime *m = p->mime;
	struct mime_node *n = &m->nodes[p->section];
	bool encoded = n->children == 0 && is_encoded_file(n);
	size_t part = m->nfiles; /* the files inside come after the part itself */
	bool listed = is_attachment(n) && !encoded && add_part(m, p->section) != NULL;
	uint64_t size = n->s.end - n->s.body;

	p->found = 0;
	if (n->children == 0 && !list_contents(p, encoded, &size))
		return false;
	if (encoded && p->found == 0) { /* it is not what it says: take it as it is */
		part = m->nfiles;
		n->s.flags |= MIME_BAD_ENCODING;
		listed = add_part(m, p->section) != NULL;
	}
	if (listed)
		m->files[part].a.size = size;
	return true;
}

bool mime_attachments(struct mime *m)
{
	struct pass *p = xmalloc(sizeof *p);
	bool read = true;

	p->mime = m;
	for (p->section = 0; read && p->section < m->nnodes; p->section++)
		read = list_section(p);
	free(p);
	return read;
}

/* Writes `size` bytes of the decoded body from offset `from`. */
static enum mime_result save_range(
    struct pass *p, uint64_t from, uint64_t size, const struct mime_sink *sink)
{
	uint64_t at = 0;
	ssize_t got = 0;

	start_reader(p);
	while (at < from + size && (got = mime_reader_read(&p->reader, p->buffer.bytes)) > 0) {
		uint64_t n = (uint64_t)got, skip = at < from ? from - at : 0;

		at += n;
		if (skip >= n)
			continue;
		n -= skip;
		if (n > from + size - (at - n))
			n = from + size - (at - n);
		if (!sink->write(sink->arg, p->buffer.bytes + skip, (size_t)n))
			return MIME_STOPPED;
	}
	return got < 0 ? MIME_UNREAD : MIME_OK;
}

static enum mime_result save_embedded(
    struct pass *p, const struct mime_file *f, const struct mime_sink *sink)
{
	uint64_t size;

	p->embedded = (struct embedded){.bare_binhex = p->mime->nodes[p->section].binhex,
	    .wanted = f->from,
	    .sink = sink,
	    .room = f->room};
	if (!search_lines(p, &size))
		return MIME_UNREAD;
	if (p->embedded.stopped)
		return MIME_STOPPED;
	if (!p->embedded.done) { /* it was there when the message was parsed */
		errno = EIO;
		return MIME_UNREAD;
	}
	return f->a.flags & MIME_NOT_UNPACKED ? MIME_PARTIAL : MIME_OK;
}

enum mime_result mime_save(const struct mime *m, size_t i, const struct mime_sink *sink)
{
	const struct mime_file *f = i < m->nfiles ? &m->files[i] : NULL;
	enum mime_result result;
	struct pass *p;

	if (f == NULL)
		return MIME_ABSENT;
	p = xmalloc(sizeof *p);
	p->mime = (struct mime *)m; /* read only on this way */
	p->section = f->a.section - 1;
	if (f->a.kind == MIME_PART || f->a.kind == MIME_TNEF)
		result = save_range(p, f->from, f->a.size, sink);
	else
		result = save_embedded(p, f, sink);
	free(p);
	return result;
}
