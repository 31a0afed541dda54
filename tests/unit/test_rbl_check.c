/* Block lists through a real resolver (dnsmasq): a list with its own server, lists that are dead,
 * parked or refusing. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/rbl.h"
#include "tests/unit/dns_servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define GRACE_MS 1000 /* a loaded machine */
#define THREADS 50

#define LISTED "192.0.2.2"
#define CLEAN "192.0.2.9"
#define LISTED_V6 "2001:db8::2"
#define NIBBLES "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"

static struct responder dead; /* serves the zones under dead.test: not at all */
static struct dnsmasq list;   /* serves bl.test */
static struct dnsmasq resolver;
static bool have_dnsmasq;

static int start_servers(void **state)
{
	static const char *const list_args[] = {"--auth-server=ns.bl.test,127.0.0.1",
	    "--auth-zone=bl.test", "--auth-soa=1,host.bl.test,3600,600,86400", "--auth-ttl=77",
	    "--host-record=2.2.0.192.bl.test,127.0.0.2",
	    "--host-record=" NIBBLES ".bl.test,127.0.0.6", NULL};
	char to_list[64], to_dead[64];
	const char *const resolver_args[] = {to_list, to_dead, "--local=/second.test/",
	    "--host-record=2.2.0.192.second.test,127.0.0.4,300", "--local=/brief.test/",
	    "--host-record=2.2.0.192.brief.test,127.0.0.5,1", "--local=/parked.test/",
	    "--address=/parked.test/192.0.2.80", "--local-ttl=300",
	    "--address=/refusing.test/127.255.255.254", NULL};

	(void)state;
	if (!responder_start(&dead, "127.0.0.1", 0, SAYS_NOTHING))
		return -1;
	have_dnsmasq = dnsmasq_start(&list, list_args);
	if (have_dnsmasq) {
		snprintf(to_list, sizeof to_list, "--server=/bl.test/127.0.0.1#%u", list.port);
		snprintf(to_dead, sizeof to_dead, "--server=/dead.test/127.0.0.1#%s",
		    strchr(dead.address, ':') + 1);
		dnsmasq_start(&resolver, resolver_args);
	}
	return 0;
}

static int stop_servers(void **state)
{
	(void)state;
	dnsmasq_stop(&resolver);
	dnsmasq_stop(&list);
	responder_stop(&dead);
	return 0;
}

static struct dns *dns;
static struct rbl *rbl;

static void make(const char *server)
{
	struct dns_options options = {.breaker_failures = 0};
	char why[256] = "";

	strlist_add(&options.servers, server);
	dns = dns_new(&options, why, sizeof why);
	strlist_clear(&options.servers);
	assert_string_equal(why, "");
	rbl = rbl_new(dns);
}

static void unmake(void)
{
	rbl_free(rbl);
	dns_free(dns);
}

/* zones: separated by blanks */
static struct rbl_result check(const char *addr_text, const char *zones, bool all, int deadline_ms)
{
	struct strlist list_of_zones = STRLIST_INIT;
	struct rbl_result result;
	struct ip_address addr;
	int64_t start = clock_ms();

	for (size_t n; *zones != '\0'; zones += n + (zones[n] == ' ')) {
		n = strcspn(zones, " ");
		strlist_addn(&list_of_zones, zones, n);
	}
	assert_true(ip_address_parse(&addr, addr_text));
	rbl_check(rbl, &addr, &list_of_zones, all, deadline_ms, &result);
	assert_in_range(clock_ms() - start, 0, deadline_ms + GRACE_MS);
	strlist_clear(&list_of_zones);
	return result;
}

static void assert_counts(struct rbl_result result, size_t nhits, size_t nunknown)
{
	assert_int_equal(result.nhits, nhits);
	assert_int_equal(result.nunknown, nunknown);
	rbl_result_clear(&result);
}

static void hits_in_the_order_of_the_zones(void **state)
{
	struct rbl_result result;

	(void)state;
	if (!have_dnsmasq)
		skip();
	make(resolver.address);
	for (int round = 0; round < 2; round++) { /* asked, then from the cache */
		result = check(LISTED, "Second.TEST. gone.bl.test bl.test", true, 5000);
		assert_int_equal(result.nhits, 2);
		assert_int_equal(result.nunknown, 0);
		assert_string_equal(result.hits[0].zone, "Second.TEST."); /* as it was given */
		assert_memory_equal(result.hits[0].answer, "\x7f\0\0\4", 4);
		assert_string_equal(result.hits[1].zone, "bl.test");
		assert_memory_equal(result.hits[1].answer, "\x7f\0\0\2", 4);
		rbl_result_clear(&result);
	}
	assert_counts(check(CLEAN, "second.test bl.test", true, 5000), 0, 0);
	unmake();
}

static void ipv6(void **state)
{
	struct rbl_result result;

	(void)state;
	if (!have_dnsmasq)
		skip();
	make(resolver.address);
	result = check(LISTED_V6, "bl.test", true, 5000);
	assert_int_equal(result.nhits, 1);
	assert_memory_equal(result.hits[0].answer, "\x7f\0\0\6", 4);
	rbl_result_clear(&result);
	assert_counts(check("2001:db8::3", "bl.test", true, 5000), 0, 0);
	unmake();
}

static void answers_are_kept_for_their_ttl(void **state)
{
	unsigned asked;

	(void)state;
	if (!have_dnsmasq)
		skip();
	make(resolver.address);
	assert_counts(check(LISTED, "bl.test second.test", true, 5000), 2, 0);
	assert_counts(check(CLEAN, "bl.test", true, 5000), 0, 0); /* NXDOMAIN with SOA */
	asked = dnsmasq_asked(&resolver, ".");
	for (int i = 0; i < 20; i++) {
		assert_counts(check(LISTED, "bl.test second.test", true, 5000), 2, 0);
		assert_counts(check(LISTED, "bl.test second.test", false, 5000), 1, 0);
		assert_counts(check(CLEAN, "BL.test.", true, 5000), 0, 0);
	}
	assert_int_equal(dnsmasq_asked(&resolver, "."), asked); /* not one question */

	assert_counts(check(LISTED, "brief.test", true, 5000), 1, 0); /* a TTL of one second */
	assert_counts(check(LISTED, "brief.test", true, 5000), 1, 0);
	asked = dnsmasq_asked(&resolver, "brief.test");
	nanosleep(&(struct timespec){1, 200000000}, NULL);
	assert_counts(check(LISTED, "brief.test", true, 5000), 1, 0);
	assert_int_equal(dnsmasq_asked(&resolver, "brief.test"), asked + 1);
	unmake();
}

static void absence_without_soa_is_not_kept(void **state)
{
	unsigned asked;

	(void)state;
	if (!have_dnsmasq)
		skip();
	make(resolver.address);
	asked = dnsmasq_asked(&resolver, "second.test");
	assert_counts(check(CLEAN, "second.test", true, 5000), 0, 0);
	assert_counts(check(CLEAN, "second.test", true, 5000), 0, 0);
	assert_int_equal(dnsmasq_asked(&resolver, "second.test"), asked + 2);
	unmake();
}

static void first_hit_ends_the_check(void **state)
{
	struct rbl_result result;
	int64_t start;
	unsigned asked;

	(void)state;
	if (!have_dnsmasq)
		skip();
	make(resolver.address);
	start = clock_ms();
	result = check(LISTED, "a.dead.test b.dead.test bl.test", false, 20000);
	assert_true(clock_ms() - start < 20000 / 2); /* the dead ones were not waited for */
	assert_int_equal(result.nhits, 1);
	assert_string_equal(result.hits[0].zone, "bl.test");
	assert_int_equal(result.nunknown, 0);
	rbl_result_clear(&result);

	asked = dnsmasq_asked(&resolver, ".");
	assert_counts(check(LISTED, "a.dead.test bl.test", false, 20000), 1, 0); /* cached */
	assert_int_equal(dnsmasq_asked(&resolver, "."), asked);

	/* without a hit everybody is waited for */
	assert_counts(check(CLEAN, "a.dead.test bl.test", false, 1500), 0, 1);
	unmake();
}

/* A resolver that never answers: however many zones, one deadline. */
static void dead_resolver_costs_one_deadline(void **state)
{
	char zones[LIMIT_DNS_PARALLEL * 2 * 16] = "";
	unsigned asked;

	(void)state;
	make(dead.address);
	assert_counts(
	    check(LISTED, "a.test b.test c.test d.test e.test f.test g.test h.test i.test j.test",
		true, 700),
	    0, 10);
	for (int i = 0; i < LIMIT_DNS_PARALLEL * 2; i++) /* more than are asked together */
		snprintf(zones + strlen(zones), 16, "%sz%d.test", i ? " " : "", i);
	assert_counts(check(LISTED, zones, true, 700), 0, LIMIT_DNS_PARALLEL * 2);
	/* unknown is never kept */
	asked = dead.questions;
	assert_counts(check(LISTED, "a.test", false, 300), 0, 1);
	assert_true(dead.questions > asked);
	/* no time at all */
	asked = dead.questions;
	assert_counts(check(LISTED, "a.test", true, 0), 0, 1);
	assert_int_equal(dead.questions, asked);
	unmake();
}

static void more_zones_than_fit_in_one_batch(void **state)
{
	char zones[LIMIT_DNS_PARALLEL * 2 * 24 + 8] = "";

	(void)state;
	if (!have_dnsmasq)
		skip();
	make(resolver.address);
	for (int i = 0; i < LIMIT_DNS_PARALLEL * 2; i++)
		snprintf(zones + strlen(zones), 24, "z%d.bl.test ", i);
	snprintf(zones + strlen(zones), 8, "bl.test");
	assert_counts(check(LISTED, zones, true, 10000), 1, 0);
	assert_counts(check(LISTED_V6, zones, false, 10000), 1, 0);
	unmake();
}

static void local_addresses_are_not_asked(void **state)
{
	unsigned asked = dead.questions;

	(void)state;
	make(dead.address);
	assert_counts(check("127.0.0.1", "bl.test", true, 5000), 0, 0);
	assert_counts(check("10.1.2.3", "bl.test", true, 5000), 0, 0);
	assert_counts(check("fd00::1", "bl.test", true, 5000), 0, 0);
	assert_counts(check(LISTED, "", true, 5000), 0, 0);
	assert_int_equal(dead.questions, asked);
	unmake();
}

struct heard {
	unsigned parked, refusing, name, skipped, others;
};

static void hear(enum log_level level, const char *line, void *arg)
{
	struct heard *heard = arg;

	(void)level;
	if (strstr(line, "parked.test answers with addresses outside") != NULL)
		heard->parked++;
	else if (strstr(line, "refusing.test answers 127.255.255.x") != NULL)
		heard->refusing++;
	else if (strstr(line, "is not a domain name") != NULL)
		heard->name++;
	else if (strstr(line, "gave no usable answer") != NULL)
		heard->skipped++;
	else
		heard->others++;
}

/* A list that closed down must not block the world, nor one that answers errors as addresses. */
static void parked_and_refusing_zones(void **state)
{
	struct heard heard = {0, 0, 0, 0, 0};
	char addr[32];

	(void)state;
	if (!have_dnsmasq)
		skip();
	log_capture(hear, &heard);
	make(resolver.address);
	for (int i = 1; i < LIMIT_RBL_ZONE_FAILURES; i++) {
		snprintf(addr, sizeof addr, "192.0.2.%d", i);
		assert_counts(check(addr, "parked.test refusing.test", true, 5000), 0, 1);
	}
	assert_int_equal(heard.parked, 1); /* once per zone */
	assert_int_equal(heard.refusing, 1);
	assert_int_equal(heard.skipped, 0);
	assert_counts(check(LISTED, "refusing.test", true, 5000), 0, 1);
	assert_int_equal(heard.skipped, 1); /* from now on it is left in peace */
	assert_counts(check(LISTED, "refusing.test bl.test", true, 5000), 1, 1);
	assert_int_equal(heard.others, 0);
	log_capture(NULL, NULL);
	unmake();
}

static void dead_zone_is_skipped(void **state)
{
	struct heard heard = {0, 0, 0, 0, 0};
	int64_t start;

	(void)state;
	if (!have_dnsmasq)
		skip();
	log_capture(hear, &heard);
	make(resolver.address);
	for (int i = 0; i < LIMIT_RBL_ZONE_FAILURES; i++)
		/* second.test is not kept: its answer proves each time that the resolver lives */
		assert_counts(check(CLEAN, "list.dead.test second.test", true, 1000), 0, 1);
	assert_int_equal(heard.skipped, 1);
	start = clock_ms();
	assert_counts(check(CLEAN, "list.dead.test second.test", true, 20000), 0, 1);
	assert_true(clock_ms() - start < 20000 / 2);
	assert_int_equal(heard.others, 0);
	log_capture(NULL, NULL);
	unmake();
}

/* When nothing answers it is not the zones' fault. */
static void dead_resolver_is_not_the_zones_fault(void **state)
{
	(void)state;
	make(dead.address);
	for (int i = 0; i < LIMIT_RBL_ZONE_FAILURES + 2; i++)
		assert_counts(check(LISTED, "bl.test", true, 260), 0, 1);
	dead.manners = SAYS_LISTED;
	assert_counts(check(LISTED, "bl.test", true, 5000), 1, 0);
	dead.manners = SAYS_NOTHING;
	unmake();
}

static void bad_zones(void **state)
{
	struct heard heard = {0, 0, 0, 0, 0};

	(void)state;
	if (!have_dnsmasq)
		skip();
	log_capture(hear, &heard);
	make(resolver.address);
	for (int i = 0; i < 3; i++)
		assert_counts(check(LISTED, "bl.test' bl..test bl.test", true, 5000), 1, 2);
	assert_int_equal(heard.name, 2);
	assert_int_equal(heard.others, 0);
	log_capture(NULL, NULL);
	unmake();
}

struct checker {
	pthread_t thread;
	unsigned number, wrong;
};

static void *check_often(void *arg)
{
	static const char *const zones_text[] = {"bl.test", "second.test", "brief.test"};
	struct checker *checker = arg;
	struct strlist zones = STRLIST_INIT;
	struct ip_address listed, clean;

	for (size_t i = 0; i < 3; i++)
		strlist_add(&zones, zones_text[i]);
	ip_address_parse(&listed, LISTED);
	for (unsigned i = 0; i < 10; i++) {
		struct rbl_result result;
		char text[32];

		snprintf(text, sizeof text, "192.0.%u.%u", 3 + i, checker->number);
		ip_address_parse(&clean, text);
		rbl_check(rbl, &listed, &zones, true, 10000, &result);
		checker->wrong += result.nhits != 3 || result.nunknown != 0;
		rbl_result_clear(&result);
		rbl_check(rbl, &listed, &zones, false, 10000, &result);
		checker->wrong += result.nhits != 1;
		rbl_result_clear(&result);
		rbl_check(rbl, &clean, &zones, i % 2, 10000, &result);
		checker->wrong += result.nhits != 0 || result.nunknown != 0;
		rbl_result_clear(&result);
	}
	strlist_clear(&zones);
	return NULL;
}

static void fifty_threads(void **state)
{
	struct checker checkers[THREADS];

	(void)state;
	if (!have_dnsmasq)
		skip();
	make(resolver.address);
	for (unsigned i = 0; i < THREADS; i++) {
		checkers[i] = (struct checker){.number = i};
		pthread_create(&checkers[i].thread, NULL, check_often, &checkers[i]);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(checkers[i].thread, NULL);
		assert_int_equal(checkers[i].wrong, 0);
	}
	unmake();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hits_in_the_order_of_the_zones),
	    cmocka_unit_test(ipv6),
	    cmocka_unit_test(answers_are_kept_for_their_ttl),
	    cmocka_unit_test(absence_without_soa_is_not_kept),
	    cmocka_unit_test(first_hit_ends_the_check),
	    cmocka_unit_test(dead_resolver_costs_one_deadline),
	    cmocka_unit_test(more_zones_than_fit_in_one_batch),
	    cmocka_unit_test(local_addresses_are_not_asked),
	    cmocka_unit_test(parked_and_refusing_zones),
	    cmocka_unit_test(dead_zone_is_skipped),
	    cmocka_unit_test(dead_resolver_is_not_the_zones_fault),
	    cmocka_unit_test(bad_zones),
	    cmocka_unit_test(fifty_threads),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
