/* sql_token.h - the text of a query as tokens; private to common/sql/.
 *
 * Literals are whole or an error, so nothing in one is ever taken for SQL (R17). Comments, string
 * escapes (E'..', U&'..', B'..', X'..') and dollar quotes are refused. */
#pragma once

#include "common/sql/sql_tree.h"

enum sql_token_kind {
	TOKEN_END,
	TOKEN_WORD,   /* in lower case */
	TOKEN_QUOTED, /* "name" */
	TOKEN_STRING, /* 'text', doubled quotes undone */
	TOKEN_NUMBER,
	TOKEN_SYMBOL
};

struct sql_token {
	enum sql_token_kind kind;
	size_t at;
	const char *text;
};

/* An array that ends with TOKEN_END; NULL: wrong. Lives as long as the tree. */
const struct sql_token *sql_tokens(struct sql_tree *);
/* The digits before the point of "3.0", a whole number as Lua 5.4 writes some; 0: it is another
 * number. */
size_t sql_whole_part(const char *number);
