/* sql_write.c - see sql_tree.h: a resolved query as SQLite's SQL.
 *
 * What gets into the text: words of this file, of the tables in sql_types.c, and numbers. All that
 * comes from the query's literals is a parameter. */
#include "common/sql/sql_tree.h"

#include "common/list.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
	struct sql_tree *tree;
	struct sql_written *out;
	size_t size;
};

static void query(struct writer *, const struct sql_query *);
static void value(struct writer *, const struct sql_node *);

static void put(struct writer *w, const char *text)
{
	size_t n = strlen(text);

	if (w->out->n + n + 1 > w->size) {
		w->size = (w->out->n + n + 1) * 2;
		w->out->sql = xrealloc(w->out->sql, w->size);
	}
	memcpy(w->out->sql + w->out->n, text, n + 1);
	w->out->n += n;
}

static void __attribute__((format(printf, 2, 3))) putf(struct writer *w, const char *fmt, ...)
{
	char text[96];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put(w, text);
}

static void parameter(struct writer *w, struct sql_parameter p)
{
	struct sql_written *out = w->out;

	out->parameters = xgrow(out->parameters, out->nparameters, sizeof *out->parameters);
	out->parameters[out->nparameters++] = p;
	putf(w, "?%zu", out->nparameters);
}

static void text_parameter(struct writer *w, const char *text)
{
	parameter(w, (struct sql_parameter){.kind = PARAMETER_TEXT, .text = text});
}

/* ---- values ---- */

static void constant(struct writer *w, const struct sql_node *node)
{
	struct sql_parameter p = {.kind = PARAMETER_INT, .value = node->value};

	if (node->text == NULL) {
		put(w, "NULL");
		return;
	}
	if (node->type == SQL_NUM) {
		p.kind = PARAMETER_REAL;
		p.real = strtod(node->text, NULL);
	} else if (node->type == SQL_TEXT || node->type == SQL_SPAN) {
		p.kind = PARAMETER_TEXT;
		p.text = node->text;
	}
	parameter(w, p);
}

static void column(struct writer *w, const struct sql_node *node)
{
	const struct sql_source *s = node->source;

	if (s->known != NULL)
		putf(w, "s%u.%s", s->number, s->known->columns[node->column].name);
	else
		putf(w, "s%u.c%zu", s->number, node->column + 1);
}

static void list(struct writer *w, const struct sql_node *first)
{
	for (const struct sql_node *n = first; n != NULL; n = n->next) {
		if (n != first)
			put(w, ",");
		value(w, n);
	}
}

/* "$1" and "$2" are the arguments. */
static void pattern(struct writer *w, const char *sql, const struct sql_node *first)
{
	char piece[2] = "";

	put(w, "(");
	for (; *sql != '\0'; sql++) {
		if (*sql == '$') {
			value(w, *++sql == '1' ? first : first->next);
			continue;
		}
		piece[0] = *sql;
		put(w, piece);
	}
	put(w, ")");
}

static void call(struct writer *w, const struct sql_node *node)
{
	const char *sqlite = node->signature->sqlite;

	if (node->negate)
		put(w, "(NOT ");
	if (strchr(sqlite, '$') != NULL) {
		pattern(w, sqlite, node->child);
	} else if (strcmp(sqlite, "coalesce") == 0 && node->child->next == NULL) {
		value(w, node->child);
	} else {
		put(w, sqlite);
		put(w, node->distinct ? "(DISTINCT " : "(");
		list(w, node->child);
		put(w, ")");
	}
	if (node->filter != NULL) {
		put(w, " FILTER (WHERE ");
		value(w, node->filter);
		put(w, ")");
	}
	if (node->negate)
		put(w, ")");
}

static void cast(struct writer *w, const struct sql_node *node)
{
	const char *how = sql_conversion(node->child->type, node->type);

	if (node->operand)
		how = "CASE $1 WHEN 1 THEN 't' WHEN 0 THEN 'f' END";
	if (how == NULL)
		value(w, node->child);
	else
		pattern(w, how, node->child);
}

/* ---- conditions ---- */

static bool folds(const struct sql_node *node)
{
	return node->kind == NODE_COLUMN && node->source->columns[node->column].fold;
}

/* As something that has an order. */
static void key(struct writer *w, const struct sql_node *node)
{
	if (node->type == SQL_SPAN)
		put(w, "pg_span_ms(");
	value(w, node);
	if (node->type == SQL_SPAN)
		put(w, ")");
}

/* Beside a column that is kept in lower case. */
static void folded(struct writer *w, const struct sql_node *node, bool fold)
{
	if (!fold || folds(node) || node->type != SQL_TEXT) {
		key(w, node);
	} else if (node->kind == NODE_CONST && node->text != NULL) {
		size_t n = strlen(node->text);
		char *text = sql_new(w->tree, n + 1);

		for (size_t i = 0; i < n; i++) {
			char c = node->text[i];

			text[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
		}
		text_parameter(w, text);
	} else {
		put(w, "lower(");
		value(w, node);
		put(w, ")");
	}
}

static void compare(struct writer *w, const struct sql_node *node, const char *operator)
{
	const struct sql_node *a = node->child, *b = a->next;
	bool fold = (folds(a) || folds(b)) && operator[0] != '>' && strcmp(operator, "<") != 0 &&
		    strcmp(operator, "<=") != 0;

	put(w, "(");
	folded(w, a, fold);
	putf(w, " %s ", operator);
	folded(w, b, fold);
	put(w, ")");
}

static void between(struct writer *w, const struct sql_node *node)
{
	put(w, "(");
	key(w, node->child);
	put(w, node->negate ? " NOT BETWEEN " : " BETWEEN ");
	key(w, node->child->next);
	put(w, " AND ");
	key(w, node->child->next->next);
	put(w, ")");
}

static void in(struct writer *w, const struct sql_node *node)
{
	bool fold = folds(node->child);

	put(w, "(");
	folded(w, node->child, false);
	put(w, node->negate ? " NOT IN (" : " IN (");
	if (node->query != NULL)
		query(w, node->query);
	for (const struct sql_node *n = node->child->next; n != NULL; n = n->next) {
		folded(w, n, fold);
		if (n->next != NULL)
			put(w, ",");
	}
	put(w, "))");
}

static void is(struct writer *w, const struct sql_node *node)
{
	put(w, "(");
	value(w, node->child);
	put(w, node->negate ? " IS NOT " : " IS ");
	put(w, strcmp(node->text, "true") == 0	  ? "TRUE)"
	       : strcmp(node->text, "false") == 0 ? "FALSE)"
						  : "NULL)");
}

static void logic(struct writer *w, const struct sql_node *node, const char *word)
{
	put(w, "(");
	for (const struct sql_node *n = node->child; n != NULL; n = n->next) {
		if (n != node->child)
			put(w, word);
		value(w, n);
	}
	put(w, ")");
}

static void case_of(struct writer *w, const struct sql_node *node)
{
	const struct sql_node *n = node->child;

	put(w, "CASE ");
	if (node->operand) {
		value(w, n);
		n = n->next;
	}
	for (; n != NULL; n = n->next) {
		if (n->next != NULL) {
			put(w, " WHEN ");
			value(w, n);
			put(w, " THEN ");
			n = n->next;
		} else {
			put(w, " ELSE ");
		}
		value(w, n);
	}
	put(w, " END");
}

static void scalar(struct writer *w, const struct sql_node *node)
{
	put(w, "(SELECT pg_single(c1) FROM (");
	query(w, node->query);
	put(w, "))");
}

static void value(struct writer *w, const struct sql_node *node)
{
	switch (node->kind) {
	case NODE_CONST:
		constant(w, node);
		break;
	case NODE_COLUMN:
		column(w, node);
		break;
	case NODE_CALL:
		call(w, node);
		break;
	case NODE_STAR:
		put(w, "*");
		break;
	case NODE_AND:
		logic(w, node, " AND ");
		break;
	case NODE_OR:
		logic(w, node, " OR ");
		break;
	case NODE_NOT:
		put(w, "(NOT ");
		value(w, node->child);
		put(w, ")");
		break;
	case NODE_COMPARE:
		compare(w, node, node->text);
		break;
	case NODE_DISTINCT:
		compare(w, node, node->negate ? "IS" : "IS NOT");
		break;
	case NODE_BETWEEN:
		between(w, node);
		break;
	case NODE_IS:
		is(w, node);
		break;
	case NODE_IN:
		in(w, node);
		break;
	case NODE_CASE:
		case_of(w, node);
		break;
	case NODE_CAST:
		cast(w, node);
		break;
	case NODE_EXISTS:
		put(w, "EXISTS (");
		query(w, node->query);
		put(w, ")");
		break;
	case NODE_SCALAR:
		scalar(w, node);
		break;
	}
}

/* ---- clauses ---- */

static void sources(struct writer *w, const struct sql_query *q)
{
	for (const struct sql_source *s = q->sources; s != NULL; s = s->next) {
		if (s == q->sources)
			put(w, " FROM ");
		else /* not CROSS JOIN, which SQLite takes for an order to keep */
			put(w, s->left ? " LEFT JOIN " : " JOIN ");
		if (s->known != NULL) {
			put(w, w->tree->direct ? s->known->direct : s->known->module);
		} else {
			put(w, "(");
			query(w, s->query);
			put(w, ")");
		}
		putf(w, " AS s%u", s->number);
		if (s->on != NULL) {
			put(w, " ON ");
			value(w, s->on);
		}
	}
}

/* The store has an index of reply codes, but cannot know that LEFT(result, 1) = '4' asks for some
 * of them. */
static void code(struct writer *w, const struct sql_node *condition)
{
	const struct sql_node *column;
	char digits[4];
	bool exactly;
	size_t count = sql_result_code(condition, digits, &exactly, &column);
	unsigned source;

	if (count == 0)
		return;
	source = column->source->number;
	putf(w, " AND s%u.code >= ", source);
	text_parameter(w, sql_keep(w->tree, digits, count));
	putf(w, " AND s%u.code < ", source);
	digits[count - 1]++;
	text_parameter(w, sql_keep(w->tree, digits, count));
}

static void where(struct writer *w, const struct sql_query *q)
{
	put(w, " WHERE ");
	value(w, q->where);
	if (q->where->kind == NODE_AND) {
		for (const struct sql_node *n = q->where->child; n != NULL; n = n->next)
			code(w, n);
	} else {
		code(w, q->where);
	}
}

static bool never_null(const struct sql_node *node)
{
	return node->kind == NODE_COLUMN && node->source->known != NULL && !node->source->left &&
	       node->source->columns[node->column].never_null;
}

/* PostgreSQL sorts NULL after everything, SQLite before. */
static void order(struct writer *w, const struct sql_order *o)
{
	bool first = o->nulls != 0 ? o->nulls < 0 : o->descending;

	if (o->item > 0 && o->node->type != SQL_SPAN)
		putf(w, "%u", o->item);
	else
		key(w, o->node);
	put(w, o->descending ? " DESC" : "");
	if (!never_null(o->node))
		put(w, first ? " NULLS FIRST" : " NULLS LAST");
}

static void items(struct writer *w, const struct sql_query *q)
{
	size_t n = 0;

	for (const struct sql_item *i = q->items; i != NULL; i = i->next) {
		if (n > 0)
			put(w, ",");
		value(w, i->node);
		putf(w, " AS c%zu", ++n);
	}
}

static void query(struct writer *w, const struct sql_query *q)
{
	put(w, q->distinct ? "SELECT DISTINCT " : "SELECT ");
	items(w, q);
	sources(w, q);
	if (q->where != NULL)
		where(w, q);
	for (const struct sql_order *g = q->groups; g != NULL; g = g->next) {
		put(w, g == q->groups ? " GROUP BY " : ",");
		key(w, g->node);
	}
	if (q->having != NULL) {
		put(w, " HAVING ");
		value(w, q->having);
	}
	for (const struct sql_order *o = q->orders; o != NULL; o = o->next) {
		put(w, o == q->orders ? " ORDER BY " : ",");
		order(w, o);
	}
	if (q->limited || q->offset > 0)
		putf(w, " LIMIT %" PRId64 " OFFSET %" PRId64, q->limited ? q->limit : INT64_MAX,
		    q->offset);
}

bool sql_write(struct sql_tree *t, const struct sql_query *q, struct sql_written *out)
{
	struct writer w = {t, out, 0};

	/* ?1, which the tables know */
	out->parameters = xgrow(NULL, 0, sizeof *out->parameters);
	out->parameters[0] = (struct sql_parameter){.kind = PARAMETER_INT, .value = t->oldest_ms};
	out->nparameters = 1;
	query(&w, q);
	return !t->failed;
}

void sql_written_clear(struct sql_written *w)
{
	free(w->sql);
	free(w->parameters);
	*w = (struct sql_written){0};
}
