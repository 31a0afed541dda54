/* sql_parse_primary.c - see sql_tree.h: literals, columns, calls, and the functions whose arguments
 * have words between them. */
#include "common/sql/sql_parser.h"

#include <string.h>

static struct sql_node *literal(
    struct sql_parser *p, size_t at, const char *text, enum sql_type type, const char *name)
{
	struct sql_node *node = sql_node(p, NODE_CONST, at);

	node->text = text;
	node->type = type;
	node->name = name;
	return node;
}

/* ---- type names ---- */

/* Skips the words of the name if they are next. */
static bool type_words(struct sql_parser *p, const char *words)
{
	const struct sql_token *begin = p->token;

	while (*words != '\0') {
		size_t n = strcspn(words, " ");

		if (p->token->kind != TOKEN_WORD || strncmp(p->token->text, words, n) != 0 ||
		    p->token->text[n] != '\0') {
			p->token = begin;
			return false;
		}
		p->token++;
		words += n + (words[n] == ' ');
	}
	return true;
}

static const struct sql_type_name *type_name(struct sql_parser *p)
{
	for (const struct sql_type_name *t = sql_type_names; t->words != NULL; t++)
		if (type_words(p, t->words))
			return t;
	return NULL;
}

struct sql_node *sql_cast(struct sql_parser *p, struct sql_node *node, size_t at)
{
	const struct sql_type_name *type = type_name(p);
	struct sql_node *cast;

	if (type == NULL) {
		sql_wrong(p->tree, p->token->at, "this type is not known");
		return NULL;
	}
	if (sql_is_symbol(p, "(") || p->token->kind == TOKEN_STRING) {
		sql_wrong(p->tree, p->token->at, "a type with a length is not understood");
		return NULL;
	}
	cast = sql_node(p, NODE_CAST, at);
	cast->child = node;
	cast->type = type->type;
	cast->weak = node->name == NULL || node->weak;
	cast->name = cast->weak ? type->short_name : node->name;
	return cast;
}

/* INTERVAL '15' MINUTE, TIMESTAMP '2026-02-24' ... : NULL without an error when it is none. */
static struct sql_node *typed_literal(struct sql_parser *p)
{
	static const char *const units[] = {
	    "second", "minute", "hour", "day", "week", "month", "year"};
	const struct sql_token *begin = p->token;
	const struct sql_type_name *type = type_name(p);
	struct sql_node *node;
	const char *text;

	if (type == NULL || p->token->kind != TOKEN_STRING) {
		p->token = begin;
		return NULL;
	}
	text = (p->token++)->text;
	for (size_t i = 0; type->type == SQL_SPAN && i < sizeof units / sizeof *units; i++)
		if (sql_word(p, units[i])) {
			size_t n = strlen(text);
			char *joined = sql_new(p->tree, n + 1 + strlen(units[i]) + 1);

			memcpy(joined, text, n);
			if (n > 0 && text[n - 1] >= '0' && text[n - 1] <= '9')
				memcpy(joined + n, units[i], strlen(units[i]));
			text = joined;
		}
	node = sql_node(p, NODE_CAST, begin->at);
	node->child = literal(p, begin->at, text, SQL_UNKNOWN, NULL);
	node->type = type->type;
	node->name = type->short_name;
	node->weak = true;
	return node;
}

/* ---- CASE, and functions with words inside ---- */

static struct sql_node *case_of(struct sql_parser *p)
{
	struct sql_node *node = sql_node(p, NODE_CASE, p->token[-1].at);
	struct sql_node **last = &node->child;

	node->name = "case";
	node->weak = true;
	if (!sql_is_word(p, "when")) {
		node->operand = true;
		*last = sql_expression(p);
		if (*last == NULL)
			return NULL;
		last = &(*last)->next;
	}
	if (!sql_is_word(p, "when"))
		sql_want_word(p, "when");
	while (sql_word(p, "when")) {
		*last = sql_expression(p);
		if (*last == NULL || !sql_want_word(p, "then"))
			return NULL;
		last = &(*last)->next;
		*last = sql_expression(p);
		if (*last == NULL)
			return NULL;
		last = &(*last)->next;
	}
	node->otherwise = sql_word(p, "else");
	if (node->otherwise) {
		*last = sql_expression(p);
		if (*last == NULL)
			return NULL;
		if ((*last)->name != NULL && !(*last)->weak) {
			node->name = (*last)->name;
			node->weak = false;
		}
	}
	return sql_want_word(p, "end") ? node : NULL;
}

static struct sql_node *cast_of(struct sql_parser *p)
{
	size_t at = p->token[-1].at;
	struct sql_node *node;

	if (!sql_want_symbol(p, "("))
		return NULL;
	node = sql_expression(p);
	if (node == NULL || !sql_want_word(p, "as"))
		return NULL;
	node = sql_cast(p, node, at);
	return node != NULL && sql_want_symbol(p, ")") ? node : NULL;
}

/* extract(field FROM x) */
static struct sql_node *extract_of(struct sql_parser *p)
{
	size_t at = p->token[-1].at;
	struct sql_node *field, *value;

	if (!sql_want_symbol(p, "("))
		return NULL;
	if (p->token->kind != TOKEN_WORD && p->token->kind != TOKEN_STRING) {
		sql_wrong(p->tree, p->token->at, "a field such as HOUR is wanted here");
		return NULL;
	}
	field = literal(p, p->token->at, p->token->text, SQL_TEXT, NULL);
	p->token++;
	if (!sql_want_word(p, "from"))
		return NULL;
	value = sql_expression(p);
	if (value == NULL || !sql_want_symbol(p, ")"))
		return NULL;
	return sql_call(p, at, "extract", "extract", field, value);
}

/* position(a IN b) */
static struct sql_node *position_of(struct sql_parser *p)
{
	size_t at = p->token[-1].at;
	struct sql_node *part, *whole;

	if (!sql_want_symbol(p, "("))
		return NULL;
	part = sql_primary(p);
	if (part == NULL || !sql_want_word(p, "in"))
		return NULL;
	whole = sql_primary(p);
	if (whole == NULL || !sql_want_symbol(p, ")"))
		return NULL;
	return sql_call(p, at, "strpos", "position", whole, part);
}

/* substring(x [FROM a] [FOR b]) or (x, a, b) */
static struct sql_node *substring_of(struct sql_parser *p)
{
	size_t at = p->token[-1].at;
	struct sql_node *text, *from = NULL, *length = NULL;

	if (!sql_want_symbol(p, "("))
		return NULL;
	text = sql_expression(p);
	if (text == NULL)
		return NULL;
	if (sql_symbol(p, ",")) {
		from = sql_expressions(p);
		if (from == NULL)
			return NULL;
	} else {
		if (sql_word(p, "from") && (from = sql_expression(p)) == NULL)
			return NULL;
		if (sql_word(p, "for") && (length = sql_expression(p)) == NULL)
			return NULL;
		if (from == NULL)
			from = literal(p, at, "1", SQL_INT, NULL);
		from->next = length;
	}
	if (!sql_want_symbol(p, ")"))
		return NULL;
	return sql_call(p, at, "substring", "substring", text, from);
}

/* trim([BOTH | LEADING | TRAILING] [characters] FROM x) or (x [, characters]) */
static struct sql_node *trim_of(struct sql_parser *p)
{
	size_t at = p->token[-1].at;
	const char *which = "btrim";
	struct sql_node *first, *text;

	if (!sql_want_symbol(p, "("))
		return NULL;
	if (sql_word(p, "leading"))
		which = "ltrim";
	else if (sql_word(p, "trailing"))
		which = "rtrim";
	else
		sql_word(p, "both");
	first = sql_word(p, "from") ? NULL : sql_expression(p);
	if (p->tree->failed)
		return NULL;
	if (first == NULL || sql_word(p, "from")) {
		text = sql_expression(p);
		if (text == NULL || !sql_want_symbol(p, ")"))
			return NULL;
		return sql_call(p, at, which, which, text, first);
	}
	text = first;
	first = sql_symbol(p, ",") ? sql_expression(p) : NULL;
	if (!sql_want_symbol(p, ")"))
		return NULL;
	return sql_call(p, at, which, which, text, first);
}

static struct sql_node *exists_of(struct sql_parser *p)
{
	struct sql_node *node = sql_node(p, NODE_EXISTS, p->token[-1].at);

	node->name = "exists";
	if (!sql_want_symbol(p, "("))
		return NULL;
	node->query = sql_select(p);
	return node->query != NULL && sql_want_symbol(p, ")") ? node : NULL;
}

static struct sql_node *current(struct sql_parser *p)
{
	const struct sql_token *t = &p->token[-1];

	return sql_call(p, t->at, t->text, t->text, NULL, NULL);
}

static struct sql_node *constant(struct sql_parser *p)
{
	const struct sql_token *t = &p->token[-1];

	if (strcmp(t->text, "null") == 0)
		return literal(p, t->at, NULL, SQL_UNKNOWN, NULL);
	return literal(p, t->at, t->text, SQL_BOOL, NULL);
}

static const struct {
	const char *word;
	struct sql_node *(*parse)(struct sql_parser *);
	bool call; /* only before a parenthesis */
} special[] = {
    {"case", case_of, false},
    {"cast", cast_of, true},
    {"current_date", current, false},
    {"current_timestamp", current, false},
    {"exists", exists_of, true},
    {"extract", extract_of, true},
    {"false", constant, false},
    {"localtimestamp", current, false},
    {"null", constant, false},
    {"position", position_of, true},
    {"substring", substring_of, true},
    {"trim", trim_of, true},
    {"true", constant, false},
};

/* ---- calls and columns ---- */

static bool filter(struct sql_parser *p, struct sql_node *node)
{
	if (sql_is_word(p, "over"))
		return sql_wrong(p->tree, p->token->at, "window functions are not understood");
	if (!sql_word(p, "filter"))
		return true;
	if (!sql_want_symbol(p, "(") || !sql_want_word(p, "where"))
		return false;
	node->filter = sql_expression(p);
	return node->filter != NULL && sql_want_symbol(p, ")");
}

/* After the parenthesis. */
static struct sql_node *call(struct sql_parser *p, const char *name, size_t at)
{
	struct sql_node *node = sql_call(p, at, name, name, NULL, NULL);

	node->named = true;
	if (sql_is_symbol(p, "*")) {
		node->child = sql_node(p, NODE_STAR, p->token->at);
		p->token++;
	} else if (!sql_is_symbol(p, ")")) {
		node->distinct = sql_word(p, "distinct");
		node->child = sql_expressions(p);
		if (node->child == NULL)
			return NULL;
	}
	return sql_want_symbol(p, ")") && filter(p, node) ? node : NULL;
}

/* column, table.column or schema.table.column; or a call */
static struct sql_node *named(struct sql_parser *p)
{
	size_t at = p->token->at;
	struct sql_node *node;
	const char *name;

	if (sql_is_word(p, "left") || sql_is_word(p, "right")) { /* names of functions, too */
		name = (p->token++)->text;
		if (!sql_is_symbol(p, "("))
			p->token--;
	} else {
		name = sql_name(p);
	}
	if (name == NULL || (p->token->at == at)) {
		sql_wrong(p->tree, at, "a value is wanted here");
		return NULL;
	}
	if (sql_symbol(p, "("))
		return call(p, name, at);
	node = sql_node(p, NODE_COLUMN, at);
	for (int i = 0; i < 2 && sql_symbol(p, "."); i++) {
		node->table = name;
		if (p->token->kind != TOKEN_WORD && p->token->kind != TOKEN_QUOTED) {
			sql_wrong(p->tree, p->token->at, "a column is wanted here");
			return NULL;
		}
		name = (p->token++)->text;
	}
	node->text = node->name = name;
	return node;
}

static struct sql_node *parentheses(struct sql_parser *p)
{
	size_t at = p->token[-1].at;
	struct sql_node *node;

	if (!sql_is_word(p, "select")) {
		node = sql_expression(p);
		return node != NULL && sql_want_symbol(p, ")") ? node : NULL;
	}
	node = sql_node(p, NODE_SCALAR, at);
	node->query = sql_select(p);
	if (node->query == NULL || !sql_want_symbol(p, ")"))
		return NULL;
	node->name = node->query->items->name;
	return node;
}

struct sql_node *sql_primary(struct sql_parser *p)
{
	const struct sql_token *t = p->token;
	struct sql_node *node;

	if (sql_symbol(p, "("))
		return parentheses(p);
	if (t->kind == TOKEN_STRING || t->kind == TOKEN_NUMBER) {
		p->token++;
		return literal(p, t->at, t->text,
		    t->kind == TOKEN_STRING			     ? SQL_UNKNOWN
		    : t->text[strspn(t->text, "0123456789")] == '\0' ? SQL_INT
								     : SQL_NUM,
		    NULL);
	}
	node = typed_literal(p);
	if (node != NULL || p->tree->failed)
		return node;
	for (size_t i = 0; i < sizeof special / sizeof *special; i++)
		if (sql_is_word(p, special[i].word) &&
		    (!special[i].call || (t[1].kind == TOKEN_SYMBOL && t[1].text[0] == '('))) {
			p->token++;
			return special[i].parse(p);
		}
	return named(p);
}
