/* Questions to servers in turn and look-ups of hosts, by many threads at once, and what is
 * remembered of the servers. */
#include "common/clock.h"
#include "common/dns_host.h"
#include "common/dns/dns_lookup.h"
#include "common/limits.h"
#include "tests/unit/dns_servers.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GRACE_MS 1000 /* a loaded machine */
#define THREADS 16
#define ROUNDS 20
#define WAIT_MS 5000

enum { A = 1 };

static void lookup(const struct dns_options *options, const char *name, int code)
{
	struct dns_records records;
	char why[256] = "";

	assert_true(dns_lookup(options, name, A, &records, WAIT_MS, why, sizeof why));
	assert_string_equal(why, "");
	assert_int_equal(records.code, code);
	dns_records_clear(&records);
}

/* ---- threads ---- */

static struct dns_options shared = {.breaker_failures = 5, .breaker_ms = 1000};
static atomic_uint right;

static void *ask(void *arg)
{
	struct ip_address addresses[2];
	struct dns_records records;
	char why[256];
	size_t n;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (dns_lookup(&shared, "a.test", A, &records, WAIT_MS, why, sizeof why) &&
		    records.code == 0 && records.n == 1 &&
		    strcmp(records.v[0].value, "127.0.0.2") == 0)
			atomic_fetch_add(&right, 1);
		dns_records_clear(&records);
		/* the responder gives IPv6 questions an IPv4 answer: no address more or less */
		if (dns_host_find(&shared, "a.test", addresses, 2, &n, WAIT_MS) == DNS_FOUND &&
		    n >= 1 && memcmp(addresses[0].bytes, "\177\0\0\2", 4) == 0)
			atomic_fetch_add(&right, 1);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	struct responder failing, listed;

	(void)state;
	assert_true(responder_start(&failing, "127.0.0.1", 0, SAYS_SERVFAIL));
	assert_true(responder_start(&listed, "127.0.0.1", 0, SAYS_LISTED));
	strlist_add(&shared.servers, failing.address);
	strlist_add(&shared.servers, listed.address);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(right, 2 * THREADS * ROUNDS);
	strlist_clear(&shared.servers);
	responder_stop(&failing);
	responder_stop(&listed);
}

/* ---- servers ---- */

static void test_more_servers_than_are_remembered(void **state)
{
	struct responder r;

	(void)state;
	for (int i = 0; i < 2 * LIMIT_DNS_KNOWN_SERVERS; i++) {
		struct dns_options options = {.breaker_failures = 5, .breaker_ms = 1000};
		char host[20];

		snprintf(host, sizeof host, "127.1.0.%d", i + 1);
		assert_true(responder_start(&r, host, 0, SAYS_LISTED));
		strlist_add(&options.servers, r.address);
		lookup(&options, "a.test", 0);
		strlist_clear(&options.servers);
		responder_stop(&r);
	}
}

static void test_breaker_trial(void **state)
{
	struct dns_options options = {.breaker_failures = 2, .breaker_ms = 300};
	struct dns_records records;
	struct responder r;
	char why[256];

	(void)state;
	assert_true(responder_start(&r, "127.0.0.1", 0, SAYS_NOTHING));
	strlist_add(&options.servers, r.address);
	for (int i = 0; i < 2; i++) {
		assert_true(dns_lookup(&options, "a.test", A, &records, 400, why, sizeof why));
		assert_int_equal(records.code, DNS_CODE_NO_ANSWER);
	}
	assert_true(dns_lookup(&options, "a.test", A, &records, 400, why, sizeof why));
	assert_int_equal(records.code, DNS_CODE_NOT_ASKED);
	r.manners = SAYS_LISTED;
	usleep(350 * 1000);
	lookup(&options, "a.test", 0);
	lookup(&options, "a.test", 0);
	strlist_clear(&options.servers);
	responder_stop(&r);
}

/* Names are chosen by strangers: silence about one says nothing about a server that lives. */
static void test_silence_about_a_name(void **state)
{
	struct dns_options options = {.breaker_failures = 2, .breaker_ms = 60000};
	struct dns_records records;
	struct responder r;
	char why[256];

	(void)state;
	assert_true(responder_start(&r, "127.0.0.1", 0, SAYS_LISTED));
	strlist_add(&options.servers, r.address);
	for (int i = 0; i < 5; i++) {
		assert_true(dns_lookup(&options, "dead.test", A, &records, 400, why, sizeof why));
		assert_int_equal(records.code, DNS_CODE_NO_ANSWER);
	}
	lookup(&options, "a.test", 0);
	strlist_clear(&options.servers);
	responder_stop(&r);
}

static void test_resolv_conf(void **state)
{
	char path[] = "/tmp/mailhooks-resolv-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	struct dns_options options = {
	    .breaker_failures = 5, .breaker_ms = 1000, .resolv_conf = path};
	struct dns_records records;
	struct responder failing, listed;
	char why[256];

	(void)state;
	if (!responder_start(
		&failing, "127.53.53.1", 53, SAYS_REFUSED)) { /* the file has no ports */
		close(fd);
		unlink(path);
		skip();
	}
	assert_true(responder_start(&listed, "127.53.53.2", 53, SAYS_LISTED));
	dprintf(fd, "nameserver 127.53.53.1\nnameserver 127.53.53.2\n");
	close(fd);
	lookup(&options, "a.test", 0);
	assert_int_equal(failing.questions, 1);
	listed.manners = SAYS_SERVFAIL;
	assert_true(dns_lookup(&options, "a.test", A, &records, WAIT_MS, why, sizeof why));
	assert_int_equal(records.code, 2); /* of the last server */
	unlink(path);
	responder_stop(&failing);
	responder_stop(&listed);
}

/* ---- hosts ---- */

static void test_hosts(void **state)
{
	struct dns_options options = {.breaker_failures = 2, .breaker_ms = 60000};
	struct ip_address a[4];
	struct responder r;
	int64_t start;
	size_t n;

	(void)state;
	assert_true(responder_start(&r, "127.0.0.1", 0, SAYS_NOTHING));
	strlist_add(&options.servers, r.address);
	assert_int_equal(dns_host_find(&options, "192.0.2.1", a, 4, &n, 0), DNS_FOUND);
	assert_int_equal(n, 1);
	assert_int_equal(dns_host_find(&options, "2001:db8::1", a, 4, &n, 0), DNS_FOUND);
	assert_int_equal(a[0].family, AF_INET6);
	assert_int_equal(dns_host_find(&options, "localhost", a, 4, &n, WAIT_MS), DNS_FOUND);
	assert_int_equal(dns_host_find(&options, "no host", a, 4, &n, WAIT_MS), DNS_ABSENT);
	assert_int_equal(dns_host_find(&options, "a.test", a, 4, &n, 0), DNS_UNKNOWN);
	assert_int_equal(r.questions, 0);
	for (int i = 0; i < 2; i++) {
		start = clock_ms();
		assert_int_equal(dns_host_find(&options, "a.test", a, 4, &n, 400), DNS_UNKNOWN);
		assert_in_range(clock_ms() - start, 0, 400 + GRACE_MS);
		assert_int_equal(n, 0);
	}
	n = r.questions; /* now it is skipped */
	start = clock_ms();
	assert_int_equal(dns_host_find(&options, "b.test", a, 4, &n, WAIT_MS), DNS_UNKNOWN);
	assert_in_range(clock_ms() - start, 0, GRACE_MS);
	strlist_clear(&options.servers);
	responder_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_more_servers_than_are_remembered),
	    cmocka_unit_test(test_breaker_trial),
	    cmocka_unit_test(test_silence_about_a_name),
	    cmocka_unit_test(test_resolv_conf),
	    cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
