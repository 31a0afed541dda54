/* store_sqlite_attempts.c - recording send attempts in SQLite, and their retention. */
#include "common/limits.h"
#include "common/store/store_sqlite.h"
#include "common/store/store_text.h"

/* The id of a key, made if new; 0 for no key. */
static int64_t key_id(struct sqlite_conn *c, enum store_dimension d, const char *value)
{
	static const char find[] = "SELECT id FROM keys WHERE dimension = ? AND value = ?";
	static const char add[] = "INSERT INTO keys(dimension, value) VALUES(?, ?)";
	int64_t id;

	if (value[0] == '\0')
		return 0;
	id = sqlite_conn_int(c, 0, find, "it", (int64_t)d, value);
	if (id != 0)
		return id;
	sqlite_conn_do(c, add, "it", (int64_t)d, value);
	return sqlite_conn_int(c, 0, find, "it", (int64_t)d, value);
}

static void add_recipients(struct sqlite_conn *c, const struct store_attempt *a)
{
	/* A table without rowid does not change last_insert_rowid(). */
	static const char sql[] =
	    "INSERT INTO attempt_recipients VALUES(last_insert_rowid(), ?, ?, ?)";

	for (size_t i = 0; i < a->nrecipients; i++)
		sqlite_conn_do(
		    c, sql, "itt", (int64_t)i, a->recipients[i].address, a->recipients[i].result);
}

static void add(struct sqlite_conn *c, const struct store_attempt *a)
{
	static const char sql[] =
	    "INSERT INTO attempts(event, time, code, server, address, domain, provider, queue_id,"
	    " sender, stage, result, tls, connection, delay) VALUES(?, ?, ?, nullif(?, 0),"
	    " nullif(?, 0), nullif(?, 0), nullif(?, 0), ?, ?, ?, ?, ?, ?, ?)";
	char code[4];
	int64_t server = key_id(c, STORE_SERVER, a->server);
	int64_t address = key_id(c, STORE_ADDRESS, a->address);
	int64_t domain = key_id(c, STORE_DOMAIN, a->domain);
	int64_t provider = key_id(c, STORE_PROVIDER, a->provider);

	store_code(a->result, code);
	sqlite_conn_do(c, sql, "titiiiitttttti", a->event, a->time_ms, code, server, address,
	    domain, provider, a->queue_id, a->sender, a->stage, a->result, a->tls, a->connection,
	    a->delay_ms);
	add_recipients(c, a);
}

int64_t store_sqlite_attempts_trim(struct store_sqlite *s, struct sqlite_conn *c, int64_t most)
{
	static const char total[] = "SELECT attempts FROM totals";
	static const char old[] = "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts"
				  " WHERE time < ? ORDER BY time LIMIT ?)";
	static const char oldest[] = "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts"
				     " ORDER BY time, event LIMIT ?)";
	int64_t keep = (int64_t)s->options.attempts_keep_count, removed, over;

	sqlite_conn_do(c, old, "ii", store_now(&s->options) - s->options.attempts_keep_ms, most);
	removed = sqlite_conn_changes(c);
	over = sqlite_conn_int(c, 0, total, "") - keep;
	if (over > most - removed)
		over = most - removed;
	if (over > 0) {
		sqlite_conn_do(c, oldest, "i", over);
		removed += sqlite_conn_changes(c);
	}
	return sqlite_conn_failed(c) ? 0 : removed;
}

enum store_answer store_sqlite_attempt_add(
    struct store_engine *e, const struct store_attempt *a, bool *fresh, int64_t until)
{
	static const char known[] = "SELECT 1 FROM attempts WHERE event = ?";
	struct store_sqlite *s = store_sqlite_of(e);
	struct sqlite_conn *c;

	*fresh = false;
	if (a->time_ms < store_now(&s->options) - s->options.attempts_keep_ms)
		return STORE_FOUND;
	c = sqlite_pool_write(s->pool, until);
	if (c == NULL)
		return STORE_UNKNOWN;
	if (sqlite_conn_int(c, 0, known, "t", a->event) == 0) {
		add(c, a);
		store_sqlite_attempts_trim(s, c, LIMIT_STORE_TRIM);
		*fresh = true;
	}
	return sqlite_pool_end(c, STORE_FOUND);
}
