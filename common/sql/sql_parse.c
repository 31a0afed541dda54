/* sql_parse.c - see sql_tree.h: the clauses of a query. Expressions are in sql_parse_value.c. */
#include "common/limits.h"
#include "common/sql/sql_parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens ---- */

bool sql_is_word(const struct sql_parser *p, const char *word)
{
	return p->token->kind == TOKEN_WORD && strcmp(p->token->text, word) == 0;
}

bool sql_is_symbol(const struct sql_parser *p, const char *symbol)
{
	return p->token->kind == TOKEN_SYMBOL && strcmp(p->token->text, symbol) == 0;
}

bool sql_word(struct sql_parser *p, const char *word)
{
	bool is = sql_is_word(p, word);

	p->token += is;
	return is;
}

bool sql_symbol(struct sql_parser *p, const char *symbol)
{
	bool is = sql_is_symbol(p, symbol);

	p->token += is;
	return is;
}

bool sql_words(struct sql_parser *p, const char *first, const char *second)
{
	const struct sql_token *begin = p->token;

	if (sql_word(p, first) && sql_word(p, second))
		return true;
	p->token = begin;
	return false;
}

bool sql_want_symbol(struct sql_parser *p, const char *symbol)
{
	return sql_symbol(p, symbol) ||
	       sql_wrong(p->tree, p->token->at, "\"%s\" is wanted here", symbol);
}

static void upper(const char *word, char *out, size_t size)
{
	size_t n = 0;

	for (; word[n] != '\0' && n + 1 < size; n++)
		out[n] = (char)(word[n] >= 'a' && word[n] <= 'z' ? word[n] & ~0x20 : word[n]);
	out[n] = '\0';
}

bool sql_want_word(struct sql_parser *p, const char *word)
{
	char shown[32];

	upper(word, shown, sizeof shown);
	return sql_word(p, word) || sql_wrong(p->tree, p->token->at, "%s is wanted here", shown);
}

bool sql_reserved(const char *word)
{
	static const char *const words[] = {"all", "and", "any", "array", "as", "asc", "between",
	    "both", "case", "cast", "cross", "desc", "distinct", "else", "end", "except", "exists",
	    "false", "fetch", "filter", "for", "from", "full", "group", "having", "ilike", "in",
	    "inner", "intersect", "into", "is", "isnull", "join", "lateral", "leading", "like",
	    "limit", "natural", "not", "notnull", "null", "offset", "on", "or", "order", "outer",
	    "over", "returning", "right", "select", "similar", "some", "table", "then", "trailing",
	    "true", "union", "using", "when", "where", "window", "with", "left"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

const char *sql_name(struct sql_parser *p)
{
	if (p->token->kind == TOKEN_QUOTED ||
	    (p->token->kind == TOKEN_WORD && !sql_reserved(p->token->text)))
		return (p->token++)->text;
	return NULL;
}

/* ---- the list after SELECT ---- */

/* [AS] alias. After AS any word does, without it none that is reserved. */
static bool alias(struct sql_parser *p, const char **name)
{
	if (sql_word(p, "as")) {
		if (p->token->kind != TOKEN_WORD && p->token->kind != TOKEN_QUOTED)
			return sql_wrong(p->tree, p->token->at, "a name is wanted after AS");
		*name = (p->token++)->text;
		return true;
	}
	*name = sql_name(p);
	return true;
}

/* "*" or "table.*" */
static bool all_columns(struct sql_parser *p, struct sql_item *item)
{
	const struct sql_token *begin = p->token;

	if (sql_symbol(p, "*"))
		return true;
	item->table = sql_name(p);
	if (item->table != NULL && sql_symbol(p, ".") && sql_symbol(p, "*"))
		return true;
	item->table = NULL;
	p->token = begin;
	return false;
}

static bool items(struct sql_parser *p, struct sql_query *q)
{
	struct sql_item **last = &q->items;

	do {
		struct sql_item *item = sql_new(p->tree, sizeof *item);

		*last = item;
		last = &item->next;
		item->at = p->token->at;
		if (all_columns(p, item))
			continue;
		item->node = sql_expression(p);
		if (item->node == NULL || !alias(p, &item->name))
			return false;
		if (item->name == NULL)
			item->name = item->node->name != NULL ? item->node->name : "?column?";
	} while (sql_symbol(p, ","));
	return true;
}

/* ---- FROM ---- */

static bool named_table(struct sql_parser *p, struct sql_source *s)
{
	s->table = sql_name(p);
	if (s->table == NULL)
		return sql_wrong(p->tree, s->at, "a table is wanted here");
	if (sql_symbol(p, ".")) {
		s->schema = s->table;
		s->table = sql_name(p);
		if (s->table == NULL)
			return sql_wrong(p->tree, p->token->at, "a table is wanted here");
	}
	if (sql_is_symbol(p, "("))
		return sql_wrong(p->tree, s->at, "a function cannot stand for a table here");
	return true;
}

static struct sql_source *source(struct sql_parser *p)
{
	struct sql_source *s = sql_new(p->tree, sizeof *s);

	s->at = p->token->at;
	if (sql_symbol(p, "(")) {
		s->query = sql_select(p);
		if (s->query == NULL || !sql_want_symbol(p, ")"))
			return NULL;
	} else if (!named_table(p, s)) {
		return NULL;
	}
	if (!alias(p, &s->alias))
		return NULL;
	if (s->alias == NULL && s->query != NULL) {
		sql_wrong(p->tree, p->token->at, "a query in FROM needs a name: AS name");
		return NULL;
	}
	if (s->alias == NULL)
		s->alias = s->table;
	return s;
}

/* [INNER | LEFT [OUTER] | CROSS] JOIN: false when there is none. */
static bool join(struct sql_parser *p, bool *left, bool *condition)
{
	*left = *condition = false;
	if (sql_words(p, "cross", "join"))
		return true;
	*condition = true;
	if (sql_word(p, "join") || sql_words(p, "inner", "join"))
		return true;
	*left = sql_words(p, "left", "join");
	if (!*left && sql_words(p, "left", "outer"))
		*left = sql_want_word(p, "join");
	return *left;
}

static bool sources(struct sql_parser *p, struct sql_query *q)
{
	struct sql_source **last = &q->sources;
	bool left = false, condition = false, joined = false;

	do {
		struct sql_source *s = source(p);

		if (s == NULL)
			return false;
		*last = s;
		last = &s->next;
		s->left = left;
		if (condition) {
			if (!sql_want_word(p, "on"))
				return false;
			s->on = sql_expression(p);
			if (s->on == NULL)
				return false;
		}
		joined = join(p, &left, &condition);
		if (!joined)
			left = condition = false;
	} while (joined || sql_symbol(p, ","));
	return !p->tree->failed;
}

/* ---- the rest ---- */

static bool order_item(struct sql_parser *p, struct sql_order *o, bool directed)
{
	o->node = sql_expression(p);
	if (o->node == NULL || !directed)
		return o->node != NULL;
	o->descending = sql_word(p, "desc");
	if (!o->descending)
		sql_word(p, "asc");
	if (sql_words(p, "nulls", "first"))
		o->nulls = -1;
	else if (sql_words(p, "nulls", "last"))
		o->nulls = 1;
	return true;
}

static bool order_list(struct sql_parser *p, struct sql_order **last, bool directed)
{
	do {
		*last = sql_new(p->tree, sizeof **last);
		if (!order_item(p, *last, directed))
			return false;
		last = &(*last)->next;
	} while (sql_symbol(p, ","));
	return true;
}

static bool count(struct sql_parser *p, int64_t *value)
{
	const char *text = p->token->text;
	char *end;

	if (p->token->kind != TOKEN_NUMBER)
		return sql_wrong(p->tree, p->token->at, "a whole number is wanted here");
	errno = 0;
	*value = strtoll(text, &end, 10);
	if ((*end != '\0' && sql_whole_part(text) == 0) || errno != 0)
		return sql_wrong(p->tree, p->token->at, "a whole number is wanted here");
	p->token++;
	return true;
}

static bool limits(struct sql_parser *p, struct sql_query *q)
{
	for (int i = 0; i < 2; i++) { /* in either order */
		if (sql_word(p, "limit") && !sql_word(p, "all") && !sql_word(p, "null")) {
			q->limited = true;
			if (!count(p, &q->limit))
				return false;
		}
		if (sql_word(p, "offset")) {
			if (!count(p, &q->offset))
				return false;
			if (!sql_word(p, "rows"))
				sql_word(p, "row");
		}
	}
	return true;
}

static bool expression_after(struct sql_parser *p, struct sql_node **node)
{
	*node = sql_expression(p);
	return *node != NULL;
}

static bool clauses(struct sql_parser *p, struct sql_query *q)
{
	if (sql_word(p, "from") && !sources(p, q))
		return false;
	if (sql_word(p, "where") && !expression_after(p, &q->where))
		return false;
	if (sql_words(p, "group", "by") && !order_list(p, &q->groups, false))
		return false;
	if (sql_word(p, "having") && !expression_after(p, &q->having))
		return false;
	if (sql_words(p, "order", "by") && !order_list(p, &q->orders, true))
		return false;
	return limits(p, q);
}

struct sql_query *sql_select(struct sql_parser *p)
{
	struct sql_query *q = sql_new(p->tree, sizeof *q);
	bool ok;

	q->at = p->token->at;
	if (!sql_enter(p->tree, q->at))
		return NULL;
	ok = sql_want_word(p, "select");
	if (ok) {
		q->distinct = sql_word(p, "distinct");
		if (q->distinct && sql_is_word(p, "on"))
			ok = sql_wrong(p->tree, p->token->at, "DISTINCT ON is not understood");
		if (!q->distinct)
			sql_word(p, "all");
	}
	ok = ok && items(p, q) && clauses(p, q);
	sql_leave(p->tree);
	return ok ? q : NULL;
}

/* What PostgreSQL has and we have not, by the word it begins with. */
static const char *const not_understood[] = {"union", "intersect", "except", "window", "fetch",
    "for", "right", "full", "natural", "using", "into", "over", "similar"};

static bool refuse_rest(struct sql_parser *p)
{
	char shown[32];

	for (size_t i = 0; i < sizeof not_understood / sizeof *not_understood; i++)
		if (sql_is_word(p, not_understood[i])) {
			upper(not_understood[i], shown, sizeof shown);
			return sql_wrong(p->tree, p->token->at, "%s is not understood", shown);
		}
	if (sql_is_symbol(p, ";"))
		return sql_wrong(p->tree, p->token->at, "one statement at a time");
	return sql_wrong(p->tree, p->token->at, "this does not belong here");
}

struct sql_query *sql_parse(struct sql_tree *t)
{
	struct sql_parser p = {t, sql_tokens(t)};
	struct sql_query *q;

	if (p.token == NULL)
		return NULL;
	if (!sql_is_word(&p, "select")) {
		sql_wrong(t, p.token->at, "only SELECT is understood");
		return NULL;
	}
	q = sql_select(&p);
	if (q == NULL || t->failed)
		return NULL;
	if (sql_is_symbol(&p, ";") && p.token[1].kind == TOKEN_END)
		p.token++;
	return p.token->kind == TOKEN_END || refuse_rest(&p) ? q : NULL;
}
