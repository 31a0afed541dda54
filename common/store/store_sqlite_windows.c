/* store_sqlite_windows.c - counting and finding send attempts in SQLite.
 *
 * How counting works is told in sqlite_schema.c. */
#include "common/limits.h"
#include "common/store/sqlite_schema.h"
#include "common/store/store_sqlite.h"
#include "common/store/store_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every attempt has the key SQLITE_KEY_ALL, but no column for it. */
#define BY_ALL "1 = ?1"
#define BY_SERVER "server = ?1"
#define BY_ADDRESS "address = ?1"
#define BY_DOMAIN "domain = ?1"
#define BY_PROVIDER "provider = ?1"

#define FOR_EACH_DIMENSION(SQL)                                                     \
	{                                                                           \
		[STORE_ALL] = SQL(BY_ALL), [STORE_SERVER] = SQL(BY_SERVER),         \
		[STORE_ADDRESS] = SQL(BY_ADDRESS), [STORE_DOMAIN] = SQL(BY_DOMAIN), \
		[STORE_PROVIDER] = SQL(BY_PROVIDER)                                 \
	}

#define IN_WINDOW " AND time >= ?2 AND time < ?3 AND code >= ?4 AND code < ?5"
#define BEGINS " AND substr(CAST(result AS BLOB), 1, length(CAST(?6 AS BLOB))) = CAST(?6 AS BLOB)"

#define COUNT(BY) "SELECT count(*) FROM attempts WHERE " BY IN_WINDOW
#define COUNT_TEXT(BY) COUNT(BY) BEGINS
#define PAGE(BY)                                                                                  \
	"SELECT a.id, a.event, a.time, a.queue_id, s.value, i.value, d.value, p.value, a.sender," \
	" a.stage, a.result, a.tls, a.connection, a.delay FROM ("                                 \
	"SELECT * FROM attempts WHERE " BY IN_WINDOW BEGINS                                       \
	" AND (time < ?7 OR time = ?7 AND event < ?8) AND time <= ?7"                             \
	" ORDER BY time DESC, event DESC LIMIT ?9) AS a"                                          \
	" LEFT JOIN keys s ON s.id = a.server LEFT JOIN keys i ON i.id = a.address"               \
	" LEFT JOIN keys d ON d.id = a.domain LEFT JOIN keys p ON p.id = a.provider"              \
	" ORDER BY a.time DESC, a.event DESC"

static const char *const count_sql[] = FOR_EACH_DIMENSION(COUNT);
static const char *const count_text_sql[] = FOR_EACH_DIMENSION(COUNT_TEXT);
static const char *const page_sql[] = FOR_EACH_DIMENSION(PAGE);

static int64_t key_id(struct sqlite_conn *c, const struct store_window *w)
{
	static const char sql[] = "SELECT id FROM keys WHERE dimension = ? AND value = ?";

	if (w->dimension == STORE_ALL)
		return SQLITE_KEY_ALL;
	return sqlite_conn_int(c, 0, sql, "it", (int64_t)w->dimension, w->key);
}

/* ---- counting ---- */

struct counting {
	struct sqlite_conn *c;
	enum store_dimension dimension;
	int64_t key;
	struct store_code_range codes;
};

static int64_t in_buckets(const struct counting *n, int level, int64_t first, int64_t end)
{
	static const char sql[] = "SELECT coalesce(sum(n), 0) FROM buckets WHERE key = ?"
				  " AND level = ? AND bucket >= ? AND bucket < ?"
				  " AND code >= ? AND code < ?";

	if (first >= end)
		return 0;
	return sqlite_conn_int(n->c, 0, sql, "iiiitt", n->key, (int64_t)level, first, end,
	    n->codes.low, n->codes.high);
}

static int64_t round_up(int64_t time, int level)
{
	return (time + ((int64_t)1 << level) - 1) >> level;
}

/* Attempts at or after the time: those up to the first whole bucket one by one, then buckets, ever
 * larger ones. */
static int64_t since(const struct counting *n, int64_t time)
{
	const int fine = SQLITE_LEVEL_FINE, middle = SQLITE_LEVEL_MIDDLE,
		  coarse = SQLITE_LEVEL_COARSE;
	int64_t first_fine = round_up(time, fine);
	int64_t first_middle = round_up(first_fine << fine, middle);
	int64_t first_coarse = round_up(first_middle << middle, coarse);

	return sqlite_conn_int(n->c, 0, count_sql[n->dimension], "iiitt", n->key, time,
		   first_fine << fine, n->codes.low, n->codes.high) +
	       in_buckets(n, fine, first_fine, first_middle << (middle - fine)) +
	       in_buckets(n, middle, first_middle, first_coarse << (coarse - middle)) +
	       in_buckets(n, coarse, first_coarse, INT64_MAX);
}

/* Times this far ahead leave room for the shifts above. */
#define FAR_FUTURE_MS (INT64_MAX >> 8)

static int64_t between(const struct counting *n, const struct store_window *w)
{
	int64_t count = w->since_ms < FAR_FUTURE_MS ? since(n, w->since_ms) : 0;

	if (w->before_ms < FAR_FUTURE_MS)
		count -= since(n, w->before_ms);
	return count;
}

enum store_answer store_sqlite_attempt_count(
    struct store_engine *e, const struct store_window *w, struct store_count *count, int64_t until)
{
	struct sqlite_conn *c = sqlite_pool_read(store_sqlite_of(e)->pool, until);
	struct counting n = {.c = c, .dimension = w->dimension};
	bool too_many = false;
	int64_t found = 0;

	if (c == NULL)
		return STORE_UNKNOWN;
	store_code_range(w->result, &n.codes);
	n.key = key_id(c, w);
	if (n.key != 0)
		found = between(&n, w);
	if (n.codes.compare && found > 0) {
		too_many = found > LIMIT_STORE_SCAN;
		if (too_many)
			store_complain("%lld attempts are too many to compare with \"%.64s\"",
			    (long long)found, w->result);
		else
			found = sqlite_conn_int(c, 0, count_text_sql[w->dimension], "iiittt", n.key,
			    w->since_ms, w->before_ms, n.codes.low, n.codes.high, w->result);
	}
	count->n = (uint64_t)found;
	return sqlite_pool_end(c, too_many ? STORE_UNKNOWN : STORE_FOUND);
}

/* ---- finding ---- */

struct page { /* copied out of the rows, so that visitors run without a transaction */
	struct store_attempt attempts[LIMIT_STORE_PAGE];
	struct store_recipient *recipients[LIMIT_STORE_PAGE];
	struct strlist texts;
	size_t n;
};

static const char *copy(struct page *p, sqlite3_stmt *stmt, int column)
{
	strlist_add(&p->texts, sqlite_column(stmt, column));
	return p->texts.v[p->texts.n - 1];
}

static void read_attempt(struct page *p, sqlite3_stmt *stmt)
{
	p->attempts[p->n++] = (struct store_attempt){
	    .event = copy(p, stmt, 1),
	    .time_ms = sqlite3_column_int64(stmt, 2),
	    .queue_id = copy(p, stmt, 3),
	    .server = copy(p, stmt, 4),
	    .address = copy(p, stmt, 5),
	    .domain = copy(p, stmt, 6),
	    .provider = copy(p, stmt, 7),
	    .sender = copy(p, stmt, 8),
	    .stage = copy(p, stmt, 9),
	    .result = copy(p, stmt, 10),
	    .tls = copy(p, stmt, 11),
	    .connection = copy(p, stmt, 12),
	    .delay_ms = sqlite3_column_int64(stmt, 13),
	};
}

static void read_recipients(struct page *p, struct sqlite_conn *c, size_t at, int64_t id)
{
	static const char sql[] =
	    "SELECT address, result FROM attempt_recipients WHERE attempt = ? ORDER BY n";
	sqlite3_stmt *stmt = sqlite_conn_row(c, sql, "i", id);
	struct store_recipient *r = NULL;
	size_t n = 0;

	for (bool more = stmt != NULL; more; more = sqlite_conn_next(c, stmt)) {
		r = xgrow(r, n, sizeof *r);
		r[n++] = (struct store_recipient){copy(p, stmt, 0), copy(p, stmt, 1)};
	}
	p->recipients[at] = r;
	p->attempts[at].recipients = r;
	p->attempts[at].nrecipients = n;
}

static void read_page(struct page *p, struct sqlite_conn *c, const struct store_window *w,
    const struct store_cursor *cursor, int64_t most)
{
	int64_t ids[LIMIT_STORE_PAGE], time = cursor->set ? cursor->time_ms : INT64_MAX;
	struct store_code_range codes;
	sqlite3_stmt *stmt;
	int64_t key = key_id(c, w);

	if (key == 0)
		return;
	store_code_range(w->result, &codes);
	stmt = sqlite_conn_row(c, page_sql[w->dimension], "iiitttiti", key, w->since_ms,
	    w->before_ms, codes.low, codes.high, w->result, time, cursor->event, most);
	for (bool more = stmt != NULL; more; more = sqlite_conn_next(c, stmt)) {
		ids[p->n] = sqlite3_column_int64(stmt, 0);
		read_attempt(p, stmt);
	}
	for (size_t i = 0; i < p->n; i++)
		read_recipients(p, c, i, ids[i]);
}

static void page_clear(struct page *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->recipients[i]);
	strlist_clear(&p->texts);
}

enum store_answer store_sqlite_attempt_page(struct store_engine *e, const struct store_window *w,
    struct store_cursor *cursor, size_t most, bool (*visit)(const struct store_attempt *, void *),
    void *arg, int64_t until)
{
	struct sqlite_conn *c = sqlite_pool_read(store_sqlite_of(e)->pool, until);
	struct page page = {0};
	enum store_answer answer;

	if (c == NULL)
		return STORE_UNKNOWN;
	if (most > LIMIT_STORE_PAGE)
		most = LIMIT_STORE_PAGE;
	read_page(&page, c, w, cursor, (int64_t)most);
	answer = sqlite_pool_end(c, STORE_FOUND);
	if (answer == STORE_FOUND) {
		cursor->end = page.n < most;
		for (size_t i = 0; i < page.n; i++) {
			const struct store_attempt *a = &page.attempts[i];

			cursor->set = true;
			cursor->time_ms = a->time_ms;
			snprintf(cursor->event, sizeof cursor->event, "%s", a->event);
			if (!visit(a, arg))
				break;
		}
	}
	page_clear(&page);
	return answer;
}
