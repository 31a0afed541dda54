/* compat_parse.c - the parser's way through the tokens, and the whole of a text.
 *
 * A parser by hand because liblua's builds code, not places in the text. It takes whatever
 * liblua takes (a wrong attribute or a goto without its label is liblua's to say) and what older
 * versions took. Its depth is bounded like liblua's. */
#include "lua-bindings/compat/compat_private.h"

#include <stdio.h>

#define MOST_DEPTH 250	     /* liblua ends at 200 */
#define STEPS_PER_BYTE 64    /* of looking names up; a text that needs more is left alone */
#define STEPS_AT_LEAST 10000 /* also for a short one */

void parse_fail(struct parser *p)
{
	p->lexer.failed = true;
	p->now.kind = TOKEN_END;
	p->has_ahead = false;
}

void parse_next(struct parser *p)
{
	p->last_end = p->now.end;
	p->last_kind = p->now.kind;
	p->last_line = p->now.line;
	if (p->has_ahead)
		p->now = p->ahead;
	else
		p->now = lex_token(&p->lexer);
	p->has_ahead = false;
	if (p->steps / STEPS_PER_BYTE > p->lexer.n + STEPS_AT_LEAST || p->lexer.no_memory ||
	    p->lexer.edits.no_memory || p->lexer.edits.too_many)
		parse_fail(p);
}

struct token parse_ahead(struct parser *p)
{
	if (!p->has_ahead) {
		p->ahead = lex_token(&p->lexer);
		p->has_ahead = true;
	}
	return p->ahead;
}

bool parse_have(struct parser *p, int kind)
{
	if (p->now.kind != kind)
		return false;
	parse_next(p);
	return true;
}

void parse_want(struct parser *p, int kind)
{
	if (!parse_have(p, kind))
		parse_fail(p);
}

bool parse_is_name(const struct parser *p)
{
	const struct reading *r = &p->lexer.reading;

	return p->now.kind == TOKEN_NAME ||
	       (p->now.kind == TOKEN_GOTO && (r->old || r->mode == COMPAT_AUTO));
}

bool parse_enter(struct parser *p)
{
	if (p->lexer.failed || ++p->depth > MOST_DEPTH) {
		parse_fail(p);
		return false;
	}
	return true;
}

void parse_leave(struct parser *p)
{
	p->depth--;
}

void parse_replace(struct parser *p, const struct token *t, const char *text)
{
	edits_add(&p->lexer.edits, EDIT_REPLACE, t->at, t->end - t->at, text);
}

void parse_goto_name(struct parser *p, const struct token *t)
{
	p->lexer.found.proof = true;
	lex_notice(&p->lexer, t->line, COMPAT_GOTO, COMPAT_REWRITTEN, "", 0);
}

const char *parse_helper(struct parser *p, const char *suffix)
{
	p->helpers = true;
	snprintf(p->text, sizeof p->text, "%s%s", p->prefix, suffix);
	return p->text;
}

bool parse_text(struct parser *p)
{
	struct function main = {.outer = NULL};

	p->function = &main;
	for (size_t i = 0; i < NAME_BUCKETS; i++)
		p->names.buckets[i] = -1;
	p->lexer.line = 1;
	parse_next(p);
	parse_block(p);
	if (p->now.kind != TOKEN_END)
		parse_fail(p);
	p->function = NULL;
	if (!p->lexer.failed)
		scope_write_arg(p);
	return !p->lexer.failed && !p->lexer.no_memory && !p->lexer.edits.no_memory;
}
