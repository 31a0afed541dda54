/* store_sqlite_facts.c - what is known of messages, in SQLite. */
#include "common/limits.h"
#include "common/store/store_sqlite.h"
#include "common/store/store_text.h"

int64_t store_sqlite_facts_trim(struct store_sqlite *s, struct sqlite_conn *c, int64_t most)
{
	static const char sql[] = "DELETE FROM messages WHERE queue_id IN"
				  " (SELECT queue_id FROM messages WHERE changed < ? LIMIT ?)";

	sqlite_conn_do(c, sql, "ii", store_now(&s->options) - s->options.facts_keep_ms, most);
	return sqlite_conn_failed(c) ? 0 : sqlite_conn_changes(c);
}

static void put_numbers(struct sqlite_conn *c, const char *queue_id, const struct store_facts *f,
    unsigned which, int64_t now)
{
	static const char sql[] = "UPDATE messages SET changed = ?,"
				  " sender = CASE WHEN ? THEN ? ELSE sender END,"
				  " size = CASE WHEN ? THEN ? ELSE size END,"
				  " arrival = CASE WHEN ? THEN ? ELSE arrival END,"
				  " retries = CASE WHEN ? THEN ? ELSE retries END,"
				  " last_try = CASE WHEN ? THEN ? ELSE last_try END"
				  " WHERE queue_id = ?";

	sqlite_conn_do(c, sql, "iitiiiiiiiit", now, (int64_t)(which & STORE_FACT_SENDER), f->sender,
	    (int64_t)(which & STORE_FACT_SIZE), f->size, (int64_t)(which & STORE_FACT_ARRIVAL),
	    f->arrival_ms, (int64_t)(which & STORE_FACT_RETRIES), f->retries,
	    (int64_t)(which & STORE_FACT_LAST_TRY), f->last_try_ms, queue_id);
}

static void put_list(struct sqlite_conn *c, const char *queue_id, const struct strlist *list,
    const char *clear, const char *add)
{
	sqlite_conn_do(c, clear, "t", queue_id);
	for (size_t i = 0; i < list->n; i++)
		sqlite_conn_do(c, add, "tit", queue_id, (int64_t)i, list->v[i]);
}

enum store_answer store_sqlite_facts_put(struct store_engine *e, const char *queue_id,
    const struct store_facts *f, unsigned which, int64_t until)
{
	static const char begin[] = "INSERT OR IGNORE INTO messages VALUES(?, '', 0, 0, 0, 0, 0)";
	static const char past[] = "DELETE FROM messages WHERE queue_id = ? AND changed < ?";
	static const char no_recipients[] = "DELETE FROM message_recipients WHERE queue_id = ?";
	static const char recipient[] = "INSERT INTO message_recipients VALUES(?, ?, ?)";
	static const char no_hops[] = "DELETE FROM message_hops WHERE queue_id = ?";
	static const char hop[] = "INSERT INTO message_hops VALUES(?, ?, ?)";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c = sqlite_pool_write(s->pool, until);
	int64_t now = store_now(&s->options);

	if (c == NULL)
		return STORE_UNKNOWN;
	sqlite_conn_do(c, past, "ti", queue_id, now - s->options.facts_keep_ms);
	sqlite_conn_do(c, begin, "t", queue_id);
	put_numbers(c, queue_id, f, which, now);
	if (which & STORE_FACT_RECIPIENTS)
		put_list(c, queue_id, &f->recipients, no_recipients, recipient);
	if (which & STORE_FACT_NEXT_HOPS)
		put_list(c, queue_id, &f->next_hops, no_hops, hop);
	store_sqlite_facts_trim(s, c, LIMIT_STORE_TRIM);
	return sqlite_pool_end(c, STORE_FOUND);
}

static void read_list(
    struct sqlite_conn *c, const char *sql, const char *queue_id, struct strlist *list)
{
	sqlite3_stmt *stmt = sqlite_conn_row(c, sql, "t", queue_id);

	for (bool more = stmt != NULL; more; more = sqlite_conn_next(c, stmt))
		strlist_add(list, sqlite_column(stmt, 0));
}

enum store_answer store_sqlite_facts_get(
    struct store_engine *e, const char *queue_id, struct store_facts *f, int64_t until)
{
	static const char sql[] = "SELECT sender, size, arrival, retries, last_try FROM messages"
				  " WHERE queue_id = ? AND changed >= ?";
	static const char recipients[] =
	    "SELECT address FROM message_recipients WHERE queue_id = ? ORDER BY n";
	static const char hops[] = "SELECT hop FROM message_hops WHERE queue_id = ? ORDER BY n";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c = sqlite_pool_read(s->pool, until);
	int64_t oldest = store_now(&s->options) - s->options.facts_keep_ms;
	sqlite3_stmt *stmt;

	if (c == NULL)
		return STORE_UNKNOWN;
	stmt = sqlite_conn_row(c, sql, "ti", queue_id, oldest);
	if (stmt == NULL)
		return sqlite_pool_end(c, STORE_ABSENT);
	f->sender = xstrdup(sqlite_column(stmt, 0));
	f->size = sqlite3_column_int64(stmt, 1);
	f->arrival_ms = sqlite3_column_int64(stmt, 2);
	f->retries = sqlite3_column_int64(stmt, 3);
	f->last_try_ms = sqlite3_column_int64(stmt, 4);
	read_list(c, recipients, queue_id, &f->recipients);
	read_list(c, hops, queue_id, &f->next_hops);
	return sqlite_pool_end(c, STORE_FOUND);
}

enum store_answer store_sqlite_facts_tried(
    struct store_engine *e, const char *queue_id, int64_t time_ms, int64_t until)
{
	static const char known[] = "UPDATE messages SET changed = ?"
				    " WHERE queue_id = ? AND changed >= ?";
	static const char tried[] = "UPDATE messages SET retries = retries + 1, last_try = ?1"
				    " WHERE queue_id = ?2 AND last_try < ?1";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c = sqlite_pool_write(s->pool, until);
	int64_t now = store_now(&s->options);
	bool found;

	if (c == NULL)
		return STORE_UNKNOWN;
	sqlite_conn_do(c, known, "iti", now, queue_id, now - s->options.facts_keep_ms);
	found = sqlite_conn_changes(c) > 0;
	if (found)
		sqlite_conn_do(c, tried, "it", time_ms, queue_id);
	return sqlite_pool_end(c, found ? STORE_FOUND : STORE_ABSENT);
}

enum store_answer store_sqlite_facts_delete(
    struct store_engine *e, const char *queue_id, int64_t until)
{
	static const char sql[] = "DELETE FROM messages WHERE queue_id = ?";
	struct sqlite_conn *c = sqlite_pool_write(store_sqlite_of(e)->pool, until);

	if (c == NULL)
		return STORE_UNKNOWN;
	sqlite_conn_do(c, sql, "t", queue_id);
	return sqlite_pool_end(c, sqlite_conn_changes(c) > 0 ? STORE_FOUND : STORE_ABSENT);
}

enum store_answer store_sqlite_facts_hop(
    struct store_engine *e, const char *next_hop, struct store_hop_facts *f, int64_t until)
{
	static const char sql[] =
	    "SELECT count(*), max(retries), max(size) FROM (SELECT m.retries, m.size"
	    " FROM (SELECT DISTINCT queue_id FROM message_hops WHERE hop = ?) h"
	    " JOIN messages m ON m.queue_id = h.queue_id WHERE m.changed >= ? LIMIT ?)";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c = sqlite_pool_read(s->pool, until);
	int64_t oldest = store_now(&s->options) - s->options.facts_keep_ms;
	sqlite3_stmt *stmt;

	if (c == NULL)
		return STORE_UNKNOWN;
	stmt = sqlite_conn_row(c, sql, "tii", next_hop, oldest, (int64_t)LIMIT_STORE_HOP_MESSAGES);
	if (stmt != NULL) {
		f->messages = (uint64_t)sqlite3_column_int64(stmt, 0);
		f->most_retries = sqlite3_column_int64(stmt, 1);
		f->largest_size = sqlite3_column_int64(stmt, 2);
	}
	return sqlite_pool_end(c, f->messages > 0 ? STORE_FOUND : STORE_ABSENT);
}
