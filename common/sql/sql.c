/* sql.c - see sql.h: from the text to the rows.
 *
 * A connection to SQLite is made for each query and closed after it, some 0.2 ms: nothing of a
 * query is left for the next one, and the store can be closed at any time. What the parser lets
 * through is generated SQL; the authorizer, the limits and the read-only file stand behind it in
 * case of a mistake there. */
#include "common/sql.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/sql/sql_functions.h"
#include "common/sql/sql_tables.h"
#include "common/sql/sql_value.h"
#include "common/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_STEPS 1000 /* of SQLite's machine between looks at the clock, some 50 us */

struct query {
	struct sql_run run;
	struct sql_tree tree;
	struct sql_query *parsed;
	struct sql_rows *rows;
	sqlite3 *db;
	sqlite3_stmt *stmt;
	size_t bytes; /* of the answer so far */
	char *why;
	size_t size;
};

static enum sql_answer answer(struct query *q, enum sql_answer a, const char *why)
{
	snprintf(q->why, q->size, "%s", why);
	return a;
}

/* ---- the connection ---- */

static int on_progress(void *arg)
{
	const struct query *q = arg;

	return clock_ms() >= q->run.until;
}

static bool readable(const char *table)
{
	static const char *const tables[] = {
	    "attempts", "attempt_recipients", "keys", "mailhooks_attempts", "mailhooks_holds"};

	for (size_t i = 0; table != NULL && i < sizeof tables / sizeof *tables; i++)
		if (strcmp(table, tables[i]) == 0)
			return true;
	return table != NULL && table[0] == '\0'; /* SELECT count(*) of a query in FROM */
}

static int authorize(void *arg, int action, const char *first, const char *second,
    const char *database, const char *trigger)
{
	bool ok = false;

	(void)arg, (void)database, (void)trigger;
	if (action == SQLITE_SELECT)
		ok = true;
	else if (action == SQLITE_READ)
		ok = readable(first) ||
		     (first != NULL && first[0] == 's' && first[1] >= '0' && first[1] <= '9');
	else if (action == SQLITE_FUNCTION)
		ok = second != NULL && sql_function_known(second);
	return ok ? SQLITE_OK : SQLITE_DENY;
}

static void set_limits(sqlite3 *db)
{
	static const struct {
		int what, most;
	} limits[] = {
	    {SQLITE_LIMIT_LENGTH, LIMIT_SQL_VALUE_BYTES + 8},
	    {SQLITE_LIMIT_SQL_LENGTH, 1 << 20},
	    {SQLITE_LIMIT_COLUMN, 2 * LIMIT_SQL_COLUMNS},
	    {SQLITE_LIMIT_COMPOUND_SELECT, 8}, /* the schema of the store has such */
	    {SQLITE_LIMIT_ATTACHED, 0},
	    {SQLITE_LIMIT_TRIGGER_DEPTH, 0},
	    {SQLITE_LIMIT_WORKER_THREADS, 0},
	};

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		sqlite3_limit(db, limits[i].what, limits[i].most);
}

/* SQLite makes the tables when they are first named, by means that the authorizer refuses. */
static bool make_tables(struct query *q)
{
	static const char sql[] = "SELECT 1 FROM mailhooks_attempts, mailhooks_holds";
	sqlite3_stmt *stmt = NULL;
	bool ok = sqlite3_create_module_v2(q->db, "mailhooks_attempts", &sql_attempts_module,
		      &q->run, NULL) == SQLITE_OK;

	ok = ok && sqlite3_create_module_v2(
		       q->db, "mailhooks_holds", &sql_holds_module, &q->run, NULL) == SQLITE_OK;
	ok = ok && sqlite3_prepare_v2(q->db, sql, -1, &stmt, NULL) == SQLITE_OK;
	sqlite3_finalize(stmt);
	return ok;
}

static bool connect_to(struct query *q, const char *file)
{
	int flags = file != NULL ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	int64_t left = q->run.until - clock_ms();

	if (sqlite3_open_v2(file != NULL ? file : ":memory:", &q->db,
		flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL) != SQLITE_OK)
		return false;
	sqlite3_busy_timeout(q->db, left > 0 ? (int)left : 0);
	sqlite3_progress_handler(q->db, PROGRESS_STEPS, on_progress, q);
	sqlite3_db_config(q->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(q->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	set_limits(q->db);
	return sql_functions_register(q->db, &q->tree) && make_tables(q) &&
	       sqlite3_set_authorizer(q->db, authorize, q) == SQLITE_OK;
}

/* ---- running ---- */

static bool bind(sqlite3_stmt *stmt, const struct sql_written *w)
{
	int count = sqlite3_bind_parameter_count(stmt), rc = SQLITE_OK;

	/* the first is not in every query, but then no later one is missing */
	for (int i = 0; i < (int)w->nparameters && i < count && rc == SQLITE_OK; i++) {
		const struct sql_parameter *p = &w->parameters[i];

		if (p->kind == PARAMETER_TEXT)
			rc = sqlite3_bind_text(stmt, i + 1, p->text, -1, SQLITE_STATIC);
		else if (p->kind == PARAMETER_REAL)
			rc = sqlite3_bind_double(stmt, i + 1, p->real);
		else
			rc = sqlite3_bind_int64(stmt, i + 1, p->value);
	}
	return rc == SQLITE_OK;
}

/* One cell as PostgreSQL would write it; malloc'ed. */
static char *cell(sqlite3_stmt *stmt, int column, enum sql_type type)
{
	char text[SQL_TIME_TEXT] = "";
	const char *kept;
	struct sql_span span;

	if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
		return NULL;
	kept = (const char *)sqlite3_column_text(stmt, column);
	if (kept == NULL) /* out of memory; sqlite3_step() will say so */
		return NULL;
	switch (type) {
	case SQL_BOOL:
		return xstrdup(sqlite3_column_int(stmt, column) != 0 ? "t" : "f");
	case SQL_NUM:
		sql_number_text(sqlite3_column_double(stmt, column), text);
		return xstrdup(text);
	case SQL_STAMP:
	case SQL_LOCAL:
	case SQL_DATE:
		sql_stamp_text(sqlite3_column_int64(stmt, column), type, text);
		return xstrdup(text);
	case SQL_SPAN:
		if (sql_span_unpack(kept, &span))
			sql_span_text(&span, text);
		return xstrdup(text);
	case SQL_UNKNOWN:
	case SQL_INT:
	case SQL_TEXT:
	case SQL_TYPES:
		break;
	}
	return xstrdup(kept);
}

static enum sql_answer add_row(struct query *q)
{
	size_t columns = q->parsed->ncolumns;

	if (q->rows->n == LIMIT_SQL_ROWS)
		return answer(q, SQL_FAILED, "more than 10000 rows; use LIMIT");
	q->rows->cells = xrealloc(q->rows->cells, (q->rows->n + 1) * columns * sizeof(char *));
	q->rows->n++;
	for (size_t i = 0; i < columns; i++)
		q->rows->cells[(q->rows->n - 1) * columns + i] = NULL;
	for (size_t i = 0; i < columns; i++) {
		char *text = cell(q->stmt, (int)i, q->parsed->columns[i].type);

		q->rows->cells[(q->rows->n - 1) * columns + i] = text;
		q->bytes += text != NULL ? strlen(text) : 0;
	}
	if (q->bytes > LIMIT_SQL_ANSWER_BYTES)
		return answer(q, SQL_FAILED, "the answer is longer than 1 MiB; use LIMIT");
	return SQL_ROWS;
}

static enum sql_answer failure(struct query *q)
{
	int rc = sqlite3_errcode(q->db);

	if (q->run.unknown)
		return answer(q, SQL_NO_STORE, "the store does not answer");
	if (q->run.late || rc == SQLITE_INTERRUPT || rc == SQLITE_BUSY ||
	    clock_ms() >= q->run.until)
		return answer(q, SQL_LATE, "no answer in time");
	if (rc == SQLITE_TOOBIG)
		return answer(q, SQL_FAILED, "a text is longer than 65536 bytes");
	if (rc == SQLITE_ERROR)
		return answer(q, SQL_FAILED, sqlite3_errmsg(q->db));
	snprintf(q->why, q->size, "the store fails: %s", sqlite3_errmsg(q->db));
	return SQL_NO_STORE;
}

static enum sql_answer step(struct query *q)
{
	enum sql_answer a = SQL_ROWS;
	int rc;

	while (a == SQL_ROWS && (rc = sqlite3_step(q->stmt)) != SQLITE_DONE)
		a = rc == SQLITE_ROW ? add_row(q) : failure(q);
	return a;
}

/* What we wrote should always be taken; the limits of SQLite are the exception. */
static enum sql_answer unprepared(struct query *q)
{
	enum sql_answer a = failure(q);

	if (a == SQL_FAILED && sqlite3_errcode(q->db) == SQLITE_ERROR)
		log_warn(NULL, "sql: SQLite refuses what was made of a query: %s",
		    sqlite3_errmsg(q->db));
	return a;
}

static enum sql_answer run(struct query *q)
{
	struct sql_written w = {0};
	enum sql_answer a;

	if (!sql_write(&q->tree, q->parsed, &w)) {
		a = answer(q, SQL_WRONG, q->tree.why);
	} else if (!connect_to(q, store_sqlite_file(q->run.store))) {
		a = failure(q);
	} else if (sqlite3_prepare_v2(q->db, w.sql, (int)w.n + 1, &q->stmt, NULL) != SQLITE_OK ||
		   !bind(q->stmt, &w)) {
		a = unprepared(q);
	} else {
		a = step(q);
	}
	sqlite3_finalize(q->stmt);
	sqlite3_close(q->db);
	sql_written_clear(&w);
	return a;
}

/* ---- the short way ---- */

static enum sql_answer count(struct query *q, const struct store_window *window)
{
	int64_t left = q->run.until - clock_ms();
	struct store_count counted;

	if (left < SQL_LEAST_MS)
		return answer(q, SQL_LATE, "no answer in time");
	if (store_attempt_count(q->run.store, window, &counted, (int)left) != STORE_FOUND)
		return answer(q, SQL_NO_STORE, "the store does not answer");
	q->rows->cells = xcalloc(1, sizeof *q->rows->cells);
	q->rows->cells[0] = xasprintf("%" PRIu64, counted.n);
	q->rows->n = 1;
	q->rows->local = counted.local;
	return SQL_ROWS;
}

static enum sql_answer ask(struct query *q)
{
	struct store_window window;

	q->parsed = sql_parse(&q->tree);
	if (q->parsed == NULL || !sql_resolve(&q->tree, q->parsed))
		return answer(q, SQL_WRONG, q->tree.why);
	for (size_t i = 0; i < q->parsed->ncolumns; i++)
		strlist_add(&q->rows->names, q->parsed->columns[i].name);
	if (sql_counts(&q->tree, q->parsed, &window))
		return count(q, &window);
	return run(q);
}

enum sql_answer sql_query(struct store *store, const char *text, size_t n, struct sql_rows *rows,
    char *why, size_t size, int ms)
{
	struct query q = {
	    .run = {.store = store, .until = clock_ms() + (ms > 0 ? ms : 0)},
	    .tree =
		{
		    .text = text,
		    .n = n,
		    .now_ms = store_time(store),
		    .oldest_ms = store_attempt_oldest(store),
		    .direct = store_sqlite_file(store) != NULL,
		},
	    .rows = rows,
	    .why = why,
	    .size = size,
	};
	enum sql_answer a;

	q.run.tree = &q.tree;
	why[0] = '\0';
	a = ask(&q);
	sql_tree_clear(&q.tree);
	if (a != SQL_ROWS)
		sql_rows_clear(rows);
	return a;
}

void sql_rows_clear(struct sql_rows *r)
{
	for (size_t i = 0; i < r->n * r->names.n; i++)
		free(r->cells[i]);
	free(r->cells);
	strlist_clear(&r->names);
	*r = (struct sql_rows){0};
}
