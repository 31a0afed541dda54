/* test_store_fallback.c - attempts and limits go on while Redis is away and are merged afterwards;
 * nothing is counted twice. */
#include "common/clock.h"
#include "common/store/gcra.h"
#include "common/list.h"
#include "common/log.h"
#include "common/store/store_engine.h"
#include "tests/unit/redis_servers.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct redis_server server;
static char server_url[100];
static int patience_ms; /* short while it is known to be away */

static const struct store_rate_window ten[] = {{.count = 10, .period_ms = 10000, .burst = 10}};
static const struct store_rate_limit limit = {"sender", ten, 1};

static void go_away(void (*how)(struct redis_server *))
{
	how(&server);
	patience_ms = 300;
}

static void come_back(void (*how)(struct redis_server *))
{
	how(&server);
	patience_ms = WAIT_MS;
}

static void open_with(struct store_rig *r, unsigned breaker_failures)
{
	r->options.breaker_failures = breaker_failures;
	r->options.breaker_ms = 500;
	store_rig_again(r);
}

static struct store_status status_of(struct store_rig *r)
{
	struct store_status s;

	store_status(r->store, &s);
	return s;
}

static enum store_rate take(struct store_rig *r, uint64_t cost, bool *local)
{
	struct store_rate_state s;
	enum store_rate answer = store_rate_take(r->store, &limit, cost, &s, patience_ms);

	assert_int_equal(s.local, *local);
	return answer;
}

static uint64_t remaining(struct store_rig *r, bool *local)
{
	struct store_rate_state s;

	assert_int_not_equal(
	    store_rate_peek(r->store, &limit, 0, &s, patience_ms), STORE_RATE_UNKNOWN);
	*local = s.local;
	return s.remaining;
}

static struct store_count count(struct store_rig *r, const char *server_name, const char *result)
{
	const struct store_window w = {
	    .dimension = STORE_SERVER, .key = server_name, .result = result};
	struct store_count c;

	assert_int_equal(store_attempt_count(r->store, &w, &c, patience_ms), STORE_FOUND);
	return c;
}

static void add(struct store_rig *r, unsigned n, const char *result)
{
	char event[24];
	struct store_attempt a = store_rig_attempt(event, n, r->now_ms - n, "mx", result);

	assert_int_equal(store_attempt_add(r->store, &a, NULL, patience_ms), STORE_FOUND);
}

/* ---- attempts ---- */

static void attempts_go_on_and_are_merged(void **state)
{
	struct store_rig *r = *state;
	struct store_count c;

	open_with(r, 1);
	for (unsigned i = 0; i < 10; i++)
		add(r, i, "450 x");
	go_away(redis_server_pause);
	for (unsigned i = 8; i < 30; i++) /* two of them again, one of them in doubt */
		add(r, i, i % 2 ? "450 x" : "250 y");
	c = count(r, "MX", "4");
	assert_true(c.local);
	assert_int_equal(c.n, 20); /* 0..9, then the odd ones of 10..29 */
	assert_int_equal(count(r, "mx", "").n, 30);
	assert_int_equal(count(r, "other", "").n, 0);
	assert_int_equal(status_of(r).pending, 20);
	assert_true(status_of(r).away);
	assert_int_equal(store_merge(r->store, patience_ms), STORE_ABSENT);

	come_back(redis_server_resume);
	while (store_merge(r->store, WAIT_MS) != STORE_FOUND)
		redis_servers_sleep(50);
	c = count(r, "mx", "4");
	assert_false(c.local);
	assert_int_equal(c.n, 20);
	assert_int_equal(count(r, "mx", "").n, 30);
	assert_int_equal(status_of(r).pending, 0);
	assert_int_equal(status_of(r).dropped, 0);
	for (unsigned i = 0; i < 30; i++)
		add(r, i, "450 x");
	assert_int_equal(count(r, "mx", "").n, 30);
}

static void merging_needs_no_call(void **state)
{
	struct store_rig *r = *state;
	bool local = true;

	open_with(r, 1);
	go_away(redis_server_kill);
	for (unsigned i = 0; i < 5; i++)
		add(r, i, "450 x");
	assert_int_equal(take(r, 4, &local), STORE_RATE_PASS);
	come_back(redis_server_again);
	for (int i = 0; i < 200 && status_of(r).pending > 0; i++)
		redis_servers_sleep(50);
	assert_int_equal(status_of(r).pending, 0);
	assert_int_equal(status_of(r).merged, 6);
	assert_int_equal(count(r, "mx", "4").n, 5);
	assert_int_equal(remaining(r, &local), 6);
	assert_false(local);
}

static void closing_brings_the_rest_home(void **state)
{
	struct store_rig *r = *state;
	bool local = true;

	open_with(r, 0);
	go_away(redis_server_kill);
	add(r, 1, "450 x");
	assert_int_equal(take(r, 3, &local), STORE_RATE_PASS);
	come_back(redis_server_again);
	store_rig_again(r);
	assert_int_equal(count(r, "mx", "4").n, 1);
	assert_int_equal(remaining(r, &local), 7);
	assert_false(local);
}

static void memory_is_bounded(void **state)
{
	struct store_rig *r = *state;
	bool local = true;

	r->options.fallback_attempts = 50;
	r->options.fallback_limits = 20;
	open_with(r, 1);
	go_away(redis_server_kill);
	for (unsigned i = 0; i < 80; i++)
		add(r, 1000 - i, "450 x");
	assert_int_equal(count(r, "mx", "").n, 50);
	assert_int_equal(status_of(r).pending, 50);
	assert_int_equal(status_of(r).dropped, 30);
	for (unsigned i = 0; i < 100; i++) {
		char key[16];
		const struct store_rate_limit one = {key, ten, 1};

		snprintf(key, sizeof key, "k%u", i);
		store_rate_take(r->store, &one, i % 2, NULL, patience_ms);
	}
	assert_int_equal(status_of(r).pending, 50 + 20);
	assert_int_equal(take(r, 1, &local), STORE_RATE_PASS);
	come_back(redis_server_again);
	while (store_merge(r->store, WAIT_MS) != STORE_FOUND)
		redis_servers_sleep(50);
	assert_int_equal(count(r, "mx", "").n, 50);
}

static void a_full_server_is_like_one_that_is_away(void **state)
{
	struct store_rig *r = *state;
	bool local = false;

	open_with(r, 0);
	assert_int_equal(take(r, 2, &local), STORE_RATE_PASS);
	redis_server_do(&server, "CONFIG SET maxmemory 1");
	add(r, 1, "450 x");
	local = true;
	assert_int_equal(take(r, 2, &local), STORE_RATE_PASS);
	assert_int_equal(status_of(r).pending, 2);
	redis_server_do(&server, "CONFIG SET maxmemory 0");
	assert_int_equal(store_merge(r->store, WAIT_MS), STORE_FOUND);
	assert_int_equal(count(r, "mx", "4").n, 1);
	assert_int_equal(remaining(r, &local), 6);
	assert_false(local);
}

/* ---- limits ---- */

/* One process, an outage in the middle: the limit is in the very state of one without an outage. */
static void a_limit_goes_on_where_it_was(void **state)
{
	struct store_rig *r = *state;
	struct store_rate_state expected;
	double tat[1] = {0};
	bool local = false;

	open_with(r, 1);
	for (int i = 0; i < 6; i++)
		assert_int_equal(
		    take(r, 1, &local), gcra_take(ten, 1, tat, r->now_ms, 1, true, &expected));
	go_away(redis_server_pause);
	local = true;
	for (int i = 0; i < 40; i++) { /* the first one is in doubt */
		r->now_ms += i * 37 % 700;
		assert_int_equal(take(r, 1 + (uint64_t)i % 2, &local),
		    gcra_take(ten, 1, tat, r->now_ms, 1 + (uint64_t)i % 2, true, &expected));
	}
	come_back(redis_server_resume);
	while (store_merge(r->store, WAIT_MS) != STORE_FOUND)
		redis_servers_sleep(50);
	gcra_take(ten, 1, tat, r->now_ms, 0, false, &expected);
	assert_int_equal(remaining(r, &local), expected.remaining);
	assert_false(local);
	for (int i = 0; i < 30; i++) {
		r->now_ms += 400;
		assert_int_equal(
		    take(r, 1, &local), gcra_take(ten, 1, tat, r->now_ms, 1, true, &expected));
	}
}

/* A server that hangs and then carries out what it was sent: each take is charged once, whichever
 * comes first, the late one or the merge. */
static void a_late_take_is_not_charged_twice(void **state)
{
	struct store_rig *r = *state;
	bool local = false;

	for (int round = 0; round < 6; round++) {
		open_with(r, 0);
		r->now_ms += DAY_MS;
		local = false;
		assert_int_equal(take(r, 1, &local), STORE_RATE_PASS);
		go_away(redis_server_pause);
		local = true;
		for (int i = 0; i < 4; i++)
			assert_int_equal(take(r, 2, &local), STORE_RATE_PASS);
		assert_int_equal(take(r, 2, &local), STORE_RATE_OVER);
		come_back(redis_server_resume);
		redis_servers_sleep(round * 10);
		while (store_merge(r->store, WAIT_MS) != STORE_FOUND)
			redis_servers_sleep(20);
		redis_servers_sleep(50);
		assert_int_equal(remaining(r, &local), 1);
		assert_false(local);
	}
}

/* ---- the engine's side of a merge ---- */

static struct store_engine *engine_of(struct store_rig *r)
{
	char why[200];
	struct store_engine *e = store_redis_open(r->url, &r->options, why, sizeof why);

	assert_non_null(e);
	return e;
}

static struct store_rate_reply engine_take(struct store_engine *e, const char *id, uint64_t cost)
{
	const struct store_rate_request request = {
	    .limit = &limit, .cost = cost, .take = true, .id = id};
	struct store_rate_reply reply;

	e->ops->rate(e, &request, &reply, clock_ms() + WAIT_MS);
	assert_int_not_equal(reply.answer, STORE_RATE_UNKNOWN);
	return reply;
}

static double engine_merge(struct store_engine *e, const char *id, double owed,
    const struct store_rate_doubt *doubts, size_t n)
{
	const struct store_rate_debt debt = {
	    .limit = &limit, .id = id, .owed = {owed}, .doubts = doubts, .ndoubts = n};
	struct store_rate_reply reply;

	e->ops->rate_merge(e, &debt, &reply, clock_ms() + WAIT_MS);
	assert_int_equal(reply.answer, STORE_RATE_PASS);
	return reply.tats[0];
}

static void an_id_is_charged_once(void **state)
{
	struct store_rig *r = *state;
	struct store_engine *e = engine_of(r);
	const struct store_rate_doubt doubts[] = {{"late", 2, START_MS}, {"done", 3, START_MS}};
	double begin = START_MS;

	assert_true(engine_take(e, "done", 3).tats[0] == begin + 3000);
	assert_true(engine_take(e, "done", 3).tats[0] == begin + 3000);
	/* 2 + 3 + 1 were taken here; 3 of them Redis has */
	assert_true(engine_merge(e, "m1", 6000, doubts, 2) == begin + 6000);
	assert_true(
	    engine_merge(e, "m1", 6000, doubts, 2) == begin + 6000); /* its reply was lost */
	assert_true(engine_take(e, "late", 2).tats[0] == begin + 6000);
	assert_int_equal(engine_take(e, "late", 2).answer, STORE_RATE_PASS);
	assert_true(engine_merge(e, "m2", 1000, NULL, 0) == begin + 7000);
	assert_true(
	    engine_merge(e, "m3", 99000, NULL, 0) == begin + 10000); /* never fuller than full */
	assert_int_equal(engine_take(e, "new", 1).answer, STORE_RATE_OVER);
	e->ops->close(e);
}

/* So many takes since that Redis no longer knows: better not at all than twice. */
static void an_old_doubt_counts_as_charged(void **state)
{
	static const struct store_rate_doubt doubt = {"old", 1, START_MS};
	struct store_rig *r = *state;
	struct store_engine *e = engine_of(r);
	double before = engine_take(e, "old", 1).tats[0];
	char id[16];

	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof id, "t%d", i);
		assert_true(engine_take(e, id, 0).tats[0] == before);
	}
	assert_null(strstr(redis_server_do(&server, "HGET %s{r:sender} ids", r->prefix), "old"));
	assert_true(engine_merge(e, "m", 1000, &doubt, 1) == before);
	e->ops->close(e);
}

/* Two processes that could not see each other: what both took is there afterwards. */
static void processes_are_added_up(void **state)
{
	struct store_rig *r = *state, other = *r;
	bool local = true;
	char why[200];

	open_with(r, 0);
	other.store = store_open(r->url, &r->options, why, sizeof why);
	assert_non_null(other.store);
	go_away(redis_server_kill);
	assert_int_equal(take(r, 3, &local), STORE_RATE_PASS);
	assert_int_equal(take(&other, 4, &local), STORE_RATE_PASS);
	add(r, 1, "450 x");
	add(&other, 2, "450 x");
	add(&other, 1, "450 x"); /* both saw it in the log */
	come_back(redis_server_again);
	assert_int_equal(store_merge(r->store, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_merge(other.store, WAIT_MS), STORE_FOUND);
	assert_int_equal(remaining(r, &local), 3);
	assert_int_equal(remaining(&other, &local), 3);
	assert_int_equal(count(&other, "mx", "4").n, 2);
	store_close(other.store);
}

static int start(void **state)
{
	static const char *const options[] = {
	    "--appendonly", "yes", "--appendfsync", "always", NULL};

	(void)state;
	redis_server_start(&server, options);
	snprintf(server_url, sizeof server_url, "redis://127.0.0.1:%u", server.port);
	store_rig_engine(server_url);
	patience_ms = WAIT_MS;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	redis_server_stop(&server);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_rig_setup, store_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(attempts_go_on_and_are_merged),
	    TEST(merging_needs_no_call),
	    TEST(closing_brings_the_rest_home),
	    TEST(memory_is_bounded),
	    TEST(a_full_server_is_like_one_that_is_away),
	    TEST(a_limit_goes_on_where_it_was),
	    TEST(a_late_take_is_not_charged_twice),
	    TEST(an_id_is_charged_once),
	    TEST(an_old_doubt_counts_as_charged),
	    TEST(processes_are_added_up),
	};

	if (!redis_servers_installed())
		return 77;
	return cmocka_run_group_tests(tests, start, stop);
}
