/* sql_group.c - see sql_tree.h: what may stand in a query that groups. SQLite would take a column
 * of any row of the group where PostgreSQL refuses. */
#include "common/sql/sql_tree.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(const struct sql_node *a, const struct sql_node *b)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next)
		if (!sql_same(a, b))
			return false;
	return a == b;
}

bool sql_same(const struct sql_node *a, const struct sql_node *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->kind != b->kind || a->type != b->type ||
	    a->query != b->query || a->negate != b->negate || a->distinct != b->distinct ||
	    a->operand != b->operand || a->otherwise != b->otherwise)
		return false;
	if (a->kind == NODE_COLUMN)
		return a->source == b->source && a->column == b->column;
	return same_text(a->text, b->text) && a->value == b->value &&
	       same_list(a->child, b->child) && sql_same(a->filter, b->filter);
}

static bool is_aggregate(const struct sql_node *node)
{
	return node->kind == NODE_CALL && node->signature != NULL && node->signature->aggregate;
}

bool sql_has_aggregate(const struct sql_node *node)
{
	if (is_aggregate(node))
		return true;
	for (const struct sql_node *n = node->child; n != NULL; n = n->next)
		if (sql_has_aggregate(n))
			return true;
	return false;
}

static bool belongs(const struct sql_query *q, const struct sql_source *source)
{
	for (const struct sql_source *s = q->sources; s != NULL; s = s->next)
		if (s == source)
			return true;
	return false;
}

static bool check(struct sql_tree *t, const struct sql_query *q, const struct sql_node *node)
{
	for (const struct sql_order *g = q->groups; g != NULL; g = g->next)
		if (sql_same(g->node, node))
			return true;
	if (is_aggregate(node))
		return true;
	if (node->kind == NODE_COLUMN && belongs(q, node->source))
		return sql_wrong(
		    t, node->at, "%.60s must stand in GROUP BY or in an aggregate", node->text);
	if (node->query != NULL && node->query->correlated)
		return sql_wrong(
		    t, node->at, "a query that names columns of one that groups is not understood");
	for (const struct sql_node *n = node->child; n != NULL; n = n->next)
		if (!check(t, q, n))
			return false;
	return true;
}

bool sql_group_check(struct sql_tree *t, struct sql_query *q)
{
	for (const struct sql_item *i = q->items; i != NULL; i = i->next)
		if (!check(t, q, i->node))
			return false;
	for (const struct sql_order *o = q->orders; o != NULL; o = o->next)
		if (!check(t, q, o->node))
			return false;
	return q->having == NULL || check(t, q, q->having);
}
