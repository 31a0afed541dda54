/* Addresses and networks as MTAs and administrators write them. */
#include "common/network.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct address_case {
	const char *text;
	const char *read; /* as ip_address_text() has it; NULL: no address */
};

static const struct address_case addresses[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"2001:DB8::1", "2001:db8::1"},
    {"::", "::"},
    {"IPv6:2001:db8::25", "2001:db8::25"},
    {"ipv6:::1", "::1"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"IPv6:::ffff:c000:0201", "192.0.2.1"},
    {"::192.0.2.1", "::192.0.2.1"},
    {"2001:db8:1111:2222:3333:4444:192.168.100.200", "2001:db8:1111:2222:3333:4444:c0a8:64c8"},
    {"", NULL},
    {" 192.0.2.1", NULL},
    {"192.0.2.1 ", NULL},
    {"192.0.2", NULL},
    {"192.0.2.256", NULL},
    {"192.0.2.1.1", NULL},
    {"0x7f.0.0.1", NULL},
    {"192.0.2.1/32", NULL},
    {"[192.0.2.1]", NULL},
    {"2001:db8::1::2", NULL},
    {"IPv6:", NULL},
    {"fe80::1%eth0", NULL},
    {"example.com", NULL},
};

static void test_addresses(void **state)
{
	struct ip_address a;
	char text[INET6_ADDRSTRLEN];

	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		bool ok = ip_address_parse(&a, addresses[i].text);

		assert_int_equal(ok, addresses[i].read != NULL);
		assert_int_equal(ok, a.family != AF_UNSPEC);
		assert_int_equal(a.port, 0);
		assert_string_equal(
		    ip_address_text(&a, text, sizeof text), ok ? addresses[i].read : "");
	}
}

static void test_text_needs_room(void **state)
{
	struct ip_address a;
	char text[8] = "garbage";

	(void)state;
	assert_true(ip_address_parse(&a, "192.0.2.1"));
	assert_string_equal(ip_address_text(&a, text, sizeof text), "");
	assert_string_equal(ip_address_text(&a, text, 0), "");
}

/* A text of any length is refused after a look at its first bytes. */
static void test_long_text_R5(void **state)
{
	enum { LONG = 64 * 1024 };
	char *text = malloc(LONG + 1);
	const char *why = NULL;
	struct ip_network network;
	struct ip_address a;

	(void)state;
	assert_non_null(text);
	memset(text, '1', LONG);
	text[LONG] = '\0';
	assert_false(ip_address_parse(&a, text));
	assert_false(ip_network_parse(&network, text, &why));
	memcpy(text, "10.0.0.0/", 9);
	assert_false(ip_network_parse(&network, text, &why));
	assert_non_null(strstr(why, "0 to 32"));
	free(text);
}

static void test_from_sockaddr(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(2525)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(25)};
	struct sockaddr local = {.sa_family = AF_UNIX};
	char text[INET6_ADDRSTRLEN];
	struct ip_address a;

	(void)state;
	inet_pton(AF_INET, "192.0.2.7", &in.sin_addr);
	ip_address_from_sockaddr(&a, (struct sockaddr *)&in);
	assert_string_equal(ip_address_text(&a, text, sizeof text), "192.0.2.7");
	assert_int_equal(a.port, 2525);
	inet_pton(AF_INET6, "2001:db8::7", &in6.sin6_addr);
	ip_address_from_sockaddr(&a, (struct sockaddr *)&in6);
	assert_string_equal(ip_address_text(&a, text, sizeof text), "2001:db8::7");
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr);
	ip_address_from_sockaddr(&a, (struct sockaddr *)&in6);
	assert_int_equal(a.family, AF_INET);
	assert_int_equal(a.port, 25);
	assert_string_equal(ip_address_text(&a, text, sizeof text), "192.0.2.7");
	ip_address_from_sockaddr(&a, &local);
	assert_int_equal(a.family, AF_UNSPEC);
	ip_address_from_sockaddr(&a, NULL); /* libmilter's for an unknown family */
	assert_int_equal(a.family, AF_UNSPEC);
}

struct network_case {
	const char *network;
	const char *inside, *outside;
};

static const struct network_case networks[] = {
    {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
    {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
    {"192.0.2.1/32", "192.0.2.1", "192.0.2.0"},
    {"192.0.2.128/25", "192.0.2.129", "192.0.2.127"},
    {"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
    {"0.0.0.0/0", "203.0.113.9", "::1"},
    {"::/0", "2001:db8::1", "192.0.2.1"},
    {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
    {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
    {"::1", "::1", "::2"},
    {"::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"},
    {"::ffff:0.0.0.0/96", "203.0.113.9", "::1"},
    {"192.0.2.0/24", "::ffff:192.0.2.9", "2001:db8::1"},
};

static void test_networks(void **state)
{
	struct ip_network network;
	struct ip_address in, out, unknown = {.family = AF_UNSPEC};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
		assert_true(ip_network_parse(&network, networks[i].network, &why));
		assert_true(ip_address_parse(&in, networks[i].inside));
		assert_true(ip_address_parse(&out, networks[i].outside));
		assert_true(ip_network_has(&network, &in));
		assert_false(ip_network_has(&network, &out));
		assert_false(ip_network_has(&network, &unknown));
	}
}

struct wrong_network {
	const char *text;
	const char *reason; /* a part of it */
};

static const struct wrong_network wrong_networks[] = {
    {"192.0.2.1/24", "bits set behind the prefix"},
    {"192.0.2.129/25", "bits set behind the prefix"},
    {"10.0.0.0/6", "bits set behind the prefix"},
    {"1.0.0.0/0", "bits set behind the prefix"},
    {"2001:db8::1/64", "bits set behind the prefix"},
    {"192.0.2.0/33", "0 to 32"},
    {"2001:db8::/129", "0 to 128"},
    {"::ffff:192.0.2.0/24", "96 to 128"},
    {"192.0.2.0/", "0 to 32"},
    {"192.0.2.0/-1", "0 to 32"},
    {"192.0.2.0/24 ", "0 to 32"},
    {"192.0.2.0/255.255.255.0", "0 to 32"},
    {"192.0.2.0/4294967320", "0 to 32"}, /* 2^32 + 24 */
    {"/24", "not an IP address"},
    {"", "not an IP address"},
    {"localhost", "not an IP address"},
};

static void test_wrong_networks_say_why(void **state)
{
	struct ip_network network;

	(void)state;
	for (size_t i = 0; i < sizeof wrong_networks / sizeof *wrong_networks; i++) {
		const char *why = NULL;

		assert_false(ip_network_parse(&network, wrong_networks[i].text, &why));
		assert_non_null(why);
		assert_non_null(strstr(why, wrong_networks[i].reason));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_text_needs_room),
	    cmocka_unit_test(test_long_text_R5),
	    cmocka_unit_test(test_from_sockaddr),
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_wrong_networks_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
