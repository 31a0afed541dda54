/* store_attempt_tests.c - the contract of send attempts, for any engine. */
#include "common/limits.h"
#include "common/list.h"
#include "tests/unit/random.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void counts_by_each_dimension(void **state)
{
	struct store_rig *r = *state;
	char event[24];
	struct store_attempt a = store_rig_attempt(event, 1, r->now_ms, "mx1.example.com", "451 x");

	store_rig_add(r, 1, r->now_ms, "mx1.example.com", "451 4.7.1 try later");
	store_rig_add(r, 2, r->now_ms, "MX1.Example.COM", "450 4.2.0 greylisted");
	store_rig_add(r, 3, r->now_ms, "mx2.example.com", "250 2.0.0 ok");
	a = store_rig_attempt(event, 4, r->now_ms, "", "421 no");
	a.address = a.provider = a.domain = NULL; /* nothing is known but the refusal */
	assert_int_equal(store_attempt_add(r->store, &a, NULL, WAIT_MS), STORE_FOUND);

	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx1.example.com", "4", 0), 2);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "Mx1.exAmple.com", "", 0), 2);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx2.example.com", "4", 0), 0);
	assert_int_equal(store_rig_count(r, STORE_ADDRESS, "192.0.2.1", NULL, 0), 3);
	assert_int_equal(store_rig_count(r, STORE_DOMAIN, "example.com", "2", 0), 1);
	assert_int_equal(store_rig_count(r, STORE_PROVIDER, "provider.example", "45", 0), 2);
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "4", 0), 3);
	assert_int_equal(store_rig_count(r, STORE_ALL, NULL, "", 0), 4);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx3.example.com", "", 0), 0);
}

static void a_result_is_counted_by_its_beginning(void **state)
{
	static const char *const results[] = {"421 4.7.0 slow", "421 4.4.2 timeout", "450 busy",
	    "45", "4", "554 no", "connection refused", "", "421"};
	static const struct {
		const char *beginning;
		unsigned n;
	} cases[] = {
	    {"", 9},
	    {"4", 6},
	    {"42", 3},
	    {"421", 3},
	    {"421 4.7", 1},
	    {"421 4.", 2},
	    {"45", 2},
	    {"450", 1},
	    {"5", 1},
	    {"554 no", 1},
	    {"2", 0},
	    {"connection", 1},
	    {"c", 1},
	    {"x", 0},
	    {"421 4.7.0 slow and more", 0},
	    {"%", 0},
	    {"4_1", 0},
	};
	struct store_rig *r = *state;

	for (unsigned i = 0; i < sizeof results / sizeof results[0]; i++)
		store_rig_add(r, i, r->now_ms - i, "mx", results[i]);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (store_rig_count(r, STORE_SERVER, "mx", cases[i].beginning, 0) != cases[i].n)
			fail_msg("\"%s\" is not counted %u times", cases[i].beginning, cases[i].n);
}

/* A window is exact whatever order attempts come in, and at each edge of what an engine may keep in
 * buckets: compared with counting one by one. */
static void windows_are_exact(void **state)
{
	enum { ATTEMPTS = 1500, WINDOWS = 400 };
	static const int64_t spans[] = {3, 1500, 200000, 40000000, 2000000000};
	static const char *const results[] = {"250 ok", "421 a", "450 b", "550 c", "weird"};
	struct store_rig *r = *state;
	int64_t times[ATTEMPTS];
	unsigned kinds[ATTEMPTS];
	uint64_t seed = 12;

	for (unsigned i = 0; i < ATTEMPTS; i++) {
		int64_t span = spans[random_next(&seed) % 5];

		times[i] = r->now_ms - (int64_t)(random_next(&seed) % (uint64_t)span);
		if (random_next(&seed) % 3 == 0) /* on an edge */
			times[i] &= ~(((int64_t)1 << random_next(&seed) % 25) - 1);
		kinds[i] = random_next(&seed) % 5;
		store_rig_add(r, i, times[i], i % 2 ? "mx1" : "mx2", results[kinds[i]]);
	}
	for (unsigned k = 0; k < WINDOWS; k++) {
		struct store_window w = {.dimension = STORE_SERVER, .key = "mx1"};
		struct store_count count;
		uint64_t expected = 0;
		unsigned kind = random_next(&seed) % 5;

		w.since_ms = times[random_next(&seed) % ATTEMPTS] + (int64_t)(k % 3) - 1;
		if (k % 4 == 0)
			w.before_ms = times[random_next(&seed) % ATTEMPTS];
		w.result = k % 2 ? results[kind] : "";
		for (unsigned i = 1; i < ATTEMPTS; i += 2)
			expected += times[i] >= w.since_ms &&
				    (w.before_ms == 0 || times[i] < w.before_ms) &&
				    (k % 2 == 0 || kinds[i] == kind);
		assert_int_equal(store_attempt_count(r->store, &w, &count, WAIT_MS), STORE_FOUND);
		assert_int_equal(count.n, expected);
	}
}

static void an_event_counts_once(void **state)
{
	struct store_rig *r = *state;
	char event[24];
	struct store_attempt a = store_rig_attempt(event, 7, r->now_ms, "mx", "451 later");
	bool fresh = false;

	assert_int_equal(store_attempt_add(r->store, &a, &fresh, WAIT_MS), STORE_FOUND);
	assert_true(fresh);
	a.result = "250 ok";
	for (int i = 0; i < 3; i++) {
		assert_int_equal(store_attempt_add(r->store, &a, &fresh, WAIT_MS), STORE_FOUND);
		assert_false(fresh);
	}
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", 0), 1);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "4", 0), 1);
}

/* R17: a host name is the remote side's to choose; it is data, whatever it looks like. */
static void hostile_names_are_only_names(void **state)
{
	char digested[2000], long_name[LIMIT_STORE_KEY_BYTES + 1];
	const char *const names[] = {"x' or '1'='1.evil.example", "x\" -- ",
	    "');drop table attempts;", "{a}", "}", "{", "}{", "*", "?", "[a-z]*", "a:b", ":",
	    "server:mx", "all:", "%s%n%s", "line\r\nbreak", "\x80\xff\xc3", " ", "\t", "$(id)",
	    "null", "0", "-1", "\\", long_name, digested};
	size_t n = sizeof names / sizeof names[0];
	struct store_rig *r = *state;

	memset(digested, 'd', sizeof digested - 1);
	digested[sizeof digested - 1] = '\0';
	memset(long_name, 'k', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	for (unsigned i = 0; i < n; i++)
		store_rig_add(r, i, r->now_ms, names[i], "450 x");
	for (unsigned i = 0; i < n; i++) {
		if (store_rig_count(r, STORE_SERVER, names[i], "4", 0) != 1)
			fail_msg("name %u is not counted once", i);
		if (store_rig_count(r, STORE_SERVER, names[i], names[i], 0) != 0)
			fail_msg("result %u is not looked for literally", i);
	}
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", 0), n);
}

/* ---- retention ---- */

static void old_attempts_go(void **state)
{
	struct store_rig *r = *state;

	r->options.attempts_keep_ms = 10 * MINUTE_MS;
	store_rig_again(r);
	for (unsigned i = 0; i < 40; i++)
		store_rig_add(r, i, r->now_ms - (int64_t)i * MINUTE_MS, "mx", "450 x");
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "", 0), 11);
	r->now_ms += 5 * MINUTE_MS;
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "4", 0), 6);
	assert_int_equal(store_expire(r->store, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "4", 0), 6);

	r->options.attempts_keep_ms = DAY_MS; /* what was removed does not come back */
	store_rig_again(r);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "4", 0), 6);
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "4", 0), 6);
	r->now_ms += 2 * DAY_MS;
	assert_int_equal(store_expire(r->store, WAIT_MS), STORE_FOUND);
	r->now_ms -= 2 * DAY_MS;
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", 0), 0);
}

static void only_so_many_are_kept(void **state)
{
	struct store_rig *r = *state;
	unsigned order[300];
	uint64_t seed = 5;

	r->options.attempts_keep_count = 100;
	store_rig_again(r);
	for (unsigned i = 0; i < 300; i++)
		order[i] = i;
	for (unsigned i = 299; i > 0; i--) {
		unsigned k = random_next(&seed) % (i + 1), swap = order[i];

		order[i] = order[k];
		order[k] = swap;
	}
	for (unsigned i = 0; i < 300; i++) {
		unsigned n = order[i];

		store_rig_add(
		    r, n, r->now_ms - n, n % 3 ? "mx1" : "mx2", n % 2 ? "450 x" : "250 y");
	}
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", 0), 100);
	assert_int_equal(
	    store_rig_count(r, STORE_ALL, "", "", r->now_ms - 99), 100); /* the newest */
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "4", 0), 50);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx2", "", 0), 34);

	r->options.attempts_keep_count = 30;
	store_rig_again(r);
	assert_int_equal(store_expire(r->store, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", r->now_ms - 29), 30);
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", 0), 30);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx2", "", 0), 10);
}

/* ---- finding ---- */

struct seen {
	unsigned n, stop_at;
	int64_t last_time;
	char last_event[32];
	char text[400];
};

static bool note_order(const struct store_attempt *a, void *arg)
{
	struct seen *s = arg;

	if (s->n > 0)
		assert_true(a->time_ms < s->last_time ||
			    (a->time_ms == s->last_time && strcmp(a->event, s->last_event) < 0));
	s->last_time = a->time_ms;
	snprintf(s->last_event, sizeof s->last_event, "%s", a->event);
	return ++s->n != s->stop_at;
}

static void attempts_are_found_newest_first(void **state)
{
	struct store_rig *r = *state;
	struct store_window w = {.dimension = STORE_SERVER, .key = "mx"};
	struct seen seen = {0};

	assert_int_equal(
	    store_attempt_find(r->store, &w, 9, note_order, &seen, WAIT_MS), STORE_ABSENT);
	for (unsigned i = 0; i < 330; i++) /* more than a page at the same time */
		store_rig_add(r, i, r->now_ms - i / 120, "mx", i % 3 ? "450 x" : "250 y");
	assert_int_equal(
	    store_attempt_find(r->store, &w, 1000, note_order, &seen, WAIT_MS), STORE_FOUND);
	assert_int_equal(seen.n, 330);
	seen = (struct seen){0};
	w.result = "4";
	assert_int_equal(
	    store_attempt_find(r->store, &w, 170, note_order, &seen, WAIT_MS), STORE_FOUND);
	assert_int_equal(seen.n, 170);
	seen = (struct seen){.stop_at = 60};
	w.result = "250 y";
	assert_int_equal(
	    store_attempt_find(r->store, &w, 1000, note_order, &seen, WAIT_MS), STORE_FOUND);
	assert_int_equal(seen.n, 60);
	seen = (struct seen){0};
	w.before_ms = r->now_ms - 1;
	w.result = "";
	assert_int_equal(
	    store_attempt_find(r->store, &w, 1000, note_order, &seen, WAIT_MS), STORE_FOUND);
	assert_int_equal(seen.n, 90);
}

static bool describe(const struct store_attempt *a, void *arg)
{
	struct seen *s = arg;
	int n = snprintf(s->text, sizeof s->text, "%s %lld %s %s %s %s %s %s %s %s %s %s %lld",
	    a->event, (long long)a->time_ms, a->queue_id, a->server, a->address, a->domain,
	    a->provider, a->sender, a->stage, a->result, a->tls, a->connection,
	    (long long)a->delay_ms);

	for (size_t i = 0; i < a->nrecipients; i++)
		n += snprintf(s->text + n, sizeof s->text - (size_t)n, " <%s>=%s",
		    a->recipients[i].address, a->recipients[i].result);
	return true;
}

static void every_field_comes_back(void **state)
{
	const struct store_recipient recipients[] = {
	    {"a'b@example.com", "450 4.2.1 full"}, {"", ""}, {"\xff\xfe\r\n", NULL}};
	struct store_window w = {.dimension = STORE_ALL};
	struct store_rig *r = *state;
	char event[24];
	struct store_attempt a = store_rig_attempt(event, 3, r->now_ms, "MX.example", "450 x\n{y}");
	struct seen seen = {0};

	a.recipients = recipients;
	a.nrecipients = 3;
	assert_int_equal(store_attempt_add(r->store, &a, NULL, WAIT_MS), STORE_FOUND);
	store_rig_again(r);
	assert_int_equal(
	    store_attempt_find(r->store, &w, 5, describe, &seen, WAIT_MS), STORE_FOUND);
	assert_string_equal(seen.text,
	    "log:00000003 1700000000000 4XyZ12abcde mx.example 192.0.2.1 example.com"
	    " provider.example sender@example.org RCPT 450 x\n{y} TLSv1.3 7 1234"
	    " <a'b@example.com>=450 4.2.1 full <>= <\xff\xfe\r\n>=");
}

static bool count_recipients(const struct store_attempt *a, void *arg)
{
	*(size_t *)arg = a->nrecipients;
	assert_string_equal(a->recipients[a->nrecipients - 1].address, "r@example.com");
	return true;
}

static void recipients_are_bounded(void **state)
{
	struct store_recipient *many = xcalloc(LIMIT_STORE_RECIPIENTS + 50, sizeof *many);
	struct store_window w = {.dimension = STORE_ALL};
	struct store_rig *r = *state;
	char event[24], *huge = xmalloc(LIMIT_STORE_TEXT_BYTES * 3);
	struct store_attempt a = store_rig_attempt(event, 1, r->now_ms, "mx", "450 x");
	size_t found = 0;

	for (size_t i = 0; i < LIMIT_STORE_RECIPIENTS + 50; i++)
		many[i] = (struct store_recipient){"r@example.com", "450"};
	a.recipients = many;
	a.nrecipients = LIMIT_STORE_RECIPIENTS + 50;
	assert_int_equal(store_attempt_add(r->store, &a, NULL, WAIT_MS), STORE_FOUND);
	assert_int_equal(
	    store_attempt_find(r->store, &w, 1, count_recipients, &found, WAIT_MS), STORE_FOUND);
	assert_int_equal(found, LIMIT_STORE_RECIPIENTS);

	memset(huge, 'h', LIMIT_STORE_TEXT_BYTES * 3 - 1);
	huge[LIMIT_STORE_TEXT_BYTES * 3 - 1] = '\0';
	for (size_t i = 0; i < LIMIT_STORE_RECIPIENTS; i++)
		many[i].result = huge; /* clipped, so that 15 of them fit */
	a = store_rig_attempt(event, 2, r->now_ms + 1, "mx", "450 x");
	a.recipients = many;
	a.nrecipients = LIMIT_STORE_RECIPIENTS;
	assert_int_equal(store_attempt_add(r->store, &a, NULL, WAIT_MS), STORE_FOUND);
	assert_int_equal(
	    store_attempt_find(r->store, &w, 1, count_recipients, &found, WAIT_MS), STORE_FOUND);
	assert_int_equal(found, 15);
	free(huge);
	free(many);
}

static void no_time_is_no_answer(void **state)
{
	struct store_rig *r = *state;
	struct store_window w = {.dimension = STORE_ALL};
	struct store_count count;
	struct seen seen = {0};
	char event[24];
	struct store_attempt a = store_rig_attempt(event, 1, r->now_ms, "mx", "450 x");

	assert_int_equal(store_attempt_find(r->store, &w, 5, describe, &seen, 0), STORE_UNKNOWN);
	assert_int_equal(store_expire(r->store, 0), STORE_UNKNOWN);
	if (r->file[0] == '\0') /* Redis: the fallback knows */
		return;
	assert_int_equal(store_attempt_add(r->store, &a, NULL, 0), STORE_UNKNOWN);
	assert_int_equal(store_attempt_count(r->store, &w, &count, 0), STORE_UNKNOWN);
	assert_int_equal(store_attempt_count(r->store, &w, &count, -5), STORE_UNKNOWN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_rig_setup, store_rig_teardown)

const struct CMUnitTest store_attempt_tests[] = {
    TEST(counts_by_each_dimension),
    TEST(a_result_is_counted_by_its_beginning),
    TEST(windows_are_exact),
    TEST(an_event_counts_once),
    TEST(hostile_names_are_only_names),
    TEST(old_attempts_go),
    TEST(only_so_many_are_kept),
    TEST(attempts_are_found_newest_first),
    TEST(every_field_comes_back),
    TEST(recipients_are_bounded),
    TEST(no_time_is_no_answer),
};
const size_t store_attempt_test_count = sizeof store_attempt_tests / sizeof store_attempt_tests[0];
