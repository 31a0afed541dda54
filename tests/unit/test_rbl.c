/* Block lists without a network: names, meanings, cache, zones, whitelist. */
#include "common/limits.h"
#include "common/rbl.h"
#include "common/dns/rbl_cache.h"
#include "common/dns/rbl_query.h"
#include "common/dns/rbl_zones.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct ip_address address(const char *text)
{
	struct ip_address addr;

	assert_true(ip_address_parse(&addr, text) || *text == '\0');
	return addr;
}

/* --- what is asked --- */

static void only_global_addresses_are_looked_up(void **state)
{
	static const char *const yes[] = {"192.0.2.1", "8.8.8.8", "1.0.0.1", "100.63.255.255",
	    "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.167.0.1", "223.255.255.255",
	    "2001:db8::1", "2a00::1", "::ffff:192.0.2.1", "IPv6:2001:db8::1"};
	static const char *const no[] = {"", "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.255",
	    "127.0.0.1", "127.255.0.1", "169.254.1.1", "172.16.0.1", "172.31.255.255",
	    "192.168.1.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
	    "fd00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::1"};

	(void)state;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		struct ip_address addr = address(yes[i]);

		assert_true(rbl_query_wanted(&addr));
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		struct ip_address addr = address(no[i]);

		assert_false(rbl_query_wanted(&addr));
	}
}

static void names_are_reversed(void **state)
{
	struct ip_address v4 = address("192.0.2.99"), v6 = address("2001:db8:1:2:3:4:567:89ab");
	char name[RBL_NAME_BYTES], zone[300] = "";

	(void)state;
	assert_int_equal(rbl_query_name(&v4, "BL.Example.", name), 11);
	assert_string_equal(name, "99.2.0.192.bl.example");
	assert_int_equal(rbl_query_name(&v6, "bl.example", name), 64); /* RFC 5782 2.4 */
	assert_string_equal(name, "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0."
				  "8.b.d.0.1.0.0.2.bl.example");

	assert_int_equal(rbl_query_name(&v4, "", name), 0);
	assert_int_equal(rbl_query_name(&v4, ".", name), 0);
	assert_int_equal(rbl_query_name(&v4, "bl example", name), 0);
	assert_int_equal(rbl_query_name(&v4, "bl.example'--", name), 0);
	assert_int_equal(rbl_query_name(&v4, "bl..example", name), 0);

	for (size_t i = 0; i < LIMIT_DNS_NAME_BYTES - 64; i++) /* with IPv6 as long as names get */
		zone[i] = i % 2 ? '.' : 'z';
	assert_int_equal(rbl_query_name(&v6, zone, name), 64);
	assert_int_equal(strlen(name), LIMIT_DNS_NAME_BYTES);
	memcpy(zone + strlen(zone), "zz", 3);
	assert_int_equal(rbl_query_name(&v6, zone, name), 0);
	assert_int_equal(rbl_query_name(&v4, zone, name), 11);
}

/* --- what it means --- */

static enum rbl_meaning meaning_of(const char *a, const char *b, unsigned char code[4])
{
	struct dns_answer answer = {.status = DNS_FOUND};
	enum rbl_meaning meaning;

	memset(code, 0, 4);
	if (a != NULL)
		strlist_add(&answer.values, a);
	if (b != NULL)
		strlist_add(&answer.values, b);
	meaning = rbl_query_judge(&answer, code);
	dns_answer_clear(&answer);
	return meaning;
}

static void answers_are_judged(void **state)
{
	struct dns_answer none = {.status = DNS_ABSENT}, unknown = {.status = DNS_UNKNOWN};
	unsigned char code[4];

	(void)state;
	assert_int_equal(rbl_query_judge(&none, code), RBL_NOT_LISTED);
	assert_int_equal(rbl_query_judge(&unknown, code), RBL_UNKNOWN);
	assert_int_equal(meaning_of("127.0.0.2", NULL, code), RBL_LISTED);
	assert_memory_equal(code, "\x7f\0\0\2", 4);
	assert_int_equal(meaning_of("127.255.254.255", NULL, code), RBL_LISTED);
	assert_int_equal(meaning_of("127.0.0.4", "127.0.0.2", code), RBL_LISTED);
	assert_memory_equal(code, "\x7f\0\0\4", 4);
	/* a parked domain answers with its web server */
	assert_int_equal(meaning_of("192.0.2.80", NULL, code), RBL_FOREIGN);
	assert_int_equal(meaning_of("128.0.0.2", "126.0.0.2", code), RBL_FOREIGN);
	assert_int_equal(meaning_of("192.0.2.80", "127.0.0.3", code), RBL_LISTED);
	assert_memory_equal(code, "\x7f\0\0\3", 4);
	/* public lists refuse public resolvers so */
	assert_int_equal(meaning_of("127.255.255.254", NULL, code), RBL_REFUSING);
	assert_int_equal(meaning_of("127.255.255.252", "192.0.2.80", code), RBL_REFUSING);
	assert_int_equal(meaning_of("127.255.255.252", "127.0.0.9", code), RBL_LISTED);
	assert_memory_equal(code, "\x7f\0\0\11", 4);
}

/* --- the cache --- */

static const struct rbl_verdict LISTED = {true, {127, 0, 0, 2}}, CLEAN = {false, {0}};

static void cache_keeps_until_the_ttl(void **state)
{
	struct rbl_cache *cache = rbl_cache_new(10);
	struct rbl_verdict verdict;
	int64_t day = INT64_C(1000) * LIMIT_RBL_TTL_SECONDS;

	(void)state;
	assert_false(rbl_cache_get(cache, "a", 0, &verdict));
	rbl_cache_put(cache, "a", 500, 60, &LISTED);
	rbl_cache_put(cache, "b", 500, 60, &CLEAN);
	assert_true(rbl_cache_get(cache, "a", 60499, &verdict));
	assert_true(verdict.listed);
	assert_memory_equal(verdict.code, LISTED.code, 4);
	assert_true(rbl_cache_get(cache, "b", 60499, &verdict));
	assert_false(verdict.listed);
	assert_false(rbl_cache_get(cache, "a", 60500, &verdict));
	assert_int_equal(rbl_cache_count(cache), 1); /* what has expired is gone */

	rbl_cache_put(cache, "b", 1000, 60, &LISTED); /* the newer answer counts */
	assert_true(rbl_cache_get(cache, "b", 1000, &verdict));
	assert_true(verdict.listed);
	rbl_cache_put(cache, "b", 1000, 0, &CLEAN); /* and may end the older one */
	assert_false(rbl_cache_get(cache, "b", 1000, &verdict));

	rbl_cache_put(cache, "c", 0, UINT32_MAX, &LISTED);
	assert_true(rbl_cache_get(cache, "c", day - 1, &verdict));
	assert_false(rbl_cache_get(cache, "c", day, &verdict));
	rbl_cache_free(cache);
}

static void cache_drops_what_was_not_used(void **state)
{
	struct rbl_cache *cache = rbl_cache_new(3);
	struct rbl_verdict verdict;

	(void)state;
	rbl_cache_put(cache, "a", 0, 60, &LISTED);
	rbl_cache_put(cache, "b", 0, 60, &LISTED);
	rbl_cache_put(cache, "c", 0, 60, &LISTED);
	assert_true(rbl_cache_get(cache, "a", 1, &verdict));
	rbl_cache_put(cache, "d", 1, 60, &LISTED);
	assert_int_equal(rbl_cache_count(cache), 3);
	assert_true(rbl_cache_get(cache, "a", 1, &verdict));
	assert_false(rbl_cache_get(cache, "b", 1, &verdict));
	assert_true(rbl_cache_get(cache, "c", 1, &verdict));
	rbl_cache_free(cache);
}

static void cache_is_bounded(void **state)
{
	struct rbl_cache *cache = rbl_cache_new(LIMIT_RBL_CACHE_ENTRIES);
	struct rbl_verdict verdict;
	char name[64];

	(void)state;
	for (int i = 0; i < LIMIT_RBL_CACHE_ENTRIES + 5000; i++) {
		snprintf(name, sizeof name, "%d.%d.2.0.bl.example", i % 256, i / 256);
		rbl_cache_put(cache, name, 0, 60, &LISTED);
	}
	assert_int_equal(rbl_cache_count(cache), LIMIT_RBL_CACHE_ENTRIES);
	assert_true(rbl_cache_get(cache, name, 0, &verdict));
	assert_false(rbl_cache_get(cache, "0.0.2.0.bl.example", 0, &verdict));
	rbl_cache_free(cache);
}

/* --- zones --- */

static void zones_are_warned_of_once(void **state)
{
	struct rbl_zones *zones = rbl_zones_new();

	(void)state;
	assert_true(rbl_zones_first(zones, "a.example", RBL_TROUBLE_FOREIGN));
	assert_false(rbl_zones_first(zones, "a.example", RBL_TROUBLE_FOREIGN));
	assert_true(rbl_zones_first(zones, "a.example", RBL_TROUBLE_REFUSING));
	assert_true(rbl_zones_first(zones, "b.example", RBL_TROUBLE_FOREIGN));
	rbl_zones_free(zones);
}

static void dead_zones_are_skipped(void **state)
{
	struct rbl_zones *zones = rbl_zones_new();

	(void)state;
	for (int i = 1; i < LIMIT_RBL_ZONE_FAILURES; i++)
		assert_int_equal(
		    rbl_zones_report(zones, "a", BREAKER_FAILED, 0), BREAKER_UNCHANGED);
	assert_true(rbl_zones_allows(zones, "a", 0));
	assert_int_equal(rbl_zones_report(zones, "a", BREAKER_FAILED, 0), BREAKER_OPENED);
	assert_false(rbl_zones_allows(zones, "a", LIMIT_RBL_ZONE_SKIP_MS - 1));
	assert_true(rbl_zones_allows(zones, "b", 0)); /* the others do not mind */
	assert_true(rbl_zones_allows(zones, "a", LIMIT_RBL_ZONE_SKIP_MS));
	assert_int_equal(
	    rbl_zones_report(zones, "a", BREAKER_OK, LIMIT_RBL_ZONE_SKIP_MS), BREAKER_CLOSED);
	rbl_zones_free(zones);
}

static void zones_are_bounded(void **state)
{
	struct rbl_zones *zones = rbl_zones_new();
	char name[32], *endless = malloc(100001);

	(void)state;
	memset(endless, 'z', 100000);
	endless[100000] = '\0';
	assert_true(rbl_zones_first(zones, endless, RBL_TROUBLE_NAME)); /* a script wrote it */
	free(endless);
	for (int i = 1; i < LIMIT_RBL_ZONES; i++) {
		snprintf(name, sizeof name, "z%d", i);
		assert_true(rbl_zones_first(zones, name, RBL_TROUBLE_NAME));
	}
	assert_false(rbl_zones_first(zones, "one-more", RBL_TROUBLE_NAME));
	for (int i = 0; i <= LIMIT_RBL_ZONE_FAILURES; i++) /* asked all the same */
		rbl_zones_report(zones, "one-more", BREAKER_FAILED, 0);
	assert_true(rbl_zones_allows(zones, "one-more", 0));
	assert_false(rbl_zones_first(zones, "z1", RBL_TROUBLE_NAME)); /* still known */
	rbl_zones_free(zones);
}

/* --- the whitelist --- */

static const struct {
	const char *entry, *addr, *host;
	bool expected;
} whitelist_cases[] = {
    /* addresses and networks */
    {"192.0.2.1", "192.0.2.1", NULL, true},
    {"192.0.2.1", "192.0.2.10", NULL, false},
    {"192.0.2.0/24", "192.0.2.200", NULL, true},
    {"192.0.2.0/24", "192.0.3.1", NULL, false},
    {"192.0.2.1/24", "192.0.2.200", NULL, false}, /* host bits: no network */
    {"2001:db8::/32", "2001:db8:1::1", NULL, true},
    {"2001:DB8::1", "2001:db8:0::1", NULL, true},
    {"192.0.2.1", "::ffff:192.0.2.1", NULL, true},
    {"0.0.0.0/0", "2001:db8::1", NULL, false},
    /* addresses with wildcards */
    {"192.0.2.*", "192.0.2.77", NULL, true},
    {"192.0.2.*", "192.0.20.7", NULL, false},
    {"192.0.2.?", "192.0.2.7", NULL, true},
    {"192.0.2.?", "192.0.2.77", NULL, false},
    {"192.*.7", "192.0.2.7", NULL, true},
    {"2001:db8:*", "2001:db8::1", NULL, true},
    {"2001:DB8:*", "2001:db9::1", NULL, false},
    {"*:*", "192.0.2.1", "a:b", false},
    /* host names */
    {"mail.example.com", "192.0.2.1", "MAIL.Example.com", true},
    {"mail.example.com", "192.0.2.1", "mail.example.com.", true},
    {"mail.example.com", "192.0.2.1", "xmail.example.com", false},
    {"*.example.com", "192.0.2.1", "a.b.EXAMPLE.com", true},
    {"*.example.com", "192.0.2.1", "example.com", false},
    {"*.example.com", "192.0.2.1", "mail.example.com.evil.test", false},
    {"mx?.example.com", "192.0.2.1", "mx1.example.com", true},
    {"mx?.example.com", "192.0.2.1", "mx.example.com", false},
    {"*mail*.example.com", "192.0.2.1", "x-mailer.y.example.com", true},
    {"[ab].example.com", "192.0.2.1", "a.example.com", false}, /* brackets are brackets */
    {"\\*.example.com", "192.0.2.1", "a.example.com", false},
    {"", "192.0.2.1", "", false},
    {"", "", NULL, false},
    {"a.example", "", NULL, false},
    /* who owns a host names it: no name passes for an address, no address for a name */
    {"192.0.2.*", "203.0.113.1", "192.0.2.evil.test", false},
    {"192.0.2.*", "203.0.113.1", "192.0.2.1", false},
    {"192.0.2.1", "203.0.113.1", "192.0.2.1", false},
    {"2001:db8:*", "203.0.113.1", "2001:db8:evil.test", false},
    {"*1", "203.0.113.7", "host1", false},
    {"*.com", "192.0.2.1", NULL, false},
    /* everybody */
    {"*", "192.0.2.1", NULL, true},
    {"*", "2001:db8::1", "", true},
    {"*", "", "unknown", true},
    {"*", "", NULL, false},
    {"*.*.*.*", "192.0.2.1", NULL, true},
};

static bool whitelisted(const char *entry, const char *addr_text, const char *host)
{
	struct strlist list = STRLIST_INIT;
	struct ip_address addr = address(addr_text);
	bool result;

	strlist_add(&list, "nobody.invalid");
	strlist_add(&list, entry);
	result = rbl_whitelisted(&list, &addr, host);
	strlist_clear(&list);
	return result;
}

static void whitelist_entries(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof whitelist_cases / sizeof *whitelist_cases; i++)
		if (whitelisted(whitelist_cases[i].entry, whitelist_cases[i].addr,
			whitelist_cases[i].host) != whitelist_cases[i].expected)
			fail_msg("entry \"%s\", address %s, host %s", whitelist_cases[i].entry,
			    whitelist_cases[i].addr, whitelist_cases[i].host);
}

/* R5: names and patterns that make other matchers take years. */
static void hostile_patterns_are_quick(void **state)
{
	char pattern[512] = "", host[LIMIT_DNS_NAME_BYTES + 1], longer[1000];
	struct timespec from, to;

	(void)state;
	for (size_t i = 0; i < sizeof pattern - 8; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	memcpy(pattern + sizeof pattern - 8, "*b", 3);
	memset(host, 'a', sizeof host - 1);
	host[sizeof host - 1] = '\0';
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 100; i++)
		assert_false(whitelisted(pattern, "192.0.2.1", host));
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec <= 1);

	memset(longer, 'a', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	assert_false(whitelisted("a*", "192.0.2.1", longer)); /* no host name is so long */
	assert_false(whitelisted(longer, "192.0.2.1", "a"));
}

/* The plain definition, as slow as it likes. */
static bool slow_match(const char *pattern, const char *text)
{
	if (*pattern == '\0')
		return *text == '\0';
	if (*pattern == '*')
		return slow_match(pattern + 1, text) || (*text && slow_match(pattern, text + 1));
	return *text && (*pattern == '?' || *pattern == *text) && slow_match(pattern + 1, text + 1);
}

static void wildcards_agree_with_their_definition(void **state)
{
	uint64_t seed = 42;
	unsigned matched = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char pattern[12], host[12];

		/* an h in both: about host names */
		for (size_t k = 0; k < sizeof pattern; k++) {
			pattern[k] = "ab*?"[random_next(&seed) % 4];
			host[k] = "ab"[random_next(&seed) % 2];
		}
		pattern[0] = host[0] = 'h';
		pattern[1 + random_next(&seed) % 11] = '\0';
		host[1 + random_next(&seed) % 11] = '\0';
		matched += slow_match(pattern, host);
		if (whitelisted(pattern, "192.0.2.1", host) != slow_match(pattern, host))
			fail_msg("pattern %s, host %s", pattern, host);
	}
	assert_in_range(matched, 1000, 19000); /* both outcomes were tried */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_global_addresses_are_looked_up),
	    cmocka_unit_test(names_are_reversed),
	    cmocka_unit_test(answers_are_judged),
	    cmocka_unit_test(cache_keeps_until_the_ttl),
	    cmocka_unit_test(cache_drops_what_was_not_used),
	    cmocka_unit_test(cache_is_bounded),
	    cmocka_unit_test(zones_are_warned_of_once),
	    cmocka_unit_test(dead_zones_are_skipped),
	    cmocka_unit_test(zones_are_bounded),
	    cmocka_unit_test(whitelist_entries),
	    cmocka_unit_test(hostile_patterns_are_quick),
	    cmocka_unit_test(wildcards_agree_with_their_definition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
