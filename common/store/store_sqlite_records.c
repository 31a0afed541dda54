/* store_sqlite_records.c - holds and settings in SQLite. */
#include "common/limits.h"
#include "common/store/store_sqlite.h"
#include "common/store/store_text.h"

#include <stdlib.h>

/* ---- holds ---- */

int64_t store_sqlite_holds_trim(struct store_sqlite *s, struct sqlite_conn *c, int64_t most)
{
	static const char sql[] = "DELETE FROM holds WHERE (dimension, value) IN"
				  " (SELECT dimension, value FROM holds WHERE until <= ? LIMIT ?)";

	sqlite_conn_do(c, sql, "ii", store_now(&s->options), most);
	return sqlite_conn_failed(c) ? 0 : sqlite_conn_changes(c);
}

enum store_answer store_sqlite_hold_set(
    struct store_engine *e, const struct store_hold *h, int64_t until)
{
	static const char sql[] = "INSERT OR REPLACE INTO holds(dimension, value, until, since,"
				  " who, reason) VALUES(?, ?, ?, ?, ?, ?)";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c = sqlite_pool_write(s->pool, until);

	if (c == NULL)
		return STORE_UNKNOWN;
	sqlite_conn_do(c, sql, "itiitt", (int64_t)h->dimension, h->key, h->until_ms, h->set_ms,
	    h->who, h->reason);
	store_sqlite_holds_trim(s, c, LIMIT_STORE_TRIM);
	return sqlite_pool_end(c, STORE_FOUND);
}

struct hold_copy {
	struct store_hold hold;
	struct strlist texts;
};

static void read_hold(struct hold_copy *h, sqlite3_stmt *stmt)
{
	h->hold = (struct store_hold){
	    .dimension = (enum store_dimension)sqlite3_column_int(stmt, 0),
	    .key = store_text(&h->texts, sqlite_column(stmt, 1), LIMIT_STORE_KEY_BYTES),
	    .until_ms = sqlite3_column_int64(stmt, 2),
	    .set_ms = sqlite3_column_int64(stmt, 3),
	    .who = store_text(&h->texts, sqlite_column(stmt, 4), LIMIT_STORE_HOLD_TEXT_BYTES),
	    .reason = store_text(&h->texts, sqlite_column(stmt, 5), LIMIT_STORE_HOLD_TEXT_BYTES),
	};
}

#define HOLD_COLUMNS "SELECT dimension, value, until, since, who, reason FROM holds"

enum store_answer store_sqlite_hold_get(struct store_engine *e, enum store_dimension d,
    const char *key, void (*visit)(const struct store_hold *, void *), void *arg, int64_t until)
{
	static const char sql[] = HOLD_COLUMNS " WHERE dimension = ? AND value = ? AND until > ?";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c = sqlite_pool_read(s->pool, until);
	struct hold_copy h = {0};
	enum store_answer answer = STORE_ABSENT;
	sqlite3_stmt *stmt;

	if (c == NULL)
		return STORE_UNKNOWN;
	stmt = sqlite_conn_row(c, sql, "iti", (int64_t)d, key, store_now(&s->options));
	if (stmt != NULL) {
		read_hold(&h, stmt);
		answer = STORE_FOUND;
	}
	answer = sqlite_pool_end(c, answer);
	if (answer == STORE_FOUND)
		visit(&h.hold, arg);
	strlist_clear(&h.texts);
	return answer;
}

enum store_answer store_sqlite_hold_list(struct store_engine *e,
    bool (*visit)(const struct store_hold *, void *), void *arg, int64_t until)
{
	static const char sql[] =
	    HOLD_COLUMNS " WHERE until > ? ORDER BY until, dimension, value LIMIT ?";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c = sqlite_pool_read(s->pool, until);
	struct hold_copy *holds = NULL;
	enum store_answer answer;
	sqlite3_stmt *stmt;
	size_t n = 0;

	if (c == NULL)
		return STORE_UNKNOWN;
	stmt = sqlite_conn_row(c, sql, "ii", store_now(&s->options), (int64_t)LIMIT_STORE_HOLDS);
	for (bool more = stmt != NULL; more; more = sqlite_conn_next(c, stmt)) {
		holds = xgrow(holds, n, sizeof *holds);
		holds[n] = (struct hold_copy){0};
		read_hold(&holds[n++], stmt);
	}
	answer = sqlite_pool_end(c, n > 0 ? STORE_FOUND : STORE_ABSENT);
	for (size_t i = 0; i < n && answer == STORE_FOUND; i++)
		if (!visit(&holds[i].hold, arg))
			break;
	for (size_t i = 0; i < n; i++)
		strlist_clear(&holds[i].texts);
	free(holds);
	return answer;
}

enum store_answer store_sqlite_hold_release(
    struct store_engine *e, enum store_dimension d, const char *key, int64_t until)
{
	static const char sql[] =
	    "DELETE FROM holds WHERE dimension = ? AND value = ? AND until > ?";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c = sqlite_pool_write(s->pool, until);

	if (c == NULL)
		return STORE_UNKNOWN;
	sqlite_conn_do(c, sql, "iti", (int64_t)d, key, store_now(&s->options));
	return sqlite_pool_end(c, sqlite_conn_changes(c) > 0 ? STORE_FOUND : STORE_ABSENT);
}

/* ---- settings ---- */

enum store_answer store_sqlite_setting_get(
    struct store_engine *e, const char *user, const char *name, char **value, int64_t until)
{
	static const char sql[] = "SELECT value FROM settings WHERE user = ? AND name = ?";
	struct sqlite_conn *c = sqlite_pool_read(store_sqlite_of(e)->pool, until);
	enum store_answer answer;
	sqlite3_stmt *stmt;

	if (c == NULL)
		return STORE_UNKNOWN;
	stmt = sqlite_conn_row(c, sql, "tt", user, name);
	if (stmt != NULL)
		*value = xstrdup(sqlite_column(stmt, 0));
	answer = sqlite_pool_end(c, *value != NULL ? STORE_FOUND : STORE_ABSENT);
	if (answer != STORE_FOUND)
		xreplace(value, NULL);
	return answer;
}

enum store_answer store_sqlite_setting_set(
    struct store_engine *e, const char *user, const char *name, const char *value, int64_t until)
{
	static const char change[] = "UPDATE settings SET value = ? WHERE user = ? AND name = ?";
	static const char count[] = "SELECT count(*) FROM settings WHERE user = ?";
	static const char add[] = "INSERT INTO settings(user, name, value) VALUES(?, ?, ?)";
	struct sqlite_conn *c = sqlite_pool_write(store_sqlite_of(e)->pool, until);
	enum store_answer answer = STORE_FOUND;

	if (c == NULL)
		return STORE_UNKNOWN;
	sqlite_conn_do(c, change, "ttt", value, user, name);
	if (sqlite_conn_changes(c) == 0) {
		if (sqlite_conn_int(c, 0, count, "t", user) < LIMIT_STORE_SETTINGS)
			sqlite_conn_do(c, add, "ttt", user, name, value);
		else
			answer = STORE_ABSENT;
	}
	return sqlite_pool_end(c, answer);
}

enum store_answer store_sqlite_setting_delete(
    struct store_engine *e, const char *user, const char *name, int64_t until)
{
	static const char sql[] = "DELETE FROM settings WHERE user = ? AND name = ?";
	struct sqlite_conn *c = sqlite_pool_write(store_sqlite_of(e)->pool, until);

	if (c == NULL)
		return STORE_UNKNOWN;
	sqlite_conn_do(c, sql, "tt", user, name);
	return sqlite_pool_end(c, sqlite_conn_changes(c) > 0 ? STORE_FOUND : STORE_ABSENT);
}

enum store_answer store_sqlite_setting_list(
    struct store_engine *e, const char *user, struct strlist *names, int64_t until)
{
	static const char sql[] = "SELECT name FROM settings WHERE user = ?";
	struct sqlite_conn *c = sqlite_pool_read(store_sqlite_of(e)->pool, until);
	struct strlist found = STRLIST_INIT;
	enum store_answer answer;
	sqlite3_stmt *stmt;

	if (c == NULL)
		return STORE_UNKNOWN;
	stmt = sqlite_conn_row(c, sql, "t", user);
	for (bool more = stmt != NULL; more; more = sqlite_conn_next(c, stmt))
		strlist_add(&found, sqlite_column(stmt, 0));
	answer = sqlite_pool_end(c, found.n > 0 ? STORE_FOUND : STORE_ABSENT);
	for (size_t i = 0; i < found.n && answer == STORE_FOUND; i++)
		strlist_add(names, found.v[i]);
	strlist_clear(&found);
	return answer;
}
