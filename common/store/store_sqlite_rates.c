/* store_sqlite_rates.c - rate limits in SQLite: the arithmetic is gcra.c's, the rows are here. */
#include "common/store/gcra.h"
#include "common/limits.h"
#include "common/store/store_sqlite.h"
#include "common/store/store_text.h"

int64_t store_sqlite_rates_trim(struct store_sqlite *s, struct sqlite_conn *c, int64_t most)
{
	/* A window that has drained is the same as one that was never used. */
	static const char sql[] = "DELETE FROM rates WHERE (key, period) IN"
				  " (SELECT key, period FROM rates WHERE tat < ? LIMIT ?)";

	sqlite_conn_do(c, sql, "di", (double)store_now(&s->options), most);
	return sqlite_conn_failed(c) ? 0 : sqlite_conn_changes(c);
}

static void read_tats(struct sqlite_conn *c, const struct store_rate_limit *limit, double *tats)
{
	static const char sql[] = "SELECT tat FROM rates WHERE key = ? AND period = ?";

	for (size_t i = 0; i < limit->nwindows; i++) {
		sqlite3_stmt *stmt =
		    sqlite_conn_row(c, sql, "ti", limit->key, limit->windows[i].period_ms);

		tats[i] = stmt != NULL ? sqlite3_column_double(stmt, 0) : 0;
	}
}

static void write_tats(
    struct sqlite_conn *c, const struct store_rate_limit *limit, const double *tats)
{
	static const char sql[] = "INSERT INTO rates(key, period, tat) VALUES(?, ?, ?)"
				  " ON CONFLICT(key, period) DO UPDATE SET tat = excluded.tat";

	for (size_t i = 0; i < limit->nwindows; i++)
		sqlite_conn_do(c, sql, "tid", limit->key, limit->windows[i].period_ms, tats[i]);
}

void store_sqlite_rate(struct store_engine *e, const struct store_rate_request *r,
    struct store_rate_reply *reply, int64_t until)
{
	struct store_sqlite *s = store_sqlite_of(e);
	const struct store_rate_limit *limit = r->limit;
	struct sqlite_conn *c;

	c = r->take ? sqlite_pool_write(s->pool, until) : sqlite_pool_read(s->pool, until);
	if (c == NULL)
		return;
	reply->now_ms = store_now(&s->options);
	read_tats(c, limit, reply->tats);
	reply->answer = gcra_take(limit->windows, limit->nwindows, reply->tats, reply->now_ms,
	    r->cost, r->take, &reply->state);
	if (r->take && reply->answer == STORE_RATE_PASS) {
		write_tats(c, limit, reply->tats);
		store_sqlite_rates_trim(s, c, LIMIT_STORE_RATE_WINDOWS + 1);
	}
	if (sqlite_pool_end(c, STORE_FOUND) == STORE_UNKNOWN)
		*reply = (struct store_rate_reply){.answer = STORE_RATE_UNKNOWN};
}
