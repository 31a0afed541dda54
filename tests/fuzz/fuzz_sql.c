/* Queries: whatever is asked, an answer or an error comes within the time, nothing of the text gets
 * into the SQL that SQLite sees, and the store is what it was. With an even first byte the rest is
 * the whole query; with an odd one it is a text that stands in a query as a literal, which may
 * match rows but never change how many there are to match. */
#include "common/log.h"
#include "common/sql.h"
#include "common/sql/sql_tree.h"
#include "common/store.h"
#include "tests/fuzz/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUERY_MS 200
#define LITERAL_MS 8000 /* it has an answer, however slow the machine */
#define ATTEMPTS 6

static struct store *store;
static char folder[] = "/tmp/fuzz-sql-XXXXXX";

static void put_away(void)
{
	static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm"};
	char path[64];

	store_close(store);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void fill(void)
{
	static const char *const results[ATTEMPTS] = {
	    "250 ok", "451 4.7.1 later", "421 x", "", "550 \xff\xc3'%_\\", "4"};
	char event[8] = "e0", why[200], url[64];

	MUST(mkdtemp(folder) != NULL);
	snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
	store = store_open(url, NULL, why, sizeof why);
	MUST(store != NULL);
	atexit(put_away);
	for (int i = 0; i < ATTEMPTS; i++) {
		struct store_attempt a = {.event = event,
		    .time_ms = store_time(store) - (int64_t)i * 60000,
		    .server = i % 2 ? "mx1.example.com" : "",
		    .domain = "example.com",
		    .result = results[i],
		    .delay_ms = i};

		event[1] = (char)('0' + i);
		MUST(store_attempt_add(store, &a, NULL, 1000) == STORE_FOUND);
	}
}

/* Only what sql_write.c and sql_types.c have: no quotes but theirs, which hold no quotes. */
static void must_be_ours(const char *text, size_t n)
{
	struct sql_tree tree = {.text = text, .n = n, .now_ms = 1700000000000};
	struct sql_written w = {0};
	struct sql_query *q = sql_parse(&tree);

	if (q != NULL && sql_resolve(&tree, q) && sql_write(&tree, q, &w))
		for (size_t i = 0; i < w.n; i++)
			MUST(w.sql[i] >= ' ' && w.sql[i] <= '~' && w.sql[i] != ';' &&
			     w.sql[i] != '"');
	MUST(tree.failed == (tree.why[0] != '\0'));
	sql_written_clear(&w);
	sql_tree_clear(&tree);
}

/* Of this thread, so that other work on the machine does not count. */
static int64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum sql_answer ask(const char *text, size_t n, struct sql_rows *rows, int ms)
{
	int64_t began = cpu_ms();
	char why[300];
	enum sql_answer answer = sql_query(store, text, n, rows, why, sizeof why, ms);

	MUST(cpu_ms() - began < ms + 1000);
	MUST((answer == SQL_ROWS) == (why[0] == '\0'));
	MUST(answer != SQL_NO_STORE);
	return answer;
}

static void as_literal(const char *s, size_t n)
{
	static const char before[] =
	    "SELECT count(*) FROM outqueue.sendattempts WHERE queueid = '' AND '",
			  after[] = "' IS NOT NULL";
	char sql[16384];
	size_t used = strlen(before);
	struct sql_rows rows = {0};

	memcpy(sql, before, used);
	for (size_t i = 0; i < n && used < sizeof sql - 40; i++) {
		if (s[i] == '\0')
			continue;
		if (s[i] == '\'')
			sql[used++] = '\'';
		sql[used++] = s[i];
	}
	memcpy(sql + used, after, strlen(after));
	MUST(ask(sql, used + strlen(after), &rows, LITERAL_MS) == SQL_ROWS);
	MUST(rows.n == 1 && rows.names.n == 1 && strcmp(rows.cells[0], "6") == 0);
	sql_rows_clear(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	struct store_window all = {.dimension = STORE_ALL};
	struct store_count count;
	struct sql_rows rows = {0};

	if (size == 0)
		return 0;
	if (store == NULL) {
		log_open("fuzz", LOG_TO_STDERR, LOG_AS_TEXT, 0, LOG_LVL_BUG);
		fill();
	}
	if (data[0] % 2 != 0) {
		as_literal(text, size - 1);
		return 0;
	}
	must_be_ours(text, size - 1);
	ask(text, size - 1, &rows, QUERY_MS);
	sql_rows_clear(&rows);
	MUST(store_attempt_count(store, &all, &count, 1000) == STORE_FOUND);
	MUST(count.n == ATTEMPTS);
	return 0;
}
