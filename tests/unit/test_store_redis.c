/* test_store_redis.c - a Redis server that is away, slow, restarted, full, read-only or not to be
 * trusted: the answer is UNKNOWN within the deadline, and the right one again afterwards. */
#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "tests/unit/redis_servers.h"
#include "tests/unit/store_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_MS 400

static struct redis_server server;
static char server_url[100];

/* Without the fallback, so that the engine's own answers are seen; without the breaker. */
static void plain(struct store_rig *r)
{
	r->options.fallback_attempts = 0;
	r->options.breaker_failures = 0;
	store_rig_again(r);
}

static enum store_answer set_hold(struct store_rig *r, int ms)
{
	const struct store_hold h = {
	    .dimension = STORE_SERVER, .key = "mx", .until_ms = START_MS + DAY_MS};

	return store_hold_set(r->store, &h, ms);
}

static enum store_answer get_hold(struct store_rig *r, int ms)
{
	return store_hold_get(r->store, STORE_SERVER, "mx", NULL, NULL, ms);
}

static void unknown_in_time(struct store_rig *r)
{
	static const struct store_rate_window w[] = {{.count = 5, .period_ms = 1000}};
	const struct store_rate_limit limit = {"k", w, 1};
	const struct store_window window = {.dimension = STORE_ALL};
	struct store_count count;
	char event[24];
	struct store_attempt a = store_rig_attempt(event, 1, r->now_ms, "mx", "450 x");
	int64_t began = clock_ms();

	assert_int_equal(store_attempt_add(r->store, &a, NULL, SHORT_MS), STORE_UNKNOWN);
	assert_int_equal(store_attempt_count(r->store, &window, &count, SHORT_MS), STORE_UNKNOWN);
	assert_int_equal(store_rate_take(r->store, &limit, 1, NULL, SHORT_MS), STORE_RATE_UNKNOWN);
	assert_int_equal(set_hold(r, SHORT_MS), STORE_UNKNOWN);
	assert_int_equal(get_hold(r, SHORT_MS), STORE_UNKNOWN);
	assert_true(clock_ms() - began < 5 * (SHORT_MS + 1000));
}

static void a_server_that_is_away(void **state)
{
	struct store_rig *r = *state;

	plain(r);
	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
	redis_server_kill(&server);
	unknown_in_time(r);
	store_rig_again(r); /* opening needs no server */
	unknown_in_time(r);
	redis_server_again(&server); /* empty, and without our scripts */
	assert_int_equal(get_hold(r, WAIT_MS), STORE_ABSENT);
	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
	assert_int_equal(get_hold(r, WAIT_MS), STORE_FOUND);
}

static void a_server_that_hangs(void **state)
{
	struct store_rig *r = *state;

	plain(r);
	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
	redis_server_pause(&server);
	unknown_in_time(r);
	redis_server_resume(&server);
	assert_int_equal(get_hold(r, WAIT_MS), STORE_FOUND);
	redis_server_do(&server, "CLIENT KILL TYPE normal"); /* kept connections are closed */
	assert_int_equal(get_hold(r, WAIT_MS), STORE_FOUND);
	redis_server_do(&server, "SCRIPT FLUSH");
	assert_int_equal(get_hold(r, WAIT_MS), STORE_FOUND);
}

/* A server that hangs costs a few deadlines, then nothing until it is tried again. */
static void a_server_that_keeps_failing_is_skipped(void **state)
{
	struct store_rig *r = *state;
	int64_t began;

	r->options.fallback_attempts = 0;
	r->options.breaker_failures = 2;
	r->options.breaker_ms = 1500;
	store_rig_again(r);
	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
	redis_server_pause(&server);
	for (int i = 0; i < 2; i++)
		assert_int_equal(get_hold(r, SHORT_MS), STORE_UNKNOWN);
	began = clock_ms();
	for (int i = 0; i < 1000; i++)
		assert_int_equal(get_hold(r, WAIT_MS), STORE_UNKNOWN);
	assert_true(clock_ms() - began < 1500);
	redis_server_resume(&server);
	while (get_hold(r, WAIT_MS) != STORE_FOUND)
		redis_servers_sleep(50);
	assert_in_range(clock_ms() - began, 500, 15000);
}

/* ---- servers that answer, but not with what was asked ---- */

static void a_server_without_memory(void **state)
{
	struct store_rig *r = *state;

	plain(r);
	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
	redis_server_do(&server, "CONFIG SET maxmemory 1");
	assert_int_equal(set_hold(r, WAIT_MS), STORE_UNKNOWN);
	assert_int_equal(get_hold(r, WAIT_MS), STORE_FOUND); /* it can still be read */
	assert_int_equal(store_setting_set(r->store, NULL, "n", "v", WAIT_MS), STORE_UNKNOWN);
	redis_server_do(&server, "CONFIG SET maxmemory 0");
	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
}

static void a_read_only_replica(void **state)
{
	static const char *const options[] = {NULL};
	struct store_rig *r = *state;
	struct redis_server master;

	plain(r);
	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
	redis_server_start(&master, options);
	redis_server_do(&server, "REPLICAOF 127.0.0.1 %u", master.port);
	redis_server_await(&server, "master_link_status:up", "INFO replication");
	assert_int_equal(set_hold(r, WAIT_MS), STORE_UNKNOWN);
	assert_int_equal(store_setting_delete(r->store, NULL, "n", WAIT_MS), STORE_UNKNOWN);
	redis_server_do(&server, "CONFIG SET replica-serve-stale-data no");
	redis_server_stop(&master);
	redis_server_await(&server, "master_link_status:down", "INFO replication");
	assert_int_equal(get_hold(r, WAIT_MS), STORE_UNKNOWN); /* MASTERDOWN */
	redis_server_do(&server, "REPLICAOF NO ONE");
	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
}

static void somebody_elses_keys(void **state)
{
	struct store_rig *r = *state;

	plain(r);
	redis_server_do(&server, "SET %s{h}v:server:mx text", r->prefix);
	assert_int_equal(get_hold(r, WAIT_MS), STORE_UNKNOWN);
	redis_server_do(&server, "DEL %s{h}v:server:mx", r->prefix);
	redis_server_do(&server, "HSET %s{h}v:server:mx until soon", r->prefix);
	assert_int_equal(get_hold(r, WAIT_MS), STORE_UNKNOWN);
	redis_server_do(&server, "HSET %s{h}v:server:mx until 9999999999999 set x", r->prefix);
	assert_int_equal(get_hold(r, WAIT_MS), STORE_UNKNOWN);
}

/* ---- who may ---- */

static void expect_url(struct store_rig *r, const char *url, enum store_answer answer)
{
	/* Where a server would wait for the rest of what it does not understand, so do we. */
	int ms = answer == STORE_UNKNOWN ? 2000 : WAIT_MS;

	snprintf(r->url, sizeof r->url, "%s", url);
	store_rig_again(r);
	if (set_hold(r, ms) != answer)
		fail_msg("%s: not answered with %d", url, (int)answer);
}

static void passwords_and_users(void **state)
{
	struct store_rig *r = *state;
	char url[200];

	r->options.fallback_attempts = 0;
	r->options.breaker_failures = 0;
	redis_server_do(&server, "ACL SETUSER joe on >secret ~* +@all");
	redis_server_do(&server, "ACL SETUSER reader on >secret ~* +get");
	snprintf(url, sizeof url, "redis://joe:secret@127.0.0.1:%u", server.port);
	expect_url(r, url, STORE_FOUND);
	snprintf(url, sizeof url, "redis://joe:wrong@127.0.0.1:%u", server.port);
	expect_url(r, url, STORE_UNKNOWN);
	snprintf(url, sizeof url, "redis://reader:secret@127.0.0.1:%u", server.port);
	expect_url(r, url, STORE_UNKNOWN);
	snprintf(url, sizeof url, "redis://127.0.0.1:%u/9999", server.port);
	expect_url(r, url, STORE_UNKNOWN);
	snprintf(url, sizeof url, "redis://nosuchhost.invalid:%u", server.port);
	expect_url(r, url, STORE_UNKNOWN);
	snprintf(url, sizeof url, "redis://localhost:%u", server.port);
	expect_url(r, url, STORE_FOUND);
	snprintf(url, sizeof url, "redis+unix://%s", server.socket);
	expect_url(r, url, STORE_FOUND);
	expect_url(r, "redis+unix:///nonexistent/redis.sock", STORE_UNKNOWN);
}

/* TLS proves who the server is, or there is no answer. */
static void certificates(void **state)
{
	static const struct {
		const char *certificate, *host, *ca, *more;
		enum store_answer answer;
	} cases[] = {
	    {"good", "localhost", "ca", "", STORE_FOUND},
	    {"good", "127.0.0.1", "ca", "", STORE_FOUND},
	    {"good", "127.0.0.1", "ca", "&name=localhost", STORE_FOUND},
	    {"good", "localhost", "ca", "&name=other.example", STORE_UNKNOWN},
	    {"good", "localhost", "other", "", STORE_UNKNOWN}, /* another authority */
	    {"good", "localhost", NULL, "", STORE_UNKNOWN},    /* the system's authorities */
	    {"other", "localhost", "ca", "", STORE_UNKNOWN},   /* for another name */
	    {"other", "127.0.0.1", "ca", "", STORE_UNKNOWN},
	    {"other", "localhost", "ca", "&name=other.example", STORE_FOUND},
	    {"expired", "localhost", "ca", "", STORE_UNKNOWN},
	};
	char dir[64], ca[80], cert[80], key[80], url[400], why[300];
	const char *const options[] = {"--tls-ca-cert-file", ca, "--tls-cert-file", cert,
	    "--tls-key-file", key, "--tls-auth-clients", "no", NULL};
	struct redis_server tls;
	struct store_rig *r = *state;

	r->options.fallback_attempts = 0;
	r->options.breaker_failures = 0;
	redis_certificates_make(dir);
	snprintf(ca, sizeof ca, "%s/ca.pem", dir);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(cert, sizeof cert, "%s/%s.pem", dir, cases[i].certificate);
		snprintf(key, sizeof key, "%s/%s.key", dir, cases[i].certificate);
		redis_server_start(&tls, options);
		if (cases[i].ca != NULL)
			snprintf(url, sizeof url, "rediss://%s:%u?ca=%s/%s.pem%s", cases[i].host,
			    tls.tls_port, dir, cases[i].ca, cases[i].more);
		else
			snprintf(url, sizeof url, "rediss://%s:%u", cases[i].host, tls.tls_port);
		expect_url(r, url, cases[i].answer);
		if (i == 0) { /* neither side takes the other's plain words for TLS */
			snprintf(url, sizeof url, "redis://localhost:%u", tls.tls_port);
			expect_url(r, url, STORE_UNKNOWN);
			snprintf(url, sizeof url, "rediss://localhost:%u?ca=%s", tls.port, ca);
			expect_url(r, url, STORE_UNKNOWN);
		}
		redis_server_stop(&tls);
	}
	assert_null(store_open("rediss://h?ca=/nonexistent.pem", &r->options, why, sizeof why));
	assert_non_null(strstr(why, "/nonexistent.pem"));
	redis_certificates_remove(dir);
}

/* ---- threads ---- */

struct crowd {
	struct store_rig *rig;
	atomic_int passed, unknown, calls;
	atomic_bool stop;
};

static void *take_much(void *arg)
{
	static const struct store_rate_window w[] = {{.count = 150, .period_ms = 3600000}};
	const struct store_rate_limit limit = {"shared", w, 1};
	struct crowd *c = arg;

	for (int i = 0; i < 50; i++)
		switch (store_rate_take(c->rig->store, &limit, 1, NULL, WAIT_MS)) {
		case STORE_RATE_PASS:
			atomic_fetch_add(&c->passed, 1);
			break;
		case STORE_RATE_OVER:
			break;
		case STORE_RATE_UNKNOWN:
			atomic_fetch_add(&c->unknown, 1);
		}
	return NULL;
}

static void *ask_much(void *arg)
{
	struct crowd *c = arg;

	while (!atomic_load(&c->stop)) {
		enum store_answer answer = get_hold(c->rig, SHORT_MS);

		assert_int_not_equal(answer, STORE_ABSENT);
		atomic_fetch_add(&c->calls, 1);
		if (answer == STORE_UNKNOWN)
			atomic_fetch_add(&c->unknown, 1);
	}
	return NULL;
}

static void threads_share_a_handle(void **state)
{
	struct store_rig *r = *state;
	struct crowd c = {.rig = r};
	pthread_t threads[8];

	r->options.connections = 3;
	plain(r);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_much, &c), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(c.passed, 150);
	assert_int_equal(c.unknown, 0);

	assert_int_equal(set_hold(r, WAIT_MS), STORE_FOUND);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_much, &c), 0);
	for (int i = 0; i < 5; i++) {
		redis_servers_sleep(100);
		redis_server_do(&server, "CLIENT KILL TYPE normal SKIPME yes");
		if (i == 2) {
			redis_server_pause(&server);
			redis_servers_sleep(SHORT_MS + 200);
			redis_server_resume(&server);
		}
	}
	atomic_store(&c.stop, true);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_true(c.unknown > 0);
	assert_true(c.calls > c.unknown);
	assert_int_equal(get_hold(r, WAIT_MS), STORE_FOUND);
}

static int start(void **state)
{
	static const char *const options[] = {NULL};

	(void)state;
	redis_server_start(&server, options);
	snprintf(server_url, sizeof server_url, "redis://127.0.0.1:%u", server.port);
	store_rig_engine(server_url);
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
	    TEST(a_server_that_is_away),
	    TEST(a_server_that_hangs),
	    TEST(a_server_that_keeps_failing_is_skipped),
	    TEST(a_server_without_memory),
	    TEST(a_read_only_replica),
	    TEST(somebody_elses_keys),
	    TEST(passwords_and_users),
	    TEST(certificates),
	    TEST(threads_share_a_handle),
	};

	if (!redis_servers_installed())
		return 77;
	return cmocka_run_group_tests(tests, start, stop);
}
