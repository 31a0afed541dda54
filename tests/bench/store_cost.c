/* store_cost - what the store costs: recording attempts, counting a window, taking from a limit,
 * queries of scripts.
 *
 *   store_cost URL ATTEMPTS [SECONDS]
 *
 * Fills an empty store with so many attempts, spread over SECONDS (default one day) up to now; half
 * of them are of one server, one in three is refused with 4xx. Then measures single calls, in
 * microseconds. The windows are those that a throttling script asks for.
 *
 * Recording ten million attempts one by one takes hours, so more than a million come at once
 * (store_fill.h). */
#include "common/list.h"
#include "common/sql.h"
#include "common/store.h"
#include "tests/bench/store_fill.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALLS 2000
#define WAIT_MS 60000
#define FILLERS 16
#define ONE_BY_ONE 1000000
#define FILE_URL "sqlite:"

static struct store *store;
static int64_t now_ms, span_ms;

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "store_cost: %s\n", what);
	exit(1);
}

/* ---- filling ---- */

static void add(uint64_t i, uint64_t n)
{
	char event[32], server[32], domain[32];
	const struct store_recipient recipient = {"somebody@example.com", "450 4.7.1 try later"};
	struct store_attempt a = {
	    .event = event,
	    .time_ms = now_ms - (int64_t)((double)span_ms * (double)(n - i) / (double)n),
	    .queue_id = "4XyZ12abcdeFGHi",
	    .server = server,
	    .address = "192.0.2.1",
	    .domain = domain,
	    .provider = "provider.example",
	    .sender = "sender@example.org",
	    .stage = "RCPT",
	    .result = i % 3 == 0 ? "450 4.7.1 try again later" : "250 2.0.0 ok",
	    .tls = "TLSv1.3",
	    .connection = "12345",
	    .delay_ms = 1234,
	    .recipients = &recipient,
	    .nrecipients = 1,
	};

	snprintf(event, sizeof event, "bench:%012" PRIu64, i);
	snprintf(server, sizeof server, "mx%" PRIu64 ".example.com", i % 2 ? 0 : i % 1000);
	snprintf(domain, sizeof domain, "d%" PRIu64 ".example", i % 5000);
	if (store_attempt_add(store, &a, NULL, WAIT_MS) != STORE_FOUND)
		die("an attempt was not recorded");
}

struct share {
	uint64_t first, step, n;
};

static void *fill_share(void *arg)
{
	const struct share *s = arg;

	for (uint64_t i = s->first; i < s->n; i += s->step)
		add(i, s->n);
	return NULL;
}

/* With Redis by several at once: one alone would wait for answers most of the time. */
static void fill(uint64_t n, bool file)
{
	size_t fillers = file ? 1 : FILLERS;
	int64_t began = clock_ns(CLOCK_MONOTONIC);
	struct share shares[FILLERS];
	pthread_t threads[FILLERS];
	double each;

	for (size_t i = 0; i < fillers; i++) {
		shares[i] = (struct share){i, fillers, n};
		if (pthread_create(&threads[i], NULL, fill_share, &shares[i]) != 0)
			die("no more threads");
	}
	for (size_t i = 0; i < fillers; i++)
		pthread_join(threads[i], NULL);
	each = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1000 / (double)n;
	printf("record, mean of all %25.1f us\n", each);
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void report_of(const char *what, int64_t *ns, size_t n, uint64_t result)
{
	qsort(ns, n, sizeof *ns, compare);
	printf("%-30s median %8.1f us   99%% %8.1f us   (%" PRIu64 ")\n", what,
	    (double)ns[n / 2] / 1000, (double)ns[n * 99 / 100] / 1000, result);
}

static void report(const char *what, int64_t *ns, uint64_t result)
{
	report_of(what, ns, CALLS, result);
}

static void count(const char *what, const char *server, const char *result, int64_t back_ms)
{
	static int64_t ns[CALLS];
	struct store_window w = {.dimension = STORE_SERVER, .key = server, .result = result};
	struct store_count c;

	for (int i = 0; i < CALLS; i++) {
		int64_t began = clock_ns(CLOCK_MONOTONIC);

		w.since_ms = now_ms - back_ms - i * 37; /* another edge each time */
		if (store_attempt_count(store, &w, &c, WAIT_MS) != STORE_FOUND)
			die("a window was not counted");
		ns[i] = clock_ns(CLOCK_MONOTONIC) - began;
	}
	report(what, ns, c.n);
}

static void take(void)
{
	static const struct store_rate_window w[] = {
	    {.count = 1000000, .period_ms = 3600000}, {.count = 10000000, .period_ms = 86400000}};
	static int64_t ns[CALLS];
	struct store_rate_limit limit = {.windows = w, .nwindows = 2};
	char key[32];

	limit.key = key;
	for (int i = 0; i < CALLS; i++) {
		int64_t began = clock_ns(CLOCK_MONOTONIC);

		snprintf(key, sizeof key, "sender%d", i % 100);
		if (store_rate_take(store, &limit, 1, NULL, WAIT_MS) != STORE_RATE_PASS)
			die("a limit did not pass");
		ns[i] = clock_ns(CLOCK_MONOTONIC) - began;
	}
	report("take, two windows", ns, 0);
}

/* As VPOP3.PostgresQuery asks, without Lua. */
static void query(const char *what, size_t times, const char *sql)
{
	static int64_t ns[CALLS];
	struct sql_rows rows = {0};
	uint64_t result = 0;
	char why[400];

	for (size_t i = 0; i < times; i++) {
		int64_t began = clock_ns(CLOCK_MONOTONIC);

		if (sql_query(store, sql, strlen(sql), &rows, why, sizeof why, WAIT_MS) != SQL_ROWS)
			die(why);
		ns[i] = clock_ns(CLOCK_MONOTONIC) - began;
		result = rows.n > 0 ? strtoull(rows.cells[0], NULL, 10) : 0;
		sql_rows_clear(&rows);
	}
	report_of(what, ns, times, result);
}

static void queries(void)
{
	query("SQL as in VPOP3's example", CALLS,
	    "SELECT COUNT(*) AS cnt FROM outqueue.sendattempts WHERE server='mx0.example.com'"
	    " AND starttime > CURRENT_TIMESTAMP + '-15 MINUTES' AND LEFT(result, 1) = '4'");
	query("SQL that SQLite must run", CALLS / 10,
	    "SELECT count(*), count(DISTINCT domain) FROM outqueue.sendattempts"
	    " WHERE server = 'mx0.example.com' AND starttime > now() - interval '15 minutes'"
	    " AND left(result, 1) = '4'");
	query("SQL, the last ten of a server", CALLS / 10,
	    "SELECT delay, result, starttime FROM outqueue.sendattempts"
	    " WHERE server = 'mx0.example.com' ORDER BY starttime DESC LIMIT 10");
}

int main(int argc, char **argv)
{
	struct store_options options;
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	char why[300];
	bool file;

	if (argc < 3 || argc > 4 || n == 0) {
		fprintf(stderr, "usage: store_cost URL ATTEMPTS [SECONDS]\n");
		return 2;
	}
	span_ms = argc > 3 ? strtoll(argv[3], NULL, 10) * 1000 : 86400000;
	now_ms = clock_ns(CLOCK_REALTIME) / 1000000;
	store_options_default(&options);
	options.attempts_keep_count = n;
	options.attempts_keep_ms = 2 * span_ms + 86400000;
	options.fallback_attempts = 0;
	store = store_open(argv[1], &options, why, sizeof why);
	if (store == NULL)
		die(why);
	printf("%s, %" PRIu64 " attempts over %" PRId64 " s\n", argv[1], n, span_ms / 1000);
	file = strncmp(argv[1], FILE_URL, strlen(FILE_URL)) == 0;
	if (n <= ONE_BY_ONE || !store_fill(argv[1], n, now_ms, span_ms))
		fill(n, file);
	count("count 4xx, 15 minutes", "mx0.example.com", "4", 900000);
	count("count any, 15 minutes", "mx0.example.com", "", 900000);
	count("count 4xx, everything", "mx0.example.com", "4", span_ms);
	count("count 4xx, rare server", "mx998.example.com", "4", span_ms);
	count("count 4xx, unknown server", "nobody.example", "4", span_ms);
	take();
	queries();
	store_close(store);
	return 0;
}
