/* sql_count.c - see sql_tree.h: queries that only count attempts in a window, as throttling scripts
 * do. The store answers them without looking at the attempts. */
#include "common/sql/sql_tree.h"

#include "common/limits.h"
#include "common/store.h"

#include <stdlib.h>
#include <string.h>

static bool is_column(const struct sql_node *node, const char *name)
{
	const struct sql_table *table =
	    node->kind == NODE_COLUMN && node->source->known != NULL ? node->source->known : NULL;

	return table != NULL && table->attempts &&
	       strcmp(table->columns[node->column].name, name) == 0;
}

static bool is_text(const struct sql_node *node)
{
	return node->kind == NODE_CONST && node->type == SQL_TEXT && node->text != NULL;
}

/* ---- the reply code ---- */

static size_t digits(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n < 3 ? n : 3;
}

/* Up to three digits that all results begin with which begin with `text`. */
static size_t take_code(const char *text, size_t n, char code[static 4])
{
	size_t count = digits(text);

	if (count > n)
		count = n;
	memcpy(code, text, count);
	code[count] = '\0';
	return count;
}

/* left(result, n) or substring(result, 1, n): n, else 0. */
static int64_t beginning(const struct sql_node *node)
{
	const struct sql_node *column = node->child, *second, *third;

	if (node->kind != NODE_CALL || column == NULL || !is_column(column, "result"))
		return 0;
	second = column->next;
	if (second == NULL || second->kind != NODE_CONST || second->text == NULL)
		return 0;
	if (strcmp(node->text, "left") == 0)
		return second->value;
	third = second->next;
	if ((strcmp(node->text, "substring") != 0 && strcmp(node->text, "substr") != 0) ||
	    third == NULL || third->kind != NODE_CONST || third->text == NULL || second->value != 1)
		return 0;
	return third->value;
}

static size_t by_beginning(
    const struct sql_node *call, const struct sql_node *text, char code[static 4], bool *exactly)
{
	size_t n = strlen(text->text), count;

	if (beginning(call) <= 0 || (uint64_t)beginning(call) != n)
		return 0;
	count = take_code(text->text, n, code);
	*exactly = count == n;
	return count;
}

/* result LIKE '45%' */
static size_t by_pattern(const struct sql_node *call, char code[static 4], bool *exactly)
{
	const struct sql_node *column = call->child, *pattern = column->next;
	size_t count;

	if (call->negate || !is_column(column, "result") || !is_text(pattern) ||
	    pattern->next != NULL)
		return 0;
	count = take_code(pattern->text, 3, code);
	*exactly = strcmp(pattern->text + count, "%") == 0;
	return count;
}

size_t sql_result_code(
    const struct sql_node *c, char code[static 4], bool *exactly, const struct sql_node **of)
{
	const struct sql_node *call = c, *text = NULL;
	size_t n = 0;

	*exactly = false;
	if (c->kind == NODE_COMPARE && strcmp(c->text, "=") == 0) {
		text = is_text(c->child) ? c->child : c->child->next;
		call = is_text(c->child) ? c->child->next : c->child;
		n = is_text(text) ? by_beginning(call, text, code, exactly) : 0;
	} else if (c->kind == NODE_CALL && strcmp(c->text, "like") == 0) {
		n = by_pattern(c, code, exactly);
	}
	*of = n > 0 ? call->child : NULL;
	return n;
}

/* ---- windows ---- */

struct counting {
	struct store_window *window;
	char code[4];
	bool keyed, coded;
};

static bool by_key(struct counting *c, const struct sql_node *condition)
{
	const struct sql_node *column = condition->child, *text = column->next;
	enum store_dimension d;

	if (column->kind != NODE_COLUMN) {
		column = text;
		text = condition->child;
	}
	if (c->keyed || strcmp(condition->text, "=") != 0 || column->kind != NODE_COLUMN ||
	    !is_text(text) || text->text[0] == '\0' || strlen(text->text) > LIMIT_STORE_KEY_BYTES)
		return false;
	if (!store_dimension_parse(column->source->columns[column->column].name, &d))
		return false;
	c->keyed = true;
	c->window->dimension = d;
	c->window->key = text->text;
	return true;
}

static bool by_time(struct counting *c, const struct sql_node *condition)
{
	const struct sql_node *column = condition->child, *time = column->next;
	struct store_window *w = c->window;
	const char *operator= condition->text;
	bool flip = column->kind != NODE_COLUMN, after, same;
	int64_t at;

	if (flip) {
		column = time;
		time = condition->child;
	}
	if (!is_column(column, "starttime") || time->kind != NODE_CONST || time->text == NULL ||
	    time->type != SQL_STAMP ||
	    (operator[0] != '<' && operator[0] != '>') || operator[1] == '>')
		return false;
	after = (operator[0] == '>') != flip;
	same = operator[1] == '=';
	at = time->value + (after != same); /* the first time that is in, or is not any more */
	if (after && at > w->since_ms)
		w->since_ms = at;
	if (!after && (w->before_ms == 0 || at < w->before_ms))
		w->before_ms = at > 0 ? at : 1;
	return true;
}

static bool condition(struct counting *c, const struct sql_node *node)
{
	const struct sql_node *of;
	char code[4];
	bool exactly;

	if (node->kind == NODE_COMPARE && (by_key(c, node) || by_time(c, node)))
		return true;
	if (c->coded || sql_result_code(node, code, &exactly, &of) == 0 || !exactly)
		return false;
	c->coded = true;
	memcpy(c->code, code, sizeof code);
	return true;
}

static bool counts_all(const struct sql_node *node)
{
	const struct sql_node *argument = node->child;

	return node->kind == NODE_CALL && strcmp(node->text, "count") == 0 && !node->distinct &&
	       node->filter == NULL &&
	       (argument->kind == NODE_STAR ||
		   (argument->kind == NODE_CONST && argument->text != NULL));
}

bool sql_counts(struct sql_tree *t, const struct sql_query *q, struct store_window *w)
{
	struct counting c = {.window = w};
	const struct sql_node *n = q->where;

	*w = (struct store_window){.dimension = STORE_ALL, .key = "", .result = ""};
	if (q->sources == NULL || q->sources->next != NULL || q->sources->known == NULL ||
	    !q->sources->known->attempts || q->items->next != NULL || q->distinct ||
	    q->groups != NULL || q->having != NULL || q->orders != NULL || q->limited ||
	    q->offset > 0 || !counts_all(q->items->node))
		return false;
	if (n != NULL && n->kind == NODE_AND) {
		for (n = n->child; n != NULL; n = n->next)
			if (!condition(&c, n))
				return false;
	} else if (n != NULL && !condition(&c, n)) {
		return false;
	}
	if (c.coded)
		w->result = sql_keep(t, c.code, strlen(c.code));
	return true;
}
