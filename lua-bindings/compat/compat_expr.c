/* compat_expr.c - expressions: where an operand begins and ends, and what the message about a wrong
 * one would call it. */
#include "lua-bindings/compat/compat_private.h"

#include <stdlib.h>
#include <string.h>

#define UNARY_PRIORITY 12
#define SHORT_STRING 40 /* bytes; longer keys have no name in messages */
#define INDEX_MOST 255	/* that is part of an instruction */

/* ---- tables ---- */

static void parse_field(struct parser *p)
{
	struct token name = p->now;

	if (p->now.kind == '[') {
		parse_next(p);
		parse_expression(p);
		parse_want(p, ']');
		parse_want(p, '=');
	} else if (parse_is_name(p) && parse_ahead(p).kind == '=') {
		if (name.kind == TOKEN_GOTO) {
			parse_goto_name(p, &name);
			parse_replace(p, &name, "[\"goto\"]");
		}
		parse_next(p);
		parse_next(p);
	}
	parse_expression(p);
}

static void parse_table(struct parser *p)
{
	parse_want(p, '{');
	while (p->now.kind != '}' && !p->lexer.failed) {
		parse_field(p);
		if (!parse_have(p, ',') && !parse_have(p, ';'))
			break;
	}
	parse_want(p, '}');
}

/* ---- calls ---- */

/* Behind the name of a method called goto: the call becomes helper(object, "goto", arguments). */
static void open_goto_call(struct parser *p)
{
	struct lexer *x = &p->lexer;

	if (p->now.kind != '(')
		edits_add(&x->edits, EDIT_OPEN, p->now.at, 0, ",");
	else
		parse_replace(p, &p->now, parse_ahead(p).kind == ')' ? "" : ",");
}

static void parse_arguments(struct parser *p, struct call *call)
{
	int kind = p->now.kind;

	call->bracket = p->now;
	if (kind == TOKEN_STRING) {
		call_note_argument(p, call, 1);
		parse_next(p);
		return;
	}
	if (kind == '{') {
		parse_table(p);
		return;
	}
	parse_want(p, '(');
	for (int i = 1; p->now.kind != ')' && !p->lexer.failed; i++) {
		if (p->now.kind == TOKEN_STRING)
			call_note_argument(p, call, i);
		parse_expression(p);
		if (!parse_have(p, ','))
			break;
		if (p->now.kind == ')')
			parse_fail(p);
	}
	parse_want(p, ')');
}

/* object:name(arguments), from the colon on */
static void parse_method(struct parser *p, struct expression *e)
{
	struct token colon = p->now, name;
	struct call call = {.method = true};
	bool renamed;

	parse_next(p);
	name = p->now;
	if (!parse_is_name(p)) {
		parse_fail(p);
		return;
	}
	renamed = name.kind == TOKEN_GOTO;
	parse_next(p);
	call.name = name;
	call_note_method(p, &name);
	if (renamed) {
		parse_goto_name(p, &name);
		edits_add(&p->lexer.edits, EDIT_OPEN, e->at, 0, parse_helper(p, "_call("));
		p->calls = true;
		parse_replace(p, &colon, ",");
		parse_replace(p, &name, "\"goto\"");
		open_goto_call(p);
	}
	parse_arguments(p, &call);
	if (renamed && call.bracket.kind != '(')
		edits_add(&p->lexer.edits, EDIT_CLOSE, p->last_end, 0, ")");
	e->what = OPERAND_CALL;
	e->name = name;
}

/* ---- names and what follows them ---- */

static void parse_name(struct parser *p, struct expression *e)
{
	struct token name = p->now;
	int before = p->last_kind, after = parse_ahead(p).kind;
	bool assigned = p->statement_at == name.at && (after == '=' || after == ',');

	e->what = scope_find(p, &name);
	e->name = name;
	parse_next(p);
	if (name.kind == TOKEN_GOTO) {
		parse_goto_name(p, &name);
		parse_replace(
		    p, &name, e->what == OPERAND_GLOBAL ? "_ENV[\"goto\"]" : p->goto_name);
	} else if (lex_is(&p->lexer, &name, "arg")) {
		if (assigned)
			scope_set_arg(p, &name);
		else
			scope_use_arg(p, &name, before);
	} else if (e->what == OPERAND_GLOBAL && !assigned) {
		call_note_global(p, &name, before);
	}
}

static void parse_primary(struct parser *p, struct expression *e)
{
	if (parse_is_name(p)) {
		parse_name(p, e);
		return;
	}
	if (p->now.kind != '(') {
		parse_fail(p);
		return;
	}
	parse_next(p);
	*e = parse_expression(p);
	parse_want(p, ')');
	if (e->what == OPERAND_CONCAT || e->what == OPERAND_CALL || e->what == OPERAND_TABLE ||
	    e->what == OPERAND_DIVISION)
		e->what = OPERAND_VALUE;
}

static void parse_dot(struct parser *p, struct expression *e, int before)
{
	struct token dot = p->now, library = e->name;
	bool global = e->what == OPERAND_GLOBAL;

	parse_next(p);
	if (!parse_is_name(p)) {
		parse_fail(p);
		return;
	}
	e->what = OPERAND_FIELD;
	e->name = p->now;
	if (e->name.kind == TOKEN_GOTO) {
		parse_goto_name(p, &e->name);
		parse_replace(p, &dot, "[");
		parse_replace(p, &e->name, "\"goto\"]");
	}
	parse_next(p);
	if (global)
		call_note_field(p, &library, &e->name, before);
}

/* Can it stand in a message within quotes? */
static bool is_plain(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\'' || s[i] == '\\')
			return false;
	return true;
}

static bool is_small(const struct parser *p, const struct token *t)
{
	char digits[8] = "";

	if (t->end - t->at >= sizeof digits)
		return false;
	memcpy(digits, p->lexer.s + t->at, t->end - t->at);
	return strtol(digits, NULL, 0) <= INDEX_MOST;
}

/* As liblua: a short string is a name; so is a small integer, in its way. */
static void parse_index(struct parser *p, struct expression *e)
{
	struct token key;

	parse_next(p);
	key = p->now;
	parse_expression(p);
	e->what = OPERAND_UNKNOWN_FIELD;
	if (p->last_end == key.end && key.kind == TOKEN_STRING && p->lexer.s[key.at] != '[' &&
	    key.end - key.at <= SHORT_STRING + 2 &&
	    is_plain(p->lexer.s + key.at + 1, key.end - key.at - 2)) {
		e->what = OPERAND_FIELD;
		e->name = key;
		e->name.at++;
		e->name.end--;
	} else if (p->last_end == key.end && key.kind == TOKEN_INTEGER && is_small(p, &key)) {
		e->what = OPERAND_INTEGER_FIELD;
	}
	parse_want(p, ']');
}

struct expression parse_suffixed(struct parser *p)
{
	struct expression e = {.at = p->now.at};
	size_t at = p->now.at;
	int before = p->last_kind;

	parse_primary(p, &e);
	e.at = at;
	while (!p->lexer.failed) {
		struct call call = {.name = e.name};

		if (p->now.kind == '.') {
			parse_dot(p, &e, before);
		} else if (p->now.kind == '[') {
			parse_index(p, &e);
		} else if (p->now.kind == ':') {
			parse_method(p, &e);
		} else if (p->now.kind == '(' || p->now.kind == '{' ||
			   p->now.kind == TOKEN_STRING) {
			parse_arguments(p, &call);
			e.what = OPERAND_CALL;
		} else {
			break;
		}
	}
	e.end = p->last_end;
	return e;
}

/* ---- expressions ---- */

static struct expression parse_simple(struct parser *p)
{
	struct expression e = {.at = p->now.at, .what = OPERAND_VALUE};
	int line = p->now.line;

	switch (p->now.kind) {
	case TOKEN_STRING:
	case TOKEN_INTEGER:
		e.what = OPERAND_TEXT;
		parse_next(p);
		break;
	case TOKEN_DOTS:
		p->function->uses_dots = true;
		parse_next(p);
		break;
	case TOKEN_NUMBER:
		parse_next(p);
		break;
	case TOKEN_NIL:
	case TOKEN_TRUE:
	case TOKEN_FALSE:
		e.what = OPERAND_OTHER;
		parse_next(p);
		break;
	case '{':
		e.what = OPERAND_TABLE;
		parse_table(p);
		break;
	case TOKEN_FUNCTION:
		e.what = OPERAND_OTHER;
		parse_next(p);
		parse_body(p, line, false, false);
		break;
	default:
		return parse_suffixed(p);
	}
	e.end = p->last_end;
	return e;
}

static bool is_unary(int kind)
{
	return kind == TOKEN_NOT || kind == '-' || kind == '~' || kind == '#';
}

/* Left and right priority of a binary operator; left 0: it is none. */
static void priorities(int kind, int *left, int *right)
{
	static const struct {
		short kind;
		unsigned char left, right;
	} operators[] = {{TOKEN_OR, 1, 1}, {TOKEN_AND, 2, 2}, {TOKEN_EQ, 3, 3}, {TOKEN_NE, 3, 3},
	    {'<', 3, 3}, {'>', 3, 3}, {TOKEN_LE, 3, 3}, {TOKEN_GE, 3, 3}, {'|', 4, 4}, {'~', 5, 5},
	    {'&', 6, 6}, {TOKEN_SHL, 7, 7}, {TOKEN_SHR, 7, 7}, {TOKEN_CONCAT, 9, 8}, {'+', 10, 10},
	    {'-', 10, 10}, {'*', 11, 11}, {'/', 11, 11}, {TOKEN_IDIV, 11, 11}, {'%', 11, 11},
	    {'^', 14, 13}};

	*left = *right = 0;
	for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
		if (operators[i].kind == kind) {
			*left = operators[i].left;
			*right = operators[i].right;
		}
}

static void note_operator(struct parser *p, int kind)
{
	if (kind == '&' || kind == '|' || kind == '~' || kind == TOKEN_SHL || kind == TOKEN_SHR ||
	    kind == TOKEN_IDIV)
		p->lexer.found.newer = p->lexer.found.newer_numbers = true;
}

static struct expression parse_operators(struct parser *p, int limit);

/* The .. that is now, behind its left operand, and what follows. A chain of them is one instruction
 * of Lua, whose line is that of the last one. outer: the chain around; NULL: this one goes on. */
static void parse_concat(
    struct parser *p, const struct expression *left, int priority, const struct chain *outer)
{
	struct expression right;

	if (outer != NULL)
		p->chain.last = 0;
	p->chain.line = p->now.line;
	parse_next(p);
	concat_note(p, left);
	p->in_chain = true;
	right = parse_operators(p, priority);
	concat_note(p, &right);
	if (outer != NULL) {
		concat_end(p);
		p->chain = *outer;
	}
}

static void parse_right(struct parser *p, int priority)
{
	parse_next(p);
	parse_operators(p, priority);
}

static struct expression parse_operators(struct parser *p, int limit)
{
	struct expression e = {.at = p->now.at, .what = OPERAND_VALUE};
	int left, right, kind = p->now.kind;
	struct chain outer = p->chain;
	bool inside = p->in_chain;

	if (!parse_enter(p))
		return e;
	p->in_chain = false;
	if (is_unary(kind)) {
		note_operator(p, kind == '~' ? kind : 0);
		parse_next(p);
		parse_operators(p, UNARY_PRIORITY);
		e.end = p->last_end;
	} else {
		e = parse_simple(p);
	}
	priorities(kind = p->now.kind, &left, &right);
	while (left > limit && !p->lexer.failed) {
		note_operator(p, kind);
		if (kind == TOKEN_CONCAT)
			parse_concat(p, &e, right, inside ? NULL : &outer);
		else
			parse_right(p, right);
		e.what = kind == TOKEN_CONCAT	      ? OPERAND_CONCAT
			 : kind == '/' || kind == '^' ? OPERAND_DIVISION
						      : OPERAND_VALUE;
		e.end = p->last_end;
		priorities(kind = p->now.kind, &left, &right);
	}
	parse_leave(p);
	return e;
}

struct expression parse_expression(struct parser *p)
{
	return parse_operators(p, 0);
}

struct expression parse_expressions(struct parser *p, int *n)
{
	struct expression first = parse_expression(p);

	*n = 1;
	while (parse_have(p, ',')) {
		parse_expression(p);
		++*n;
	}
	return first;
}
