/* SQL over the store, on SQLite and on Redis: what is answered, what is refused and where, and that
 * hostile statements and names (R17) neither get more than they ask for nor take longer than they
 * may. That the answers are PostgreSQL's is shown by test_sql_postgres.py. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/sql.h"
#include "tests/unit/redis_servers.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_MS 1000 /* a loaded machine */
#define HOSTILE_MS 250

static char text[200000], why[400];

/* Names, then rows, cells with '|' between them and "-" for NULL. */
static void write_rows(const struct sql_rows *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->names.n; i++)
		n += (size_t)snprintf(
		    text + n, sizeof text - n, "%s%s", i > 0 ? "|" : "", r->names.v[i]);
	for (size_t i = 0; i < r->n * r->names.n && n < sizeof text; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
		    i % r->names.n == 0 ? "\n" : "|", r->cells[i] != NULL ? r->cells[i] : "-");
}

static enum sql_answer ask_for(struct store_rig *rig, const char *sql, int ms)
{
	struct sql_rows rows = {0};
	enum sql_answer answer =
	    sql_query(rig->store, sql, strlen(sql), &rows, why, sizeof why, ms);

	text[0] = '\0';
	if (answer == SQL_ROWS)
		write_rows(&rows);
	sql_rows_clear(&rows);
	return answer;
}

static void expect(struct store_rig *rig, const char *sql, const char *rows)
{
	if (ask_for(rig, sql, WAIT_MS) != SQL_ROWS)
		fail_msg("%s: %s", sql, why);
	if (strcmp(text, rows) != 0)
		fail_msg("%s gives\n%s\nnot\n%s", sql, text, rows);
}

static void refused(struct store_rig *rig, const char *sql, const char *part)
{
	if (ask_for(rig, sql, WAIT_MS) != SQL_WRONG)
		fail_msg("%s is not refused: %s", sql, why);
	if (strstr(why, part) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", sql, why, part);
}

static void fails(struct store_rig *rig, const char *sql, const char *part)
{
	if (ask_for(rig, sql, WAIT_MS) != SQL_FAILED)
		fail_msg("%s does not fail: %s", sql, why);
	if (strstr(why, part) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", sql, why, part);
}

/* n attempts, one a minute: each second one to mx1, each third one refused with 451. */
static void fill(struct store_rig *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		store_rig_add(r, i, r->now_ms - (int64_t)i * MINUTE_MS,
		    i % 2 ? "mx1.example.com" : "mx2.example.com",
		    i % 3 ? "250 2.0.0 ok" : "451 4.7.1 later");
}

/* ---- answers ---- */

/* Byte for byte what the vendor's example sends, for a host that the rig knows. */
#define VENDOR                                                                                  \
	"SELECT COUNT(*) AS cnt FROM outqueue.sendattempts WHERE server='mx1.example.com' AND " \
	"starttime > CURRENT_TIMESTAMP + '-15 MINUTES' AND LEFT(result, 1) = '4'"

static void the_vendors_query(void **state)
{
	struct store_rig *r = *state;

	expect(r, VENDOR, "cnt\n0");
	fill(r, 60);
	expect(r, VENDOR, "cnt\n2"); /* minutes 3 and 9: 15 is not less than 15 minutes ago */
	expect(r,
	    "SELECT count(*) FROM outqueue.sendattempts WHERE server='mx1.example.com'"
	    " AND starttime >= CURRENT_TIMESTAMP + '-15 MINUTES' AND LEFT(result, 1) = '4'",
	    "count\n3");
	r->now_ms += 10 * MINUTE_MS;
	expect(r, VENDOR, "cnt\n1");
}

/* What the store counts by itself is what is counted row by row. */
static void both_ways_count_the_same(void **state)
{
	static const char *const conditions[] = {"server = 'mx1.example.com'", "true",
	    "starttime > now() - interval '7 minutes'", "starttime <= now() - interval '7 minutes'",
	    "starttime < CURRENT_TIMESTAMP + '-30 minutes' AND starttime >= now() - '1 hour'::interval",
	    "result LIKE '4%'", "left(result, 3) = '451'",
	    "left(result, 2) = '25' AND domain = 'example.com'",
	    "provider = 'PROVIDER.Example' AND '45' = left(result, 2)", "address = '192.0.2.1'",
	    "substring(result from 1 for 1) = '2' AND server = 'MX2.example.com'", "server = ''"};
	struct store_rig *r = *state;
	char sql[400], first[30];

	fill(r, 100);
	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
		snprintf(
		    sql, sizeof sql, "SELECT count(*) FROM sendattempts WHERE %s", conditions[i]);
		assert_int_equal(ask_for(r, sql, WAIT_MS), SQL_ROWS);
		snprintf(first, sizeof first, "%.29s", text);
		snprintf(sql, sizeof sql,
		    "SELECT count(*) FROM sendattempts WHERE %s AND queueid IS NOT NULL",
		    conditions[i]);
		expect(r, sql, first);
	}
}

/* What a script of Lua 5.0 makes of 10/2 is 5.0 in Lua 5.4. */
static void whole_numbers_with_a_point(void **state)
{
	struct store_rig *r = *state;

	expect(r, "SELECT left('abcdef', 3.0) AS n", "n\nabc");
	expect(r, "SELECT substr('abcdef', 2.0, 3.00) AS n", "n\nbcd");
	expect(r, "SELECT 'a' AS n LIMIT 5.0 OFFSET 0.0", "n\na");
	expect(r, "SELECT 'a' AS n LIMIT 0.0", "n");
	expect(r, "SELECT 10 / 4.0 AS n", "n\n2.5"); /* a number with a point stays one elsewhere */
	expect(r,
	    "SELECT count(*) AS n FROM sendattempts WHERE starttime > now() - interval "
	    "'15.0 minutes' AND left(result, 1.0) = '4'",
	    "n\n0");
}

static void rows_of_attempts(void **state)
{
	struct store_rig *r = *state;

	fill(r, 60);
	expect(r, "SELECT * FROM outqueue.sendattempts ORDER BY starttime DESC LIMIT 2",
	    "server|address|domain|provider|starttime|result|queueid|sender|recipients|stage|tls|"
	    "connection|delay\n"
	    "mx2.example.com|192.0.2.1|example.com|provider.example|2023-11-14 22:13:20+00|451 4.7.1 "
	    "later|4XyZ12abcde|sender@example.org||RCPT|TLSv1.3|7|1234\n"
	    "mx1.example.com|192.0.2.1|example.com|provider.example|2023-11-14 22:12:20+00|250 2.0.0 "
	    "ok|4XyZ12abcde|sender@example.org||RCPT|TLSv1.3|7|1234");
	expect(r,
	    "SELECT server, left(result, 1) AS c, count(*) FROM sendattempts"
	    " WHERE starttime > now() - interval '30 minutes' GROUP BY server, c ORDER BY 1, 2",
	    "server|c|count\nmx1.example.com|2|10\nmx1.example.com|4|5\nmx2.example.com|2|10\n"
	    "mx2.example.com|4|5");
	/* host names are compared without case, other texts with it */
	expect(r,
	    "SELECT count(*) FROM sendattempts WHERE server IN ('MX1.Example.Com') AND tls <> ''",
	    "count\n30");
	expect(r, "SELECT count(*) FROM sendattempts WHERE stage = 'rcpt'", "count\n0");
	expect(r,
	    "SELECT count(*) FROM sendattempts WHERE server = 'mx1.example.com' OR delay = 1234",
	    "count\n60");
}

static void recipients_are_one_text(void **state)
{
	const struct store_recipient recipients[] = {
	    {"a@example.com", "450 x"}, {"b@example.com", ""}};
	struct store_rig *r = *state;
	char event[24];
	struct store_attempt a = store_rig_attempt(event, 1, r->now_ms, "", "450 x");

	a.recipients = recipients;
	a.nrecipients = 2;
	assert_int_equal(store_attempt_add(r->store, &a, NULL, WAIT_MS), STORE_FOUND);
	expect(r, "SELECT recipients, server, server IS NULL FROM sendattempts",
	    "recipients|server|?column?\na@example.com b@example.com|-|t");
}

static void rows_of_holds(void **state)
{
	struct store_rig *r = *state;
	struct store_hold h = {.dimension = STORE_SERVER,
	    .key = "mx1.example.com",
	    .who = "me",
	    .reason = "it's full",
	    .until_ms = r->now_ms + 10 * MINUTE_MS};

	expect(r, "SELECT * FROM outqueue.holds", "kind|name|until|since|who|reason");
	assert_int_equal(store_hold_set(r->store, &h, WAIT_MS), STORE_FOUND);
	h = (struct store_hold){.dimension = STORE_DOMAIN,
	    .key = "x.example",
	    .until_ms = 253402300800000 /* the year 10000 */};
	assert_int_equal(store_hold_set(r->store, &h, WAIT_MS), STORE_FOUND);
	h.key = "!y.example"; /* released for some time: no hold */
	assert_int_equal(store_hold_set(r->store, &h, WAIT_MS), STORE_FOUND);
	expect(r,
	    "SELECT kind, name, until - now() AS left, reason FROM holds WHERE name = 'MX1.example.com'",
	    "kind|name|left|reason\nserver|mx1.example.com|00:10:00|it's full");
	expect(r, "SELECT name, until FROM holds WHERE kind = 'domain'",
	    "name|until\nx.example|9999-01-01 00:00:00+00");
	fill(r, 10);
	expect(r,
	    "SELECT DISTINCT s.server FROM sendattempts s WHERE NOT EXISTS"
	    " (SELECT 1 FROM holds h WHERE h.kind = 'server' AND h.name = s.server)",
	    "server\nmx2.example.com");
}

/* ---- what is refused, and where ---- */

static void errors_name_what_and_where(void **state)
{
	static const struct {
		const char *sql, *part;
	} wrong[] = {
	    {"", "only SELECT is understood (line 1, column 1, at the end)"},
	    {"SELECT nothing\nFROM sendattempts WHERE x",
		"no column nothing (line 1, column 8, near"},
	    {"SELECT 1\nFROM sendattempts WHERE x = 1", "no column x (line 2, column 25, near"},
	    {"SELECT 1 FROM attempts", "there are outqueue.sendattempts and outqueue.holds"},
	    {"SELECT 1 FROM outqueue.keys", "there is no table outqueue.keys"},
	    {"SELECT 1 FROM sqlite_master", "there is no table sqlite_master"},
	    {"SELECT 1 FROM mailhooks_attempts", "there is no table"},
	    {"SELECT code FROM sendattempts", "there is no column code"},
	    {"SELECT rowid FROM sendattempts", "there is no column rowid"},
	    {"SELECT 'a", "a literal has no end (line 1, column 8"},
	    {"SELECT \"a", "a name has no end"},
	    {"SELECT \"\"", "a name is empty"},
	    {"SELECT (1", "\")\" is wanted here"},
	    {"SELECT 1; SELECT 2", "one statement at a time"},
	    {"SELECT 1;;", "one statement at a time"},
	    {"SELECT 1 -- x", "comments are not taken"},
	    {"SELECT 1 /* x */", "comments are not taken"},
	    {"SELECT E'a\\'b'", "a literal with a letter before it"},
	    {"SELECT $$a$$", "this character means nothing here"},
	    {"SELECT $1", "this character means nothing here"},
	    {"SELECT 12ab", "a number goes on as a name"},
	    {"SELECT 1 UNION SELECT 2", "UNION is not understood"},
	    {"SELECT count(*) OVER ()", "window functions"},
	    {"SELECT 1 FROM generate_series(1, 9)", "a function cannot stand for a table"},
	    {"SELECT pg_sleep(10)", "the function pg_sleep is not known"},
	    {"SELECT randomblob(9)", "the function randomblob is not known"},
	    {"SELECT load_extension('x')", "the function load_extension is not known"},
	    {"SELECT pg_like('a', 'b')", "the function pg_like is not known"},
	    {"SELECT negative(1)", "the function negative is not known"},
	    {"SELECT \"+\"(1, 2)", "the function + is not known"},
	    {"SELECT left('a')", "there is no left for (unknown)"},
	    {"SELECT left('a', 1.5)", "there is no left for (unknown, numeric)"},
	    {"SELECT 1 LIMIT 1.5", "a whole number is wanted here"},
	    {"SELECT result = 4 FROM sendattempts", "=: text and integer do not go together"},
	    {"SELECT CURRENT_TIMESTAMP + '15 potatoes'",
		"invalid input for type interval: \"15 pot"},
	    {"SELECT 1 WHERE 1", "boolean is wanted here, not integer"},
	    {"SELECT server, count(*) FROM sendattempts", "server must stand in GROUP BY"},
	    {"SELECT 'a'::box", "this type is not known"},
	    {"SELECT 'a'::varchar(3)", "a type with a length is not understood"},
	    {"SELECT 1 = ANY('{1}')", "ANY, SOME and ALL are not understood"},
	    {"SELECT string_agg(DISTINCT stage, ',') FROM sendattempts",
		"DISTINCT of two arguments"},
	    {"SELECT * FROM (SELECT 1)", "needs a name"},
	    {"SELECT DISTINCT ON (server) server FROM sendattempts",
		"DISTINCT ON is not understood"},
	};
	struct store_rig *r = *state;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		refused(r, wrong[i].sql, wrong[i].part);
	expect(r, "SELECT 1;", "?column?\n1"); /* one at the end is fine */
}

static void nothing_but_select(void **state)
{
	static const char *const statements[] = {"DELETE FROM sendattempts", "DROP TABLE attempts",
	    "INSERT INTO sendattempts VALUES(1)", "UPDATE sendattempts SET server = 'x'",
	    "ATTACH '/etc/passwd' AS x", "PRAGMA user_version = 7", "VACUUM", "BEGIN",
	    "EXPLAIN SELECT 1", "WITH x AS (SELECT 1) SELECT * FROM x", "CREATE TABLE x(a)",
	    "VALUES(1)", "COPY x TO '/tmp/x'",
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"};
	struct store_rig *r = *state;

	fill(r, 3);
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
		refused(r, statements[i], "only SELECT is understood (line 1, column 1");
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", 0), 3);
}

static void a_zero_byte_is_refused(void **state)
{
	static const char sql[] = "SELECT 'a\0b'";
	struct store_rig *r = *state;
	struct sql_rows rows = {0};

	assert_int_equal(
	    sql_query(r->store, sql, sizeof sql - 1, &rows, why, sizeof why, WAIT_MS), SQL_WRONG);
	assert_non_null(strstr(why, "zero byte"));
}

static void failures_are_no_rows(void **state)
{
	struct store_rig *r = *state;

	fill(r, 10);
	fails(r, "SELECT 1 / 0", "division by zero");
	fails(r, "SELECT result::int FROM sendattempts", "invalid input for type integer: \"");
	fails(r, "SELECT (SELECT server FROM sendattempts)", "more than one row");
	fails(r, "SELECT 9223372036854775807 + delay FROM sendattempts", "integer out of range");
	fails(r, "SELECT extract(eon FROM now())", "the field \"eon\"");
	fails(r, "SELECT now() + interval '9000 years'", "out of range");
}

/* ---- R17: names that want to be SQL ---- */

static void hostile_names_are_only_literals(void **state)
{
	static const char *const names[] = {"x' OR '1'='1", "x'; DROP TABLE attempts; --", "'",
	    "''", "x' UNION SELECT value FROM settings --", "\\' OR 1=1", "x\" OR \"1\"=\"1", "?1",
	    "$1", ":a", "%", "/*", "a'||(SELECT 1)||'", "\xff\xfe'", "x\r\n' OR 'a'='a"};
	struct store_rig *r = *state;
	char sql[600], literal[200];

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		store_rig_add(r, i, r->now_ms, names[i], "450 x");
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		size_t n = 0;

		for (const char *p = names[i]; *p != '\0';
		     p++) { /* as mailhooks.sql_quote() does */
			literal[n++] = *p;
			if (*p == '\'')
				literal[n++] = '\'';
		}
		literal[n] = '\0';
		snprintf(sql, sizeof sql, "SELECT count(*) FROM sendattempts WHERE server = '%s'",
		    literal);
		expect(r, sql, "count\n1");
		snprintf(sql, sizeof sql,
		    "SELECT count(*), '%s' = server FROM sendattempts WHERE server = '%s' GROUP BY server",
		    literal, literal);
		expect(r, sql, "count|?column?\n1|t");
	}
}

/* ---- hostile statements ---- */

static void ends_in_time(struct store_rig *r, const char *sql)
{
	int64_t began = clock_ms();
	enum sql_answer answer = ask_for(r, sql, HOSTILE_MS);

	if (clock_ms() - began > HOSTILE_MS + GRACE_MS)
		fail_msg("%.200s took %lld ms", sql, (long long)(clock_ms() - began));
	if (answer == SQL_ROWS)
		fail_msg("%.200s has an answer: %.100s", sql, text);
}

static char *repeated(const char *before, const char *part, size_t n, const char *after)
{
	size_t length = strlen(part);
	char *sql = malloc(strlen(before) + n * length + strlen(after) + 1), *p;

	assert_non_null(sql);
	p = stpncpy(sql, before, strlen(before) + 1);
	for (size_t i = 0; i < n; i++, p += length)
		memcpy(p, part, length);
	memcpy(p, after, strlen(after) + 1);
	return sql;
}

static void hostile_statements_end(void **state)
{
	struct store_rig *r = *state;
	char *sql;

	fill(r, 200);
	ends_in_time(r,
	    "SELECT count(*) FROM sendattempts a, sendattempts b, sendattempts c, sendattempts d,"
	    " sendattempts e WHERE a.delay + b.delay + c.delay + d.delay + e.delay < 0");
	ends_in_time(r,
	    "SELECT a.server FROM sendattempts a, sendattempts b, sendattempts c, sendattempts d"
	    " ORDER BY a.result || b.result || c.queueid || d.queueid");
	ends_in_time(r,
	    "SELECT DISTINCT a.starttime - b.starttime > interval '1 day', c.queueid || d.stage, count(*)"
	    " FROM sendattempts a, sendattempts b, sendattempts c, sendattempts d GROUP BY 1, 2");
	ends_in_time(r,
	    "SELECT string_agg(a.result, b.result) FROM sendattempts a, sendattempts b, sendattempts c");
	ends_in_time(r, "SELECT a.server FROM sendattempts a, sendattempts b, sendattempts c");

	/* each doubles the text before it */
	sql = repeated("SELECT ", "replace(", 30, "'a'");
	{
		char *all = repeated(sql, ", 'a', 'aa')", 30, "");

		ends_in_time(r, all);
		free(all);
	}
	free(sql);
	sql = repeated("SELECT count(*) FROM sendattempts WHERE result LIKE '", "%a", 600, "'");
	ends_in_time(r, sql);
	free(sql);
	sql = repeated("SELECT count(*) FROM sendattempts a, sendattempts b, sendattempts c WHERE "
		       "a.result || b.result || c.result || a.sender || b.sender LIKE '",
	    "%_4%e", 190, "b'");
	ends_in_time(r, sql);
	free(sql);
	sql = repeated("SELECT ", "(", 5000, "1");
	ends_in_time(r, sql);
	free(sql);
	sql = repeated("SELECT ", "-", 5000, "1"); /* also a comment */
	ends_in_time(r, sql);
	free(sql);
	sql = repeated("SELECT ", "NOT ", 1500, "true");
	ends_in_time(r, sql);
	free(sql);
	sql = repeated("SELECT 1", "+1", 900, "");
	ends_in_time(r, sql);
	free(sql);
	sql = repeated("SELECT ", "(SELECT ", 100, "1");
	ends_in_time(r, sql);
	free(sql);
	sql = repeated("SELECT 1 ", "                                ", 1000, "");
	ends_in_time(r, sql);
	free(sql);
	sql = repeated("SELECT 1 FROM sendattempts", ", sendattempts", 20, "");
	ends_in_time(r, sql);
	free(sql);
}

/* Long is not deep. */
static void many_conditions_are_fine(void **state)
{
	struct store_rig *r = *state;
	char *sql = repeated(
	    "SELECT count(*) FROM sendattempts WHERE delay = 1", " OR delay = 1234", 400, "");

	fill(r, 5);
	expect(r, sql, "count\n5");
	free(sql);
	sql = repeated("SELECT count(*) FROM sendattempts WHERE delay IN (1", ", 1234", 900, ")");
	expect(r, sql, "count\n5");
	free(sql);
}

static void answers_are_bounded(void **state)
{
	struct store_rig *r = *state;

	fill(r, 150);
	fails(r, "SELECT a.delay FROM sendattempts a, sendattempts b",
	    "more than 10000 rows; use LIMIT");
	assert_int_equal(
	    ask_for(r, "SELECT a.delay FROM sendattempts a, sendattempts b LIMIT 10000", WAIT_MS),
	    SQL_ROWS);
	fails(r,
	    "SELECT replace(a.result, 'o', 'oooooooooooooooooooooooooooooooooooooooooooooooooooooooo')"
	    " || a.sender || b.sender || a.server || b.server || a.queueid || b.queueid || a.sender ||"
	    " b.sender FROM sendattempts a, sendattempts b LIMIT 10000",
	    "longer than 1 MiB");
	assert_int_equal(ask_for(r, VENDOR, 0), SQL_LATE);
	assert_int_equal(ask_for(r, "SELECT max(delay) FROM sendattempts", 0), SQL_LATE);
}

static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, store_rig_setup, store_rig_teardown)
    TEST(the_vendors_query),
    TEST(both_ways_count_the_same),
    TEST(whole_numbers_with_a_point),
    TEST(rows_of_attempts),
    TEST(recipients_are_one_text),
    TEST(rows_of_holds),
    TEST(errors_name_what_and_where),
    TEST(nothing_but_select),
    TEST(a_zero_byte_is_refused),
    TEST(failures_are_no_rows),
    TEST(hostile_names_are_only_literals),
    TEST(hostile_statements_end),
    TEST(many_conditions_are_fine),
    TEST(answers_are_bounded),
};

/* ---- only of Redis ---- */

static struct redis_server server;

/* A server that is away is no answer, never an answer of no rows. */
static void a_store_that_is_away_is_no_answer(void **state)
{
	struct store_rig *r = *state;

	fill(r, 30);
	redis_server_pause(&server);
	assert_int_equal(ask_for(r, "SELECT max(delay) FROM sendattempts", 300), SQL_NO_STORE);
	assert_int_equal(ask_for(r, "SELECT * FROM holds", 300), SQL_NO_STORE);
	/* this process remembers its own attempts */
	assert_int_equal(ask_for(r, VENDOR, 300), SQL_ROWS);
	assert_string_equal(text, "cnt\n2");
	redis_server_resume(&server);
}

int main(void)
{
	const struct CMUnitTest redis_tests[] = {TEST(a_store_that_is_away_is_no_answer)};
	const char *const options[] = {NULL};
	char url[100];
	int failed;

	setenv("TZ", "UTC", 1);
	failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
	if (!redis_servers_installed())
		return failed;
	redis_server_start(&server, options);
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", server.port);
	store_rig_engine(url);
	failed += cmocka_run_group_tests_name("redis", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("redis away", redis_tests, NULL, NULL);
	redis_server_stop(&server);
	return failed;
}
