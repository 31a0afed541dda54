/* mime_reader.c - see mime_reader.h.
 *
 * GMime undoes base64 and quoted-printable. It says nothing about what it skips, and that is
 * where mail clients differ (one goes on after "=", one stops), so the bytes are looked at on
 * the way in. Its GMimeEncoding is used bare: no objects, no memory of its own. */
#include "common/mime/mime_reader.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

void mime_reader_start(struct mime_reader *r, const struct mime_source *source, uint64_t offset,
    uint64_t end, GMimeContentEncoding encoding)
{
	if (encoding != GMIME_CONTENT_ENCODING_BASE64 &&
	    encoding != GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE)
		encoding = GMIME_CONTENT_ENCODING_DEFAULT;
	r->source = source;
	r->offset = offset;
	r->end = end;
	g_mime_encoding_init_decode(&r->decoder, encoding);
	r->flags = 0;
	r->digits = r->padding = 0;
	r->escape = -1;
	r->flushed = false;
}

static void watch_base64(struct mime_reader *r, const char *s, size_t n)
{
	unsigned digits = r->digits, padding = r->padding;
	bool bad = false;

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (g_ascii_isalnum(c) || c == '+' || c == '/') {
			digits++;
			bad |= padding != 0;
		} else if (c == '=') {
			padding++;
		} else {
			bad |= c != '\n' && c != '\r' && c != ' ' && c != '\t';
		}
	}
	r->digits = digits % 4; /* a padded quantum counts its digits only once: no more follow */
	r->padding = padding > 3 ? 3 : padding;
	if (bad)
		r->flags |= MIME_BAD_ENCODING;
}

static void watch_quoted(struct mime_reader *r, const char *s, size_t n)
{
	const char *p = s, *end = s + n;

	while (p < end) {
		if (r->escape < 0) {
			p = memchr(p, '=', (size_t)(end - p));
			if (p == NULL)
				return;
			r->escape = 0;
		} else if (r->escape == 0 && *p == '\n') {
			r->escape = -1;
		} else if (r->escape == 0) {
			if (*p != '\r' && !isxdigit((unsigned char)*p))
				r->flags |= MIME_BAD_ENCODING;
			r->escape = *p == '\r' ? 2 : 1;
		} else {
			if (r->escape == 2 ? *p != '\n' : !isxdigit((unsigned char)*p))
				r->flags |= MIME_BAD_ENCODING;
			r->escape = -1;
		}
		p++;
	}
}

/* The end of the range: GMime drops a last quantum without padding, most clients do not. */
static size_t flush(struct mime_reader *r, char *out)
{
	bool whole = r->digits + r->padding == 4 || (r->digits == 0 && r->padding == 0);

	r->flushed = true;
	if (r->decoder.encoding == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE && r->escape > 0)
		r->flags |=
		    MIME_BAD_ENCODING; /* "=" alone is a soft line break cut by a delimiter */
	if (r->decoder.encoding != GMIME_CONTENT_ENCODING_BASE64)
		return 0;
	if (!whole)
		r->flags |= MIME_BAD_ENCODING;
	return g_mime_encoding_flush(&r->decoder, "=", 1, out);
}

ssize_t mime_reader_read(struct mime_reader *r, char *out)
{
	bool plain = r->decoder.encoding == GMIME_CONTENT_ENCODING_DEFAULT;

	while (r->offset < r->end) {
		uint64_t left = r->end - r->offset;
		ssize_t got = r->source->read(r->source->arg, r->offset, plain ? out : r->in,
		    left < MIME_CHUNK ? (size_t)left : MIME_CHUNK);
		size_t n = (size_t)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		r->offset += n;
		if (plain)
			return got;
		if (r->decoder.encoding == GMIME_CONTENT_ENCODING_BASE64)
			watch_base64(r, r->in, n);
		else
			watch_quoted(r, r->in, n);
		n = g_mime_encoding_step(&r->decoder, r->in, n, out);
		if (n > 0)
			return (ssize_t)n;
	}
	return r->flushed ? 0 : (ssize_t)flush(r, out);
}

void mime_lines_start(struct mime_lines *l, struct mime_reader *reader, uint64_t offset)
{
	l->reader = reader;
	l->offset = offset;
	l->at = l->have = 0;
	l->ended = l->inside = false;
}

/* Moves the rest to the front and reads on; 0 at the end of the range, -1 with errno. */
static int fill(struct mime_lines *l)
{
	ssize_t got;

	memmove(l->buffer, l->buffer + l->at, l->have - l->at);
	l->offset += l->at;
	l->have -= l->at;
	l->at = 0;
	got = mime_reader_read(l->reader, l->buffer + l->have);
	if (got <= 0) {
		l->ended = true;
		return (int)got;
	}
	l->have += (size_t)got;
	return 1;
}

/* Hands out n bytes from the front as a line or a piece of one, eol bytes of line end after. */
static int give(struct mime_lines *l, struct mime_line *line, size_t n, unsigned eol, bool last)
{
	*line = (struct mime_line){.s = l->buffer + l->at,
	    .n = n,
	    .eol = eol,
	    .offset = l->offset + l->at,
	    .first = !l->inside,
	    .last = last};
	l->at += n + eol;
	l->inside = !last;
	return 1;
}

int mime_lines_next(struct mime_lines *l, struct mime_line *line)
{
	size_t searched = 0;

	for (;;) {
		char *s = l->buffer + l->at;
		size_t n = l->have - l->at;
		char *lf = n > searched ? memchr(s + searched, '\n', n - searched) : NULL;
		int rc;

		if (lf != NULL && lf > s && lf[-1] == '\r')
			return give(l, line, (size_t)(lf - s) - 1, 2, true);
		if (lf != NULL)
			return give(l, line, (size_t)(lf - s), 1, true);
		if (l->ended)
			return n > 0 || l->inside ? give(l, line, n, 0, true) : 0;
		/* No room for more: a piece, whose last byte may be the CR of the line end. */
		if (n + MIME_OUT > sizeof l->buffer)
			return give(l, line, n - 1, 0, false);
		searched = n;
		rc = fill(l);
		if (rc < 0)
			return -1;
	}
}
