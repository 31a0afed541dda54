/* compat_rewrite.c - how a text is read, and what is made of it. See compat.h.
 *
 * Under "auto" a text is read as Lua 5.4 first. If that fails because of brackets that nest, they
 * do. A text that Lua 5.2 could not have loaded and that has nothing newer is one of Lua 5.0 or 5.1
 * and is read once more as such, because then it means something else in more places. */
#include "lua-bindings/compat/compat_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_NAMES 100 /* tried, before a text is left alone */

static bool occurs(const struct lexer *x, const char *name)
{
	return memmem(x->s, x->n, name, strlen(name)) != NULL;
}

/* Names that do not occur in the text: those of the helpers, and a local variable goto. False: the
 * text has them all. */
static bool choose_names(struct parser *p)
{
	const struct lexer *x = &p->lexer;
	const char *self = memmem(x->s, x->n, "self", 4);
	int i;

	if (self != NULL) {
		p->self.at = (size_t)(self - x->s);
		p->self.end = p->self.at + 4;
	}
	p->names_operands = !occurs(x, "__concat");
	snprintf(p->prefix, sizeof p->prefix, "compat");
	for (i = 1; occurs(x, p->prefix) && i < MOST_NAMES; i++)
		snprintf(p->prefix, sizeof p->prefix, "compat%d", i);
	snprintf(p->goto_name, sizeof p->goto_name, "goto_");
	for (int j = 1; occurs(x, p->goto_name) && j<MOST_NAMES; j++, i = j> i ? j : i)
		snprintf(p->goto_name, sizeof p->goto_name, "goto_%d_", j);
	return i < MOST_NAMES;
}

static void parser_free(struct parser *p)
{
	lex_free(&p->lexer);
	free(p->names.v);
	free(p->args);
	free(p);
}

/* Read the text in one way. NULL: no memory. */
static struct parser *read_text(const char *text, size_t n, const struct reading *r, bool *fine)
{
	struct parser *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->lexer.s = text;
	p->lexer.n = n;
	p->lexer.reading = *r;
	*fine = choose_names(p) && parse_text(p);
	if (p->lexer.no_memory || p->lexer.edits.no_memory) {
		parser_free(p);
		return NULL;
	}
	return p;
}

/* The same instead of what p holds. */
static bool read_again(
    struct parser **p, const char *text, size_t n, const struct reading *r, bool *fine)
{
	parser_free(*p);
	*p = read_text(text, n, r, fine);
	return *p != NULL;
}

/* A text with a fault: only what liblua would stumble over before it comes to the fault. */
static bool read_tokens(struct parser *p, const char *text, size_t n, const struct reading *r)
{
	struct lexer *x = &p->lexer;

	lex_free(x);
	*x = (struct lexer){.s = text, .n = n, .line = 1, .reading = *r};
	while (lex_token(x).kind != TOKEN_END)
		continue;
	p->helpers = false;
	return !x->no_memory && !x->edits.no_memory;
}

static int by_line(const void *a, const void *b)
{
	const struct compat_notice *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->idiom != y->idiom)
		return x->idiom < y->idiom ? -1 : 1;
	return strcmp(x->detail, y->detail);
}

/* By line, each once. */
static void sort_notices(struct compat_notices *notices)
{
	size_t n = 0;

	if (notices->n > 0)
		qsort(notices->v, notices->n, sizeof *notices->v, by_line);
	for (size_t i = 0; i < notices->n; i++)
		if (n == 0 || by_line(&notices->v[n - 1], &notices->v[i]) != 0)
			notices->v[n++] = notices->v[i];
	notices->n = n;
}

static bool finish(struct parser *p, const char *text, size_t n, struct compat_source *out)
{
	char head[256] = "";
	const char *x = p->prefix;

	if (p->helpers)
		snprintf(head, sizeof head, "local %s_for,%s_walk,%s_arg,%s_text=... %s%s%s%s", x,
		    x, x, x, p->calls ? "local function " : "", p->calls ? x : "",
		    p->calls ? "_call(o,n,...) return o[n](o,...) end " : "",
		    "return function(...)");
	if (p->lexer.edits.n > 0 && !p->lexer.edits.too_many) {
		out->text = edits_apply(
		    &p->lexer.edits, text, n, head, p->helpers ? "\nend" : "", &out->size);
		if (out->text == NULL)
			return false;
	}
	out->wrapped = p->helpers && out->text != NULL;
	out->old = p->lexer.reading.number_text;
	out->notices = p->lexer.notices;
	p->lexer.notices = (struct compat_notices){0};
	sort_notices(&out->notices);
	return true;
}

/* Read as the mode says; *p is what came of it. */
static bool read_fitting(
    struct parser **p, const char *text, size_t n, enum compat_mode mode, bool inherited)
{
	struct reading r = {.mode = mode};
	bool fine = false;

	r.old = r.nested = mode == COMPAT_50 || (mode == COMPAT_AUTO && inherited);
	r.number_text = r.old || mode == COMPAT_52;
	*p = read_text(text, n, &r, &fine);
	if (*p != NULL && !fine && mode == COMPAT_AUTO && !inherited) {
		r.nested = true;
		read_again(p, text, n, &r, &fine);
	}
	if (*p != NULL && fine && mode == COMPAT_AUTO && !r.old && (*p)->lexer.found.proof &&
	    !(*p)->lexer.found.newer) {
		r.old = r.number_text = true;
		if (read_again(p, text, n, &r, &fine) && !fine) { /* it is not that old */
			r.old = r.number_text = false;
			read_again(p, text, n, &r, &fine);
		}
	}
	if (*p == NULL)
		return false;
	if (!fine) {
		r.nested = mode == COMPAT_50;
		return read_tokens(*p, text, n, &r);
	}
	return true;
}

const char *compat_text_start(const char *text, size_t *n)
{
	size_t skip = *n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	if (skip < *n && text[skip] == '#')
		while (skip < *n && text[skip] != '\n' && text[skip] != '\r')
			skip++;
	*n -= skip;
	return text + skip;
}

bool compat_rewrite(
    const char *text, size_t n, enum compat_mode mode, bool inherited, struct compat_source *out)
{
	struct parser *p = NULL;
	bool fine;

	*out = (struct compat_source){0};
	if (mode == COMPAT_54)
		return true;
	fine = read_fitting(&p, text, n, mode, inherited) && finish(p, text, n, out);
	if (p != NULL)
		parser_free(p);
	return fine;
}

void compat_source_free(struct compat_source *source)
{
	free(source->text);
	free(source->notices.v);
	*source = (struct compat_source){0};
}
