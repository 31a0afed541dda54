/* signing_put.c - the text into one part: within its encoding and charset, or with a part that is
 * encoded anew, or in the nearest ASCII; in this order (signing.h). */
#include "common/signing/signing_internal.h"

#include "common/limits.h"
#include "common/signing/signing_encode.h"
#include "common/signing/signing_header.h"

#include <stdlib.h>
#include <string.h>

#define DELIMITER_BYTES (LIMIT_MIME_BOUNDARY_BYTES + 8)

/* Where in the text, and how the text stands there. */
struct position {
	struct signing_place place;
	bool line_start; /* of the text */
	bool is_end;
};

static struct position position_in(const struct signing_watch *w, const struct signing_place *end)
{
	const struct signing_spot *spot = w->body.found ? &w->body : &w->html;

	if (w->is_html && spot->found)
		return (struct position){spot->place, spot->line_start, false};
	return (struct position){*end, w->empty_line, true};
}

/* The text with its line ends, UTF-8. */
static void lay_out(const struct signing_part *p, const struct signing_watch *w,
    const struct position *at, const char *text, struct signing_bytes *out)
{
	const struct signing_layout layout = {
	    .lead = !at->line_start,
	    .blank = p->flowed && w->blank_end,
	    /* ends as it ended before; a message must end in a line end */
	    .trail = !at->is_end || (w->empty_line && w->size > 0) ||
		     (p->index == 0 && p->encoding != SIGNING_BASE64),
	    .flowed = p->flowed,
	    .eol = p->encoding == SIGNING_BASE64 && w->bare_lf ? "\n" : "\r\n",
	};

	signing_lay_out(out, text, &layout);
}

/* ---- what the part can carry as it is ---- */

/* The delimiter of the multipart around section s, without the dashes that may close it: the line
 * behind s. */
static size_t delimiter_after(const struct signing *g, const struct mime_section *s, char *line)
{
	ssize_t got = g->source.read(g->source.arg, s->end, line, DELIMITER_BYTES);
	size_t n = got > 0 ? (size_t)got : 0, skip = n > 1 && line[0] == '\r' ? 2 : 0;
	const char *end;

	n -= skip;
	memmove(line, line + skip, n);
	end = memchr(line, '\r', n);
	if (end != NULL)
		n = (size_t)(end - line);
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	if (n > 4 && memcmp(line + n - 2, "--", 2) == 0)
		n -= 2;
	return n;
}

/* Could a line of the text be taken for a delimiter of a multipart around the part? */
static bool is_delimiter(
    const struct signing *g, const struct signing_part *p, const char *line, size_t n)
{
	char delimiter[DELIMITER_BYTES];

	if (n < 2 || memcmp(line, "--", 2) != 0)
		return false;
	for (const struct mime_section *s = p->s; s->parent > 0;
	     s = mime_section(g->mime, s->parent - 1)) {
		size_t length = delimiter_after(g, s, delimiter);

		if (n >= length && memcmp(line, delimiter, length) == 0)
			return true;
	}
	return false;
}

static bool carries(
    const struct signing *g, const struct signing_part *p, const struct signing_bytes *bytes)
{
	if (p->encoding != SIGNING_IDENTITY)
		return true;
	for (size_t i = 0; i < bytes->n;) {
		const char *line = bytes->s + i, *end = memchr(line, '\n', bytes->n - i);
		size_t n = end != NULL ? (size_t)(end - line) : bytes->n - i;

		if (n > LIMIT_SIGNING_LINE_BYTES || is_delimiter(g, p, line, n))
			return false;
		i += n + 1;
	}
	for (size_t i = 0; p->seven_bit && i < bytes->n; i++)
		if ((unsigned char)bytes->s[i] > 127)
			return false;
	return true;
}

/* The text in the charset of the part, where that has all its characters. */
static bool in_charset(
    const struct signing_part *p, const struct signing_bytes *text, struct signing_bytes *out)
{
	bool ascii = p->kind == CHARSET_UNKNOWN ||
		     (p->format == SIGNING_HTML && p->seven_bit && p->kind == CHARSET_ASCII);

	return signing_from_utf8(out, text->s, text->n, ascii ? "us-ascii" : p->charset,
	    p->format == SIGNING_HTML ? MISSING_ENTITY : MISSING_FAILS);
}

/* ---- put in ---- */

static void collect(void *arg, unsigned char c, const struct signing_place *place)
{
	(void)place;
	signing_bytes_add(arg, &c, 1);
}

/* A part without a body ends before the line end of its empty line, which is then that of the
 * delimiter behind it: what comes first needs one of its own. */
static bool lacks_empty_line(const struct signing_part *p)
{
	const struct signing_bytes *h = &p->header;

	if (p->s->body < p->s->end || (h->n == 2 && memcmp(h->s, "\r\n", 2) == 0))
		return false;
	return h->n < 4 || memcmp(h->s + h->n - 4, "\r\n\r\n", 4) != 0;
}

/* Base64 goes on from the last quantum that stays as it is. */
static const char *put_base64(struct signing *g, const struct signing_part *p,
    const struct position *at, const struct signing_bytes *text, struct signing_bytes *out)
{
	const struct signing_place *place = &at->place;
	struct signing_bytes all = {NULL, 0, 0}, rest = {NULL, 0, 0};
	const struct signing_taker taker = {collect, &rest};
	uint64_t column = place->raw - place->line;
	const char *why = NULL;
	struct signing_body ignored;

	if (!signing_may_rewrite(g, p->body.data_end - place->raw))
		return "too much text follows the place of the signature";
	if (column >= p->body.width) {
		signing_bytes_text(out, "\r\n");
		column = 0;
	}
	signing_bytes_add(&all, place->before, place->nbefore);
	signing_bytes_add(&all, text->s, text->n);
	if (!at->is_end)
		why = signing_decode(
		    &g->source, place->raw, p->body.data_end, SIGNING_BASE64, &taker, &ignored);
	if (why == NULL && !at->is_end)
		signing_bytes_add(&all, rest.s + place->nbefore, rest.n - place->nbefore);
	if (why == NULL)
		signing_base64(out, all.s, all.n, p->body.width, (unsigned)column);
	signing_bytes_free(&all);
	signing_bytes_free(&rest);
	return why;
}

static void put_quoted(const struct signing_part *p, const struct position *at,
    const struct signing_bytes *text, struct signing_bytes *out)
{
	bool within = at->place.raw != at->place.line;

	if (at->is_end && p->body.escape_end)
		signing_bytes_text(out, "\r\n"); /* "=" was the last byte */
	else if (within && (!at->is_end || text->n < 2 || memcmp(text->s, "\r\n", 2) != 0))
		signing_bytes_text(out, "=\r\n");
	signing_quoted(out, text->s, text->n);
}

/* The text, which is in the part's charset, into the part as it is. */
static const char *put_in(struct signing *g, const struct signing_part *p,
    const struct position *at, const struct signing_bytes *text, struct signing_changes *changes)
{
	struct signing_bytes out = {NULL, 0, 0};
	uint64_t drop = 0;
	const char *why = NULL;

	if (lacks_empty_line(p))
		signing_bytes_text(&out, "\r\n");
	switch (p->encoding) {
	case SIGNING_IDENTITY:
		signing_bytes_add(&out, text->s, text->n);
		break;
	case SIGNING_QUOTED:
		put_quoted(p, at, text, &out);
		break;
	case SIGNING_BASE64:
		why = put_base64(g, p, at, text, &out);
		drop = p->body.data_end - at->place.raw;
		break;
	}
	if (why == NULL && !patch_replace(changes->body, at->place.raw, drop, out.s, out.n))
		why = "its parts are out of order";
	signing_bytes_free(&out);
	return why;
}

/* ---- a part encoded anew ---- */

static void change_field(
    struct signing_changes *c, const char *name, const char *value, bool present)
{
	c->fields[c->nfields++] =
	    (struct signing_field){.name = name, .value = xstrdup(value), .present = present};
}

/* The part's header says what it is now. charset NULL: as before. False: it cannot. */
static bool change_header(struct signing *g, const struct signing_part *p, const char *charset,
    enum signing_encoding encoding, struct signing_changes *c)
{
	static const char type[] = "Content-Type", transfer[] = "Content-Transfer-Encoding";
	const char *word = encoding == SIGNING_BASE64 ? " base64" : " quoted-printable";
	char *new_type =
	    charset != NULL ? signing_header_new_type(&p->header, p->s->charset, charset) : NULL;
	struct signing_bytes header = {NULL, 0, 0};
	bool done = charset == NULL || new_type != NULL;
	size_t n;

	if (done && p->index == 0) {
		if (!g->is_mime)
			change_field(c, "MIME-Version", " 1.0", false);
		if (new_type != NULL)
			change_field(
			    c, type, new_type, signing_header_value(&p->header, type, &n) != NULL);
		if (encoding != p->encoding)
			change_field(c, transfer, word,
			    signing_header_value(&p->header, transfer, &n) != NULL);
	} else if (done) {
		signing_bytes_add(&header, p->header.s, p->header.n);
		if (new_type != NULL)
			signing_header_set(&header, type, new_type);
		if (encoding != p->encoding)
			signing_header_set(&header, transfer, word);
		done = patch_replace(
		    c->body, p->s->start, p->s->body - p->s->start, header.s, header.n);
	}
	signing_bytes_free(&header);
	free(new_type);
	return done;
}

bool signing_may_rewrite(struct signing *g, uint64_t n)
{
	if (n > LIMIT_SIGNING_REWRITTEN_BYTES - g->rewritten)
		return false;
	g->rewritten += n;
	return true;
}

/* The whole text as it is, or in UTF-8. */
static bool read_text(struct signing *g, const struct signing_part *p, bool utf8,
    struct signing_bytes *raw, struct signing_bytes *text)
{
	const struct signing_taker taker = {collect, raw};
	struct signing_body ignored;

	if (!signing_may_rewrite(g, p->s->end - p->s->body) ||
	    signing_decode(&g->source, p->s->body, p->s->end, p->encoding, &taker, &ignored) !=
		NULL)
		return false;
	if (!utf8) {
		signing_bytes_add(text, raw->s, raw->n);
		return true;
	}
	return signing_to_utf8(
	    text, raw->s, raw->n, signing_charset_exact(p->charset, raw->s, raw->n));
}

/* Back into a wide charset, which must give the same bytes for what was there. */
static bool back(const struct signing_part *p, const struct signing_bytes *raw,
    const struct signing_bytes *before, struct signing_bytes *text)
{
	const char *exact = signing_charset_exact(p->charset, raw->s, raw->n);
	struct signing_bytes same = {NULL, 0, 0}, out = {NULL, 0, 0};
	bool done = signing_from_utf8(&same, before->s, before->n, exact, MISSING_FAILS) &&
		    same.n == raw->n && (raw->n == 0 || memcmp(same.s, raw->s, raw->n) == 0) &&
		    signing_from_utf8(&out, text->s, text->n, exact, MISSING_FAILS);

	signing_bytes_free(&same);
	signing_bytes_free(text);
	*text = out;
	return done;
}

/* Puts the signature into the text that was read; false: there is no place for it. */
static bool join(const struct signing_part *p, bool utf8, const char *signature,
    const struct signing_bytes *text, struct signing_bytes *out)
{
	struct signing_bytes laid = {NULL, 0, 0}, bytes = {NULL, 0, 0};
	struct signing_watch w;
	struct position at;
	bool done;

	signing_watch_start(&w, p->format == SIGNING_HTML, !utf8 && p->kind == CHARSET_ISO2022);
	for (size_t i = 0; i < text->n; i++)
		signing_watch_byte(
		    &w, (unsigned char)text->s[i], &(struct signing_place){.raw = i});
	at = position_in(&w, &(struct signing_place){.raw = text->n});
	lay_out(p, &w, &at, signature, &laid);
	done = !w.nul && !w.pgp && (!at.is_end || !w.is_html || signing_watch_html_open(&w)) &&
	       (utf8 || in_charset(p, &laid, &bytes));
	if (done) {
		signing_bytes_add(out, text->s, (size_t)at.place.raw);
		signing_bytes_add(out, utf8 ? laid.s : bytes.s, utf8 ? laid.n : bytes.n);
		signing_bytes_add(
		    out, text->n > 0 ? text->s + at.place.raw : "", text->n - (size_t)at.place.raw);
	}
	signing_bytes_free(&laid);
	signing_bytes_free(&bytes);
	return done;
}

static bool replace_part(struct signing *g, const struct signing_part *p, const char *charset,
    const struct signing_bytes *text, struct signing_changes *c)
{
	enum signing_encoding encoding = p->encoding == SIGNING_BASE64 || p->kind == CHARSET_WIDE
					     ? SIGNING_BASE64
					     : SIGNING_QUOTED;
	struct signing_bytes out = {NULL, 0, 0};
	bool done;

	if (lacks_empty_line(p))
		signing_bytes_text(&out, "\r\n");
	if (encoding == SIGNING_QUOTED) {
		signing_quoted(&out, text->s, text->n);
	} else {
		signing_base64(&out, text->s, text->n, p->body.width, 0);
		if (p->index == 0 || (p->body.line_end && p->s->end > p->s->body))
			signing_bytes_text(&out, "\r\n");
	}
	done = change_header(g, p, charset, encoding, c) &&
	       patch_replace(c->body, p->s->body, p->s->end - p->s->body, out.s, out.n);
	signing_bytes_free(&out);
	return done;
}

/* The whole part anew, in UTF-8 or as it was. False, and nothing changed: not possible. */
static bool rewrite(struct signing *g, const struct signing_part *p, bool to_utf8,
    const char *signature, struct signing_changes *c)
{
	bool wide = p->kind == CHARSET_WIDE, utf8 = wide || to_utf8;
	struct signing_bytes raw = {NULL, 0, 0}, text = {NULL, 0, 0}, all = {NULL, 0, 0};
	bool done = !p->files && read_text(g, p, utf8, &raw, &text) &&
		    join(p, utf8, signature, &text, &all) &&
		    (!wide || back(p, &raw, &text, &all)) &&
		    replace_part(g, p, to_utf8 && !wide ? "utf-8" : NULL, &all, c);

	signing_bytes_free(&raw);
	signing_bytes_free(&text);
	signing_bytes_free(&all);
	return done;
}

const char *signing_put(
    struct signing *g, struct signing_part *p, const char *signature, struct signing_changes *c)
{
	struct position at = position_in(&p->watch, &p->body.end);
	struct signing_bytes laid = {NULL, 0, 0}, bytes = {NULL, 0, 0};
	const char *why = NULL;
	bool fits;

	if (p->kind == CHARSET_WIDE)
		return rewrite(g, p, false, signature, c) ? NULL : "its text cannot be read";
	lay_out(p, &p->watch, &at, signature, &laid);
	fits = in_charset(p, &laid, &bytes);
	if (fits && carries(g, p, &bytes)) {
		why = put_in(g, p, &at, &bytes, c);
	} else if (!rewrite(g, p, !fits, signature, c)) {
		signing_bytes_free(&bytes);
		if (!signing_from_utf8(&bytes, laid.s, laid.n, "us-ascii",
			p->format == SIGNING_HTML ? MISSING_ENTITY : MISSING_NEAREST) ||
		    !carries(g, p, &bytes))
			why = "its encoding cannot carry the signature";
		else
			why = put_in(g, p, &at, &bytes, c);
	}
	signing_bytes_free(&laid);
	signing_bytes_free(&bytes);
	return why;
}
