/* compat_call.c - what names say: old functions, iterators, variables that hold tables. */
#include "lua-bindings/compat/compat_private.h"

#include <string.h>

/* ---- old functions ---- */

struct old_function {
	const char *library, *name; /* "": without a prefix; ":": a method of strings */
};

static const struct old_function supplied[] = {
    {"table", "getn"},
    {"table", "setn"},
    {"table", "foreach"},
    {"table", "foreachi"},
    {"table", "maxn"},
    {"string", "gfind"},
    {":", "gfind"},
    {"math", "mod"},
    {"math", "pow"},
    {"math", "log10"},
    {"math", "ldexp"},
    {"math", "frexp"},
    {"math", "cosh"},
    {"math", "sinh"},
    {"math", "tanh"},
    {"math", "atan2"},
    {"", "unpack"},
    {"", "loadstring"},
    {"", "setfenv"},
    {"", "getfenv"},
    {"", "gcinfo"},
};

static const struct old_function refused[] = {{"", "loadlib"}, {"", "module"}, {"", "newproxy"}};

static bool is_in(const struct parser *p, const struct old_function *list, size_t n,
    const struct token *library, const char *no_library, const struct token *name)
{
	for (size_t i = 0; i < n; i++)
		if (lex_is(&p->lexer, name, list[i].name) &&
		    (library != NULL ? lex_is(&p->lexer, library, list[i].library)
				     : strcmp(list[i].library, no_library) == 0))
			return true;
	return false;
}

/* `table.unpack or unpack` and `if unpack then` ask whether there is one. */
static bool is_question(const struct parser *p, int before)
{
	int after = p->now.kind;

	return before == TOKEN_OR || before == TOKEN_NOT || after == TOKEN_OR ||
	       after == TOKEN_AND || after == TOKEN_THEN || after == TOKEN_EQ || after == TOKEN_NE;
}

static void note(struct parser *p, const struct token *library, const char *no_library,
    const struct token *name, int before)
{
	size_t at = library != NULL ? library->at : name->at;
	enum compat_idiom idiom = COMPAT_OLD_FUNCTION;
	enum compat_done done = COMPAT_SUPPLIED;

	if (is_in(p, refused, sizeof refused / sizeof *refused, library, no_library, name)) {
		idiom = COMPAT_REFUSED_FUNCTION;
		done = COMPAT_REFUSED;
	} else if (!is_in(p, supplied, sizeof supplied / sizeof *supplied, library, no_library,
		       name)) {
		return;
	}
	if (!is_question(p, before))
		lex_notice(&p->lexer, name->line, idiom, done, p->lexer.s + at, name->end - at);
}

void call_note_global(struct parser *p, const struct token *name, int before)
{
	if (p->now.kind == '(')
		note(p, NULL, "", name, before);
}

void call_note_field(
    struct parser *p, const struct token *library, const struct token *name, int before)
{
	if (p->now.kind != '=')
		note(p, library, "", name, before);
}

void call_note_method(struct parser *p, const struct token *name)
{
	note(p, NULL, ":", name, 0);
}

/* ---- gsub ---- */

/* Has the string a % that Lua 5.2 and later refuse in a replacement? */
static bool has_bad_percent(const char *s, size_t n)
{
	if (memchr(s, '\\', n) != NULL || n < 2)
		return false; /* an escape may be a digit */
	for (size_t i = 1; i + 1 < n; i++) {
		if (s[i] != '%')
			continue;
		i++;
		if (i + 1 >= n || (s[i] != '%' && (s[i] < '0' || s[i] > '9')))
			return true;
	}
	return false;
}

void call_note_argument(struct parser *p, const struct call *call, int i)
{
	const struct token *t = &p->now;
	int after, wanted = call->method ? 2 : 3;

	if (p->lexer.reading.mode == COMPAT_52 || i != wanted ||
	    !lex_is(&p->lexer, &call->name, "gsub") || p->lexer.s[t->at] == '[' ||
	    !has_bad_percent(p->lexer.s + t->at, t->end - t->at))
		return;
	after = parse_ahead(p).kind;
	if (after == ')' || after == ',')
		lex_notice(&p->lexer, t->line, COMPAT_GSUB_PERCENT, COMPAT_SUPPLIED,
		    p->lexer.s + t->at, t->end - t->at);
}

/* ---- tables in loops ---- */

#define MOST_VALUES 256 /* assignments remembered; enough for the tables of a script */

void call_note_value(struct parser *p, const struct token *name, bool is_table)
{
	struct value *v = &p->values[p->nvalues % MOST_VALUES];

	v->at = name->at;
	v->n = name->end - name->at;
	v->is_table = is_table;
	p->nvalues++;
}

/* Was the last value that a variable or field of this name got a table written out? */
static bool holds_table(struct parser *p, const struct token *name)
{
	const char *s = p->lexer.s;
	size_t n = name->end - name->at;

	for (size_t i = p->nvalues; i > 0 && i + MOST_VALUES > p->nvalues; i--) {
		const struct value *v = &p->values[(i - 1) % MOST_VALUES];

		p->steps++;
		if (v->n == n && memcmp(s + v->at, s + name->at, n) == 0)
			return v->is_table;
	}
	return false;
}

/* What a call of a function of this name gives is an iterator. */
static bool is_iterator_maker(const struct parser *p, const struct token *name)
{
	static const char *const makers[] = {
	    "pairs", "ipairs", "gmatch", "gfind", "lines", "codes", "wrap"};

	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
		if (lex_is(&p->lexer, name, makers[i]))
			return true;
	return false;
}

bool call_may_give_table(struct parser *p, const struct expression *e, bool *certain)
{
	const struct reading *r = &p->lexer.reading;

	*certain = false;
	if (!r->old && r->mode != COMPAT_AUTO)
		return false;
	switch (e->what) {
	case OPERAND_TABLE:
		*certain = true;
		return true;
	case OPERAND_CALL:
		return !is_iterator_maker(p, &e->name);
	case OPERAND_LOCAL:
	case OPERAND_UPVALUE:
	case OPERAND_GLOBAL:
	case OPERAND_FIELD:
		*certain = holds_table(p, &e->name);
		return true;
	case OPERAND_UNKNOWN_FIELD:
	case OPERAND_INTEGER_FIELD:
	case OPERAND_VALUE:
		return true;
	default:
		return false;
	}
}
