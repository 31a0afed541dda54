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
};

extern const sqlite3_module sql_attempts_module, sql_holds_module;
