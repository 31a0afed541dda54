/* signing_decode.c - see signing_decode.h.
 *
 * By hand although GMime decodes: its decoders say neither where a byte came from nor what they
 * skip, and what one mail program skips another one shows. So whatever is not as RFC 2045 6.7 and
 * 6.8 have it ends the decoding. Fixed memory, linear time. */
#include "common/signing/signing_decode.h"

#include "common/list.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 16384
#define BASE64_WIDTH 76

struct decoder {
	const struct signing_taker *taker;
	struct signing_body *body;
	struct signing_place place; /* .raw is that of the unit in progress */
	uint64_t at, line;	    /* offset of the byte being read, and of its line */
	uint64_t first_line_end;    /* 0: still on it */
	uint64_t data_line;	    /* base64: line of the last character that means anything */

	/* quoted-printable */
	enum { Q_TEXT, Q_ESCAPE, Q_HEX, Q_SOFT_BLANKS, Q_SOFT_CR } state;
	char hex;
	uint64_t blanks_from, blanks; /* held back: they do not count before a line end */
	uint64_t cr_at;
	bool cr;
	char *held; /* the blanks themselves */

	/* base64 */
	uint32_t bits;
	unsigned digits, padding;
};

#define HELD_BYTES 1024 /* more blanks in a row than fit on a line */

static void give(struct decoder *d, unsigned char c, uint64_t raw)
{
	d->place.raw = raw;
	d->place.line = d->line;
	d->taker->byte(d->taker->arg, c, &d->place);
}

static const char *identity_byte(struct decoder *d, unsigned char c)
{
	give(d, c, d->at);
	return NULL;
}

static const char *base64_byte(struct decoder *d, unsigned char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *digit = c != '\0' ? strchr(digits, c) : NULL;

	if (c == '\r' || c == '\n' || c == ' ' || c == '\t')
		return NULL;
	if (digit == NULL && c != '=')
		return "its base64 has foreign characters";
	if (d->padding > 0 && c != '=')
		return "its base64 goes on after the padding";
	if (d->digits == 0) {
		if (c == '=')
			return "its base64 has padding in a wrong place";
		d->place.raw = d->at;
		d->place.line = d->line;
		d->place.nbefore = 0;
		d->bits = 0;
	}
	if (c == '=' && (d->digits < 2 || d->digits + ++d->padding > 4))
		return "its base64 has padding in a wrong place";
	d->body->data_end = d->at + 1;
	d->data_line = d->line;
	if (c == '=')
		return NULL;
	d->bits = d->bits << 6 | (uint32_t)(digit - digits);
	if (++d->digits > 1) {
		unsigned char byte = (unsigned char)(d->bits >> (2 * (4 - d->digits)));

		d->taker->byte(d->taker->arg, byte, &d->place);
		if (d->place.nbefore < 2)
			d->place.before[d->place.nbefore++] = byte;
	}
	if (d->digits == 4)
		d->digits = d->place.nbefore = 0;
	return NULL;
}

static void give_blanks(struct decoder *d)
{
	for (uint64_t i = 0; i < d->blanks; i++)
		give(d, (unsigned char)d->held[i], d->blanks_from + i);
	d->blanks = 0;
}

static const char *quoted_text(struct decoder *d, unsigned char c)
{
	if (c == ' ' || c == '\t') {
		if (d->blanks == HELD_BYTES)
			return "its quoted-printable has blanks without end";
		if (d->blanks == 0)
			d->blanks_from = d->at;
		d->held[d->blanks++] = (char)c;
		return NULL;
	}
	if (c == '\r') {
		d->cr = true;
		d->cr_at = d->at;
		return NULL;
	}
	give_blanks(d);
	if (c == '=') {
		d->state = Q_ESCAPE;
		d->place.raw = d->at;
	} else {
		give(d, c, d->at);
	}
	return NULL;
}

static unsigned hex_value(char c)
{
	return (unsigned)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

static const char *quoted_escape(struct decoder *d, unsigned char c)
{
	static const char wrong[] = "its quoted-printable has a wrong escape";

	switch (d->state) {
	case Q_ESCAPE:
		if (isxdigit(c)) {
			d->hex = (char)c;
			d->state = Q_HEX;
			return NULL;
		}
		d->state = Q_SOFT_BLANKS;
		/* fallthrough */
	case Q_SOFT_BLANKS:
		if (c == '\r')
			d->state = Q_SOFT_CR;
		return c == '\r' || c == ' ' || c == '\t' ? NULL : wrong;
	case Q_HEX:
		if (!isxdigit(c))
			return wrong;
		d->state = Q_TEXT;
		give(d, (unsigned char)(hex_value(d->hex) << 4 | hex_value((char)c)), d->place.raw);
		return NULL;
	default:
		d->state = Q_TEXT;
		return c == '\n' ? NULL : wrong;
	}
}

static const char *quoted_byte(struct decoder *d, unsigned char c)
{
	if (d->state != Q_TEXT)
		return quoted_escape(d, c);
	if (!d->cr)
		return quoted_text(d, c);
	if (c != '\n')
		return "its quoted-printable has a carriage return alone";
	d->cr = false;
	d->blanks = 0;
	give(d, '\r', d->cr_at);
	give(d, '\n', d->at);
	return NULL;
}

static const char *finish(struct decoder *d, enum signing_encoding encoding)
{
	struct signing_body *b = d->body;

	if (encoding == SIGNING_BASE64) {
		if (d->digits > 0 && d->digits + d->padding != 4)
			return "its base64 ends too early";
		b->end = d->place;
		if (d->digits == 0) {
			b->end.raw = b->data_end;
			b->end.line = d->data_line;
			b->end.nbefore = 0;
		}
		if (d->first_line_end == 0 || b->data_end <= d->first_line_end || b->width < 4)
			b->width = BASE64_WIDTH; /* there is no full line to go by */
		return NULL;
	}
	if (d->state == Q_HEX || d->state == Q_SOFT_CR || d->cr)
		return "its quoted-printable ends within an escape";
	b->width = BASE64_WIDTH; /* should it become base64 */
	b->escape_end = d->state == Q_ESCAPE || d->state == Q_SOFT_BLANKS;
	b->end = (struct signing_place){.raw = d->at, .line = d->line};
	return NULL;
}

/* What every encoding has in common: lines, and how the last one ends. soft: the line end belongs
 * to an escape. */
static void note_raw(struct decoder *d, unsigned char c, bool soft)
{
	d->body->eight_bit |= c > 127;
	d->body->line_end = c == '\n';
	d->body->soft_end = c == '\n' && soft;
	if (c != '\n')
		return;
	if (d->first_line_end == 0) {
		uint64_t width = d->at - d->line; /* the CR counted for the LF */

		d->body->width =
		    width > 1 && width <= BASE64_WIDTH + 1 ? (unsigned)width - 1 : BASE64_WIDTH;
		d->first_line_end = d->at;
	}
	d->line = d->at + 1;
}

static const char *run(struct decoder *d, const struct mime_source *source, uint64_t to,
    enum signing_encoding encoding, char *buffer)
{
	static const char *(*const take[])(struct decoder *, unsigned char) = {
	    [SIGNING_IDENTITY] = identity_byte,
	    [SIGNING_QUOTED] = quoted_byte,
	    [SIGNING_BASE64] = base64_byte,
	};
	const char *why = NULL;

	while (d->at < to) {
		uint64_t left = to - d->at;
		ssize_t got = source->read(
		    source->arg, d->at, buffer, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return "it cannot be read";
		for (ssize_t i = 0; i < got; i++, d->at++) {
			unsigned char c = (unsigned char)buffer[i];
			bool soft = d->state == Q_SOFT_CR;

			why = take[encoding](d, c);
			if (why != NULL)
				return why;
			note_raw(d, c, soft);
		}
	}
	return finish(d, encoding);
}

const char *signing_decode(const struct mime_source *source, uint64_t from, uint64_t to,
    enum signing_encoding encoding, const struct signing_taker *taker, struct signing_body *body)
{
	struct decoder *d = xcalloc(1, sizeof *d);
	char *buffer = xmalloc(CHUNK_BYTES);
	const char *why;

	*body = (struct signing_body){.line_end = true, .data_end = from};
	d->taker = taker;
	d->body = body;
	d->at = d->place.raw = from;
	d->line = d->data_line = from;
	d->held = xmalloc(HELD_BYTES);
	why = run(d, source, to, encoding, buffer);
	free(d->held);
	free(d);
	free(buffer);
	return why;
}
