/* sql_parse_value.c - see sql_tree.h: expressions, by PostgreSQL's precedences. */
#include "common/sql/sql_parser.h"

#include <string.h>

struct sql_node *sql_node(struct sql_parser *p, enum sql_kind kind, size_t at)
{
	struct sql_node *node = sql_new(p->tree, sizeof *node);

	node->kind = kind;
	node->at = at;
	return node;
}

struct sql_node *sql_call(struct sql_parser *p, size_t at, const char *name, const char *shown,
    struct sql_node *first, struct sql_node *second)
{
	struct sql_node *node = sql_node(p, NODE_CALL, at);

	node->text = name;
	node->name = shown;
	node->child = first;
	if (first != NULL)
		first->next = second;
	return node;
}

/* ---- chains of operators ---- */

typedef struct sql_node *(*level)(struct sql_parser *);

/* One of these symbols: skipped and returned, else NULL. */
static const char *one_of(struct sql_parser *p, const char *const *symbols)
{
	for (; *symbols != NULL; symbols++)
		if (sql_symbol(p, *symbols))
			return *symbols;
	return NULL;
}

static struct sql_node *chain(struct sql_parser *p, level inner, const char *const *symbols)
{
	struct sql_node *left = inner(p), *right;
	const char *symbol;
	size_t at;

	while (left != NULL) {
		at = p->token->at;
		symbol = one_of(p, symbols);
		if (symbol == NULL)
			return left;
		right = inner(p);
		if (right == NULL)
			return NULL;
		left = sql_call(p, at, symbol, NULL, left, right);
	}
	return NULL;
}

static struct sql_node *postfix(struct sql_parser *p)
{
	struct sql_node *node = sql_primary(p);

	while (node != NULL) {
		size_t at = p->token->at;

		if (!sql_symbol(p, "::"))
			return node;
		node = sql_cast(p, node, at);
	}
	return NULL;
}

static struct sql_node *unary(struct sql_parser *p)
{
	struct sql_node *node;
	size_t at = p->token->at;
	bool minus = sql_symbol(p, "-");

	if (!minus && !sql_symbol(p, "+"))
		return postfix(p);
	if (!sql_enter(p->tree, at))
		return NULL;
	node = unary(p);
	sql_leave(p->tree);
	if (node == NULL)
		return NULL;
	return sql_call(p, at, minus ? "negative" : "positive", NULL, node, NULL);
}

static struct sql_node *product(struct sql_parser *p)
{
	static const char *const symbols[] = {"*", "/", "%", NULL};

	return chain(p, unary, symbols);
}

static struct sql_node *sum(struct sql_parser *p)
{
	static const char *const symbols[] = {"+", "-", NULL};

	return chain(p, product, symbols);
}

static struct sql_node *joined_text(struct sql_parser *p)
{
	static const char *const symbols[] = {"||", NULL};

	return chain(p, sum, symbols);
}

/* ---- BETWEEN, IN, LIKE ---- */

static struct sql_node *between(struct sql_parser *p, struct sql_node *value, size_t at)
{
	struct sql_node *node = sql_node(p, NODE_BETWEEN, at), *low, *high;

	low = joined_text(p);
	if (low == NULL || !sql_want_word(p, "and"))
		return NULL;
	high = joined_text(p);
	node->child = value;
	value->next = low;
	low->next = high;
	return high != NULL ? node : NULL;
}

static struct sql_node *in(struct sql_parser *p, struct sql_node *value, size_t at)
{
	struct sql_node *node = sql_node(p, NODE_IN, at);

	node->child = value;
	if (!sql_want_symbol(p, "("))
		return NULL;
	if (sql_is_word(p, "select")) {
		node->query = sql_select(p);
		if (node->query == NULL)
			return NULL;
	} else {
		value->next = sql_expressions(p);
		if (value->next == NULL)
			return NULL;
	}
	return sql_want_symbol(p, ")") ? node : NULL;
}

static struct sql_node *like(
    struct sql_parser *p, struct sql_node *value, size_t at, const char *which)
{
	struct sql_node *pattern = joined_text(p), *escape;

	if (pattern == NULL)
		return NULL;
	if (sql_word(p, "escape")) {
		escape = joined_text(p);
		if (escape == NULL)
			return NULL;
		pattern->next = escape;
	}
	return sql_call(p, at, which, NULL, value, pattern);
}

static struct sql_node *range(struct sql_parser *p)
{
	struct sql_node *node = joined_text(p);

	while (node != NULL) {
		const struct sql_token *begin = p->token;
		bool negate = sql_word(p, "not");

		if (sql_word(p, "between")) {
			node = between(p, node, begin->at);
		} else if (sql_word(p, "in")) {
			node = in(p, node, begin->at);
		} else if (sql_word(p, "like")) {
			node = like(p, node, begin->at, "like");
		} else if (sql_word(p, "ilike")) {
			node = like(p, node, begin->at, "ilike");
		} else {
			p->token = begin;
			return node;
		}
		if (node != NULL)
			node->negate = negate;
	}
	return NULL;
}

/* ---- comparisons and logic ---- */

static struct sql_node *comparison(struct sql_parser *p)
{
	static const char *const symbols[] = {"<=", ">=", "<>", "!=", "=", "<", ">", NULL};
	struct sql_node *left = range(p), *right, *node;
	size_t at = p->token->at;
	const char *symbol;

	if (left == NULL)
		return NULL;
	symbol = one_of(p, symbols);
	if (symbol == NULL)
		return left;
	if (sql_is_word(p, "any") || sql_is_word(p, "some") || sql_is_word(p, "all")) {
		sql_wrong(p->tree, p->token->at, "ANY, SOME and ALL are not understood");
		return NULL;
	}
	right = range(p);
	if (right == NULL)
		return NULL;
	node = sql_call(p, at, strcmp(symbol, "!=") == 0 ? "<>" : symbol, NULL, left, right);
	node->kind = NODE_COMPARE;
	return node;
}

/* After IS [NOT]. */
static struct sql_node *is_what(struct sql_parser *p, struct sql_node *value, size_t at)
{
	static const char *const whats[] = {"null", "true", "false", "unknown"};
	struct sql_node *node = sql_node(p, NODE_IS, at);

	node->child = value;
	for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
		if (sql_word(p, whats[i])) {
			node->text = whats[i];
			return node;
		}
	node->kind = NODE_DISTINCT;
	if (!sql_want_word(p, "distinct") || !sql_want_word(p, "from"))
		return NULL;
	value->next = range(p);
	return value->next != NULL ? node : NULL;
}

static struct sql_node *is(struct sql_parser *p)
{
	struct sql_node *node = comparison(p);

	while (node != NULL) {
		size_t at = p->token->at;
		bool negate;

		if (sql_word(p, "isnull") || sql_word(p, "notnull")) {
			struct sql_node *value = node;

			negate = strcmp(p->token[-1].text, "notnull") == 0;
			node = sql_node(p, NODE_IS, at);
			node->child = value;
			node->text = "null";
		} else if (sql_word(p, "is")) {
			negate = sql_word(p, "not");
			node = is_what(p, node, at);
		} else {
			return node;
		}
		if (node != NULL)
			node->negate = negate;
	}
	return NULL;
}

static struct sql_node * not(struct sql_parser * p)
{
	size_t at = p->token->at;
	struct sql_node *node;

	if (!sql_word(p, "not"))
		return is(p);
	if (!sql_enter(p->tree, at))
		return NULL;
	node = sql_node(p, NODE_NOT, at);
	node->child = not(p);
	sql_leave(p->tree);
	return node->child != NULL ? node : NULL;
}

/* All in one node, so that a long list of conditions is not deep. */
static struct sql_node *logic(
    struct sql_parser *p, level inner, const char *word, enum sql_kind kind)
{
	struct sql_node *first = inner(p), *last = first, *node;

	if (first == NULL || !sql_is_word(p, word))
		return first;
	node = sql_node(p, kind, p->token->at);
	node->child = first;
	while (sql_word(p, word)) {
		last->next = inner(p);
		last = last->next;
		if (last == NULL)
			return NULL;
	}
	return node;
}

static struct sql_node * and (struct sql_parser * p)
{
	return logic(p, not, "and", NODE_AND);
}

struct sql_node *sql_expression(struct sql_parser *p)
{
	struct sql_node *node = NULL;

	if (sql_enter(p->tree, p->token->at))
		node = logic(p, and, "or", NODE_OR);
	sql_leave(p->tree);
	return node;
}

struct sql_node *sql_expressions(struct sql_parser *p)
{
	struct sql_node *first = NULL, **last = &first;

	do {
		*last = sql_expression(p);
		if (*last == NULL)
			return NULL;
		last = &(*last)->next;
	} while (sql_symbol(p, ","));
	return first;
}
