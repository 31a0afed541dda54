/* store_rate_tests.c - the contract of rate limits, for any engine. */
#include "common/store/gcra.h"
#include "common/limits.h"
#include "tests/unit/random.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <string.h>

#define LIMIT(key, windows)                                    \
	{                                                      \
		key, windows, sizeof windows / sizeof *windows \
	}

static void a_burst_passes_and_drains(void **state)
{
	static const struct store_rate_window per_minute[] = {{.count = 6, .period_ms = MINUTE_MS}};
	const struct store_rate_limit limit = LIMIT("sender@example.com", per_minute);
	struct store_rig *r = *state;
	struct store_rate_state s;

	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(
		    store_rate_take(r->store, &limit, 1, &s, WAIT_MS), STORE_RATE_PASS);
		assert_int_equal(s.remaining, 5 - i);
		assert_int_equal(s.retry_ms, 0);
		assert_false(s.local);
	}
	assert_int_equal(store_rate_take(r->store, &limit, 1, &s, WAIT_MS), STORE_RATE_OVER);
	assert_int_equal(s.retry_ms, 10000);
	assert_int_equal(s.remaining, 0);
	store_rig_again(r);
	r->now_ms += 9998;
	assert_int_equal(store_rate_take(r->store, &limit, 1, &s, WAIT_MS), STORE_RATE_OVER);
	assert_int_equal(s.retry_ms, 2);
	r->now_ms += s.retry_ms;
	assert_int_equal(store_rate_take(r->store, &limit, 1, &s, WAIT_MS), STORE_RATE_PASS);
	assert_int_equal(store_rate_take(r->store, &limit, 1, NULL, WAIT_MS), STORE_RATE_OVER);
	r->now_ms += 10 * MINUTE_MS; /* however long it rests, no more than the burst */
	assert_int_equal(store_rate_take(r->store, &limit, 6, &s, WAIT_MS), STORE_RATE_PASS);
	assert_int_equal(store_rate_take(r->store, &limit, 1, &s, WAIT_MS), STORE_RATE_OVER);
}

static void all_windows_or_nothing(void **state)
{
	static const struct store_rate_window both[] = {
	    {.count = 3, .period_ms = 1000},
	    {.count = 5, .period_ms = 3600000},
	};
	const struct store_rate_limit limit = LIMIT("k", both);
	struct store_rig *r = *state;
	struct store_rate_state s;

	assert_int_equal(store_rate_take(r->store, &limit, 3, &s, WAIT_MS), STORE_RATE_PASS);
	assert_int_equal(store_rate_take(r->store, &limit, 1, &s, WAIT_MS), STORE_RATE_OVER);
	assert_int_equal(s.window, 0);
	r->now_ms += 1000;
	assert_int_equal(store_rate_peek(r->store, &limit, 0, &s, WAIT_MS), STORE_RATE_PASS);
	assert_int_equal(s.remaining, 2); /* the refused one was charged to neither */
	assert_int_equal(s.window, 1);
	assert_int_equal(store_rate_take(r->store, &limit, 3, &s, WAIT_MS), STORE_RATE_OVER);
	assert_int_equal(s.window, 1);
	assert_int_equal(s.retry_ms, 3600000 / 5 - 1000);
	assert_int_equal(store_rate_take(r->store, &limit, 2, &s, WAIT_MS), STORE_RATE_PASS);
	assert_int_equal(s.remaining, 0);
}

static void cost_may_be_bytes(void **state)
{
	static const struct store_rate_window bytes[] = {
	    {.count = 100000000, .period_ms = 3600000, .burst = 10000000}};
	const struct store_rate_limit limit = LIMIT("bytes", bytes);
	struct store_rig *r = *state;
	struct store_rate_state s;

	for (int i = 0; i < 10; i++)
		assert_int_equal(
		    store_rate_take(r->store, &limit, 999999, &s, WAIT_MS), STORE_RATE_PASS);
	assert_in_range(s.remaining, 5, 15);
	assert_int_equal(store_rate_take(r->store, &limit, 1000, &s, WAIT_MS), STORE_RATE_OVER);
	assert_in_range(s.retry_ms, 35, 37);
	assert_int_equal(store_rate_take(r->store, &limit, 10000001, &s, WAIT_MS), STORE_RATE_OVER);
	assert_int_equal(s.retry_ms, -1); /* never */
}

static void peeking_is_free(void **state)
{
	static const struct store_rate_window two[] = {{.count = 2, .period_ms = 1000}};
	const struct store_rate_limit limit = LIMIT("peek", two);
	struct store_rig *r = *state;
	struct store_rate_state s;

	for (int i = 0; i < 5; i++) {
		assert_int_equal(
		    store_rate_peek(r->store, &limit, 2, &s, WAIT_MS), STORE_RATE_PASS);
		assert_int_equal(s.remaining, 2);
	}
	assert_int_equal(store_rate_peek(r->store, &limit, 3, &s, WAIT_MS), STORE_RATE_OVER);
	assert_int_equal(s.retry_ms, -1);
	assert_int_equal(store_rate_take(r->store, &limit, 2, &s, WAIT_MS), STORE_RATE_PASS);
	assert_int_equal(store_rate_peek(r->store, &limit, 1, &s, WAIT_MS), STORE_RATE_OVER);
	assert_int_equal(s.retry_ms, 500);
}

/* R17: a key is data, whatever it looks like. */
static void keys_are_apart(void **state)
{
	static const struct store_rate_window one[] = {{.count = 1, .period_ms = MINUTE_MS}};
	char huge[70000];
	const char *const keys[] = {"", "a", "A", "a}", "}a", "{", "{}", "a b", "a\r\nb", "\xff",
	    "x' OR 1=1 --", "w", "a}w", huge, huge + 1};
	struct store_rig *r = *state;

	memset(huge, 'k', sizeof huge - 1);
	huge[sizeof huge - 1] = '\0';
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		const struct store_rate_limit limit = LIMIT(keys[i], one);

		assert_int_equal(
		    store_rate_take(r->store, &limit, 1, NULL, WAIT_MS), STORE_RATE_PASS);
		assert_int_equal(
		    store_rate_take(r->store, &limit, 1, NULL, WAIT_MS), STORE_RATE_OVER);
	}
}

static void a_clock_set_back_locks_nobody_out(void **state)
{
	static const struct store_rate_window four[] = {{.count = 4, .period_ms = 4000}};
	const struct store_rate_limit limit = LIMIT("back", four);
	struct store_rig *r = *state;
	struct store_rate_state s;

	assert_int_equal(store_rate_take(r->store, &limit, 4, &s, WAIT_MS), STORE_RATE_PASS);
	r->now_ms -= DAY_MS;
	assert_int_equal(store_rate_take(r->store, &limit, 1, &s, WAIT_MS), STORE_RATE_OVER);
	assert_int_equal(s.retry_ms, 1000);
	r->now_ms += 1;
	assert_int_equal(store_rate_peek(r->store, &limit, 4, &s, WAIT_MS), STORE_RATE_OVER);
	assert_true(s.retry_ms <= 4000);
}

/* Every engine decides as gcra.c does, bit for bit, through a long and random use. */
static void engines_agree(void **state)
{
	static const struct store_rate_window sets[][3] = {
	    {{7, 1000, 3}, {100, 60000, 100}, {1000, 3600000, 50}},
	    {{1, 333, 1}, {2, 1009, 5}, {1000003, 86400000, 77}},
	    {{1, 1, 1}, {999999999, 86400000, 123456789}, {3, 86400000 - 1, 300}},
	};
	struct store_rig *r = *state;
	double tats[3][3] = {0};
	uint64_t seed = 99;

	for (int i = 0; i < 900; i++) {
		size_t set = random_next(&seed) % 3;
		const struct store_rate_limit limit = {set == 0	  ? "k0"
						       : set == 1 ? "k1"
								  : "k2",
		    sets[set], 3};
		uint64_t cost = random_next(&seed) % 6;
		bool take = random_next(&seed) % 4 != 0;
		struct store_rate_state expected, got;
		enum store_rate want, answer;

		r->now_ms += random_next(&seed) % 3 ? (int64_t)(random_next(&seed) % 500) : 0;
		want = gcra_take(sets[set], 3, tats[set], r->now_ms, cost, take, &expected);
		answer = take ? store_rate_take(r->store, &limit, cost, &got, WAIT_MS)
			      : store_rate_peek(r->store, &limit, cost, &got, WAIT_MS);
		assert_int_equal(answer, want);
		assert_int_equal(got.retry_ms, expected.retry_ms);
		assert_int_equal(got.remaining, expected.remaining);
		assert_int_equal(got.window, expected.window);
	}
}

static void wrong_limits_are_no_answer(void **state)
{
	static const struct store_rate_window none[] = {{.count = 0, .period_ms = 1000}},
					      timeless[] = {{.count = 1, .period_ms = 0}},
					      same[] = {{1, 1000, 1}, {2, 1000, 2}},
					      fine[] = {{1, 1000, 1}};
	const struct store_rate_limit wrong[] = {
	    LIMIT("k", none),
	    LIMIT("k", timeless),
	    LIMIT("k", same),
	    {"k", fine, 0},
	    {"k", fine, LIMIT_STORE_RATE_WINDOWS + 1},
	    {NULL, fine, 1},
	};
	struct store_rig *r = *state;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_int_equal(
		    store_rate_take(r->store, &wrong[i], 1, NULL, WAIT_MS), STORE_RATE_UNKNOWN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_rig_setup, store_rig_teardown)

const struct CMUnitTest store_rate_tests[] = {
    TEST(a_burst_passes_and_drains),
    TEST(all_windows_or_nothing),
    TEST(cost_may_be_bytes),
    TEST(peeking_is_free),
    TEST(keys_are_apart),
    TEST(a_clock_set_back_locks_nobody_out),
    TEST(engines_agree),
    TEST(wrong_limits_are_no_answer),
};
const size_t store_rate_test_count = sizeof store_rate_tests / sizeof store_rate_tests[0];
