/* signing_watch.c - see signing_watch.h.
 *
 * The scan of HTML follows the WHATWG's tokenizer as far as it matters for finding an end tag: by
 * hand, because a parser of HTML has no offsets into the mail and repairs what it reads. */
#include "common/signing/signing_watch.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define ESC 0x1b
#define SHIFT_OUT 0x0e
#define SHIFT_IN 0x0f

void signing_watch_start(struct signing_watch *w, bool is_html, bool iso2022)
{
	*w = (struct signing_watch){.is_html = is_html, .iso2022 = iso2022, .empty_line = true};
}

bool signing_watch_html_open(const struct signing_watch *w)
{
	return w->state.state == HTML_TEXT;
}

/* ISO 2022 as mail uses it (RFC 1468, 1554, 1557): ESC ( final designates a charset of one byte,
 * ESC $ ... one of two; of the former B and J are ASCII but for two characters. True: c is not a
 * character of the text. */
static bool in_escape(struct signing_watch *w, unsigned char c)
{
	if (c == SHIFT_OUT || c == SHIFT_IN) {
		w->shifted = c == SHIFT_OUT;
		return true;
	}
	if (c == ESC) {
		w->escape_n = 1;
		return true;
	}
	if (w->escape_n == 0)
		return w->shifted && c != '\n' && c != '\r';
	if (w->escape_n < sizeof w->escape)
		w->escape[w->escape_n++] = (char)c;
	if (c >= 0x20 && c <= 0x2f) /* an intermediate byte: more follow */
		return true;
	if (w->escape[1] == '(')
		w->shifted = c != 'B' && c != 'J';
	else if (w->escape[1] == '$' && !(w->escape_n > 3 && w->escape[2] == ')'))
		w->shifted = true; /* "ESC $ )" only prepares what SO switches to */
	w->escape_n = 0;
	return true;
}

/* ---- lines ---- */

static bool begins_pgp(const char *line, size_t n)
{
	static const char *const armours[] = {
	    "-----BEGIN PGP MESSAGE", "-----BEGIN PGP SIGNED MESSAGE-----"};

	for (size_t i = 0; i < sizeof armours / sizeof *armours; i++)
		if (n >= strlen(armours[i]) && memcmp(line, armours[i], strlen(armours[i])) == 0)
			return true;
	return false;
}

static void note_line(struct signing_watch *w, unsigned char c)
{
	if (c == '\n') {
		w->bare_lf = w->last != '\r';
		w->blank_end &= w->line_n > 0; /* of the line that ends here */
		w->line_n = 0;
	} else if (c != '\r') {
		if (w->line_n < sizeof w->line)
			w->line[w->line_n] = (char)c;
		w->line_n++;
		w->blank_end = c == ' ' && !(w->line_n == 3 && memcmp(w->line, "-- ", 3) == 0);
		if (c == '-' || c == 'E') /* both armours end in one */
			w->pgp |= begins_pgp(w->line,
			    w->line_n < sizeof w->line ? (size_t)w->line_n : sizeof w->line);
	}
	if (w->is_html && c == '>')
		w->line_n = 0; /* <br>-----BEGIN PGP ... */
	w->empty_line = c == '\n';
	w->last = c;
}

/* ---- HTML ---- */

static bool is_name(const struct signing_html *h, const char *name)
{
	return h->n == strlen(name) && memcmp(h->name, name, h->n) == 0;
}

static void add_name(struct signing_html *h, unsigned char c)
{
	if (h->n < sizeof h->name)
		h->name[h->n] = (char)tolower(c);
	h->n++;
}

/* The ">" of a tag. */
static void end_tag(struct signing_watch *w)
{
	static const char *const raw[] = {
	    "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"};
	struct signing_html *h = &w->state;

	h->state = HTML_TEXT;
	if (h->closing && is_name(h, "body"))
		w->body = w->less;
	if (h->closing && is_name(h, "html"))
		w->html = w->less;
	for (size_t i = 0; !h->closing && i < sizeof raw / sizeof *raw; i++) {
		if (is_name(h, raw[i])) {
			memcpy(h->raw, h->name, sizeof h->raw);
			h->raw[h->n] = '\0'; /* the longest of them leaves room */
			h->state = HTML_RAW;
		}
	}
}

static void tag_byte(struct signing_watch *w, unsigned char c)
{
	struct signing_html *h = &w->state;

	if (c == '>') {
		end_tag(w);
	} else if (h->state == HTML_NAME && !isspace(c) && c != '/') {
		add_name(h, c);
	} else if (h->state == HTML_VALUE && (c == '"' || c == '\'')) {
		h->quote = (char)c;
		h->state = HTML_QUOTE;
	} else if (c == '=') {
		h->state = HTML_VALUE;
	} else if (h->state != HTML_VALUE || !isspace(c)) {
		h->state = HTML_TAG;
	}
}

/* After "<!": a comment ends at "-->" only, anything else at the next ">". */
static void markup_byte(struct signing_html *h, unsigned char c)
{
	if (h->state == HTML_BANG) {
		if (c == '-' && ++h->dashes == 2)
			h->state = HTML_COMMENT;
		else if (c != '-')
			h->state = c == '>' ? HTML_TEXT : HTML_BOGUS;
		return;
	}
	if (c == '>' && (h->state == HTML_BOGUS || h->dashes >= 2))
		h->state = HTML_TEXT;
	else if (h->state == HTML_COMMENT) /* "<!-->" is a whole one: the dashes count on */
		h->dashes = c == '-' ? h->dashes + 1 : 0;
}

static void less_byte(struct signing_html *h, unsigned char c)
{
	if (c == '/' && !h->closing) {
		h->closing = true;
	} else if (isalpha(c)) {
		h->n = 0;
		add_name(h, c);
		h->state = HTML_NAME;
	} else if (h->closing) {
		h->state = c == '>' ? HTML_TEXT : HTML_BOGUS;
	} else if (c == '!') {
		h->dashes = 0;
		h->state = HTML_BANG;
	} else {
		h->state = c == '?' ? HTML_BOGUS : HTML_TEXT;
	}
}

static void raw_byte(struct signing_html *h, unsigned char c)
{
	if (c == '<') {
		h->state = HTML_RAW_LESS;
	} else if (h->state == HTML_RAW_LESS) {
		h->n = 0;
		h->state = c == '/' ? HTML_RAW_NAME : HTML_RAW;
	} else if (h->state == HTML_RAW_NAME) {
		if (isalpha(c)) {
			add_name(h, c);
			return;
		}
		h->closing = true;
		h->state = HTML_RAW;
		if (is_name(h, h->raw) && (isspace(c) || c == '/' || c == '>'))
			h->state = c == '>' ? HTML_TEXT : HTML_TAG;
	}
}

static void html_byte(struct signing_watch *w, unsigned char c, const struct signing_place *p)
{
	struct signing_html *h = &w->state;

	switch (h->state) {
	case HTML_TEXT:
	case HTML_LESS:
		if (c == '<') {
			w->less = (struct signing_spot){true, w->empty_line, *p};
			h->closing = false;
			h->state = HTML_LESS;
		} else if (h->state == HTML_LESS) {
			less_byte(h, c);
		}
		break;
	case HTML_NAME:
	case HTML_TAG:
	case HTML_VALUE:
		tag_byte(w, c);
		break;
	case HTML_QUOTE:
		if (c == (unsigned char)h->quote)
			h->state = HTML_TAG;
		break;
	case HTML_BANG:
	case HTML_COMMENT:
	case HTML_BOGUS:
		markup_byte(h, c);
		break;
	case HTML_RAW:
	case HTML_RAW_LESS:
	case HTML_RAW_NAME:
		raw_byte(h, c);
		break;
	}
}

void signing_watch_byte(void *arg, unsigned char c, const struct signing_place *place)
{
	struct signing_watch *w = arg;

	w->size++;
	w->nul |= c == '\0';
	if (w->iso2022 && in_escape(w, c)) {
		w->empty_line = w->blank_end = false;
		return;
	}
	if (w->is_html)
		html_byte(w, c, place);
	note_line(w, c);
}
