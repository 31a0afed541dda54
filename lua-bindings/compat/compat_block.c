/* compat_block.c - statements, functions and the scopes of their local variables. */
#include "lua-bindings/compat/compat_private.h"

#include <stdio.h>
#include <string.h>

/* ---- names that are declared ---- */

/* The name now, as that of a local variable; it is in force once scope_declare() says so. */
static struct token take_local(struct parser *p)
{
	struct token name = p->now;

	if (!parse_is_name(p)) {
		parse_fail(p);
		return name;
	}
	if (name.kind == TOKEN_GOTO) {
		parse_goto_name(p, &name);
		parse_replace(p, &name, p->goto_name);
	}
	parse_next(p);
	return name;
}

/* Names with commas between, which are declared when what follows has been read: up to that they
 * are those between the tokens first and p->now. A second reading of the same tokens is cheaper
 * than a list. */
static void declare_between(struct parser *p, struct token first, size_t end)
{
	struct lexer again = p->lexer;

	again.edits = (struct edits){0};
	again.notices = (struct compat_notices){0};
	again.at = first.at;
	again.n = end;
	again.failed = false;
	for (struct token t = lex_token(&again); t.kind != TOKEN_END; t = lex_token(&again))
		if (t.kind == TOKEN_NAME || t.kind == TOKEN_GOTO)
			scope_declare(p, &t);
		else if (t.kind == '<') /* an attribute */
			lex_token(&again);
	lex_free(&again);
}

/* ---- functions ---- */

static void parse_parameters(struct parser *p, const char *self)
{
	struct token open = p->now;

	parse_want(p, '(');
	if (self != NULL)
		edits_add(&p->lexer.edits, EDIT_CLOSE, open.end, 0,
		    p->now.kind == ')' ? "self" : "self,");
	while (p->now.kind != ')' && !p->lexer.failed) {
		struct token name;

		if (parse_have(p, TOKEN_DOTS)) {
			p->function->vararg = true;
			break;
		}
		name = take_local(p);
		scope_declare(p, &name);
		if (!parse_have(p, ','))
			break;
		if (p->now.kind == ')')
			parse_fail(p);
	}
	p->function->body_at = p->now.end;
	parse_want(p, ')');
}

static void declare_self(struct parser *p)
{
	if (p->self.end > 0) /* else nothing can ask for it */
		scope_declare(p, &p->self);
}

void parse_body(struct parser *p, int line, bool method, bool write_self)
{
	struct function f = {.outer = p->function, .depth = p->function->depth + 1, .line = line};
	size_t mark = scope_enter(p);

	p->function = &f;
	if (method)
		declare_self(p);
	parse_parameters(p, write_self ? "self" : NULL);
	parse_block(p);
	parse_want(p, TOKEN_ENDWORD);
	scope_end_function(p);
	scope_leave(p, mark);
	p->function = f.outer;
}

/* function a.b.c:d(...) ... end. One with goto in its name becomes a.b["goto"]=function(...) */
static void parse_function(struct parser *p)
{
	struct token word = p->now, mark, name;
	bool assign = false, method = false;
	enum operand what;

	parse_next(p);
	name = p->now;
	what = scope_find(p, &name);
	if (!parse_is_name(p))
		parse_fail(p);
	if (name.kind == TOKEN_GOTO) {
		assign = what == OPERAND_GLOBAL;
		parse_goto_name(p, &name);
		parse_replace(p, &name, assign ? "_ENV[\"goto\"]" : p->goto_name);
	} else if (lex_is(&p->lexer, &name, "arg")) {
		scope_set_arg(p, &name);
	}
	parse_next(p);
	while (!method && (p->now.kind == '.' || p->now.kind == ':')) {
		mark = p->now;
		method = mark.kind == ':';
		parse_next(p);
		name = p->now;
		if (!parse_is_name(p))
			parse_fail(p);
		if (name.kind == TOKEN_GOTO) {
			assign = true;
			parse_goto_name(p, &name);
			parse_replace(p, &mark, "[");
			parse_replace(p, &name, "\"goto\"]");
			mark.kind = 0;
		}
		parse_next(p);
	}
	if (assign) {
		parse_replace(p, &word, "");
		edits_add(&p->lexer.edits, EDIT_CLOSE, p->last_end, 0, "=function");
		if (method && mark.kind == ':')
			parse_replace(p, &mark, ".");
	}
	parse_body(p, word.line, method, method && assign);
}

static void parse_local(struct parser *p)
{
	struct token first, name;
	size_t end;
	int n = 0, line = p->now.line, names = 0;

	parse_next(p);
	if (parse_have(p, TOKEN_FUNCTION)) {
		name = take_local(p);
		scope_declare(p, &name);
		parse_body(p, line, false, false);
		return;
	}
	first = p->now;
	do {
		name = take_local(p);
		names++;
		if (p->now.kind == '<') {
			p->lexer.found.newer = p->lexer.found.newer_numbers = true;
			parse_next(p);
			parse_want(p, TOKEN_NAME);
			parse_want(p, '>');
		}
	} while (parse_have(p, ',') && !p->lexer.failed);
	end = p->last_end;
	if (p->last_kind == ',') /* not reached: a name is wanted behind it */
		parse_fail(p);
	if (parse_have(p, '=')) {
		struct expression e = parse_expressions(p, &n);

		if (names == 1)
			call_note_value(p, &name, e.what == OPERAND_TABLE);
	}
	if (!p->lexer.failed)
		declare_between(p, first, end);
}

/* ---- loops ---- */

/* in expression do: a single expression may be a table. */
static void parse_generator(struct parser *p, int line)
{
	struct expression e;
	bool table;
	int n;

	parse_want(p, TOKEN_IN);
	e = parse_expressions(p, &n);
	if (n != 1 || p->lexer.failed || !call_may_give_table(p, &e, &table))
		return;
	if (table)
		lex_notice(&p->lexer, line, COMPAT_FOR_TABLE, COMPAT_REWRITTEN, p->lexer.s + e.at,
		    e.end - e.at);
	edits_add(&p->lexer.edits, EDIT_OPEN, e.at, 0, parse_helper(p, table ? "_for(" : "_walk("));
	edits_add(&p->lexer.edits, EDIT_CLOSE, e.end, 0, ")");
}

static void parse_for(struct parser *p)
{
	size_t mark = scope_enter(p), end;
	int line = p->now.line;
	struct token first;

	parse_next(p);
	first = p->now;
	take_local(p);
	if (p->now.kind == '=') {
		end = p->last_end;
		parse_next(p);
		parse_expression(p);
		parse_want(p, ',');
		parse_expression(p);
		if (parse_have(p, ','))
			parse_expression(p);
	} else {
		while (parse_have(p, ','))
			take_local(p);
		end = p->last_end;
		parse_generator(p, line);
	}
	parse_want(p, TOKEN_DO);
	if (!p->lexer.failed)
		declare_between(p, first, end);
	parse_block(p);
	parse_want(p, TOKEN_ENDWORD);
	scope_leave(p, mark);
}

static void parse_while(struct parser *p)
{
	parse_next(p);
	parse_expression(p);
	parse_want(p, TOKEN_DO);
	parse_block(p);
	parse_want(p, TOKEN_ENDWORD);
}

/* The condition sees the local variables of the block. */
static void parse_repeat(struct parser *p)
{
	size_t mark = scope_enter(p);

	parse_next(p);
	parse_statements(p);
	parse_want(p, TOKEN_UNTIL);
	parse_expression(p);
	scope_leave(p, mark);
}

/* ---- other statements ---- */

static void parse_if(struct parser *p)
{
	do {
		parse_next(p);
		parse_expression(p);
		parse_want(p, TOKEN_THEN);
		parse_block(p);
	} while (p->now.kind == TOKEN_ELSEIF);
	if (parse_have(p, TOKEN_ELSE))
		parse_block(p);
	parse_want(p, TOKEN_ENDWORD);
}

static void parse_do(struct parser *p)
{
	parse_next(p);
	parse_block(p);
	parse_want(p, TOKEN_ENDWORD);
}

static void parse_label(struct parser *p)
{
	parse_next(p);
	p->lexer.found.newer = true;
	parse_want(p, TOKEN_NAME);
	parse_want(p, TOKEN_LABEL);
}

static void parse_return(struct parser *p)
{
	int n;

	parse_next(p);
	if (p->now.kind != ';' && !parse_at_end(p))
		parse_expressions(p, &n);
	parse_have(p, ';');
	if (!parse_at_end(p))
		parse_fail(p);
}

/* A call or an assignment. */
static void parse_other(struct parser *p)
{
	struct expression target, value;
	int targets = 1, n;

	p->statement_at = p->now.at;
	target = parse_suffixed(p);
	if (target.what == OPERAND_CALL && p->now.kind != ',' && p->now.kind != '=')
		return;
	while (parse_have(p, ',')) {
		p->statement_at = p->now.at;
		parse_suffixed(p);
		targets++;
	}
	parse_want(p, '=');
	value = parse_expressions(p, &n);
	if (targets == 1 && target.what >= OPERAND_LOCAL && target.what <= OPERAND_FIELD)
		call_note_value(p, &target.name, value.what == OPERAND_TABLE);
}

static void parse_goto(struct parser *p)
{
	int ahead = parse_ahead(p).kind;

	if (ahead != TOKEN_NAME) {
		parse_other(p);
		return;
	}
	p->lexer.found.newer = true;
	parse_next(p);
	parse_next(p);
}

static void parse_statement(struct parser *p)
{
	switch (p->now.kind) {
	case ';':
	case TOKEN_BREAK:
		parse_next(p);
		break;
	case TOKEN_IF:
		parse_if(p);
		break;
	case TOKEN_WHILE:
		parse_while(p);
		break;
	case TOKEN_DO:
		parse_do(p);
		break;
	case TOKEN_FOR:
		parse_for(p);
		break;
	case TOKEN_REPEAT:
		parse_repeat(p);
		break;
	case TOKEN_FUNCTION:
		parse_function(p);
		break;
	case TOKEN_LOCAL:
		parse_local(p);
		break;
	case TOKEN_LABEL:
		parse_label(p);
		break;
	case TOKEN_RETURN:
		parse_return(p);
		break;
	case TOKEN_GOTO:
		parse_goto(p);
		break;
	default:
		parse_other(p);
	}
}

bool parse_at_end(const struct parser *p)
{
	int kind = p->now.kind;

	return kind == TOKEN_END || kind == TOKEN_ENDWORD || kind == TOKEN_ELSE ||
	       kind == TOKEN_ELSEIF || kind == TOKEN_UNTIL;
}

void parse_statements(struct parser *p)
{
	if (!parse_enter(p))
		return;
	while (!parse_at_end(p))
		parse_statement(p);
	parse_leave(p);
}

void parse_block(struct parser *p)
{
	size_t mark = scope_enter(p);

	parse_statements(p);
	scope_leave(p, mark);
}
