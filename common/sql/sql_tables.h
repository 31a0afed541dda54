/* sql_tables.h - the store as virtual tables of SQLite; private to common/sql/. */
#pragma once

#include "common/sql/sql_tree.h"

#include <sqlite3.h>

struct store;

struct sql_run { /* one query while it runs */
	struct store *store;
	const struct sql_tree *tree;
	int64_t until;
	bool unknown; /* the store did not answer */
	bool late;    /* it was not asked any more */
};

/* Milliseconds below which the store is not asked: no answer would say nothing about it. */
#define SQL_LEAST_MS 10

extern const sqlite3_module sql_attempts_module, sql_holds_module;
