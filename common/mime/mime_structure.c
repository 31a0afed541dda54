/* mime_structure.c - where each section of a message begins and ends.
 *
 * One pass over the lines. The sections that are open at a line form a chain from the current
 * one to the whole message; `levels` holds the open multiparts among them, innermost last. A
 * delimiter of a level closes everything inside that level. A delimiter is "--", the boundary
 * and blanks up to the line end; the innermost level whose delimiter fits is meant.
 *
 * By hand although GMime has a parser: see mime.h. Memory: one line buffer, LIMIT_MIME_SECTIONS
 * nodes. Time: linear, each line that begins with "--" is compared with LIMIT_MIME_DEPTH
 * boundaries at most. */
#include "common/mime/mime_internal.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdlib.h>
#include <string.h>

#define NOWHERE SIZE_MAX

enum place { IN_HEADER, IN_BODY, BETWEEN_PARTS };

struct level {
	size_t section;
	char *boundary;
	size_t n;
	bool closed; /* its closing delimiter was seen; kept to notice what comes after */
};

struct scan {
	struct mime *mime;
	struct level levels[LIMIT_MIME_DEPTH];
	size_t nlevels;
	size_t current; /* the innermost open section */
	enum place place;
	unsigned last_eol; /* of the line before: belongs to a delimiter that follows */
	struct mime_header header;
};

enum fit { FIT_NONE, FIT_LIKE, FIT_DELIMITER, FIT_CLOSE };

static struct mime_node *node(const struct scan *s, size_t i)
{
	return &s->mime->nodes[i];
}

/* The section around section i; NOWHERE for the whole message. */
static size_t outer(const struct scan *s, size_t i)
{
	return node(s, i)->s.parent > 0 ? node(s, i)->s.parent - 1 : NOWHERE;
}

static bool is_multipart(const struct mime_node *n)
{
	return strcmp(n->s.type, "multipart") == 0;
}

/* message/rfc822 and its relatives, in the clear: their body is a message. */
static bool holds_message(const struct mime_node *n)
{
	static const char *const subtypes[] = {"rfc822", "rfc2822", "news", "global", NULL};

	if (strcmp(n->s.type, "message") != 0 || n->s.flags & MIME_ENCODED_CONTAINER)
		return false;
	for (size_t i = 0; subtypes[i] != NULL; i++)
		if (strcmp(n->s.subtype, subtypes[i]) == 0)
			return true;
	return false;
}

/* A new section at start, inside parent, becomes the current one and its header is next. */
static bool open_section(struct scan *s, size_t parent, uint64_t start)
{
	struct mime *m = s->mime;
	struct mime_node *n;

	if (m->nnodes == LIMIT_MIME_SECTIONS) {
		node(s, parent)->s.flags |= MIME_TOO_MANY;
		return false;
	}
	if ((m->nnodes & (m->nnodes - 1)) == 0) /* full at each power of two */
		m->nodes = xrealloc(m->nodes, (m->nnodes ? 2 * m->nnodes : 1) * sizeof *n);
	n = &m->nodes[m->nnodes];
	*n = (struct mime_node){.s.start = start, .s.body = start, .s.end = start, .ordinal = 1};
	if (parent != NOWHERE) {
		struct mime_node *p = node(s, parent);

		n->s.parent = parent + 1;
		n->ordinal = ++p->children;
		n->depth = p->depth + 1;
	}
	n->content = parent == NOWHERE || !is_multipart(node(s, parent));
	s->current = m->nnodes++;
	s->place = IN_HEADER;
	mime_header_reset(&s->header);
	return true;
}

/* "2." for what is inside the section with the path "2"; the content of a message adds nothing
 * of its own: what is inside "TEXT" is "1", inside "2.TEXT" it is "2.1". */
static char *inner_prefix(const struct scan *s, size_t i)
{
	size_t n;

	if (i == NOWHERE)
		return xstrdup("");
	n = strlen(node(s, i)->s.path);
	if (node(s, i)->content && node(s, i)->entered && is_multipart(node(s, i)))
		return xstrndup(node(s, i)->s.path, n - strlen("TEXT"));
	return xasprintf("%s.", node(s, i)->s.path);
}

static void set_path(struct scan *s, size_t i)
{
	struct mime_node *n = node(s, i);
	char *prefix = inner_prefix(s, outer(s, i));

	if (n->content && n->entered && is_multipart(n))
		n->s.path = xasprintf("%sTEXT", prefix);
	else
		n->s.path = xasprintf("%s%zu", prefix, n->ordinal);
	free(prefix);
}

/* Two boundaries that one line can stand for both. */
static bool confusable(const char *a, size_t na, const char *b, size_t nb)
{
	size_t n = na < nb ? na : nb;
	const char *rest = na < nb ? b + n : a + n;
	size_t nrest = na < nb ? nb - n : na - n;

	return memcmp(a, b, n) == 0 && (nrest == 0 || (nrest == 2 && memcmp(rest, "--", 2) == 0));
}

static void push_level(struct scan *s, size_t section, char *boundary)
{
	struct level *l = &s->levels[s->nlevels];

	*l = (struct level){.section = section, .boundary = boundary, .n = strlen(boundary)};
	for (size_t i = 0; i < s->nlevels; i++)
		if (confusable(s->levels[i].boundary, s->levels[i].n, l->boundary, l->n))
			node(s, section)->s.flags |= MIME_BOUNDARY_REUSED;
	s->nlevels++;
}

/* The header of the current section is complete. complete: with its empty line, so that a body
 * follows at offset `body`; otherwise a delimiter or the end of the message came first. */
static void end_header(struct scan *s, uint64_t body, bool complete)
{
	struct mime_node *n = node(s, s->current);
	size_t around = outer(s, s->current);
	bool in_digest = around != NOWHERE && is_multipart(node(s, around)) &&
			 strcmp(node(s, around)->s.subtype, "digest") == 0;
	bool deep = n->depth + 1 >= LIMIT_MIME_DEPTH;
	char *boundary;

	n->s.body = body;
	mime_header_apply(&s->header, n, in_digest, &boundary);
	if (around == NOWHERE)
		s->mime->is_mime = mime_header_is_mime(&s->header);
	if (!complete)
		n->s.flags |= MIME_NO_BLANK_LINE;
	s->place = IN_BODY;
	if (deep && (boundary != NULL || holds_message(n)))
		n->s.flags |= MIME_TOO_DEEP;
	n->entered = complete && !deep && (boundary != NULL || holds_message(n));
	set_path(s, s->current);
	if (n->entered && boundary != NULL) {
		push_level(s, s->current, boundary);
		boundary = NULL;
		s->place = BETWEEN_PARTS;
	} else if (n->entered) {
		(void)open_section(s, s->current, body);
	}
	free(boundary);
}

/* The line end before a delimiter belongs to the delimiter, so a section without a byte would end
 * before it starts. inside: the section around it ends at the same place. */
static void set_end(struct mime_node *n, uint64_t end, bool inside)
{
	if (end < n->s.start && inside)
		n->s.start = end;
	n->s.end = end > n->s.start ? end : n->s.start;
	if (n->s.body > n->s.end)
		n->s.body = n->s.end;
}

/* Closes the current section and those around it, up to but not including `last`. */
static void close_sections(struct scan *s, size_t last, uint64_t end, uint64_t line)
{
	while (s->current != last) {
		struct mime_node *n = node(s, s->current);

		if (!n->header_read) {
			end_header(s, line, false);
			n = node(s, s->current);
		}
		if (s->nlevels > 0 && s->levels[s->nlevels - 1].section == s->current) {
			struct level *l = &s->levels[--s->nlevels];

			if (!l->closed)
				n->s.flags |= MIME_UNTERMINATED;
			free(l->boundary);
		}
		if (is_multipart(n) && n->entered && n->children == 0)
			n->s.flags |= MIME_NO_PARTS;
		set_end(n, end, outer(s, s->current) != last);
		s->current = outer(s, s->current);
	}
}

static enum fit fit(const struct level *l, const struct mime_line *line)
{
	const char *rest = line->s + 2 + l->n;
	size_t n;
	enum fit found = FIT_DELIMITER;

	if (line->n < 2 + l->n || memcmp(line->s + 2, l->boundary, l->n) != 0)
		return FIT_NONE;
	n = line->n - 2 - l->n;
	if (!line->last)
		return FIT_LIKE;
	if (n >= 2 && rest[0] == '-' && rest[1] == '-') {
		found = FIT_CLOSE;
		rest += 2;
		n -= 2;
	}
	for (; n > 0; n--, rest++)
		if (*rest != ' ' && *rest != '\t' && *rest != '\r')
			return FIT_LIKE;
	return found;
}

/* True when the line, which begins with "--", was a delimiter. */
static bool delimiter(struct scan *s, const struct mime_line *line)
{
	size_t almost = NOWHERE, section;
	unsigned flag = 0;

	for (size_t i = s->nlevels; i-- > 0;) {
		struct level *l = &s->levels[i];
		enum fit found = fit(l, line);

		if (found != FIT_NONE && (found == FIT_LIKE || l->closed)) {
			if (almost == NOWHERE) {
				almost = l->section;
				flag = found == FIT_LIKE ? MIME_BOUNDARY_LIKE : MIME_AFTER_CLOSE;
			}
			continue;
		}
		if (found == FIT_NONE)
			continue;
		section = l->section;
		if (line->eol == 1 || memchr(line->s, '\r', line->n) != NULL)
			node(s, section)->s.flags |= MIME_BARE_LINE_END;
		close_sections(s, section, line->offset - s->last_eol, line->offset);
		s->place = BETWEEN_PARTS;
		if (found == FIT_CLOSE)
			s->levels[i].closed = true;
		else
			(void)open_section(s, section, line->offset + line->n + line->eol);
		return true;
	}
	if (almost != NOWHERE)
		node(s, almost)->s.flags |= flag;
	return false;
}

static void note_bytes(struct scan *s, const struct mime_line *line)
{
	struct mime_node *n = node(s, s->current);

	if (s->place != IN_HEADER && n->encoding == GMIME_CONTENT_ENCODING_BINARY)
		return;
	if (memchr(line->s, '\0', line->n) != NULL)
		n->s.flags |= MIME_NUL;
	if (line->eol == 1 || memchr(line->s, '\r', line->n) != NULL)
		n->s.flags |= MIME_BARE_LINE_END;
}

static void take_line(struct scan *s, const struct mime_line *line)
{
	if (s->nlevels > 0 && line->first && line->n > 2 && line->s[0] == '-' &&
	    line->s[1] == '-' && delimiter(s, line))
		return;
	note_bytes(s, line);
	if (s->place != IN_HEADER)
		return;
	if (line->first && line->last && line->n == 0 && line->eol > 0)
		end_header(s, line->offset + line->eol, true);
	else
		mime_header_line(&s->header, line);
}

bool mime_structure(struct mime *m)
{
	struct mime_reader *reader = xmalloc(sizeof *reader);
	struct mime_lines *lines = xmalloc(sizeof *lines);
	struct scan *s = xcalloc(1, sizeof *s);
	struct mime_line line;
	uint64_t end = 0;
	int rc;

	s->mime = m;
	mime_reader_start(reader, &m->source, 0, UINT64_MAX, GMIME_CONTENT_ENCODING_DEFAULT);
	mime_lines_start(lines, reader, 0);
	(void)open_section(s, NOWHERE, 0);
	while ((rc = mime_lines_next(lines, &line)) > 0) {
		take_line(s, &line);
		s->last_eol = line.eol;
		end = line.offset + line.n + line.eol;
	}
	close_sections(s, NOWHERE, end, end);
	mime_header_free(&s->header);
	free(s);
	free(lines);
	free(reader);
	return rc == 0;
}
