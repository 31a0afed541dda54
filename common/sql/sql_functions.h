/* sql_functions.h - PostgreSQL's functions for SQLite; private to common/sql/.
 *
 * Texts are bounded by SQLITE_LIMIT_LENGTH, patterns and sets of characters by
 * LIMIT_SQL_PATTERN_BYTES, so that no call takes longer than a fraction of a second: SQLite looks
 * at the clock only between calls. */
#pragma once

#include "common/sql/sql_tree.h"

#include <sqlite3.h>

struct sql_function {
	const char *name;
	int arguments; /* -1: any number */
	void (*run)(sqlite3_context *, int n, sqlite3_value **, const struct sql_tree *);
	bool nulls; /* it is called with NULLs, too; else the result is NULL then */
};

extern const struct sql_function sql_text_functions[], sql_number_functions[],
    sql_time_functions[]; /* end with a NULL name */

/* What a function is registered with. */
struct sql_use {
	const struct sql_function *function;
	const struct sql_tree *tree;
};

/* All of them; the tree must outlive the connection. False: out of memory. */
bool sql_functions_register(sqlite3 *, struct sql_tree *);
/* Was it registered by us, or is it one of SQLite's that sql_types.c names? */
bool sql_function_known(const char *name);

/* The text of an argument, never NULL. */
const char *sql_argument(sqlite3_value *);
void sql_fail(sqlite3_context *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
