/* sql_tree.h - a query as a tree; private to common/sql/.
 *
 *   sql_token.c    text to tokens
 *   sql_parse.c    tokens to a tree (with sql_parse_value.c)
 *   sql_resolve.c  names to columns, a type for every node, what SQLite has for each function
 *                  (with sql_call.c, sql_group.c)
 *   sql_write.c    the tree as SQLite's SQL
 *
 * Everything hangs on a struct sql_tree and lives as long. Nothing of the query's text gets into
 * SQLite's: names are known ones or made here, literals are bound (R17). The first error wins;
 * after it every function may do nothing. */
#pragma once

#include "common/sql/sql_time.h"
#include "common/sql/sql_type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql_block;
struct sql_query;
struct sql_signature;

struct sql_tree {
	const char *text;
	size_t n;
	int64_t now_ms, oldest_ms; /* oldest_ms: where the store's retention begins */
	struct sql_block *blocks;
	unsigned depth, nsources;
	bool direct; /* on the tables of the store's SQLite file */
	bool failed;
	char why[400];
};

enum sql_kind {
	NODE_CONST, /* text is NULL for NULL */
	NODE_COLUMN,
	NODE_CALL, /* of a function or an operator, the name is text */
	NODE_STAR, /* of count(*) */
	NODE_AND,
	NODE_OR,
	NODE_NOT,
	NODE_COMPARE,  /* text is the operator */
	NODE_DISTINCT, /* IS [NOT] DISTINCT FROM */
	NODE_BETWEEN,  /* value, low, high */
	NODE_IS,       /* NULL, TRUE, FALSE or UNKNOWN as text */
	NODE_IN,       /* value, items; or value and a query */
	NODE_CASE,     /* [operand,] condition, result, ... [, otherwise] */
	NODE_CAST,     /* to the type of the node */
	NODE_EXISTS,
	NODE_SCALAR /* a query that gives one value */
};

struct sql_node {
	enum sql_kind kind;
	enum sql_type type;
	size_t at; /* in the text */
	const char *text, *table;
	struct sql_node *child, *next;
	struct sql_query *query;
	struct sql_node *filter; /* of an aggregate */
	bool negate, distinct, otherwise;
	bool named;   /* a call by the name of a function, not an operator */
	bool operand; /* of CASE: it has one. Of a cast: a boolean as "t", not "true" */
	/* when resolved */
	bool resolved;
	const struct sql_signature *signature;
	struct sql_source *source;
	size_t column;
	int64_t value;	  /* of a constant point in time, number or boolean */
	const char *name; /* what PostgreSQL would call it as a column; NULL: nothing of its own */
	bool weak;	  /* the name gives way to one of something around it */
};

struct sql_item {	       /* of the list after SELECT */
	struct sql_node *node; /* NULL: all columns */
	const char *name, *table;
	size_t at;
	struct sql_item *next;
};

struct sql_column {
	const char *name;
	enum sql_type type;
	bool never_null, fold; /* fold: kept in lower case, compared so */
};

struct sql_table {
	const char *name;
	const char *direct; /* what stands for it on the tables of the store's SQLite file */
	const char *module; /* the virtual table */
	const struct sql_column *columns;
	size_t ncolumns;
	bool attempts;
};

struct sql_source { /* one table after FROM */
	const char *schema, *table, *alias;
	size_t at;
	struct sql_query *query; /* (SELECT ...) AS alias */
	struct sql_node *on;	 /* of a JOIN */
	bool left;
	struct sql_source *next;
	/* when resolved */
	const struct sql_table *known;
	const struct sql_column *columns;
	size_t ncolumns;
	unsigned number;
};

struct sql_order {
	struct sql_node *node;
	bool descending;
	int nulls;     /* -1 first, 1 last, 0 not said */
	unsigned item; /* of the list after SELECT, from 1; 0: an expression of its own */
	struct sql_order *next;
};

struct sql_query {
	size_t at;
	bool distinct;
	struct sql_item *items;
	struct sql_source *sources;
	struct sql_node *where, *having;
	struct sql_order *groups, *orders;
	bool limited;
	int64_t limit, offset;
	/* when resolved */
	struct sql_query *outer; /* whose columns it may name, too */
	bool aggregate;
	bool correlated; /* it names columns of an outer query */
	struct sql_column *columns;
	size_t ncolumns;
};

/* Zeroed memory that lives as long as the tree. */
void *sql_new(struct sql_tree *, size_t n);
const char *sql_keep(struct sql_tree *, const char *, size_t n);
void sql_tree_clear(struct sql_tree *);
/* Say what is wrong at this place of the text; always false. */
bool sql_wrong(struct sql_tree *, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* For recursion: false, and an error, when it is too deep. */
bool sql_enter(struct sql_tree *, size_t at);
void sql_leave(struct sql_tree *);

struct sql_query *sql_parse(struct sql_tree *); /* NULL: wrong */
/* columns of the result are query->columns */
bool sql_resolve(struct sql_tree *, struct sql_query *);

/* An expression, with the query whose columns it may name. */
bool sql_resolve_node(struct sql_tree *, struct sql_query *, struct sql_node *);
/* Make it a value of this type; explicit: the query says so. */
bool sql_convert(struct sql_tree *, struct sql_node *, enum sql_type, bool explicit);
/* One type for all of them; text if all are unknown. */
bool sql_common(struct sql_tree *, struct sql_node *first, const char *what);
bool sql_common_of(struct sql_tree *, struct sql_node **, size_t n, const char *what);
bool sql_resolve_call(struct sql_tree *, struct sql_node *); /* its arguments are resolved */
bool sql_resolve_const(struct sql_tree *, struct sql_node *);
/* Are columns outside of aggregates those that the query groups by? */
bool sql_group_check(struct sql_tree *, struct sql_query *);
bool sql_same(const struct sql_node *, const struct sql_node *);
bool sql_has_aggregate(const struct sql_node *); /* of this query, not of one inside */

/* ---- functions and operators ---- */

struct sql_signature {
	const char *name;
	/* One letter per argument: b i n t s(tamp) l(ocal) d(ate) v(interval), a any. '*' after it:
	 * any number of the last. */
	const char *arguments;
	enum sql_type result;
	const char *sqlite; /* a function; or, with '$', a pattern: $1 $2 */
	bool aggregate;
};

extern const struct sql_signature sql_signatures[]; /* ends with a NULL name */
enum sql_type sql_letter_type(char);		    /* SQL_UNKNOWN for 'a' */

/* ---- type names ---- */

/* Words of a type name at tokens; see sql_types.c. */
struct sql_type_name {
	const char *words, *short_name; /* "double precision", "float8" */
	enum sql_type type;
};
extern const struct sql_type_name sql_type_names[]; /* longer names before shorter ones */

/* What SQLite makes of $1 to get from one type to another; NULL: the value is the same. */
const char *sql_conversion(enum sql_type from, enum sql_type to);

/* ---- the tables ---- */

const struct sql_table *sql_table_find(const char *schema, const char *name);

/* ---- as SQLite's SQL ---- */

struct sql_parameter {
	enum { PARAMETER_TEXT, PARAMETER_INT, PARAMETER_REAL } kind;
	const char *text;
	int64_t value;
	double real;
};

struct sql_written {
	char *sql; /* malloc'ed */
	size_t n;
	struct sql_parameter *parameters;
	size_t nparameters;
};

bool sql_write(struct sql_tree *, const struct sql_query *, struct sql_written *);
void sql_written_clear(struct sql_written *);

/* Does the condition say that `result` begins with digits? How many; 0: it does not. *exactly: it
 * says nothing else. *of: the column. */
size_t sql_result_code(const struct sql_node *condition, char code[static 4], bool *exactly,
    const struct sql_node **of);

/* Does the query only count attempts in a window that the store can count by itself? The strings
 * of the window live as long as the tree. */
struct store_window;
bool sql_counts(struct sql_tree *, const struct sql_query *, struct store_window *);
