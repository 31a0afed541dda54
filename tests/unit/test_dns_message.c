/* What an answer says, and that no answer hurts: every broken one is "unknown" (R6, R17). */
#include "common/dns/dns_message.h"
#include "common/dns/dns_name.h"
#include "common/limits.h"
#include "tests/unit/dns_wire.h"
#include "tests/unit/random.h"

#include <ares.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define NAME "2.0.0.127.bl.test"
#define OK 0x8180u
#define NXDOMAIN 0x8183u

enum { A = 1, NS = 2, CNAME = 5, MX = 15, TXT = 16, AAAA = 28 };

static const unsigned char LISTED[] = {127, 0, 0, 2}, OTHER[] = {127, 0, 0, 4};

static struct wire w;
static struct dns_answer answer;

static enum dns_status read_as(int type)
{
	/* A copy of exactly this size: the sanitizer sees every byte read behind it. */
	unsigned char *copy = malloc(w.n ? w.n : 1);

	memcpy(copy, w.bytes, w.n);
	dns_answer_clear(&answer);
	dns_message_read(copy, w.n, NAME, type, &answer);
	free(copy);
	return answer.status;
}

static void assert_unknown(int type, int error)
{
	assert_int_equal(read_as(type), DNS_UNKNOWN);
	assert_int_equal(answer.error, error);
	assert_int_equal(answer.values.n, 0);
	assert_int_equal(answer.ttl, 0);
	assert_memory_equal(answer.first_a, "\0\0\0\0", 4);
}

static void addresses(void **state)
{
	(void)state;
	wire_start(&w, OK, NAME, A);
	wire_record(&w, WIRE_AN, NAME, A, 300, LISTED, 4);
	wire_record(&w, WIRE_AN, "2.0.0.127.BL.test", A, 200, OTHER, 4);
	wire_record(&w, WIRE_AN, "other.test", A, 1, "\x01\x02\x03\x04", 4);
	assert_int_equal(read_as(A), DNS_FOUND);
	assert_int_equal(answer.error, ARES_SUCCESS);
	assert_int_equal(answer.values.n, 2);
	assert_string_equal(answer.values.v[0], "127.0.0.2");
	assert_string_equal(answer.values.v[1], "127.0.0.4");
	assert_memory_equal(answer.first_a, LISTED, 4);
	assert_int_equal(answer.ttl, 200);

	wire_start(&w, OK, NAME, AAAA);
	wire_record(&w, WIRE_AN, NAME, AAAA, 7, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(read_as(AAAA), DNS_FOUND);
	assert_string_equal(answer.values.v[0], "2001:db8::1");
	assert_memory_equal(answer.first_a, "\0\0\0\0", 4);
}

static void texts(void **state)
{
	(void)state;
	wire_start(&w, OK, NAME, TXT);
	wire_record(&w, WIRE_AN, NAME, TXT, 60, "\4one \0\3two", 10);
	wire_record(&w, WIRE_AN, NAME, TXT, 60, "\5nul\0x", 6);
	wire_record(&w, WIRE_AN, NAME, TXT, 60, "\4%s%n", 5);
	assert_int_equal(read_as(TXT), DNS_FOUND);
	assert_int_equal(answer.values.n, 3);
	assert_string_equal(answer.values.v[0], "one two");
	assert_string_equal(answer.values.v[1], "nul");
	assert_string_equal(answer.values.v[2], "%s%n");

	wire_start(&w, OK, NAME, TXT);
	wire_record(&w, WIRE_AN, NAME, TXT, 60, "\5four", 5);
	assert_unknown(TXT, ARES_EBADRESP);
}

static void other_types_are_found_without_values(void **state)
{
	(void)state;
	wire_start(&w, OK, NAME, MX);
	wire_record(&w, WIRE_AN, NAME, MX, 60, "\0\12\2mx\4test\0", 11);
	assert_int_equal(read_as(MX), DNS_FOUND);
	assert_int_equal(answer.values.n, 0);
	assert_int_equal(answer.ttl, 60);
}

static void aliases_are_followed_in_any_order(void **state)
{
	(void)state;
	wire_start(&w, OK, NAME, A);
	wire_record(&w, WIRE_AN, "c.test", A, 300, LISTED, 4);
	wire_cname(&w, "b.test", 20, "C.test");
	wire_cname(&w, NAME, 100, "b.test");
	wire_record(&w, WIRE_AN, NAME, A, 1, OTHER, 4); /* an alias has nothing else */
	assert_int_equal(read_as(A), DNS_FOUND);
	assert_int_equal(answer.values.n, 1);
	assert_string_equal(answer.values.v[0], "127.0.0.2");
	assert_int_equal(answer.ttl, 20);

	wire_start(&w, OK, NAME, CNAME); /* asked for the alias itself */
	wire_cname(&w, NAME, 100, "b.test");
	assert_int_equal(read_as(CNAME), DNS_FOUND);
}

static void chain(int links)
{
	char from[32] = NAME, to[32];

	wire_start(&w, OK, NAME, A);
	for (int i = 0; i < links; i++) {
		snprintf(to, sizeof to, "link%d.test", i);
		wire_cname(&w, from, 60, to);
		memcpy(from, to, sizeof from);
	}
	wire_record(&w, WIRE_AN, from, A, 60, LISTED, 4);
}

static void long_chains_and_loops_end(void **state)
{
	(void)state;
	chain(LIMIT_DNS_CHAIN);
	assert_int_equal(read_as(A), DNS_FOUND);
	chain(LIMIT_DNS_CHAIN + 1);
	assert_unknown(A, ARES_EBADRESP);

	wire_start(&w, OK, NAME, A);
	wire_cname(&w, NAME, 60, NAME);
	assert_unknown(A, ARES_EBADRESP);
}

static void absent_has_the_ttl_of_the_soa(void **state)
{
	(void)state;
	wire_start(&w, NXDOMAIN, NAME, A);
	wire_soa(&w, "bl.test", 900, 300);
	assert_int_equal(read_as(A), DNS_ABSENT);
	assert_int_equal(answer.error, ARES_ENOTFOUND);
	assert_int_equal(answer.ttl, 300); /* RFC 2308 5: the smaller one */

	wire_start(&w, OK, NAME, A);
	wire_soa(&w, "bl.test", 30, 300);
	assert_int_equal(read_as(A), DNS_ABSENT);
	assert_int_equal(answer.error, ARES_ENODATA);
	assert_int_equal(answer.ttl, 30);

	wire_start(&w, NXDOMAIN, NAME, A); /* the target of an alias does not exist */
	wire_cname(&w, NAME, 10, "gone.test");
	wire_soa(&w, "test", 900, 300);
	assert_int_equal(read_as(A), DNS_ABSENT);
	assert_int_equal(answer.ttl, 10);

	wire_start(&w, NXDOMAIN, NAME, A);
	assert_int_equal(read_as(A), DNS_ABSENT);
	assert_int_equal(answer.ttl, 0);

	wire_start(&w, NXDOMAIN, NAME, A); /* what NXDOMAIN says, records do not change */
	wire_record(&w, WIRE_AN, NAME, A, 60, LISTED, 4);
	assert_int_equal(read_as(A), DNS_ABSENT);
	assert_int_equal(answer.values.n, 0);
}

static void odd_ttls(void **state)
{
	(void)state;
	wire_start(&w, OK, NAME, A);
	wire_record(&w, WIRE_AN, NAME, A, 0x80000001, LISTED, 4);
	assert_int_equal(read_as(A), DNS_FOUND);
	assert_int_equal(answer.ttl, 0); /* RFC 2181 8 */

	wire_start(&w, NXDOMAIN, NAME, A);
	wire_soa(&w, "bl.test", 60, 0xffffffff);
	assert_int_equal(read_as(A), DNS_ABSENT);
	assert_int_equal(answer.ttl, 0);
}

static void a_referral_is_no_answer(void **state)
{
	(void)state;
	wire_start(&w, OK, NAME, A);
	wire_record(&w, WIRE_NS, "bl.test", NS, 60, "\2ns\4test\0", 9);
	assert_unknown(A, ARES_EBADRESP);

	wire_start(&w, OK | 0x0400, NAME, A); /* authoritative: the name has no such record */
	wire_record(&w, WIRE_NS, "bl.test", NS, 60, "\2ns\4test\0", 9);
	assert_int_equal(read_as(A), DNS_ABSENT);
}

static void errors_are_unknown(void **state)
{
	static const int codes[16] = {
	    [1] = ARES_EFORMERR, [2] = ARES_ESERVFAIL, [4] = ARES_ENOTIMP, [5] = ARES_EREFUSED};

	(void)state;
	for (unsigned rcode = 1; rcode < 16; rcode++) {
		if (rcode == 3)
			continue; /* NXDOMAIN */
		wire_start(&w, 0x8180 | rcode, NAME, A);
		wire_record(&w, WIRE_AN, NAME, A, 60, LISTED, 4);
		assert_unknown(A, codes[rcode] ? codes[rcode] : ARES_EBADRESP);
	}
}

static void answers_to_something_else_are_unknown(void **state)
{
	static const struct {
		unsigned flags;
		const char *name;
		unsigned type;
	} wrong[] = {
	    {OK, "3.0.0.127.bl.test", A}, {OK, NAME ".evil.test", A}, {OK, NAME, TXT},
	    {0x0100, NAME, A}, /* a question */
	    {0x8380, NAME, A}, /* truncated */
	    {0x9180, NAME, A}, /* another opcode */
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		wire_start(&w, wrong[i].flags, wrong[i].name, wrong[i].type);
		wire_record(&w, WIRE_AN, NAME, A, 60, LISTED, 4);
		assert_unknown(A, ARES_EBADRESP);
	}
	wire_start(&w, OK, NAME, A);
	wire_name(&w, NAME);
	wire_32(&w, 0x00010001);
	wire_count(&w, WIRE_QD); /* two questions */
	assert_unknown(A, ARES_EBADRESP);
}

static void every_cut_is_unknown(void **state)
{
	size_t whole;

	(void)state;
	wire_start(&w, OK, NAME, A);
	wire_cname(&w, NAME, 100, "b.test");
	wire_record(&w, WIRE_AN, "b.test", A, 300, LISTED, 4);
	assert_int_equal(read_as(A), DNS_FOUND);
	whole = w.n;
	for (w.n = 0; w.n < whole; w.n++)
		assert_unknown(A, ARES_EBADRESP);
	w.n = whole;
	wire_16(&w, 0); /* and so is something behind the end */
	assert_unknown(A, ARES_EBADRESP);

	wire_start(&w, NXDOMAIN, NAME, A);
	wire_soa(&w, "bl.test", 900, 300);
	whole = w.n;
	for (w.n = 0; w.n < whole; w.n++)
		assert_unknown(A, ARES_EBADRESP);
}

static void wrong_lengths_are_unknown(void **state)
{
	(void)state;
	for (size_t n = 0; n < 8; n++) {
		if (n == 4)
			continue;
		wire_start(&w, OK, NAME, A);
		wire_record(&w, WIRE_AN, NAME, A, 300, LISTED, 4);
		wire_record(&w, WIRE_AN, NAME, A, 300, "\x7f\0\0\2\0\0\0\0", n);
		assert_unknown(A, ARES_EBADRESP); /* the good record before it does not count */
	}
	wire_start(&w, OK, NAME, A);
	wire_record(&w, WIRE_AN, NAME, CNAME, 300, "\1b\4test\0junk", 12);
	assert_unknown(A, ARES_EBADRESP);
	wire_start(&w, NXDOMAIN, NAME, A);
	wire_record(&w, WIRE_NS, "bl.test", 6, 300, "\0\0\0\0\0\0", 6);
	assert_unknown(A, ARES_EBADRESP);
}

static void too_much_is_unknown(void **state)
{
	static const char zeros[LIMIT_DNS_MESSAGE_BYTES];

	(void)state;
	wire_start(&w, OK, NAME, A);
	for (int i = 0; i < LIMIT_DNS_RECORDS; i++)
		wire_record(&w, WIRE_AN, "", A, 60, LISTED, 4);
	assert_int_equal(read_as(A), DNS_ABSENT); /* all of the root: the limit itself is read */
	wire_record(&w, WIRE_AN, NAME, A, 60, LISTED, 4);
	assert_unknown(A, ARES_EBADRESP);

	wire_start(&w, OK, NAME, A);
	wire_record(&w, WIRE_AN, NAME, TXT, 60, zeros, sizeof zeros);
	assert_unknown(A, ARES_EBADRESP);
}

/* Pointers to pointers to pointers: the most work that the limits allow (R5). */
static void hostile_compression_is_quick(void **state)
{
	struct timespec from, to;
	size_t first;

	(void)state;
	wire_start(&w, OK, NAME, A);
	w.bytes[WIRE_AN] = LIMIT_DNS_RECORDS >> 8;
	w.bytes[WIRE_AN + 1] = LIMIT_DNS_RECORDS & 255;
	/* one TXT record that holds a ladder of pointers ... */
	wire_16(&w, 0xc00c);
	wire_16(&w, TXT);
	wire_16(&w, 1);
	wire_32(&w, 60);
	wire_16(&w, 8000);
	first = w.n;
	wire_16(&w, 0xc00c);
	while (w.n < first + 8000)
		wire_16(&w, 0xc000 | (unsigned)(w.n - 2));
	/* ... and records whose names begin at its top */
	for (int i = 1; i < LIMIT_DNS_RECORDS; i++) {
		wire_16(&w, 0xc000 | (unsigned)(first + 7998));
		wire_16(&w, A);
		wire_16(&w, 1);
		wire_32(&w, 60);
		wire_16(&w, 4);
		wire_32(&w, 0x7f000002);
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	read_as(A);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec <= 1);
	assert_true(w.n <= LIMIT_DNS_MESSAGE_BYTES); /* else it proved nothing */
	assert_int_equal(answer.status, DNS_FOUND);
}

/* Change good messages at random: whatever comes out is one of the three answers, complete. */
static void mutations_are_harmless(void **state)
{
	uint64_t seed = 20240229;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		wire_start(&w, i % 3 ? OK : NXDOMAIN, NAME, i % 2 ? A : TXT);
		wire_cname(&w, NAME, 100, "b.test");
		wire_record(&w, WIRE_AN, "b.test", A, 300, LISTED, 4);
		wire_record(&w, WIRE_AN, "b.test", TXT, 300, "\3one\3two", 8);
		wire_soa(&w, "bl.test", 900, 300);
		for (uint32_t n = random_next(&seed) % 4 + 1; n > 0; n--)
			w.bytes[random_next(&seed) % w.n] = (unsigned char)random_next(&seed);
		w.n -= random_next(&seed) % 8 == 0 ? random_next(&seed) % w.n : 0;
		switch (read_as(i % 2 ? A : TXT)) {
		case DNS_FOUND:
			assert_int_equal(answer.error, ARES_SUCCESS);
			assert_true(answer.values.n > 0);
			break;
		case DNS_ABSENT:
			assert_true(answer.error == ARES_ENOTFOUND || answer.error == ARES_ENODATA);
			assert_int_equal(answer.values.n, 0);
			break;
		case DNS_UNKNOWN:
			assert_int_not_equal(answer.error, ARES_SUCCESS);
			assert_int_equal(answer.values.n, 0);
			break;
		}
	}
}

static void names(void **state)
{
	static const char *const good[] = {"a", "a.", "bl.test", "2.0.0.127.bl.test", "_dmarc.x.de",
	    "xn--bcher-kva.example", "-odd-.example", "A.B"};
	/* R17: what an MX record or a script may hold instead of a name */
	static const char *const bad[] = {"", ".", "..", "a..b", ".a", "a b", "a\nb", "a\tb",
	    "x' OR '1'='1.evil.example", "a;b", "a/b", "a\\.b",
	    "b\xfc"
	    "cher.example",
	    "*.example", "a%sb", "a.b..", "user@example", "[192.0.2.1]", "a\x7f"};
	char label[70], longest[300] = "";

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(dns_name_valid(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(dns_name_valid(bad[i]));
	memset(label, 'a', sizeof label);
	label[63] = '\0';
	assert_true(dns_name_valid(label));
	label[63] = 'a';
	label[64] = '\0';
	assert_false(dns_name_valid(label));
	for (int i = 0; i < 127; i++)
		memcpy(longest + 2 * (size_t)i, "a.", 2);
	assert_true(dns_name_valid(longest)); /* 253 and a dot */
	memmove(longest + 1, longest, sizeof longest - 1);
	assert_false(dns_name_valid(longest));

	assert_true(dns_name_same("a.Test", "A.test."));
	assert_false(dns_name_same("a.test", "a.tes"));
	assert_false(dns_name_same("a.test", "b.test"));
	assert_true(dns_name_same("", "."));
}

static void plain_names(void **state)
{
	static const char *const names[][2] = {
	    {"A.Test.", "a.test"},
	    {"xn--BCHER-kva.example", "xn--bcher-kva.example"},
	    {"b\xc3\xbc"
	     "cher.example",
		"xn--bcher-kva.example"},
	    {"B\xc3\x9c"
	     "CHER.Example.",
		"xn--bcher-kva.example"},
	    {"stra\xc3\x9f"
	     "e.example",
		"xn--strae-oqa.example"}, /* not strasse, as in IDNA2003 */
	    {"a\xe3\x80\x82test", "a.test"},
	    {"b\xfc"
	     "cher.example",
		NULL}, /* not UTF-8 */
	    {"\xc3\xbc'or'1.example", NULL},
	    {"\xe2\x80\xae.example", NULL},
	    {"\xc2\xad", NULL},
	    {"a b.example", NULL},
	    {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *plain = dns_name_plain(names[i][0]);

		if (names[i][1] == NULL && plain != NULL)
			fail_msg("\"%s\" is taken for \"%s\"", names[i][0], plain);
		if (names[i][1] != NULL) {
			assert_non_null(plain);
			assert_string_equal(plain, names[i][1]);
		}
		free(plain);
	}
}

static int clear(void **state)
{
	(void)state;
	dns_answer_clear(&answer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(other_types_are_found_without_values),
	    cmocka_unit_test(aliases_are_followed_in_any_order),
	    cmocka_unit_test(long_chains_and_loops_end),
	    cmocka_unit_test(absent_has_the_ttl_of_the_soa),
	    cmocka_unit_test(odd_ttls),
	    cmocka_unit_test(a_referral_is_no_answer),
	    cmocka_unit_test(errors_are_unknown),
	    cmocka_unit_test(answers_to_something_else_are_unknown),
	    cmocka_unit_test(every_cut_is_unknown),
	    cmocka_unit_test(wrong_lengths_are_unknown),
	    cmocka_unit_test(too_much_is_unknown),
	    cmocka_unit_test(hostile_compression_is_quick),
	    cmocka_unit_test(mutations_are_harmless),
	    cmocka_unit_test(names),
	    cmocka_unit_test(plain_names),
	};

	return cmocka_run_group_tests(tests, NULL, clear);
}
