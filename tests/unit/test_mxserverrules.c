/* mxserverrules.lua: what each hook is told and what its results mean; the shapes of VPOP3's DNS
 * server map; holds in front of CheckServer(). */
#include "lua-bindings/mx_decision.h"
#include "lua-bindings/mxserverrules.h"
#include "tests/unit/script_rig.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/store/holds.h"
#include "common/store/store_shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

static struct script_rig rig;
static char logged[8192];

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

static int setup(void **state)
{
	(void)state;
	script_rig_open(
	    &rig, (const char *const[]){"outbound.minute_ms=1000", "outbound.holds_ms=0", NULL});
	logged[0] = '\0';
	log_capture(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_capture(NULL, NULL);
	holds_forget();
	store_shared_close();
	script_rig_close(&rig);
	return 0;
}

static struct script_set *load_by(
    const char *script, struct script_set *(*how)(struct config *, char *, size_t))
{
	char error[500] = "";
	struct script_set *set;

	script_rig_write(&rig, "mxserverrules.lua", script);
	set = how(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	return set;
}

static struct script_set *load(const char *script)
{
	return load_by(script, script_set_load);
}

static const struct mx_delivery delivery = {"example.com", 3, 4000, 2, "two"};

static struct mxserverrules *start(struct script_set *set)
{
	struct mxserverrules *r;

	assert_int_equal(
	    mxserverrules_open(set, &delivery, NULL, clock_ms() + 10000, &r), MX_DECIDED);
	return r;
}

static void test_what_hooks_are_told(void **state)
{
	static const char script[] =
	    "seen = ConnectionId .. ConnectionName\n"
	    "function GetCheckCache(d, n, s) seen = seen .. d .. n .. s; return false end\n"
	    "function CheckServer(d, mx, n, s, default)\n"
	    "  if mx == 'later.test' then return false, 1.5 end\n"
	    "  if mx == 'no.test' then return 0 end\n"
	    "  return seen == '2twoexample.com34000' and d == 'example.com' and n == 3 and\n"
	    "    s == 4000 and default == true and mx == 'mx1.test', 10\n"
	    "end\n";
	struct script_set *set = load(script);
	struct mxserverrules *r = start(set);
	struct mx_usable u;
	char *where;

	(void)state;
	assert_false(mxserverrules_may_cache(r));
	assert_int_equal(mxserverrules_check_server(r, "mx1.test", true, &u), MX_DECIDED);
	assert_true(u.usable);
	assert_int_equal(u.hold_ms, 0); /* nothing is held that is used */
	assert_int_equal(mxserverrules_check_server(r, "later.test", true, &u), MX_DECIDED);
	assert_false(u.usable);
	assert_int_equal(u.hold_ms, 1500);
	assert_int_equal(mxserverrules_check_server(r, "no.test", true, &u), MX_DECIDED);
	assert_false(u.usable);
	assert_int_equal(u.hold_ms, 0);
	where = mxserverrules_where(r, "CheckServer");
	assert_string_equal(where, "mxserverrules.lua:3");
	free(where);
	assert_null(mxserverrules_where(r, "GetOverrides"));
	mxserverrules_close(r);
	script_set_unref(set);
}

/* The vendor's example returns nothing on most paths: that must mean its default. */
static void test_nothing_is_no_opinion(void **state)
{
	struct script_set *set = load("function CheckServer() end\nfunction GetOverrides() end\n"
				      "function FinalOverrides() return nil end\n");
	struct mxserverrules *r = start(set);
	struct mx_servers servers = {0};
	struct mx_usable u;
	bool go_on;

	(void)state;
	assert_true(mxserverrules_may_cache(r));
	assert_int_equal(mxserverrules_check_server(r, "a.test", true, &u), MX_NO_OPINION);
	assert_true(u.usable);
	assert_int_equal(mxserverrules_check_server(r, "a.test", false, &u), MX_NO_OPINION);
	assert_false(u.usable);
	assert_int_equal(mxserverrules_overrides(r, &servers, &go_on), MX_NO_OPINION);
	assert_true(go_on);
	assert_true(mx_servers_add(&servers, "a.test", 1, 0));
	assert_int_equal(mxserverrules_final(r, &servers), MX_NO_OPINION);
	assert_int_equal(servers.n, 1);
	mx_servers_clear(&servers);
	mxserverrules_close(r);
	script_set_unref(set);
}

static void expect_map(const char *result, const char *wanted)
{
	char *script = xasprintf("function GetOverrides() return %s end\n", result), text[500] = "";
	struct script_set *set = load(script);
	struct mxserverrules *r = start(set);
	struct mx_servers s = {0};
	bool go_on;
	enum mx_answer answer = mxserverrules_overrides(r, &s, &go_on);

	for (size_t i = 0; i < s.n; i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof text - n, "%s:%u:%u ", s.v[i].host, s.v[i].priority,
		    s.v[i].port);
	}
	snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
	    answer == MX_FAILED ? "failed" : "", go_on ? "" : "stop");
	if (strcmp(text, wanted) != 0)
		fail_msg("%s is read as \"%s\", not \"%s\"", result, text, wanted);
	mx_servers_clear(&s);
	mxserverrules_close(r);
	script_set_unref(set);
	free(script);
}

static void test_shapes_of_the_server_map(void **state)
{
	(void)state;
	expect_map("nil", "");
	expect_map("{}", "");
	expect_map("{}, true", "");
	expect_map("nil, false", "stop");
	expect_map("nil, 0", "stop");
	expect_map("{'a.test', 'B.test.:2525'}", "a.test:1:0 b.test:2:2525 ");
	expect_map("'a.test'", "a.test:1:0 ");
	expect_map("{'192.0.2.1:26', '[2001:db8::1]:27', '2001:db8::2'}",
	    "192.0.2.1:1:26 2001:db8::1:2:27 2001:db8::2:3:0 ");
	expect_map("{{server='a.test', priority=20}, {Value='b.test', MXPriority=10, port='26'}}",
	    "b.test:10:26 a.test:20:0 ");
	expect_map("{{host='a.test'}, {Server='b.test'}}", "a.test:1:0 b.test:2:0 ");
	expect_map("{['a.test'] = 20, ['b.test'] = '10'}", "b.test:10:0 a.test:20:0 ");
	expect_map("{'a.test'}, false", "a.test:1:0 stop");
	/* R17, R10: nothing that could end a name */
	expect_map("{\"x' OR '1'='1\"}", "failed");
	expect_map("{'a.test], [b.test'}", "failed");
	expect_map("{'a.test\\nb'}", "failed");
	expect_map("{'a.test\\0b'}", "failed");
	expect_map("{{server='a.test', port=70000}}", "failed");
	expect_map("{{server='a.test', priority=-1}}", "failed");
	expect_map("{[true]='a.test'}", "failed");
	expect_map("7", "failed");
}

static void test_final_overrides(void **state)
{
	struct script_set *set =
	    load("function FinalOverrides(domain, servers, n, size)\n"
		 "  assert(domain == 'example.com' and n == 3 and size == 4000)\n"
		 "  assert(#servers == 2 and servers[1].Server == 'a.test')\n"
		 "  return {servers[2], {server='c.test', priority=99}}\n"
		 "end\n");
	struct mxserverrules *r = start(set);
	struct mx_servers s = {0};

	(void)state;
	assert_true(mx_servers_add(&s, "a.test", 10, 0) && mx_servers_add(&s, "b.test:26", 20, 0));
	assert_int_equal(mxserverrules_final(r, &s), MX_DECIDED);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.v[0].host, "b.test");
	assert_int_equal(s.v[0].port, 26);
	assert_string_equal(s.v[1].host, "c.test");
	mx_servers_clear(&s);
	mxserverrules_close(r);
	script_set_unref(set);
}

static void test_a_script_cannot_hold_for_ever(void **state)
{
	struct script_set *set =
	    load("function CheckServer(d, mx) return false, ({a=1e300, b=-5, c=0/0, d='x'})[mx] "
		 "end\n");
	struct mxserverrules *r = start(set);
	struct mx_usable u;

	(void)state;
	assert_int_equal(mxserverrules_check_server(r, "a", true, &u), MX_DECIDED);
	assert_int_equal(u.hold_ms, LIMIT_HOLD_MINUTES * 1000LL);
	assert_int_equal(mxserverrules_check_server(r, "b", true, &u), MX_DECIDED);
	assert_int_equal(u.hold_ms, 0);
	assert_int_equal(mxserverrules_check_server(r, "c", true, &u), MX_FAILED);
	assert_int_equal(mxserverrules_check_server(r, "d", true, &u), MX_FAILED);
	assert_true(u.usable);
	mxserverrules_close(r);
	script_set_unref(set);
}

/* ---- decisions ---- */

static enum mx_use decide(struct script_set *set, const char *host, struct mx_reason *r)
{
	const struct mx_case c = {
	    .set = set, .deadline_ms = clock_ms() + 5000, .delivery = delivery};

	mx_decide(&c, host, r);
	return r->use;
}

static void put_hold(enum store_dimension dimension, const char *key, int64_t ms)
{
	const struct store_hold h = {.dimension = dimension,
	    .key = key,
	    .until_ms = holds_now_ms() + ms,
	    .who = "ann",
	    .reason = "by hand"};
	struct store *s = store_shared_get(rig.config->store);

	assert_non_null(s);
	assert_int_equal(store_hold_set(s, &h, 5000), STORE_FOUND);
	store_shared_put(s);
}

static void release(enum store_dimension dimension, const char *key)
{
	struct store *s = store_shared_get(rig.config->store);

	assert_non_null(s);
	assert_int_equal(store_hold_release(s, dimension, key, 5000), STORE_FOUND);
	store_shared_put(s);
}

static void test_a_hold_is_not_asked_again(void **state)
{
	struct script_set *set = load_by("function CheckServer(d, mx)\n"
					 "  if mx == 'mx2.test' then return false, 60 end\n"
					 "  if mx == 'broken.test' then error('x') end\n"
					 "end\n",
	    script_set_load_to_look);
	struct mx_reason r;

	(void)state;
	assert_int_equal(decide(set, "mx1.test", &r), MX_USE);
	assert_int_equal(decide(set, "mx2.test", &r), MX_DROP);
	assert_non_null(strstr(r.why, "mxserverrules.lua:1"));
	assert_true(r.until_ms > holds_now_ms() + 50000);
	assert_int_equal(decide(set, "broken.test", &r), MX_USE);
	script_set_unref(set);

	/* they only looked: nothing was held, so another script is asked */
	set =
	    load("function CheckServer(d, mx) if mx == 'mx2.test' then return false, 60 end end\n");
	assert_int_equal(decide(set, "mx2.test", &r), MX_DROP);
	assert_non_null(strstr(logged, "mx2.test is held until"));
	script_set_unref(set);
	set = load("function CheckServer() error('never asked') end\n");
	assert_int_equal(decide(set, "mx2.test", &r), MX_DROP);
	assert_non_null(strstr(r.why, "hold on server mx2.test"));
	holds_forget(); /* as after a restart */
	assert_int_equal(decide(set, "mx2.test", &r), MX_DROP);
	script_set_unref(set);
}

static void test_holds_by_hand(void **state)
{
	struct script_set *set = load("function CheckServer() return true end\n");
	const struct mx_case c = {
	    .set = set, .deadline_ms = clock_ms() + 5000, .delivery = delivery};
	struct mx_reason r;

	(void)state;
	put_hold(STORE_DOMAIN, "example.com", 60000);
	put_hold(STORE_ADDRESS, "192.0.2.1", 60000);
	put_hold(STORE_SERVER, "over.test", -1);
	assert_int_equal(decide(set, "mx1.test", &r), MX_DROP);
	assert_non_null(strstr(r.why, "hold on domain example.com"));
	assert_non_null(strstr(r.why, "by ann: by hand"));
	assert_true(mx_decision_held(&c, "x.test", "192.0.2.1", &r));
	put_hold(STORE_PROVIDER, "example.net", 120000);
	assert_int_equal(decide(set, "mx1.example.net", &r), MX_DROP);
	assert_non_null(strstr(r.why, "hold on provider example.net"));
	script_set_unref(set);
}

/* Released for some time by hand: neither the hold of that name nor CheckServer() counts, other
 * holds do. */
static void test_released_for_some_time(void **state)
{
	struct script_set *set = load("function CheckServer() return false, 60 end\n");
	struct mx_reason r;

	(void)state;
	put_hold(STORE_SERVER, "mx1.example.net", 60000);
	put_hold(STORE_SERVER, "!MX1.example.net", 60000);
	put_hold(STORE_SERVER, "!mx2.example.net", -1);
	assert_int_equal(decide(set, "mx1.example.net", &r), MX_USE);
	assert_non_null(strstr(r.why, "server mx1.example.net released until "));
	assert_non_null(strstr(r.why, "by ann: CheckServer is not asked"));
	assert_int_equal(decide(set, "mx2.example.net", &r), MX_DROP);
	put_hold(STORE_PROVIDER, "example.net", 60000);
	assert_int_equal(decide(set, "mx1.example.net", &r), MX_DROP);
	put_hold(STORE_PROVIDER, "!example.net", 60000);
	assert_int_equal(decide(set, "mx3.example.net", &r), MX_USE);
	put_hold(STORE_ALL, "", 60000);
	assert_int_equal(decide(set, "mx3.example.net", &r), MX_DROP);
	script_set_unref(set);
}

/* A store that answers and takes nothing (full, read-only, here locked by another writer): the
 * process that has set a hold keeps it, whatever the list says, until its end. */
static void test_a_hold_that_the_store_does_not_take(void **state)
{
	const struct hold_target both[] = {{.server = "mx1.test"}, {.server = "mx2.test"}};
	const char *url = rig.config->store;
	struct store_hold h = {.dimension = STORE_SERVER, .key = "mx1.test", .who = "test"};
	struct held held;
	sqlite3 *db;

	(void)state;
	put_hold(STORE_SERVER, "mx2.test", 60000);
	assert_int_equal(holds_find(url, &both[0], 0, &held, 5000), STORE_ABSENT);
	assert_int_equal(sqlite3_open(strchr(url, ':') + 1, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	h.until_ms = holds_now_ms() + 500;
	assert_int_equal(holds_set(url, &h, 50), STORE_UNKNOWN);
	h.until_ms = holds_now_ms() + 60000;
	assert_int_equal(holds_set(url, &h, 50), STORE_UNKNOWN);
	for (int i = 0; i < 4; i++)
		assert_int_equal(holds_find(url, &both[i % 2], 0, &held, 5000), STORE_FOUND);
	/* it is writable again: what the store takes is the store's, and ends with its release */
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(holds_set(url, &h, 5000), STORE_FOUND);
	assert_int_equal(holds_find(url, &both[0], 0, &held, 5000), STORE_FOUND);
	release(STORE_SERVER, "mx1.test");
	for (int i = 0; i < 2; i++)
		assert_int_equal(holds_find(url, &both[0], 0, &held, 5000), STORE_ABSENT);
}

/* A release counts at once in this process, however old its list may be. */
static void test_a_release_counts_at_once(void **state)
{
	const struct hold_target mx1 = {.server = "mx1.test"}, mx2 = {.server = "mx2.test"};
	const char *url = rig.config->store;
	const int hour = 3600000;
	struct held held;

	(void)state;
	put_hold(STORE_SERVER, "mx1.test", 60000);
	put_hold(STORE_SERVER, "mx2.test", 60000);
	assert_int_equal(holds_find(url, &mx1, hour, &held, 5000), STORE_FOUND);
	assert_int_equal(holds_release(url, STORE_SERVER, "MX1.test", 5000), STORE_FOUND);
	assert_int_equal(holds_find(url, &mx1, hour, &held, 5000), STORE_ABSENT);
	assert_int_equal(holds_find(url, &mx2, hour, &held, 5000), STORE_FOUND);
	assert_int_equal(holds_release(url, STORE_SERVER, "mx1.test", 5000), STORE_ABSENT);
	assert_int_equal(holds_release(url, STORE_DOMAIN, "mx2.test", 5000), STORE_ABSENT);
	assert_int_equal(holds_find(url, &mx2, hour, &held, 5000), STORE_FOUND);
	assert_int_equal(holds_find(url, &mx1, 0, &held, 5000), STORE_ABSENT);
}

static void test_on_error(void **state)
{
	struct script_set *set;
	struct mx_reason r;

	(void)state;
	teardown(NULL);
	script_rig_open(&rig, (const char *const[]){"lua.on_error=tempfail", NULL});
	log_capture(hear, NULL);
	set = load("function CheckServer() error('x') end\n");
	assert_int_equal(decide(set, "mx1.test", &r), MX_LATER);
	script_set_unref(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_what_hooks_are_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_is_no_opinion, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_shapes_of_the_server_map, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_final_overrides, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_script_cannot_hold_for_ever, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_hold_is_not_asked_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_holds_by_hand, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_released_for_some_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_hold_that_the_store_does_not_take, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_release_counts_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_on_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
