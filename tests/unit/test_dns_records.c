/* The records of DNS answers: right ones, wrong ones, and names that are an attack (R6, R17). */
#include "common/dns_records.h"
#include "common/limits.h"
#include "tests/unit/dns_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WIRE_AR = 10 };
enum { A = 1, NS = 2, SOA = 6, WKS = 11, PTR = 12, MX = 15, TXT = 16, SRV = 33, CAA = 257 };

static struct wire w;
static struct dns_records records;

static void start(const char *name, unsigned type)
{
	wire_start(&w, 0x8180, name, type);
}

static void add(size_t section, const char *name, unsigned type, const void *data, size_t n)
{
	wire_record(&w, section, name, type, 60, data, n);
}

/* A record whose data is some bytes and a name. */
static void add_name(
    size_t section, const char *name, unsigned type, const void *head, size_t n, const char *target)
{
	unsigned char data[300];
	size_t at = w.n;

	memcpy(data, head, n);
	wire_name(&w, target);
	memcpy(data + n, w.bytes + at, w.n - at);
	n += w.n - at;
	w.n = at;
	add(section, name, type, data, n);
}

static void parse(const char *name, int type)
{
	dns_records_clear(&records);
	dns_records_read(w.bytes, w.n, name, type, &records);
}

static const struct dns_record *only(void)
{
	assert_int_equal(records.code, 0);
	assert_int_equal(records.n, 1);
	return &records.v[0];
}

static void assert_value(const char *value)
{
	assert_string_equal(only()->value, value);
	assert_int_equal(only()->n, strlen(value));
}

static void assert_nonsense(const char *name, int type)
{
	parse(name, type);
	assert_int_equal(records.code, DNS_CODE_NONSENSE);
	assert_int_equal(records.n, 0);
}

static int clear(void **state)
{
	(void)state;
	dns_records_clear(&records);
	return 0;
}

/* ---- each type ---- */

static void test_values(void **state)
{
	(void)state;
	start("x.test", MX);
	add_name(WIRE_AN, "x.test", MX, "\0\12", 2, "mx1.x.test");
	parse("X.test.", MX);
	assert_value("mx1.x.test");
	assert_int_equal(only()->preference, 10);
	assert_int_equal(only()->ttl, 60);
	assert_string_equal(only()->domain, "x.test");

	start("x.test", MX); /* RFC 7505: takes no mail */
	add_name(WIRE_AN, "x.test", MX, "\0\0", 2, "");
	parse("x.test", MX);
	assert_value(".");

	start("_s._tcp.x.test", SRV);
	add_name(WIRE_AN, "_s._tcp.x.test", SRV, "\0\1\0\2\1\273", 6, "h.x.test");
	parse("_s._tcp.x.test", SRV);
	assert_value("1 2 443 h.x.test");

	start("x.test", WKS);
	add(WIRE_AN, "x.test", WKS, "\300\0\2\1\6\0\0\0\100", 9);
	parse("x.test", WKS);
	assert_value("192.0.2.1 6 25");

	start("x.test", CAA);
	add(WIRE_AN, "x.test", CAA, "\0\5issueca", 9);
	parse("x.test", CAA);
	assert_value("\\# 9 00056973737565"
		     "6361");

	start("x.test", CAA);
	add(WIRE_AN, "x.test", CAA, "", 0);
	parse("x.test", CAA);
	assert_value("\\# 0");
}

static void test_text_keeps_zero_bytes(void **state)
{
	(void)state;
	start("x.test", TXT);
	add(WIRE_AN, "x.test", TXT, "\4a\0b \2cd", 8);
	parse("x.test", TXT);
	assert_int_equal(only()->n, 6);
	assert_memory_equal(only()->value, "a\0b cd", 7);
}

static void soa_with(const char *mailbox)
{
	static const unsigned char numbers[] = {
	    0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 255, 255, 255, 255};
	unsigned char data[300];
	size_t at = w.n, n;

	start("x.test", SOA);
	at = w.n;
	wire_name(&w, "ns.x.test");
	wire_name(&w, mailbox);
	n = w.n - at;
	memcpy(data, w.bytes + at, n);
	memcpy(data + n, numbers, sizeof numbers);
	w.n = at;
	add(WIRE_AN, "x.test", SOA, data, n + sizeof numbers);
	parse("x.test", SOA);
}

static void test_soa(void **state)
{
	const struct dns_soa *soa;

	(void)state;
	soa_with("host-master.x.test");
	soa = only()->soa;
	assert_string_equal(only()->value, "ns.x.test");
	assert_string_equal(soa->primary, "ns.x.test");
	assert_string_equal(soa->mailbox, "host-master@x.test");
	assert_int_equal(soa->serial, 1);
	assert_int_equal(soa->expire, 4);
	assert_int_equal(soa->minimum, UINT32_MAX);
	soa_with("x' OR '1'='1.x.test");
	assert_string_equal(only()->soa->mailbox, "");
	soa_with("");
	assert_string_equal(only()->soa->mailbox, "");
}

static void test_sections(void **state)
{
	(void)state;
	start("x.test", A);
	add(WIRE_AN, "x.test", A, "\300\0\2\1", 4);
	add_name(WIRE_NS, "", NS, "", 0, "ns.x.test");
	add(WIRE_AR, "ns.x.test", 28, "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	add(WIRE_AR, "", 41, "", 0); /* EDNS is no record */
	parse("x.test", A);
	assert_int_equal(records.n, 3);
	assert_int_equal(records.v[0].section, DNS_SECTION_ANSWER);
	assert_int_equal(records.v[1].section, DNS_SECTION_AUTHORITY);
	assert_string_equal(records.v[1].domain, ".");
	assert_int_equal(records.v[2].section, DNS_SECTION_ADDITIONAL);
	assert_string_equal(records.v[2].value, "2001:db8::1");
}

/* ---- answers that are none ---- */

static void test_codes(void **state)
{
	(void)state;
	for (unsigned code = 1; code <= 5; code++) {
		wire_start(&w, 0x8180 | code, "x.test", A);
		parse("x.test", A);
		assert_int_equal(records.code, code);
	}
	start("x.test", A);
	parse("x.test", A);
	assert_int_equal(records.code, 0);
	assert_int_equal(records.n, 0);
	assert_nonsense("y.test", A);
	assert_nonsense("x.test", MX);
	wire_start(&w, 0x8380, "x.test", A); /* truncated */
	assert_nonsense("x.test", A);
	wire_start(&w, 0x0180, "x.test", A); /* a question */
	assert_nonsense("x.test", A);
}

static void test_broken_records(void **state)
{
	static const struct {
		unsigned type;
		const char *data;
		size_t n;
	} broken[] = {{A, "\1\2\3", 3}, {A, "", 0}, {28, "\1\2\3\4", 4}, {MX, "\0", 1},
	    {MX, "\0\1", 2}, {NS, "\77a", 2}, {TXT, "\5abc", 4}, {SRV, "\0\1\0\2\0", 5},
	    {SOA, "\0\0\0\0\0\1", 6}, {WKS, "\1\2\3\4", 4}, {PTR, "\1a\0x", 4},
	    {NS, "\300\377", 2}};

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		start("x.test", 255);
		add(WIRE_AN, "x.test", A, "\300\0\2\1", 4); /* lost with the rest */
		add(WIRE_AN, "x.test", broken[i].type, broken[i].data, broken[i].n);
		assert_nonsense("x.test", 255);
	}
	start("x.test", A);
	add(WIRE_AN, "x.test", A, "\300\0\2\1", 4);
	for (w.n -= 1; w.n > 0; w.n--)
		assert_nonsense("x.test", A);
	start("x.test", A);
	for (int i = 0; i <= LIMIT_DNS_RECORDS; i++)
		add(WIRE_AN, "x", A, "\300\0\2\1", 4);
	assert_nonsense("x.test", A);
}

/* R17: MX hosts and reverse names are chosen by strangers. */
static void test_names_are_checked(void **state)
{
	static const char *const bad[] = {
	    "x' OR '1'='1", "a\"b", "a;b", "a b", "$(id)", "a\nb", "\33[2J", "h\303\251", "a/b"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		start("x.test", MX);
		add_name(WIRE_AN, "x.test", MX, "\0\1", 2, bad[i]);
		add_name(WIRE_AN, "x.test", MX, "\0\2", 2, "good.test");
		add(WIRE_AR, bad[i], A, "\300\0\2\1", 4);
		parse("x.test", MX);
		assert_value("good.test");
	}
	start("1.2.0.192.in-addr.arpa", PTR); /* RFC 2317 */
	add_name(WIRE_AN, "1.2.0.192.in-addr.arpa", 5, "", 0, "1.0/25.2.0.192.in-addr.arpa");
	add_name(WIRE_AN, "1.0/25.2.0.192.in-addr.arpa", PTR, "", 0, "host.test");
	parse("1.2.0.192.in-addr.arpa", PTR);
	assert_int_equal(records.n, 2);
	assert_string_equal(records.v[1].value, "host.test");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_values, clear),
	    cmocka_unit_test_teardown(test_text_keeps_zero_bytes, clear),
	    cmocka_unit_test_teardown(test_soa, clear),
	    cmocka_unit_test_teardown(test_sections, clear),
	    cmocka_unit_test_teardown(test_codes, clear),
	    cmocka_unit_test_teardown(test_broken_records, clear),
	    cmocka_unit_test_teardown(test_names_are_checked, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
