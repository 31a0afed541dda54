/* compat_concat.c - operands of .. in a script that writes numbers as before Lua 5.3.
 *
 * Each goes through a helper that makes an integer of 5.0. The helper is told what liblua would
 * have called the operand, so that messages stay what they are. */
#include "lua-bindings/compat/compat_private.h"

#include <stdio.h>
#include <string.h>

#define LINE "          " /* room for a number, filled in at the end of the chain */

void concat_note(struct parser *p, const struct expression *e)
{
	static const char *const words[] = {
	    [OPERAND_LOCAL] = "local '",
	    [OPERAND_UPVALUE] = "upvalue '",
	    [OPERAND_GLOBAL] = "global '",
	    [OPERAND_FIELD] = "field '",
	    [OPERAND_UNKNOWN_FIELD] = "field '",
	    [OPERAND_INTEGER_FIELD] = "field '",
	};
	const char *name = p->lexer.s + e->name.at;
	int n = (int)(e->name.end - e->name.at);
	int line = p->chain.line;
	char text[400] = ")";
	size_t edit;

	if (e->what == OPERAND_DIVISION && !p->lexer.reading.number_text)
		lex_notice(&p->lexer, line, COMPAT_NUMBER_TEXT, COMPAT_LEFT, "", 0);
	if (!p->lexer.reading.number_text || e->what == OPERAND_TEXT || e->what == OPERAND_OTHER ||
	    e->what == OPERAND_CONCAT)
		return;
	if (!p->numbers_noted)
		lex_notice(&p->lexer, line, COMPAT_NUMBER_TEXT, COMPAT_REWRITTEN, "", 0);
	p->numbers_noted = true;
	if (e->what == OPERAND_UNKNOWN_FIELD || e->what == OPERAND_INTEGER_FIELD) {
		name = e->what == OPERAND_INTEGER_FIELD ? "integer index" : "?";
		n = (int)strlen(name);
	}
	edits_add(&p->lexer.edits, EDIT_OPEN, e->at, 0, parse_helper(p, "_text("));
	if (p->names_operands && (size_t)e->what < sizeof words / sizeof *words &&
	    words[e->what] != NULL && n < 300)
		snprintf(text, sizeof text, ",\"%s%.*s'\"," LINE ")", words[e->what], n, name);
	edit = edits_add(&p->lexer.edits, EDIT_CLOSE, e->end, 0, text);
	if (text[1] != '\0' && edit != 0) {
		p->lexer.edits.v[edit - 1].before = p->chain.last;
		p->chain.last = edit;
	}
}

void concat_end(struct parser *p)
{
	struct edits *edits = &p->lexer.edits;
	char line[sizeof LINE];
	size_t before;

	snprintf(line, sizeof line, "%*d", (int)sizeof line - 1, p->chain.line);
	for (size_t i = p->chain.last; i != 0; i = before) {
		const struct edit *e = &edits->v[i - 1];

		before = e->before;
		memcpy(edits->pool + e->text + e->n - sizeof line, line, sizeof line - 1);
	}
}
