/* sql_resolve.c - see sql_tree.h: what the names of a query mean, and the types of its parts. */
#include "common/limits.h"
#include "common/sql/sql_tree.h"

#include <string.h>

static bool query(struct sql_tree *, struct sql_query *);

/* ---- columns ---- */

/* In the tables of one query. *twice: in more than one of them. */
static struct sql_source *find_column(
    const struct sql_query *q, const struct sql_node *node, size_t *column, bool *twice)
{
	struct sql_source *found = NULL;

	*twice = false;
	for (struct sql_source *s = q->sources; s != NULL; s = s->next) {
		if (node->table != NULL && strcmp(node->table, s->alias) != 0)
			continue;
		for (size_t i = 0; i < s->ncolumns; i++)
			if (strcmp(node->text, s->columns[i].name) == 0) {
				*twice = found != NULL;
				found = s;
				*column = i;
			}
	}
	return found;
}

static bool column(struct sql_tree *t, struct sql_query *q, struct sql_node *node)
{
	struct sql_source *found = NULL;
	struct sql_query *in;
	bool twice = false;

	for (in = q; in != NULL && found == NULL; in = found == NULL ? in->outer : in)
		found = find_column(in, node, &node->column, &twice);
	if (found == NULL)
		return sql_wrong(t, node->at, "there is no column %s%s%.60s",
		    node->table != NULL ? node->table : "", node->table != NULL ? "." : "",
		    node->text);
	if (twice)
		return sql_wrong(t, node->at, "%.60s is a column of several tables", node->text);
	for (in = q; in != NULL; in = in->outer) {
		size_t unused;
		bool also;

		if (find_column(in, node, &unused, &also) == found)
			break;
		in->correlated = true;
	}
	node->source = found;
	node->type = found->columns[node->column].type;
	return true;
}

/* ---- expressions ---- */

/* What only a condition may be. */
static bool condition(struct sql_tree *t, struct sql_node *node)
{
	return node == NULL || sql_convert(t, node, SQL_BOOL, false);
}

static bool conditions(struct sql_tree *t, struct sql_node *node)
{
	for (; node != NULL; node = node->next)
		if (!condition(t, node))
			return false;
	return true;
}

static bool one_column(struct sql_tree *t, const struct sql_query *q)
{
	return q->ncolumns == 1 ||
	       sql_wrong(t, q->at, "a query in this place gives one column, not %zu", q->ncolumns);
}

static bool in(struct sql_tree *t, struct sql_node *node)
{
	struct sql_node other = {0}, *both[] = {node->child, &other};

	if (node->query == NULL)
		return sql_common(t, node->child, "IN");
	if (!one_column(t, node->query))
		return false;
	other.kind = NODE_SCALAR;
	other.type = node->query->columns[0].type;
	other.at = node->at;
	if (!sql_common_of(t, both, 2, "IN"))
		return false;
	return other.kind == NODE_SCALAR ||
	       sql_wrong(t, node->at, "the query after IN gives another type");
}

/* CASE [operand] WHEN a THEN b ... [ELSE c]: one type for operand and all a, one for all b and c.
 */
static bool case_of(struct sql_tree *t, struct sql_node *node)
{
	struct sql_node **whens, **results, *n = node->child;
	size_t nwhens = 0, nresults = 0, most = 0;

	for (const struct sql_node *each = n; each != NULL; each = each->next)
		most++;
	whens = sql_new(t, most * sizeof(*whens));
	results = sql_new(t, most * sizeof(*results));
	if (node->operand) {
		whens[nwhens++] = n;
		n = n->next;
	}
	for (; n != NULL; n = n->next) {
		if (n->next != NULL) { /* a condition, then its result */
			whens[nwhens++] = n;
			n = n->next;
		}
		results[nresults++] = n;
	}
	if (node->operand && !sql_common_of(t, whens, nwhens, "CASE"))
		return false;
	if (node->operand && whens[0]->type == SQL_SPAN)
		return sql_wrong(t, node->at, "CASE of an interval is not understood");
	for (size_t i = 0; i < nwhens && !node->operand; i++)
		if (!condition(t, whens[i]))
			return false;
	if (!sql_common_of(t, results, nresults, "CASE"))
		return false;
	node->type = results[0]->type;
	return true;
}

static bool cast(struct sql_tree *t, struct sql_node *node)
{
	struct sql_node *inner = node->child;

	if (!sql_convert(t, inner, node->type, true))
		return false;
	/* the conversion stands where the cast stood, and has its name */
	inner->name = node->name;
	inner->next = node->next;
	*node = *inner;
	return true;
}

static bool is(struct sql_tree *t, struct sql_node *node)
{
	if (strcmp(node->text, "null") != 0)
		return condition(t, node->child);
	return node->child->type != SQL_UNKNOWN || sql_convert(t, node->child, SQL_TEXT, false);
}

/* Its children are resolved. */
static bool by_kind(struct sql_tree *t, struct sql_query *q, struct sql_node *node)
{
	switch (node->kind) {
	case NODE_CONST:
		return sql_resolve_const(t, node);
	case NODE_COLUMN:
		return column(t, q, node);
	case NODE_CALL:
		return sql_resolve_call(t, node);
	case NODE_CASE:
		return case_of(t, node);
	case NODE_CAST:
		return cast(t, node);
	case NODE_SCALAR:
		node->type = node->query->ncolumns > 0 ? node->query->columns[0].type : SQL_TEXT;
		return one_column(t, node->query);
	case NODE_AND:
	case NODE_OR:
	case NODE_NOT:
		node->type = SQL_BOOL;
		return conditions(t, node->child);
	case NODE_COMPARE:
		node->type = SQL_BOOL;
		return sql_common(t, node->child, node->text);
	case NODE_DISTINCT:
		node->type = SQL_BOOL;
		return sql_common(t, node->child, "IS DISTINCT FROM");
	case NODE_BETWEEN:
		node->type = SQL_BOOL;
		return sql_common(t, node->child, "BETWEEN");
	case NODE_IN:
		node->type = SQL_BOOL;
		return in(t, node);
	case NODE_IS:
		node->type = SQL_BOOL;
		return is(t, node);
	case NODE_EXISTS:
		node->type = SQL_BOOL;
		return true;
	case NODE_STAR:
		return true;
	}
	return false;
}

bool sql_resolve_node(struct sql_tree *t, struct sql_query *q, struct sql_node *node)
{
	bool ok = sql_enter(t, node->at);

	if (ok && !node->resolved) {
		for (struct sql_node *n = node->child; ok && n != NULL; n = n->next)
			ok = sql_resolve_node(t, q, n);
		if (ok && node->filter != NULL)
			ok = sql_resolve_node(t, q, node->filter) && condition(t, node->filter);
		if (ok && node->query != NULL) {
			node->query->outer = q;
			ok = query(t, node->query);
		}
		ok = ok && by_kind(t, q, node);
		node->resolved = true;
		if (ok && node->kind == NODE_CALL && node->signature->aggregate)
			for (struct sql_node *n = node->child; ok && n != NULL; n = n->next)
				if (sql_has_aggregate(n))
					ok = sql_wrong(t, n->at, "an aggregate inside of another");
	}
	sql_leave(t);
	return ok && !t->failed;
}

/* ---- FROM ---- */

static bool source(struct sql_tree *t, struct sql_query *q, struct sql_source *s)
{
	if (t->nsources == LIMIT_SQL_SOURCES)
		return sql_wrong(t, s->at, "more than %d tables", LIMIT_SQL_SOURCES);
	s->number = ++t->nsources;
	for (const struct sql_source *o = q->sources; o != s; o = o->next)
		if (strcmp(o->alias, s->alias) == 0)
			return sql_wrong(t, s->at, "two tables are called %.60s", s->alias);
	if (s->query != NULL) {
		s->query->outer = NULL; /* PostgreSQL would want LATERAL */
		if (!query(t, s->query))
			return false;
		s->columns = s->query->columns;
		s->ncolumns = s->query->ncolumns;
		return true;
	}
	s->known = sql_table_find(s->schema, s->table);
	if (s->known == NULL)
		return sql_wrong(t, s->at,
		    "there is no table %s%s%.60s; there are outqueue.sendattempts and outqueue.holds",
		    s->schema != NULL ? s->schema : "", s->schema != NULL ? "." : "", s->table);
	s->columns = s->known->columns;
	s->ncolumns = s->known->ncolumns;
	return true;
}

static bool no_aggregate(struct sql_tree *t, struct sql_node *node, const char *where)
{
	return node == NULL || !sql_has_aggregate(node) ||
	       sql_wrong(t, node->at, "an aggregate cannot stand in %s", where);
}

static bool from(struct sql_tree *t, struct sql_query *q)
{
	for (struct sql_source *s = q->sources; s != NULL; s = s->next)
		if (!source(t, q, s))
			return false;
	for (struct sql_source *s = q->sources; s != NULL; s = s->next)
		if (s->on != NULL && (!sql_resolve_node(t, q, s->on) || !condition(t, s->on) ||
					 !no_aggregate(t, s->on, "ON")))
			return false;
	return true;
}

/* ---- the list after SELECT ---- */

/* "*" becomes the columns of all tables, or of one. */
static bool expand(struct sql_tree *t, struct sql_query *q, struct sql_item *star)
{
	struct sql_item *last = star, *rest = star->next;
	bool any = false;

	for (const struct sql_source *s = q->sources; s != NULL; s = s->next) {
		if (star->table != NULL && strcmp(star->table, s->alias) != 0)
			continue;
		for (size_t i = 0; i < s->ncolumns; i++) {
			struct sql_item *item = any ? sql_new(t, sizeof *item) : star;

			item->node = sql_new(t, sizeof *item->node);
			*item->node = (struct sql_node){.kind = NODE_COLUMN,
			    .at = star->at,
			    .type = s->columns[i].type,
			    .source = (struct sql_source *)s,
			    .column = i,
			    .resolved = true,
			    .text = s->columns[i].name,
			    .name = s->columns[i].name};
			item->name = s->columns[i].name;
			item->at = star->at;
			if (item != star)
				last->next = item;
			last = item;
			any = true;
		}
	}
	last->next = rest;
	return any || sql_wrong(t, star->at, "there is no table for *");
}

static bool items(struct sql_tree *t, struct sql_query *q)
{
	for (struct sql_item *i = q->items; i != NULL; i = i->next) {
		if (i->node == NULL && !expand(t, q, i))
			return false;
		if (!sql_resolve_node(t, q, i->node))
			return false;
		if (i->node->type == SQL_UNKNOWN && !sql_convert(t, i->node, SQL_TEXT, false))
			return false;
		if (q->distinct && i->node->type == SQL_SPAN)
			return sql_wrong(t, i->at, "DISTINCT intervals are not understood");
		q->ncolumns++;
	}
	if (q->ncolumns > LIMIT_SQL_COLUMNS)
		return sql_wrong(t, q->at, "more than %d columns", LIMIT_SQL_COLUMNS);
	return true;
}

static void name_columns(struct sql_tree *t, struct sql_query *q)
{
	size_t n = 0;

	q->columns = sql_new(t, q->ncolumns * sizeof *q->columns);
	for (const struct sql_item *i = q->items; i != NULL; i = i->next) {
		const struct sql_node *node = i->node;

		q->columns[n] = (struct sql_column){.name = i->name, .type = node->type};
		if (node->kind == NODE_COLUMN)
			q->columns[n].fold = node->source->columns[node->column].fold;
		n++;
	}
}

/* ---- GROUP BY and ORDER BY ---- */

/* The item of this number. */
static bool by_number(struct sql_tree *t, struct sql_query *q, struct sql_order *o)
{
	const struct sql_item *item = q->items;
	int64_t n = o->node->value;

	if (n < 1 || (uint64_t)n > q->ncolumns)
		return sql_wrong(
		    t, o->node->at, "the list after SELECT has no item of this number");
	o->item = (unsigned)n;
	for (int64_t i = 1; i < n; i++)
		item = item->next;
	o->node = item->node;
	return true;
}

static bool by_name(struct sql_tree *t, struct sql_query *q, struct sql_order *o)
{
	struct sql_node *found = NULL;
	unsigned n = 0;

	for (const struct sql_item *i = q->items; i != NULL; i = i->next) {
		n++;
		if (strcmp(i->name, o->node->text) != 0)
			continue;
		if (found != NULL && !sql_same(found, i->node))
			return sql_wrong(t, o->node->at, "%.60s is several columns", i->name);
		if (found == NULL)
			o->item = n;
		found = i->node;
	}
	if (found != NULL)
		o->node = found;
	return found != NULL;
}

/* first: a name of the list after SELECT counts before one of a table. */
static bool order(struct sql_tree *t, struct sql_query *q, struct sql_order *o, bool first)
{
	struct sql_node *node = o->node;
	bool name = node->kind == NODE_COLUMN && node->table == NULL, twice;
	size_t unused;

	if (node->kind == NODE_CONST && node->type == SQL_INT)
		return sql_resolve_node(t, q, node) && by_number(t, q, o);
	if (node->kind == NODE_CONST)
		return sql_wrong(t, node->at, "a constant is no order");
	if (name && (first || find_column(q, node, &unused, &twice) == NULL) && by_name(t, q, o))
		return true;
	return !t->failed && sql_resolve_node(t, q, node);
}

/* The same stands after SELECT. */
static void find_item(const struct sql_query *q, struct sql_order *o)
{
	unsigned n = 0;

	for (const struct sql_item *i = q->items; i != NULL && o->item == 0; i = i->next) {
		n++;
		if (sql_same(i->node, o->node))
			o->item = n;
	}
}

static bool orders(struct sql_tree *t, struct sql_query *q)
{
	for (struct sql_order *o = q->groups; o != NULL; o = o->next)
		if (!order(t, q, o, false) || !no_aggregate(t, o->node, "GROUP BY"))
			return false;
	for (struct sql_order *o = q->orders; o != NULL; o = o->next) {
		if (!order(t, q, o, true))
			return false;
		find_item(q, o);
		if (q->distinct && o->item == 0)
			return sql_wrong(t, o->node->at,
			    "with DISTINCT, what ORDER BY names must stand after SELECT, too");
	}
	return true;
}

static bool is_aggregate(const struct sql_query *q)
{
	bool any = q->groups != NULL || q->having != NULL;

	for (const struct sql_item *i = q->items; i != NULL; i = i->next)
		any = any || sql_has_aggregate(i->node);
	for (const struct sql_order *o = q->orders; o != NULL; o = o->next)
		any = any || sql_has_aggregate(o->node);
	return any;
}

/* ---- a query ---- */

static bool parts(struct sql_tree *t, struct sql_query *q)
{
	if (!from(t, q) || !items(t, q))
		return false;
	name_columns(t, q);
	if (q->where != NULL && (!sql_resolve_node(t, q, q->where) || !condition(t, q->where) ||
				    !no_aggregate(t, q->where, "WHERE")))
		return false;
	if (!orders(t, q))
		return false;
	if (q->having != NULL && (!sql_resolve_node(t, q, q->having) || !condition(t, q->having)))
		return false;
	q->aggregate = is_aggregate(q);
	return !q->aggregate || sql_group_check(t, q);
}

static bool query(struct sql_tree *t, struct sql_query *q)
{
	bool ok = sql_enter(t, q->at) && parts(t, q);

	sql_leave(t);
	return ok;
}

bool sql_resolve(struct sql_tree *t, struct sql_query *q)
{
	return query(t, q) && !t->failed;
}
