/* sql.h - one SELECT in PostgreSQL's words over the store: send attempts and holds (doc/sql.md).
 *
 * The query is read by a parser of our own, which refuses what it does not know, and is run by
 * SQLite: on the store's file where that is the engine, else through virtual tables that ask the
 * store. Nothing can be changed by it, and it ends at its deadline. Thread-safe. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>

struct store;

enum sql_answer {
	SQL_ROWS,
	SQL_WRONG,   /* it is not understood: why says what and where */
	SQL_FAILED,  /* it was understood and cannot be answered: division by zero, too many rows */
	SQL_LATE,    /* it takes longer than there is time */
	SQL_NO_STORE /* the store did not answer */
};

struct sql_rows { /* zero it before use */
	struct strlist names;
	char **cells; /* row after row; NULL is NULL. As PostgreSQL writes them */
	size_t n;     /* rows */
	bool local;   /* Redis is away: counted from what this process remembers */
};

enum sql_answer sql_query(
    struct store *, const char *text, size_t n, struct sql_rows *, char *why, size_t size, int ms);
void sql_rows_clear(struct sql_rows *);
