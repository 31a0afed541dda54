/* sql_call.c - see sql_tree.h: which function or operator a call means, and conversions between
 * types, by PostgreSQL's rules as far as our types go. */
#include "common/sql/sql_token.h"
#include "common/sql/sql_tree.h"
#include "common/sql/sql_value.h"

#include <stdio.h>
#include <string.h>

#define MOST_ARGUMENTS 32

/* ---- conversions ---- */

static bool implicit(enum sql_type from, enum sql_type to)
{
	return (from == SQL_INT && to == SQL_NUM) ||
	       (from == SQL_DATE && (to == SQL_STAMP || to == SQL_LOCAL)) ||
	       (from == SQL_LOCAL && to == SQL_STAMP);
}

static bool explicit_cast(enum sql_type from, enum sql_type to)
{
	bool from_time = from == SQL_STAMP || from == SQL_LOCAL || from == SQL_DATE;
	bool to_time = to == SQL_STAMP || to == SQL_LOCAL || to == SQL_DATE;

	return implicit(from, to) || from == SQL_TEXT || to == SQL_TEXT || (from_time && to_time) ||
	       (from == SQL_NUM && to == SQL_INT) || (from == SQL_BOOL && to == SQL_INT) ||
	       (from == SQL_INT && to == SQL_BOOL);
}

/* A literal's text as a constant of the type. */
static bool read_literal(struct sql_tree *t, struct sql_node *node, enum sql_type type)
{
	char packed[SQL_TIME_TEXT];
	struct sql_value value;

	if (!sql_value_read(node->text, type, t->now_ms, &value))
		return sql_wrong(t, node->at, "invalid input for type %s: \"%.60s\"",
		    sql_type_text(type), node->text);
	node->type = type;
	node->value = value.integer;
	if (type == SQL_SPAN) {
		sql_span_pack(&value.span, packed);
		node->text = sql_keep(t, packed, strlen(packed));
	}
	return true;
}

bool sql_resolve_const(struct sql_tree *t, struct sql_node *node)
{
	struct sql_value value;

	if (node->type == SQL_INT && !sql_value_read(node->text, SQL_INT, 0, &value))
		node->type = SQL_NUM; /* too large */
	return node->text == NULL || node->type == SQL_UNKNOWN || read_literal(t, node, node->type);
}

/* The node becomes a cast of what it was. */
static void wrap(struct sql_tree *t, struct sql_node *node, enum sql_type type)
{
	struct sql_node *inner = sql_new(t, sizeof *inner);

	*inner = *node;
	inner->next = NULL;
	*node = (struct sql_node){
	    .kind = NODE_CAST,
	    .type = type,
	    .at = inner->at,
	    .name = inner->name,
	    .child = inner,
	    .next = node->next,
	    .resolved = true,
	};
}

bool sql_convert(struct sql_tree *t, struct sql_node *node, enum sql_type type, bool explicit)
{
	if (t->failed)
		return false;
	if (node->type == type)
		return true;
	if (node->type == SQL_UNKNOWN && node->kind == NODE_CONST) {
		if (node->text != NULL)
			return read_literal(t, node, type);
		node->type = type;
		return true;
	}
	if (node->type != SQL_UNKNOWN && !implicit(node->type, type) &&
	    !(explicit && explicit_cast(node->type, type)))
		return sql_wrong(t, node->at, "%s is wanted here, not %s", sql_type_text(type),
		    sql_type_text(node->type));
	wrap(t, node, type);
	return true;
}

/* ---- one type for several ---- */

static bool wider(enum sql_type *common, enum sql_type type)
{
	if (type == SQL_UNKNOWN || type == *common || implicit(type, *common))
		return true;
	if (*common == SQL_UNKNOWN || implicit(*common, type)) {
		*common = type;
		return true;
	}
	return false;
}

static bool mixed(struct sql_tree *t, const struct sql_node *node, const char *what,
    enum sql_type a, enum sql_type b)
{
	return sql_wrong(t, node->at, "%s: %s and %s do not go together", what, sql_type_text(a),
	    sql_type_text(b));
}

bool sql_common_of(struct sql_tree *t, struct sql_node **nodes, size_t n, const char *what)
{
	enum sql_type common = SQL_UNKNOWN;

	for (size_t i = 0; i < n; i++)
		if (!wider(&common, nodes[i]->type))
			return mixed(t, nodes[i], what, common, nodes[i]->type);
	if (common == SQL_UNKNOWN)
		common = SQL_TEXT;
	for (size_t i = 0; i < n; i++)
		if (!sql_convert(t, nodes[i], common, false))
			return false;
	return true;
}

bool sql_common(struct sql_tree *t, struct sql_node *first, const char *what)
{
	struct sql_node **nodes;
	size_t n = 0;

	for (const struct sql_node *node = first; node != NULL; node = node->next)
		n++;
	nodes = sql_new(t, n * sizeof(*nodes));
	n = 0;
	for (struct sql_node *node = first; node != NULL; node = node->next)
		nodes[n++] = node;
	return sql_common_of(t, nodes, n, what);
}

/* ---- which function ---- */

/* How well the arguments fit: -1 not at all, else how many need no conversion. An unknown literal
 * fits anything; text most. */
static int fit(const struct sql_signature *s, const struct sql_node *first)
{
	const char *letter = s->arguments;
	int score = 0;

	if (first != NULL && first->kind == NODE_STAR)
		return strcmp(s->arguments, "*") == 0 ? 1 : -1;
	for (const struct sql_node *n = first; n != NULL; n = n->next) {
		enum sql_type want = sql_letter_type(*letter);

		if (*letter == '\0' || *letter == '*')
			return -1;
		if (*letter != 'a') {
			if (n->type == want)
				score += 4;
			else if (n->type == SQL_UNKNOWN)
				score += want == SQL_TEXT ? 2 : 1;
			else if (!implicit(n->type, want) && strcmp(s->name, "concat") != 0)
				return -1;
		}
		if (letter[1] != '*')
			letter++;
	}
	return *letter == '\0' || (letter[1] == '*' && first != NULL) ? score : -1;
}

/* Is it called so? An operator has no name that a function could be called by. */
static bool means(const struct sql_node *call, const struct sql_signature *s)
{
	return strcmp(s->name, call->text) == 0 && !(call->named && strchr(s->sqlite, '$') != NULL);
}

/* PostgreSQL takes a literal beside an operator for what stands on the other side, if there is such
 * an operator. */
static const struct sql_signature *beside(const struct sql_node *call)
{
	const struct sql_node *a = call->child, *b = a != NULL ? a->next : NULL;
	enum sql_type type;

	if (b == NULL || b->next != NULL || (a->type == SQL_UNKNOWN) == (b->type == SQL_UNKNOWN))
		return NULL;
	type = a->type != SQL_UNKNOWN ? a->type : b->type;
	for (const struct sql_signature *s = sql_signatures; s->name != NULL; s++)
		if (means(call, s) && strlen(s->arguments) == 2 &&
		    sql_letter_type(s->arguments[0]) == type &&
		    sql_letter_type(s->arguments[1]) == type)
			return s;
	return NULL;
}

static const struct sql_signature *best(const struct sql_node *call, bool *known)
{
	const struct sql_signature *found = beside(call);
	int score = -1;

	*known = found != NULL;
	if (found != NULL)
		return found;
	for (const struct sql_signature *s = sql_signatures; s->name != NULL; s++) {
		int now;

		if (!means(call, s))
			continue;
		*known = true;
		now = fit(s, call->child);
		if (now > score) {
			score = now;
			found = s;
		}
	}
	return found;
}

/* LEFT(result, 3.0) is what Lua 5.4 makes of .. 6/2 ..; PostgreSQL has no such function. Literals
 * like that become the whole numbers that they are; false: there is none. */
static bool make_whole(struct sql_tree *t, struct sql_node *call)
{
	bool any = false;

	for (struct sql_node *n = call->child; n != NULL; n = n->next) {
		size_t whole;

		if (n->kind != NODE_CONST || n->type != SQL_NUM || n->text == NULL)
			continue;
		whole = sql_whole_part(n->text);
		if (whole == 0)
			continue;
		n->text = sql_keep(t, n->text, whole);
		n->type = SQL_INT;
		any = sql_resolve_const(t, n);
	}
	return any;
}

static bool not_found(struct sql_tree *t, const struct sql_node *call, bool known)
{
	char types[160] = "";
	size_t n = 0;

	for (const struct sql_node *a = call->child; a != NULL && n < sizeof types - 1; a = a->next)
		n += (size_t)snprintf(types + n, sizeof types - n, "%s%s", n > 0 ? ", " : "",
		    a->kind == NODE_STAR ? "*" : sql_type_text(a->type));
	if (known)
		return sql_wrong(t, call->at, "there is no %.60s for (%s)", call->text, types);
	return sql_wrong(t, call->at, "the function %.60s is not known", call->text);
}

/* Text beside || makes text of the other side. */
static bool join_texts(struct sql_tree *t, struct sql_node *call)
{
	struct sql_node *a = call->child, *b = a->next;
	bool text = a->type == SQL_TEXT || b->type == SQL_TEXT || a->type == SQL_UNKNOWN ||
		    b->type == SQL_UNKNOWN;

	return !text || (sql_convert(t, a, SQL_TEXT, true) && sql_convert(t, b, SQL_TEXT, true));
}

static bool convert_arguments(struct sql_tree *t, struct sql_node *call)
{
	const struct sql_signature *s = call->signature;
	const char *letter = s->arguments;
	bool concat = strcmp(s->name, "concat") == 0;

	if (strchr(s->arguments, 'a') != NULL && !s->aggregate)
		return sql_common(t, call->child, s->name);
	for (struct sql_node *n = call->child; n != NULL; n = n->next) {
		if (n->kind == NODE_STAR)
			return true;
		if (*letter == 'a' && n->type == SQL_UNKNOWN && !sql_convert(t, n, SQL_TEXT, false))
			return false;
		if (*letter != 'a' && !sql_convert(t, n, sql_letter_type(*letter), concat))
			return false;
		if (concat && n->kind == NODE_CAST && n->child->type == SQL_BOOL)
			n->operand = true; /* it is written as in an answer */
		if (letter[1] != '*')
			letter++;
	}
	return true;
}

static bool is_time(enum sql_type type)
{
	return type == SQL_STAMP || type == SQL_LOCAL || type == SQL_DATE;
}

/* now() and its like are one moment for the whole query. */
static void fold_now(struct sql_tree *t, struct sql_node *call)
{
	call->kind = NODE_CONST;
	call->text = "now";
	call->value = t->now_ms;
	if (call->type == SQL_DATE)
		sql_stamp_truncate(t->now_ms, "day", &call->value);
}

/* A constant point in time and a constant interval are a constant, so that the store can be asked
 * with it. */
static void fold_sum(struct sql_node *call)
{
	const struct sql_node *time = call->child, *length = time->next;
	struct sql_span span, summand = {0};
	int64_t sum;

	if (time->type == SQL_SPAN) {
		length = time;
		time = length->next;
	}
	if (!is_time(time->type) || length->type != SQL_SPAN || time->kind != NODE_CONST ||
	    length->kind != NODE_CONST || time->text == NULL || length->text == NULL)
		return;
	if (!sql_span_unpack(length->text, &span) ||
	    !sql_span_add(&summand, &span, call->text[0] == '-' ? -1 : 1) ||
	    !sql_stamp_add(time->value, &summand, &sum))
		return;
	call->kind = NODE_CONST;
	call->text = "sum";
	call->value = sum;
}

static void fold(struct sql_tree *t, struct sql_node *call)
{
	if (call->child == NULL && is_time(call->type))
		fold_now(t, call);
	else if (is_time(call->type) && strlen(call->signature->arguments) == 2 &&
		 strchr(call->signature->arguments, 'v') != NULL)
		fold_sum(call);
}

bool sql_resolve_call(struct sql_tree *t, struct sql_node *call)
{
	bool known;
	size_t n = 0;

	for (const struct sql_node *a = call->child; a != NULL; a = a->next)
		if (++n > MOST_ARGUMENTS)
			return sql_wrong(t, a->at, "too many arguments");
	if (strcmp(call->text, "||") == 0 && !join_texts(t, call))
		return false;
	call->signature = best(call, &known);
	if (call->signature == NULL && known && make_whole(t, call))
		call->signature = best(call, &known);
	if (call->signature == NULL)
		return not_found(t, call, known);
	if ((call->distinct || call->filter != NULL) && !call->signature->aggregate)
		return sql_wrong(t, call->at, "%.60s is no aggregate function", call->text);
	if (call->distinct && call->child->next != NULL)
		return sql_wrong(t, call->at, "DISTINCT of two arguments is not understood");
	if (!convert_arguments(t, call))
		return false;
	call->type = call->signature->result;
	if (call->type == SQL_UNKNOWN)
		call->type = call->child->type;
	/* as a value of SQLite's, an interval has no order */
	if (call->type == SQL_SPAN && strchr(call->signature->arguments, 'a') != NULL &&
	    strcmp(call->text, "coalesce") != 0)
		return not_found(t, call, true);
	fold(t, call);
	return true;
}
