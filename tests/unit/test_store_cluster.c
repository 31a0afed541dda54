/* test_store_cluster.c - Redis Cluster and Sentinel while slots move and masters die. */
#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "common/store/redis_slot.h"
#include "tests/unit/redis_servers.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_MS 1000

static const struct store_rate_window hundred[] = {{.count = 100, .period_ms = 3600000}};

static void open_at(struct store_rig *r, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->url, sizeof r->url, format, ap);
	va_end(ap);
	r->options.fallback_attempts = 0;
	store_rig_again(r);
}

static enum store_rate take(struct store_rig *r, const char *key, int ms)
{
	const struct store_rate_limit limit = {key, hundred, 1};

	return store_rate_take(r->store, &limit, 1, NULL, ms);
}

static uint64_t taken(struct store_rig *r, const char *key)
{
	const struct store_rate_limit limit = {key, hundred, 1};
	struct store_rate_state s;

	assert_int_equal(store_rate_peek(r->store, &limit, 0, &s, WAIT_MS), STORE_RATE_PASS);
	return 100 - s.remaining;
}

/* The Redis key that decides where the limit of a key lives. */
static const char *redis_key(const struct store_rig *r, const char *key)
{
	static char text[200];

	snprintf(text, sizeof text, "%s{r:%s}", r->prefix, key);
	return text;
}

/* A key whose limit the i-th master owns. */
static const char *key_at(
    const struct store_rig *r, const struct redis_cluster_servers *c, size_t i)
{
	static char key[16];

	for (unsigned n = 0;; n++) {
		snprintf(key, sizeof key, "k%u", n);
		if (redis_cluster_owner(c, redis_key(r, key)) == i)
			return key;
	}
}

/* ---- cluster ---- */

static struct redis_cluster_servers cluster;

static void id_of(size_t node, char id[static 64])
{
	snprintf(id, 64, "%s", redis_server_do(&cluster.nodes[node], "CLUSTER MYID"));
}

static void set_slot(size_t node, unsigned slot, const char *what, size_t other)
{
	char id[64];

	id_of(other, id);
	assert_string_equal(
	    redis_server_do(&cluster.nodes[node], "CLUSTER SETSLOT %u %s %s", slot, what, id),
	    "OK");
}

static void begin_move(unsigned slot, size_t from, size_t to)
{
	set_slot(to, slot, "IMPORTING", from);
	set_slot(from, slot, "MIGRATING", to);
}

static void move_key(const char *key, size_t from, size_t to)
{
	assert_string_equal(redis_server_do(&cluster.nodes[from], "MIGRATE 127.0.0.1 %u %s 0 10000",
				cluster.nodes[to].port, key),
	    "OK");
}

/* The rest of the keys, then the slot itself. */
static void end_move(unsigned slot, size_t from, size_t to)
{
	char key[300];

	for (;;) {
		snprintf(key, sizeof key, "%s",
		    redis_server_do(&cluster.nodes[from], "CLUSTER GETKEYSINSLOT %u 1", slot));
		if (key[0] == '\0')
			break;
		move_key(key, from, to);
	}
	for (size_t i = 0; i < 3; i++)
		set_slot((to + i) % 3, slot, "NODE", to);
}

/* A limit of a slot on the move is asked for at both ends (ASK), afterwards at the new one (MOVED).
 */
static void a_slot_moves(void **state)
{
	struct store_rig *r = *state;
	char old[16], new[16];
	unsigned slot;

	open_at(r, "redis-cluster://127.0.0.1:%u", cluster.nodes[2].port);
	snprintf(old, sizeof old, "%s", key_at(r, &cluster, 0));
	slot = redis_slot(redis_key(r, old));
	for (unsigned n = 0;; n++) { /* another key of that slot */
		snprintf(new, sizeof new, "n%u", n);
		if (redis_slot(redis_key(r, new)) == slot)
			break;
	}
	assert_int_equal(take(r, old, WAIT_MS), STORE_RATE_PASS);
	begin_move(slot, 0, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(r, old, WAIT_MS), STORE_RATE_PASS);
		assert_int_equal(take(r, new, WAIT_MS), STORE_RATE_PASS);
	}
	assert_string_equal(
	    redis_server_do(&cluster.nodes[0], "EXISTS %s", redis_key(r, old)), "1");
	assert_string_equal(
	    redis_server_do(&cluster.nodes[1], "CLUSTER COUNTKEYSINSLOT %u", slot), "1");
	end_move(slot, 0, 1);
	assert_int_equal(take(r, old, WAIT_MS), STORE_RATE_PASS);
	assert_int_equal(taken(r, old), 5);
	assert_int_equal(taken(r, new), 3);
	begin_move(slot, 1, 0); /* and back */
	move_key(redis_key(r, old), 1, 0);
	assert_int_equal(taken(r, old), 5);
	end_move(slot, 1, 0);
	assert_int_equal(taken(r, old), 5);
	assert_int_equal(taken(r, new), 3);
}

/* While the attempts are half here and half there, no part of them is taken for all. */
static void a_window_is_never_half(void **state)
{
	const struct store_window w = {.dimension = STORE_SERVER, .key = "mx", .result = "4"};
	struct store_rig *r = *state;
	struct store_count count;
	char key[100], event[24];
	struct store_attempt a = store_rig_attempt(event, 99, r->now_ms, "mx", "450 x");
	unsigned slot;
	size_t from, to;

	open_at(r, "redis-cluster://127.0.0.1:%u", cluster.nodes[2].port);
	snprintf(key, sizeof key, "%s{a}c:server:mx", r->prefix);
	slot = redis_slot(key);
	from = redis_cluster_owner(&cluster, key);
	to = (from + 1) % 3;
	for (unsigned i = 0; i < 20; i++)
		store_rig_add(r, i, r->now_ms, "mx", i % 2 ? "450 x" : "421 y");
	begin_move(slot, from, to);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "4", 0), 20);
	assert_int_equal(store_attempt_add(r->store, &a, NULL, SHORT_MS), STORE_UNKNOWN);
	move_key(key, from, to); /* the codes are there, the indexes are here */
	assert_int_equal(store_attempt_count(r->store, &w, &count, SHORT_MS), STORE_UNKNOWN);
	snprintf(key, sizeof key, "%s{a}z:450:server:mx", r->prefix);
	move_key(key, from, to);
	assert_int_equal(store_attempt_count(r->store, &w, &count, SHORT_MS), STORE_UNKNOWN);
	end_move(slot, from, to);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "4", 0), 20);
	assert_int_equal(store_attempt_add(r->store, &a, NULL, WAIT_MS), STORE_FOUND);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "4", 0), 21);
	begin_move(slot, to, from);
	end_move(slot, to, from);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "45", 0), 11);
}

/* A master that hangs or is dead takes its slots with it, no others; its replica takes over. */
static void a_master_dies(void **state)
{
	struct store_rig *r = *state;
	char keys[3][16];
	int64_t began;

	r->options.breaker_failures = 2;
	open_at(r, "redis-cluster://127.0.0.1:%u,127.0.0.1:%u", cluster.nodes[0].port,
	    cluster.nodes[1].port);
	for (size_t i = 0; i < 3; i++) {
		snprintf(keys[i], sizeof keys[i], "%s", key_at(r, &cluster, i));
		assert_int_equal(take(r, keys[i], WAIT_MS), STORE_RATE_PASS);
	}
	redis_server_do(&cluster.nodes[0], "WAIT 1 5000");
	redis_server_pause(&cluster.nodes[0]);
	began = clock_ms();
	assert_int_equal(take(r, keys[0], 300), STORE_RATE_UNKNOWN);
	assert_in_range(clock_ms() - began, 295, 1300);
	assert_int_equal(take(r, keys[1], WAIT_MS), STORE_RATE_PASS);
	redis_server_kill(&cluster.nodes[0]);
	assert_int_equal(take(r, keys[2], WAIT_MS), STORE_RATE_PASS);
	for (began = clock_ms(); clock_ms() - began < 60000; redis_servers_sleep(50))
		if (take(r, keys[0], SHORT_MS) == STORE_RATE_PASS)
			break;
	assert_true(taken(r, keys[0]) >= 2); /* the replica had the first one */
	assert_int_equal(take(r, keys[1], WAIT_MS), STORE_RATE_PASS);
	store_rig_again(r); /* one of the two named is dead */
	assert_int_equal(take(r, keys[0], WAIT_MS), STORE_RATE_PASS);
}

/* The last test of the cluster: everything is away. */
static void a_cluster_is_away(void **state)
{
	struct store_rig *r = *state;
	int64_t began;

	open_at(r, "redis-cluster://127.0.0.1:%u", cluster.nodes[1].port);
	assert_int_equal(take(r, "k", WAIT_MS), STORE_RATE_PASS);
	for (size_t i = 0; i < cluster.n; i++)
		redis_server_kill(&cluster.nodes[i]);
	began = clock_ms();
	for (int i = 0; i < 20; i++)
		assert_int_equal(take(r, "k", 200), STORE_RATE_UNKNOWN);
	assert_true(clock_ms() - began < 20 * 200 + 1000);
	store_rig_again(r);
	assert_int_equal(take(r, "k", 200), STORE_RATE_UNKNOWN);
}

static int start_cluster(void **state)
{
	(void)state;
	redis_cluster_start(&cluster, 1);
	return 0;
}

static int stop_cluster(void **state)
{
	(void)state;
	redis_cluster_stop(&cluster);
	return 0;
}

/* ---- Sentinel ---- */

static struct redis_sentinel_servers sentinels;

static void sentinels_fail_over(void **state)
{
	struct store_rig *r = *state;
	int64_t began;

	r->options.breaker_ms = 200;
	open_at(r, "redis-sentinel://127.0.0.1:1,127.0.0.1:%u,127.0.0.1:%u/mymaster",
	    sentinels.sentinels[0].port, sentinels.sentinels[1].port);
	assert_int_equal(take(r, "k", WAIT_MS), STORE_RATE_PASS);
	redis_server_do(&sentinels.data[0], "WAIT 1 5000");
	redis_server_pause(&sentinels.data[0]);
	began = clock_ms();
	assert_int_equal(take(r, "k", 300), STORE_RATE_UNKNOWN);
	assert_in_range(clock_ms() - began, 295, 1300);
	for (began = clock_ms(); clock_ms() - began < 60000; redis_servers_sleep(50))
		if (take(r, "k", SHORT_MS) == STORE_RATE_PASS)
			break;
	assert_true(taken(r, "k") >= 2);
	assert_string_equal(redis_server_do(&sentinels.data[1], "ROLE"), "master");

	/* The old master comes back, and for a moment believes that it still is one. Once it is
	 * known to be a replica nobody asks it, not even for reading. */
	redis_server_resume(&sentinels.data[0]);
	redis_server_await(&sentinels.data[0], "slave", "ROLE");
	open_at(r, "redis://127.0.0.1:%u", sentinels.data[0].port);
	assert_int_equal(take(r, "k", WAIT_MS), STORE_RATE_UNKNOWN); /* READONLY */
	open_at(r, "redis-sentinel://127.0.0.1:%u/mymaster", sentinels.sentinels[2].port);
	assert_int_equal(take(r, "k", WAIT_MS), STORE_RATE_PASS);
}

static void sentinels_are_away_but_the_master_is_not(void **state)
{
	struct store_rig *r = *state;
	size_t master = strcmp(redis_server_do(&sentinels.data[0], "ROLE"), "master") == 0 ? 0 : 1;

	open_at(r, "redis-sentinel://127.0.0.1:%u/nosuchmaster", sentinels.sentinels[0].port);
	assert_int_equal(take(r, "k", SHORT_MS), STORE_RATE_UNKNOWN);
	open_at(r, "redis-sentinel://127.0.0.1:%u/mymaster", sentinels.sentinels[0].port);
	assert_int_equal(take(r, "k", WAIT_MS), STORE_RATE_PASS);
	for (size_t i = 0; i < 3; i++)
		redis_server_kill(&sentinels.sentinels[i]);
	assert_int_equal(take(r, "k", WAIT_MS), STORE_RATE_PASS);
	redis_server_do(&sentinels.data[master], "CLIENT KILL TYPE normal");
	assert_int_equal(take(r, "k", WAIT_MS), STORE_RATE_PASS);
	redis_server_kill(&sentinels.data[master]);
	assert_int_equal(take(r, "k", SHORT_MS), STORE_RATE_UNKNOWN);
	store_rig_again(r);
	assert_int_equal(take(r, "k", SHORT_MS), STORE_RATE_UNKNOWN);
}

static int start_sentinels(void **state)
{
	(void)state;
	redis_sentinel_start(&sentinels);
	return 0;
}

static int stop_sentinels(void **state)
{
	(void)state;
	redis_sentinel_stop(&sentinels);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_rig_setup, store_rig_teardown)

int main(void)
{
	const struct CMUnitTest in_cluster[] = {
	    TEST(a_slot_moves),
	    TEST(a_window_is_never_half),
	    TEST(a_master_dies),
	    TEST(a_cluster_is_away),
	};
	const struct CMUnitTest with_sentinels[] = {
	    TEST(sentinels_fail_over),
	    TEST(sentinels_are_away_but_the_master_is_not),
	};

	if (!redis_servers_installed())
		return 77;
	return cmocka_run_group_tests(in_cluster, start_cluster, stop_cluster) +
	       cmocka_run_group_tests(with_sentinels, start_sentinels, stop_sentinels);
}
