/* VPOP3.PostgresQuery and mailhooks' own functions of the store, as scripts see them, on SQLite and
 * on Redis; what a hostile host name (R17) can do to a script that builds SQL from it. */
#include "common/clock.h"
#include "common/dns/dns_name.h"
#include "common/log.h"
#include "common/store/store_shared.h"
#include "common/waiting.h"
#include "tests/unit/lua_rig.h"
#include "tests/unit/redis_servers.h"
#include "tests/unit/script_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GRACE_MS 1000 /* a loaded machine */
#define WAIT_MS 5000
#define MINUTE_MS ((int64_t)60000)
#define ASIDE_MS 5000 /* no attempt is at the very edge of a window */

static const char *engine; /* NULL: SQLite in the rig's directory */
static struct script_rig rig;
static struct script_set *set;
static struct runtime *rt;

static void open_rig(const char *store)
{
	char setting[310];
	const char *const settings[] = {setting, NULL};

	snprintf(setting, sizeof setting, "store=%s", store);
	script_rig_open(&rig, settings);
	rt = rig_load(rig.config, &set);
}

static int setup(void **state)
{
	static unsigned number;
	char url[300];

	(void)state;
	if (engine != NULL)
		snprintf(url, sizeof url, "%s/%u", engine, number++ % 16);
	else
		snprintf(url, sizeof url, "sqlite:/tmp/mailhooks-scripts-%d-%u.db", (int)getpid(),
		    number++);
	open_rig(url);
	return 0;
}

static void close_rig(void)
{
	rig_close(rt);
	script_set_unref(set);
	store_shared_close();
}

static int teardown(void **state)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	char path[340];

	(void)state;
	close_rig();
	for (size_t i = 0; engine == NULL && i < 3; i++) {
		snprintf(
		    path, sizeof path, "%s%s", rig.config->store + strlen("sqlite:"), endings[i]);
		unlink(path);
	}
	script_rig_close(&rig);
	return 0;
}

static struct store *store(void)
{
	struct store *s = store_shared_get(rig.config->store);

	assert_non_null(s);
	store_shared_put(s);
	return s;
}

static void add(unsigned n, const char *server, const char *result, int64_t minutes_ago)
{
	const struct store_recipient recipients[] = {{"r@example.com", result}};
	char event[24];
	struct store_attempt a = {
	    .event = event,
	    .time_ms = (int64_t)time(NULL) * 1000 - minutes_ago * MINUTE_MS - ASIDE_MS,
	    .queue_id = "4XyZ12",
	    .server = server,
	    .domain = "example.com",
	    .sender = "s@example.org",
	    .result = result,
	    .delay_ms = 2500,
	    .recipients = recipients,
	    .nrecipients = 1,
	};

	snprintf(event, sizeof event, "scripts:%u", n);
	assert_int_equal(store_attempt_add(store(), &a, NULL, WAIT_MS), STORE_FOUND);
}

/* ---- VPOP3.PostgresQuery ---- */

/* Builds the SQL as VPOP3's example does, and decides as it does. */
#define THROTTLE                                                                                                    \
	"function CheckServer(domain, mxserver, numRetries, messageSize, defaultResult)\n"                          \
	"  if defaultResult then\n"                                                                                 \
	"    x = VPOP3.PostgresQuery(\"SELECT COUNT(*) AS cnt FROM outqueue.sendattempts WHERE server='\"\n"        \
	"      .. mxserver .. \"' AND starttime > CURRENT_TIMESTAMP + '-15 MINUTES' AND LEFT(result, 1) = '4'\")\n" \
	"    if tonumber(x[1].cnt) > 5 then return false, 10; end\n"                                                \
	"  end\n"                                                                                                   \
	"end\n"

static void a_script_that_throttles(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		add(i, "mx1.example.com", "451 later", i);
	add(5, "mx2.example.com", "451 later", 1);
	add(6, "mx1.example.com", "250 ok", 1);
	add(7, "mx1.example.com", "451 later", 16);
	rig_expect(
	    rt, THROTTLE "return CheckServer('example.com', 'mx1.example.com', 0, 1, true)", "");
	add(8, "mx1.example.com", "421 later", 14);
	rig_expect(rt, THROTTLE "return CheckServer('example.com', 'mx1.example.com', 0, 1, true)",
	    "false|10");
	rig_expect(rt, THROTTLE "return CheckServer('example.com', 'MX1.Example.COM', 0, 1, true)",
	    "false|10");
	rig_expect(
	    rt, THROTTLE "return CheckServer('example.com', 'mx2.example.com', 0, 1, true)", "");
	rig_expect(
	    rt, THROTTLE "return CheckServer('example.com', 'mx1.example.com', 0, 1, false)", "");
}

static void rows_are_tables_of_texts(void **state)
{
	(void)state;
	add(1, "mx1.example.com", "250 ok", 1);
	add(2, "", "451 it's late", 2);
	rig_expect(rt,
	    "local r, more = VPOP3.PostgresQuery('SELECT server, result, delay, delay > 1 AS late,"
	    " 1 AS \"Odd Name\" FROM outqueue.sendattempts ORDER BY starttime')\n"
	    "return #r, more, r[1].server, r[1].result, r[2].server, r[2].delay, type(r[2].delay),"
	    " r[2].late, r[1]['Odd Name']",
	    "2|nil|nil|451 it's late|mx1.example.com|2500|string|t|1");
	rig_expect(
	    rt, "return #VPOP3.PostgresQuery('SELECT 1 FROM sendattempts WHERE false')", "0");
	rig_expect(rt, /* as in Lua 5.0 */
	    "local n = 0 for i, row in VPOP3.PostgresQuery('SELECT queueid FROM sendattempts') do"
	    " for k, v in row do n = n + 1 end end return n",
	    "2");
}

static void wrong_sql_is_an_error_with_its_place(void **state)
{
	(void)state;
	rig_expect_error(rt, "VPOP3.PostgresQuery('SELECT x FROM sendattempts')",
	    "VPOP3.PostgresQuery: there is no column x (line 1, column 8, near \"x FROM");
	rig_expect_error(rt, "VPOP3.PostgresQuery('DELETE FROM sendattempts')", "only SELECT");
	rig_expect_error(
	    rt, "VPOP3.PostgresQuery()", "VPOP3.PostgresQuery(sql): a string is wanted");
	rig_expect_error(rt, "VPOP3.PostgresQuery('SELECT 1\\0')", "zero byte");
	rig_expect(rt, "return VPOP3.PostgresQuery('SELECT 1 / 0')",
	    "nil|VPOP3.PostgresQuery: division by zero");
	rig_expect_error(rt, "os.setsafety('k') VPOP3.PostgresQuery('SELECT 1')",
	    "VPOP3.PostgresQuery is disabled in safety mode");
	rig_expect(rt, "os.clearsafety('k') return VPOP3.PostgresQuery('SELECT 1 AS a')[1].a", "1");
}

/* R17: the owner of a domain chooses the names of its MX hosts. Names with a quote in them are no
 * host names, so no hook sees them (dns_name_valid); a script that builds SQL from one that came
 * another way gets an error, or what it asked for, but never changes anything. */
static void hostile_host_names(void **state)
{
	static const char *const names[] = {"x' OR '1'='1", "x' OR '1'='1.evil.example",
	    "x'; DELETE FROM outqueue.sendattempts; --", "x' --", "x' UNION SELECT 'a", "'",
	    "x\\'"};
	char code[1000];

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		add(i, "mx1.example.com", "451 later", 1);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_false(dns_name_valid(names[i]));
		/* quoted it is a name like any other */
		snprintf(code, sizeof code,
		    "return VPOP3.PostgresQuery('SELECT count(*) AS n FROM outqueue.sendattempts"
		    " WHERE server = ' .. mailhooks.sql_quote([[%s]]))[1].n",
		    names[i]);
		rig_expect(rt, code, "0");
	}
	for (size_t i = 2; i < sizeof names / sizeof *names - 1; i++) {
		snprintf(code, sizeof code,
		    THROTTLE "return pcall(CheckServer, 'd', [[%s]], 0, 1, true)", names[i]);
		assert_int_equal(rig_run(rt, code), RUN_OK);
		assert_int_equal(strncmp(rig_text, "false|", 6), 0);
		assert_null(strstr(rig_text, "|10"));
	}
	rig_expect(
	    rt, "return VPOP3.PostgresQuery('SELECT count(*) AS n FROM sendattempts')[1].n", "9");
	rig_expect(rt,
	    "return mailhooks.sql_quote(\"a'b''c\"), mailhooks.sql_quote(''), mailhooks.sql_quote(5)",
	    "'a''b''''c'|''|'5'");
	rig_expect_error(rt, "mailhooks.sql_quote('a\\0b')", "zero byte");
	rig_expect_error(rt, "mailhooks.sql_quote()", "mailhooks.sql_quote(text)");
}

static void a_query_ends_with_the_hook(void **state)
{
	int64_t start = clock_ms();

	(void)state;
	for (unsigned i = 0; i < 150; i++)
		add(i, "mx1.example.com", "451 later", 1);
	start = clock_ms();
	assert_int_equal(
	    rig_run_budget(rt,
		"return VPOP3.PostgresQuery('SELECT count(*) FROM sendattempts a, sendattempts b,"
		" sendattempts c, sendattempts d WHERE a.delay + b.delay < c.delay - d.delay')",
		0, 500),
	    RUN_OK);
	/* the time may also end while Redis is asked for a page */
	assert_non_null(strstr(rig_text, "nil|VPOP3.PostgresQuery: "));
	assert_in_range(clock_ms() - start, 300, 500 + GRACE_MS);
}

/* ---- without SQL ---- */

static void attempts_without_sql(void **state)
{
	(void)state;
	rig_expect(rt, "return mailhooks.count_attempts{}, #mailhooks.attempts{}", "0|0");
	for (unsigned i = 0; i < 20; i++)
		add(i, i % 2 ? "mx1.example.com" : "mx2.example.com",
		    i % 4 ? "250 ok" : "451 later", i);
	rig_expect(rt,
	    "return mailhooks.count_attempts{server = 'mx2.example.com', result = '4', minutes = 9},"
	    " mailhooks.count_attempts{server = 'MX2.example.com', result = '45'},"
	    " mailhooks.count_attempts{domain = 'example.com', seconds = 90},"
	    " mailhooks.count_attempts{hours = 1, result = '451 later'}, mailhooks.count_attempts{provider = 'x'},"
	    " mailhooks.count_attempts{seconds = 0}, mailhooks.count_attempts{days = 1}",
	    "3|5|2|5|0|0|20");
	rig_expect(rt,
	    "local l = mailhooks.attempts{server = 'mx1.example.com', limit = 3}\n"
	    "local a = l[1] return #l, a.server, a.result, a.domain, a.delay, a.recipients[1], #a.recipients,"
	    " a.queue_id, a.sender, a.address, os.time() - a.time < 100 and a.time > l[2].time",
	    "3|mx1.example.com|250 ok|example.com|2.5|r@example.com|1|4XyZ12|s@example.org||true");
}

static void holds_of_scripts(void **state)
{
	(void)state;
	rig_expect(rt,
	    "local who = {server = 'mx1.example.com'}\n"
	    "return mailhooks.held(who), mailhooks.release(who)",
	    "false|false");
	rig_expect(rt,
	    "local r = mailhooks.hold{server = 'MX1.example.com', minutes = 10, reason = 'too many'}\n"
	    "local h = mailhooks.held{server = 'mx1.example.com'}\n"
	    "local left = h['until'] - h.since\n"
	    "return r, h.who, h.reason, left > 598 and left < 602, mailhooks.held{domain = 'mx1.example.com'}",
	    "true|script|too many|true|false");
	rig_expect(rt,
	    "local q = VPOP3.PostgresQuery(\"SELECT name FROM outqueue.holds\")[1].name\n"
	    "return q, mailhooks.release{server = 'mx1.example.com'}, mailhooks.held{server = 'mx1.example.com'}",
	    "mx1.example.com|true|false");
}

static void rates_of_scripts(void **state)
{
	(void)state;
	rig_expect(rt,
	    "local limit, seen = {count = 3, hours = 1}, ''\n"
	    "for i = 1, 4 do local ok, s = mailhooks.rate_take('sender:a', limit)\n"
	    "  seen = seen .. tostring(ok) .. s.remaining .. ' ' end\n"
	    "local ok, s = mailhooks.rate_peek('sender:b', limit, 3)\n"
	    "local again = mailhooks.rate_take('sender:b', limit, 3)\n"
	    "return seen, ok, again, s['local']",
	    "true2 true1 true0 false0 |true|true|false");
	rig_expect(rt,
	    "local limit = {{count = 10, minutes = 1}, {count = 12, hours = 1}}\n"
	    "local ok, s = mailhooks.rate_take('bytes', limit, 9)\n"
	    "local over, t = mailhooks.rate_take('bytes', limit, 4)\n"
	    "local never, u = mailhooks.rate_take('bytes', limit, 100)\n"
	    "return ok, s.remaining, s.window, over, t.retry > 0, never, u.retry",
	    "true|1|1|false|true|false|nil");
}

static void wrong_use(void **state)
{
	static const char *const wrong[][2] = {
	    {"mailhooks.count_attempts('x')", "a table is wanted"},
	    {"mailhooks.count_attempts{sever = 'x'}", "sever is not known here"},
	    {"mailhooks.count_attempts{server = 'x', domain = 'y'}", "one of server"},
	    {"mailhooks.count_attempts{server = ''}", "server is empty"},
	    {"mailhooks.count_attempts{server = {}}", "server must be a string"},
	    {"mailhooks.count_attempts{minutes = 'x'}", "minutes must be a number"},
	    {"mailhooks.count_attempts{minutes = 0/0}", "minutes must be a number"},
	    {"mailhooks.attempts{limit = 0}", "limit is a number from 1 to 1000"},
	    {"mailhooks.hold{minutes = 1}", "server, address, domain or provider is wanted"},
	    {"mailhooks.hold{server = 'x'}", "seconds, minutes, hours or days are wanted"},
	    {"mailhooks.release{}", "server, address, domain or provider is wanted"},
	    {"mailhooks.held()", "a table is wanted"},
	    {"mailhooks.rate_take('a')", "the limit is a table"},
	    {"mailhooks.rate_take({}, {})", "the key is a string"},
	    {"mailhooks.rate_take('a', {})", "the limit has no window"},
	    {"mailhooks.rate_take('a', {count = 1})", "each window has count"},
	    {"mailhooks.rate_take('a', {count = 0, hours = 1})", "count must be 1 or more"},
	    {"mailhooks.rate_take('a', {count = 1, hours = 0/0})", "each window has count"},
	    {"mailhooks.rate_take('a', {count = 1, hours = 1}, -1)", "the cost is a whole number"},
	    {"mailhooks.rate_take('a', {{count = 1, hours = 1}, {count = 2, minutes = 60}})",
		"two windows of the same length"},
	};
	static const char *const unsafe[] = {"attempts{}", "count_attempts{}", "hold{}", "held{}",
	    "release{}", "rate_take()", "rate_peek()"};
	char code[200];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		rig_expect_error(rt, wrong[i][0], wrong[i][1]);
	for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++) {
		snprintf(code, sizeof code, "os.setsafety('k') mailhooks.%s", unsafe[i]);
		rig_expect_error(rt, code, "is disabled in safety mode");
		rig_expect(rt, "os.clearsafety('k')", "");
	}
}

/* ---- no answer is never "none" ---- */

static void expect_no_answers(void)
{
	rig_expect(rt, "return VPOP3.PostgresQuery('SELECT max(delay) AS n FROM sendattempts')",
	    "nil|VPOP3.PostgresQuery: the store does not answer");
	rig_expect(rt, "return (mailhooks.attempts{})", "nil");
	rig_expect(rt, "return mailhooks.held{server = 'x'}",
	    "nil|mailhooks.held: the store does not answer");
	rig_expect(rt, "return (mailhooks.release{server = 'x'})", "nil");
}

/* As scripts are when they are only checked. */
static void a_state_without_a_configuration(void **state)
{
	struct runtime *bare = rig_open();

	(void)state;
	rig_expect(bare, "return (VPOP3.PostgresQuery('SELECT 1'))", "nil");
	rig_expect(
	    bare, "return (mailhooks.count_attempts{}), (mailhooks.held{server = 'x'})", "nil|nil");
	rig_expect(bare, "return (mailhooks.rate_take('a', {count = 1, hours = 1}))", "nil");
	rig_close(bare);
}

static void a_store_that_cannot_be_opened(void **state)
{
	(void)state;
	open_rig("sqlite:/nonexistent/folder/store.db");
	expect_no_answers();
	rig_expect(rt, "return VPOP3.PostgresQuery('SELECT count(*) AS n FROM sendattempts')",
	    "nil|VPOP3.PostgresQuery: the store does not answer");
	rig_expect(rt, "return (mailhooks.count_attempts{})", "nil");
	rig_expect(rt, "return (mailhooks.rate_take('a', {count = 1, hours = 1}))", "nil");
	rig_expect(rt, "return (mailhooks.hold{server = 'x', minutes = 1})", "nil");
	close_rig();
	script_rig_close(&rig);
}

static struct redis_server server;

static void a_redis_that_hangs(void **state)
{
	char url[100];

	(void)state;
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", server.port);
	open_rig(url);
	add(1, "away.example", "451 later", 1);
	redis_server_pause(&server);
	assert_int_equal(
	    rig_run_budget(rt, "return (mailhooks.held{server = 'x'})", 0, 500), RUN_OK);
	assert_string_equal(rig_text, "nil");
	for (int i = 0; i < 5; i++) /* until it is known to be away */
		rig_run_budget(rt, "return (mailhooks.held{server = 'x'})", 0, 200);
	/* what this process knows is said to be only that */
	rig_expect(rt, "return mailhooks.count_attempts{server = 'away.example'}", "1|local");
	rig_expect(rt,
	    "local r, l = VPOP3.PostgresQuery(\"SELECT count(*) AS n FROM outqueue.sendattempts WHERE"
	    " server = 'away.example'\") return r[1].n, l",
	    "1|local");
	rig_expect(rt,
	    "local ok, s = mailhooks.rate_take('a', {count = 1, hours = 1}) return ok, s['local']",
	    "true|true");
	redis_server_resume(&server);
	close_rig();
	script_rig_close(&rig);
}

static const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    TEST(a_script_that_throttles),
    TEST(rows_are_tables_of_texts),
    TEST(wrong_sql_is_an_error_with_its_place),
    TEST(hostile_host_names),
    TEST(a_query_ends_with_the_hook),
    TEST(attempts_without_sql),
    TEST(holds_of_scripts),
    TEST(rates_of_scripts),
    TEST(wrong_use),
};

int main(void)
{
	const struct CMUnitTest away[] = {cmocka_unit_test(a_state_without_a_configuration),
	    cmocka_unit_test(a_store_that_cannot_be_opened)};
	const struct CMUnitTest hanging[] = {cmocka_unit_test(a_redis_that_hangs)};
	const char *const options[] = {NULL};
	char url[100];
	int failed;

	setenv("TZ", "UTC", 1);
	failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("away", away, NULL, NULL);
	if (!redis_servers_installed())
		return failed;
	redis_server_start(&server, options);
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", server.port);
	engine = url;
	failed += cmocka_run_group_tests_name("redis", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("redis hangs", hanging, NULL, NULL);
	redis_server_stop(&server);
	return failed;
}
