/* store_record_tests.c - the contract of holds, settings and message facts, for any engine. */
#include "common/limits.h"
#include "common/list.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- holds ---- */

struct held {
	char text[600];
	unsigned n, stop_at;
};

static void describe_hold(const struct store_hold *h, void *arg)
{
	struct held *held = arg;
	size_t n = strlen(held->text);

	snprintf(held->text + n, sizeof held->text - n, "[%s %s until %+lld set %+lld by %s: %s]",
	    store_dimension_name(h->dimension), h->key, (long long)(h->until_ms - START_MS),
	    (long long)(h->set_ms - START_MS), h->who, h->reason);
}

static bool list_hold(const struct store_hold *h, void *arg)
{
	struct held *held = arg;

	describe_hold(h, held);
	return ++held->n != held->stop_at;
}

static void hold(struct store_rig *r, enum store_dimension d, const char *key, int64_t until_ms)
{
	const struct store_hold h = {.dimension = d,
	    .key = key,
	    .until_ms = until_ms,
	    .who = "mxserverrules.lua:9",
	    .reason = "6 refusals"};

	assert_int_equal(store_hold_set(r->store, &h, WAIT_MS), STORE_FOUND);
}

static enum store_answer held(struct store_rig *r, enum store_dimension d, const char *key)
{
	return store_hold_get(r->store, d, key, NULL, NULL, WAIT_MS);
}

static void holds_end_by_themselves(void **state)
{
	struct store_rig *r = *state;
	struct held seen = {0};

	assert_int_equal(held(r, STORE_SERVER, "mx1.example.com"), STORE_ABSENT);
	hold(r, STORE_SERVER, "MX1.example.com", START_MS + 10 * MINUTE_MS);
	r->now_ms += MINUTE_MS;
	store_rig_again(r); /* survives */
	assert_int_equal(store_hold_get(r->store, STORE_SERVER, "mx1.EXAMPLE.com", describe_hold,
			     &seen, WAIT_MS),
	    STORE_FOUND);
	assert_string_equal(seen.text,
	    "[server mx1.example.com until +600000 set +0 by mxserverrules.lua:9: 6 refusals]");
	assert_int_equal(held(r, STORE_DOMAIN, "mx1.example.com"), STORE_ABSENT);
	r->now_ms = START_MS + 10 * MINUTE_MS - 1;
	assert_int_equal(held(r, STORE_SERVER, "mx1.example.com"), STORE_FOUND);
	r->now_ms++;
	assert_int_equal(held(r, STORE_SERVER, "mx1.example.com"), STORE_ABSENT);
	assert_int_equal(
	    store_hold_release(r->store, STORE_SERVER, "mx1.example.com", WAIT_MS), STORE_ABSENT);
}

static void holds_are_replaced_and_released(void **state)
{
	struct store_rig *r = *state;

	hold(r, STORE_ADDRESS, "2001:db8::1", START_MS + 1000);
	hold(r, STORE_ADDRESS, "2001:DB8::1", START_MS + 5000);
	r->now_ms += 2000;
	assert_int_equal(held(r, STORE_ADDRESS, "2001:db8::1"), STORE_FOUND);
	hold(r, STORE_ADDRESS, "2001:db8::1", r->now_ms); /* in the past: as if released */
	assert_int_equal(held(r, STORE_ADDRESS, "2001:db8::1"), STORE_ABSENT);
	hold(r, STORE_ALL, "", START_MS + 9000);
	assert_int_equal(held(r, STORE_ALL, NULL), STORE_FOUND);
	assert_int_equal(store_hold_release(r->store, STORE_ALL, "", WAIT_MS), STORE_FOUND);
	assert_int_equal(store_hold_release(r->store, STORE_ALL, "", WAIT_MS), STORE_ABSENT);
	assert_int_equal(held(r, STORE_ALL, ""), STORE_ABSENT);
}

static void holds_are_listed_by_their_end(void **state)
{
	struct store_rig *r = *state;
	struct held seen = {0};

	assert_int_equal(store_hold_list(r->store, list_hold, &seen, WAIT_MS), STORE_ABSENT);
	hold(r, STORE_SERVER, "late", START_MS + 3000);
	hold(r, STORE_PROVIDER, "first:with:colons", START_MS + 1000);
	hold(r, STORE_DOMAIN, "past", START_MS + 10);
	hold(r, STORE_DOMAIN, "middle", START_MS + 2000);
	r->now_ms += 10;
	assert_int_equal(store_hold_list(r->store, list_hold, &seen, WAIT_MS), STORE_FOUND);
	assert_string_equal(seen.text,
	    "[provider first:with:colons until +1000 set +0 by mxserverrules.lua:9: 6 refusals]"
	    "[domain middle until +2000 set +0 by mxserverrules.lua:9: 6 refusals]"
	    "[server late until +3000 set +0 by mxserverrules.lua:9: 6 refusals]");
	seen = (struct held){.stop_at = 2};
	assert_int_equal(store_hold_list(r->store, list_hold, &seen, WAIT_MS), STORE_FOUND);
	assert_int_equal(seen.n, 2);
}

static void hold_texts_are_clipped(void **state)
{
	static const char hostile[] = "'); DROP TABLE holds; --\r\n\xff";
	char huge[3000];
	struct store_hold h = {.dimension = STORE_SERVER,
	    .key = hostile,
	    .until_ms = START_MS + 5,
	    .who = huge,
	    .reason = NULL};
	struct store_rig *r = *state;
	struct held seen = {0};

	memset(huge, 'w', sizeof huge - 1);
	huge[sizeof huge - 1] = '\0';
	assert_int_equal(store_hold_set(r->store, &h, WAIT_MS), STORE_FOUND);
	assert_int_equal(
	    store_hold_get(r->store, STORE_SERVER, hostile, describe_hold, &seen, WAIT_MS),
	    STORE_FOUND);
	assert_non_null(strstr(seen.text, "drop table holds; --\r\n\xff until +5"));
	assert_int_equal(strspn(strchr(seen.text, 'w'), "w"), LIMIT_STORE_HOLD_TEXT_BYTES);
}

/* ---- settings ---- */

static const char *setting(struct store_rig *r, const char *user, const char *name)
{
	static char text[64];
	char *value;

	switch (store_setting_get(r->store, user, name, &value, WAIT_MS)) {
	case STORE_FOUND:
		snprintf(text, sizeof text, "%s", value);
		free(value);
		return text;
	case STORE_ABSENT:
		assert_null(value);
		return "absent";
	case STORE_UNKNOWN:
		break;
	}
	return "unknown";
}

static void settings_belong_to_users(void **state)
{
	struct store_rig *r = *state;
	struct strlist names = STRLIST_INIT;

	assert_string_equal(setting(r, "joe", "greeting"), "absent");
	assert_int_equal(
	    store_setting_set(r->store, "joe", "greeting", "hello", WAIT_MS), STORE_FOUND);
	assert_int_equal(
	    store_setting_set(r->store, NULL, "greeting", "good day", WAIT_MS), STORE_FOUND);
	assert_int_equal(store_setting_set(r->store, "joe", "empty", "", WAIT_MS), STORE_FOUND);
	store_rig_again(r);
	assert_string_equal(setting(r, "joe", "greeting"), "hello");
	assert_string_equal(setting(r, NULL, "greeting"), "good day");
	assert_string_equal(setting(r, "joe", "empty"), "");
	assert_string_equal(setting(r, "Joe", "greeting"), "absent");
	assert_int_equal(
	    store_setting_set(r->store, "joe", "greeting", "bye", WAIT_MS), STORE_FOUND);
	assert_string_equal(setting(r, "joe", "greeting"), "bye");

	strlist_add(&names, "kept");
	assert_int_equal(store_setting_list(r->store, "joe", &names, WAIT_MS), STORE_FOUND);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0], "kept");
	assert_string_equal(names.v[1], "empty");
	assert_string_equal(names.v[2], "greeting");
	assert_int_equal(store_setting_list(r->store, "nobody", &names, WAIT_MS), STORE_ABSENT);
	strlist_clear(&names);

	assert_int_equal(store_setting_delete(r->store, "joe", "greeting", WAIT_MS), STORE_FOUND);
	assert_int_equal(store_setting_delete(r->store, "joe", "greeting", WAIT_MS), STORE_ABSENT);
	assert_string_equal(setting(r, "joe", "greeting"), "absent");
	assert_string_equal(setting(r, NULL, "greeting"), "good day");
}

static void settings_have_bounds(void **state)
{
	struct store_rig *r = *state;
	char *big = xmalloc(LIMIT_STORE_VALUE_BYTES + 2), *value;
	char name[LIMIT_STORE_KEY_BYTES + 2];

	memset(big, 'v', LIMIT_STORE_VALUE_BYTES + 1);
	big[LIMIT_STORE_VALUE_BYTES + 1] = '\0';
	assert_int_equal(store_setting_set(r->store, "u", "big", big, WAIT_MS), STORE_UNKNOWN);
	big[LIMIT_STORE_VALUE_BYTES] = '\0';
	assert_int_equal(store_setting_set(r->store, "u", "big", big, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_setting_get(r->store, "u", "big", &value, WAIT_MS), STORE_FOUND);
	assert_string_equal(value, big);
	free(value);
	free(big);
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(store_setting_set(r->store, NULL, name, "", WAIT_MS), STORE_UNKNOWN);
	assert_int_equal(store_setting_set(r->store, name, "n", "", WAIT_MS), STORE_UNKNOWN);
	assert_int_equal(store_setting_set(r->store, "", "n", "", WAIT_MS), STORE_UNKNOWN);
	assert_int_equal(store_setting_set(r->store, NULL, "", "", WAIT_MS), STORE_UNKNOWN);
}

static void a_user_has_only_so_many_settings(void **state)
{
	struct store_rig *r = *state;
	struct strlist names = STRLIST_INIT;
	char name[24];

	for (unsigned i = 0; i < LIMIT_STORE_SETTINGS; i++) {
		snprintf(name, sizeof name, "n%05u", i);
		assert_int_equal(store_setting_set(r->store, "u", name, "1", WAIT_MS), STORE_FOUND);
	}
	assert_int_equal(store_setting_set(r->store, "u", "more", "1", WAIT_MS), STORE_ABSENT);
	assert_int_equal(store_setting_set(r->store, "u", "n00007", "2", WAIT_MS), STORE_FOUND);
	assert_int_equal(store_setting_set(r->store, "v", "more", "1", WAIT_MS), STORE_FOUND);
	assert_int_equal(store_setting_list(r->store, "u", &names, WAIT_MS), STORE_FOUND);
	assert_int_equal(names.n, LIMIT_STORE_SETTINGS);
	assert_string_equal(names.v[LIMIT_STORE_SETTINGS - 1], "n09999");
	strlist_clear(&names);
}

/* ---- message facts ---- */

static void put(struct store_rig *r, const char *id, int64_t size, const char *hop)
{
	struct store_facts f = {
	    .sender = (char[]){"s@example.org"}, .size = size, .arrival_ms = START_MS};

	strlist_add(&f.recipients, "a@example.com");
	strlist_add(&f.recipients, "B@Example.com");
	strlist_add(&f.next_hops, hop);
	assert_int_equal(store_facts_put(r->store, id, &f, STORE_FACT_EVERY, WAIT_MS), STORE_FOUND);
	strlist_clear(&f.recipients);
	strlist_clear(&f.next_hops);
}

static void facts_are_kept_and_changed(void **state)
{
	struct store_rig *r = *state;
	struct store_facts f = {0}, change = {.size = 5, .retries = 3};

	assert_int_equal(store_facts_get(r->store, "Q1", &f, WAIT_MS), STORE_ABSENT);
	put(r, "Q1", 1000, "Example.COM");
	store_rig_again(r);
	assert_int_equal(store_facts_get(r->store, "Q1", &f, WAIT_MS), STORE_FOUND);
	assert_string_equal(f.sender, "s@example.org");
	assert_int_equal(f.size, 1000);
	assert_int_equal(f.arrival_ms, START_MS);
	assert_int_equal(f.retries, 0);
	assert_int_equal(f.recipients.n, 2);
	assert_string_equal(f.recipients.v[1], "B@Example.com");
	assert_int_equal(f.next_hops.n, 1);
	assert_string_equal(f.next_hops.v[0], "example.com");

	assert_int_equal(
	    store_facts_put(r->store, "Q1", &change, STORE_FACT_RETRIES, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_facts_get(r->store, "Q1", &f, WAIT_MS), STORE_FOUND);
	assert_int_equal(f.size, 1000);
	assert_int_equal(f.retries, 3);
	assert_int_equal(f.recipients.n, 2);
	assert_int_equal(
	    store_facts_put(r->store, "Q1", &change, STORE_FACT_RECIPIENTS, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_facts_get(r->store, "Q1", &f, WAIT_MS), STORE_FOUND);
	assert_int_equal(f.recipients.n, 0);
	assert_int_equal(f.next_hops.n, 1);

	assert_int_equal(store_facts_delete(r->store, "Q1", WAIT_MS), STORE_FOUND);
	assert_int_equal(store_facts_delete(r->store, "Q1", WAIT_MS), STORE_ABSENT);
	assert_int_equal(store_facts_get(r->store, "Q1", &f, WAIT_MS), STORE_ABSENT);
	assert_null(f.sender);
}

static void a_try_counts_once(void **state)
{
	struct store_rig *r = *state;
	struct store_facts f = {0};

	assert_int_equal(store_facts_tried(r->store, "Q", START_MS, WAIT_MS), STORE_ABSENT);
	put(r, "Q", 1, "hop");
	assert_int_equal(store_facts_tried(r->store, "Q", START_MS + 5, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_facts_tried(r->store, "Q", START_MS + 5, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_facts_tried(r->store, "Q", START_MS + 3, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_facts_tried(r->store, "Q", START_MS + 9, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_facts_get(r->store, "Q", &f, WAIT_MS), STORE_FOUND);
	assert_int_equal(f.retries, 2);
	assert_int_equal(f.last_try_ms, START_MS + 9);
	store_facts_clear(&f);
}

static void a_next_hop_knows_its_messages(void **state)
{
	struct store_rig *r = *state;
	struct store_hop_facts hop;

	assert_int_equal(store_facts_hop(r->store, "example.com", &hop, WAIT_MS), STORE_ABSENT);
	put(r, "Q1", 1000, "example.com");
	put(r, "Q2", 70000, "example.com");
	put(r, "Q3", 900000, "elsewhere.example");
	store_facts_tried(r->store, "Q1", START_MS + 1, WAIT_MS);
	store_facts_tried(r->store, "Q1", START_MS + 2, WAIT_MS);
	assert_int_equal(store_facts_hop(r->store, "EXAMPLE.com", &hop, WAIT_MS), STORE_FOUND);
	assert_int_equal(hop.messages, 2);
	assert_int_equal(hop.most_retries, 2);
	assert_int_equal(hop.largest_size, 70000);
	put(r, "Q2", 70000, "elsewhere.example");
	store_facts_delete(r->store, "Q3", WAIT_MS);
	assert_int_equal(store_facts_hop(r->store, "example.com", &hop, WAIT_MS), STORE_FOUND);
	assert_int_equal(hop.messages, 1);
	assert_int_equal(hop.largest_size, 1000);
	assert_int_equal(
	    store_facts_hop(r->store, "elsewhere.example", &hop, WAIT_MS), STORE_FOUND);
	assert_int_equal(hop.messages, 1);
}

static void facts_expire(void **state)
{
	struct store_rig *r = *state;
	struct store_facts f = {0};
	struct store_hop_facts hop;

	r->options.facts_keep_ms = MINUTE_MS;
	store_rig_again(r);
	put(r, "old", 1, "hop");
	put(r, "tried", 1, "hop");
	r->now_ms += MINUTE_MS - 1;
	assert_int_equal(store_facts_tried(r->store, "tried", r->now_ms, WAIT_MS), STORE_FOUND);
	r->now_ms += 2;
	assert_int_equal(store_facts_get(r->store, "old", &f, WAIT_MS), STORE_ABSENT);
	assert_int_equal(store_facts_get(r->store, "tried", &f, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_facts_hop(r->store, "hop", &hop, WAIT_MS), STORE_FOUND);
	assert_int_equal(hop.messages, 1);
	assert_int_equal(store_facts_tried(r->store, "old", r->now_ms, WAIT_MS), STORE_ABSENT);
	put(r, "old", 7, "hop"); /* begins anew */
	assert_int_equal(store_facts_get(r->store, "old", &f, WAIT_MS), STORE_FOUND);
	assert_int_equal(f.retries, 0);
	r->now_ms += 2 * MINUTE_MS;
	assert_int_equal(store_expire(r->store, WAIT_MS), STORE_FOUND);
	r->now_ms -= 2 * MINUTE_MS;
	if (r->file[0] != '\0') /* Redis expires them by its own clock */
		assert_int_equal(store_facts_get(r->store, "old", &f, WAIT_MS), STORE_ABSENT);
	store_facts_clear(&f);
}

static void no_time_is_no_answer(void **state)
{
	struct store_rig *r = *state;
	const struct store_hold h = {.dimension = STORE_SERVER, .key = "k", .until_ms = 1};
	struct strlist names = STRLIST_INIT;
	struct store_facts f = {0};
	struct store_hop_facts hop;
	struct held seen = {0};
	char *value;

	assert_int_equal(store_hold_set(r->store, &h, 0), STORE_UNKNOWN);
	assert_int_equal(store_hold_get(r->store, STORE_ALL, "", NULL, NULL, 0), STORE_UNKNOWN);
	assert_int_equal(store_hold_list(r->store, list_hold, &seen, 0), STORE_UNKNOWN);
	assert_int_equal(store_hold_release(r->store, STORE_ALL, "", 0), STORE_UNKNOWN);
	assert_int_equal(store_setting_get(r->store, NULL, "n", &value, 0), STORE_UNKNOWN);
	assert_int_equal(store_setting_set(r->store, NULL, "n", "", 0), STORE_UNKNOWN);
	assert_int_equal(store_setting_delete(r->store, NULL, "n", 0), STORE_UNKNOWN);
	assert_int_equal(store_setting_list(r->store, NULL, &names, 0), STORE_UNKNOWN);
	assert_int_equal(store_facts_put(r->store, "q", &f, 0, 0), STORE_UNKNOWN);
	assert_int_equal(store_facts_get(r->store, "q", &f, 0), STORE_UNKNOWN);
	assert_int_equal(store_facts_tried(r->store, "q", 1, 0), STORE_UNKNOWN);
	assert_int_equal(store_facts_delete(r->store, "q", 0), STORE_UNKNOWN);
	assert_int_equal(store_facts_hop(r->store, "h", &hop, 0), STORE_UNKNOWN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_rig_setup, store_rig_teardown)

const struct CMUnitTest store_record_tests[] = {
    TEST(holds_end_by_themselves),
    TEST(holds_are_replaced_and_released),
    TEST(holds_are_listed_by_their_end),
    TEST(hold_texts_are_clipped),
    TEST(settings_belong_to_users),
    TEST(settings_have_bounds),
    TEST(a_user_has_only_so_many_settings),
    TEST(facts_are_kept_and_changed),
    TEST(a_try_counts_once),
    TEST(a_next_hop_knows_its_messages),
    TEST(facts_expire),
    TEST(no_time_is_no_answer),
};
const size_t store_record_test_count = sizeof store_record_tests / sizeof store_record_tests[0];
