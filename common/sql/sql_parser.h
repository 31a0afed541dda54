/* sql_parser.h - where the parser stands; private to common/sql/, for sql_parse*.c only. */
#pragma once

#include "common/sql/sql_token.h"

struct sql_parser {
	struct sql_tree *tree;
	const struct sql_token *token; /* the next one */
};

/* All skip what they found. */
bool sql_word(struct sql_parser *, const char *word); /* the next token is this word */
bool sql_symbol(struct sql_parser *, const char *symbol);
bool sql_words(struct sql_parser *, const char *first, const char *second);
bool sql_want_symbol(struct sql_parser *, const char *symbol); /* else an error */
bool sql_want_word(struct sql_parser *, const char *word);
bool sql_is_word(const struct sql_parser *, const char *word); /* skips nothing */
bool sql_is_symbol(const struct sql_parser *, const char *symbol);
/* Words that end what stands before them, so cannot be names without quotes. */
bool sql_reserved(const char *word);
/* A name, in quotes or not; NULL: none. */
const char *sql_name(struct sql_parser *);

struct sql_node *sql_node(struct sql_parser *, enum sql_kind, size_t at);
struct sql_node *sql_expression(struct sql_parser *); /* NULL: wrong */
struct sql_node *sql_primary(struct sql_parser *);    /* one that needs no parentheses */
struct sql_query *sql_select(struct sql_parser *);    /* from SELECT on */
/* Expressions with commas between them: the first, and their number if count is not NULL. */
struct sql_node *sql_expressions(struct sql_parser *);
/* After "::" or AS. The cast of `node`. */
struct sql_node *sql_cast(struct sql_parser *, struct sql_node *node, size_t at);
/* A call of `name` with these arguments, called `shown` as a column (NULL: has no name). */
struct sql_node *sql_call(struct sql_parser *, size_t at, const char *name, const char *shown,
    struct sql_node *first, struct sql_node *second);
