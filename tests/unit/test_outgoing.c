/* What a script may put into a message or an envelope: R9 and R10 stand or fall here. */
#include "common/limits.h"
#include "common/outgoing.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ROUNDS 300000

/* ---- examples ---- */

static void expect(const char *what, const char *why, bool sound)
{
	if ((why == NULL) != sound)
		fail_msg("\"%s\": %s", what, why != NULL ? why : "not refused");
}

static void test_header_names(void **state)
{
	static const char *const sound[] = {"Subject", "X-Spam-Flag", "x", "!#$%&'*+-./", "~"};
	static const char *const refused[] = {"", "Bad Name", "a:", ":", " a", "a ", "a\r", "a\nb",
	    "a\tb", "\xc3\xa9", "a\177", "a\xff"};
	char name[LIMIT_HEADER_NAME_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < sizeof sound / sizeof *sound; i++)
		expect(sound[i], outgoing_header_name(sound[i]), true);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		expect(refused[i], outgoing_header_name(refused[i]), false);
	memset(name, 'x', sizeof name);
	name[LIMIT_HEADER_NAME_BYTES + 1] = '\0';
	expect("too long", outgoing_header_name(name), false);
	name[LIMIT_HEADER_NAME_BYTES] = '\0';
	expect("as long as may be", outgoing_header_name(name), true);
}

static void test_header_values(void **state)
{
	static const struct {
		const char *value, *normal; /* NULL: refused */
	} cases[] = {
	    {"v", " v"},
	    {" v", " v"},
	    {"\tv", "\tv"},
	    {"", " "},
	    {"  two", "  two"},
	    {"v\r\n", " v"},
	    {"v\n\n\r\n", " v"},
	    {"v\r", " v"},
	    {"a\r\n b", " a\n b"},
	    {"a\n\tb", " a\n\tb"},
	    {"a\n  b\r\n\tc\n", " a\n  b\n\tc"},
	    {"\n b", " \n b"},
	    {"a\n \n b", " a\n b"}, /* a line of blanks could be taken for the header's end */
	    {"a\n \t \r\n\t", " a"},
	    {"a \n b ", " a \n b "},
	    {"a\nb", NULL},
	    {"a\r\nBcc: b", NULL},
	    {"a\n\n b", NULL},
	    {"a\r\n\r\nbody", NULL},
	    {"a\rb", NULL},
	    {"a\r b", NULL},
	    {"a\rb c", NULL},
	    {"a\r\r\n b", NULL},
	    {"a\n \nb", NULL},
	    {"\nBcc: b", NULL},
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *normal = outgoing_header_value(cases[i].value, &why);

		expect(cases[i].value, why, cases[i].normal != NULL);
		if (normal != NULL)
			assert_string_equal(normal, cases[i].normal);
		free(normal);
	}
}

static void test_long_header_value(void **state)
{
	char *value = malloc(LIMIT_HEADER_VALUE_BYTES + 10), *normal;
	const char *why;

	(void)state;
	memset(value, 'x', LIMIT_HEADER_VALUE_BYTES + 9);
	value[LIMIT_HEADER_VALUE_BYTES - 1] = '\0';
	normal = outgoing_header_value(value, &why);
	assert_non_null(normal);
	assert_int_equal(strlen(normal), LIMIT_HEADER_VALUE_BYTES);
	free(normal);
	value[LIMIT_HEADER_VALUE_BYTES - 1] = 'x';
	value[LIMIT_HEADER_VALUE_BYTES] = '\0';
	assert_null(outgoing_header_value(value, &why));
	assert_non_null(strstr(why, "too long"));
	free(value);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *address;
		bool new, known;
	} cases[] = {
	    {"user@example.com", true, true},
	    {"user", true, true},
	    {"a..b.@example.com", true, true},
	    {"SRS0=HHH=TT=example.org=user@example.com", true, true},
	    {"prvs=1234abcdef=user@example.com", true, true},
	    {"user+tag=x%y!z@[192.0.2.1]", true, true},
	    {"user@[IPv6:2001:db8::1]", true, true},
	    {"\"a b\"@example.com", true, true},
	    {"\"a\\\"b<c>,;\"@example.com", true, true},
	    {"m\xc3\xbcller@m\xc3\xbcller.example", true, true},
	    {"$(reboot)@example.com", false, true},
	    {"`reboot`@example.com", true, true}, /* atoms to RFC 5322, and never seen by a shell */
	    {"a,b@example.com", false, true},	  /* two recipients to Sendmail */
	    {"a;b@example.com", false, false},
	    {"a(comment)@example.com", false, true},
	    {":include:/etc/passwd", false, true},
	    {"|/bin/sh", false, true},
	    {"/etc/passwd", false, true},
	    {"\"|/bin/sh\"", false, true},
	    {"@relay:user@example.com", false, false},
	    {"a\\@b@example.com", false, true},
	    {"a@b@example.com", false, true},
	    {"user@", false, true},
	    {"@example.com", false, true},
	    {"user@exa mple.com", false, false},
	    {"user@[1.2.3.4", false, true},
	    {"user@[]", false, true},
	    {"user@a,b", false, true},
	    {"", false, false},
	    {"<user@example.com>", false, false},
	    {"user@example.com>", false, false},
	    {"user@example.com> NOTIFY=NEVER", false, false},
	    {"us er@example.com", false, false},
	    {" user@example.com", false, false},
	    {"user@example.com\r\nRCPT TO:<x@y>", false, false},
	    {"user@example.com\n", false, false},
	    {"user\t@example.com", false, false},
	    {"\"a\rb\"@example.com", false, false},
	    {"\"a\tb\"@example.com", false, false},
	    {"\"a\\\n\"@example.com", false, false},
	    {"\"a@example.com", false, false},
	    {"\"a\\\"@example.com", false, false},
	    {"\"a\"b@example.com", false, true},
	    {"user@example.com\\", false, false},
	    {"user\177@example.com", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		expect(cases[i].address, outgoing_address(cases[i].address), cases[i].new);
		expect(cases[i].address, outgoing_known_address(cases[i].address), cases[i].known);
	}
}

/* R5: length first, then parsing; and parsing is one pass. */
static void test_r5_long_addresses(void **state)
{
	static const char units[] = "\"\\<@[(,a|";
	size_t size = 64u << 10;
	char *address = malloc(size + 1);
	clock_t start = clock();

	(void)state;
	for (const char *unit = units; *unit != '\0'; unit++) {
		memset(address, *unit, size);
		address[size] = '\0';
		expect("64 KB", outgoing_address(address), false);
		expect("64 KB", outgoing_known_address(address), false);
		expect("64 KB", outgoing_parameters(address), false);
		address[LIMIT_ADDRESS_BYTES] = '\0';
		for (int i = 0; i < 1000; i++) {
			outgoing_address(address);
			outgoing_known_address(address);
		}
	}
	memset(address, 'a', LIMIT_ADDRESS_BYTES);
	address[LIMIT_ADDRESS_BYTES] = '\0';
	expect("as long as may be", outgoing_address(address), true);
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10);
	free(address);
}

static void test_parameters(void **state)
{
	static const char *const sound[] = {"NOTIFY=NEVER", "SMTPUTF8",
	    "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;orig@x", "RET=HDRS ENVID=a+2Bb", "AUTH=<>",
	    "X-2=1 8BIT-X"};
	static const char *const refused[] = {"", " ", " A=b", "A=b ", "A=b  C=d", "A=", "=b", "-A",
	    "A=b=c", "A=b\r\nRCPT TO:<x@y>", "A=b\tC=d", "A:b", "A=\xc3\xa9", "A=b\n", "A= b",
	    "A=b;C=\177"};
	char many[3 * (LIMIT_PARAMETERS + 1)];

	(void)state;
	for (size_t i = 0; i < sizeof sound / sizeof *sound; i++)
		expect(sound[i], outgoing_parameters(sound[i]), true);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		expect(refused[i], outgoing_parameters(refused[i]), false);
	for (size_t i = 0; i <= LIMIT_PARAMETERS; i++)
		memcpy(many + 3 * i, "AB ", 3);
	many[sizeof many - 1] = '\0';
	expect("one too many", outgoing_parameters(many), false);
	many[sizeof many - 4] = '\0';
	expect("as many as may be", outgoing_parameters(many), true);
}

static void test_bodies(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"", ""},
	    {"a", "a\r\n"},
	    {"a\n", "a\r\n"},
	    {"a\r\n", "a\r\n"},
	    {"a\r", "a\r\n"},
	    {"a\nb\r\nc\rd", "a\r\nb\r\nc\r\nd\r\n"},
	    {"a\n.\nMAIL FROM:<x@y>\r\n.\r\n", "a\r\n.\r\nMAIL FROM:<x@y>\r\n.\r\n"},
	    {"a\r\n.\rb", "a\r\n.\r\nb\r\n"},
	    {"\n\n", "\r\n\r\n"},
	    {"\r\r\n", "\r\n\r\n"},
	    {"\n\r", "\r\n\r\n"},
	};
	const char *why;
	size_t size;
	char *body;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		body = outgoing_body(cases[i].in, strlen(cases[i].in), &size, &why);
		assert_non_null(body);
		assert_string_equal(body, cases[i].out);
		assert_int_equal(size, strlen(cases[i].out));
		free(body);
	}
	body = outgoing_body(NULL, 0, &size, &why);
	assert_string_equal(body, "");
	free(body);
	body = outgoing_body("a\0\nb", 4, &size, &why);
	assert_int_equal(size, 7);
	assert_memory_equal(body, "a\0\r\nb\r\n", 7);
	free(body);
}

/* ---- properties, checked by readers that share no code with what they check ---- */

/* The wire form of one field, read by the most gullible of receivers: CR, LF or both end a line,
 * and a line of white space ends the header. Returns the number of fields it sees, -1 for a body.
 */
static int fields_seen(const char *wire)
{
	int fields = 0;

	while (*wire != '\0') {
		size_t n = strcspn(wire, "\r\n");

		if (strspn(wire, " \t") >= n)
			return -1;
		fields += *wire != ' ' && *wire != '\t';
		wire += n;
		wire += wire[0] == '\r' && wire[1] == '\n' ? 2 : *wire != '\0';
	}
	return fields;
}

static void expect_one_field(const char *name, const char *value)
{
	size_t size = strlen(name) + 2 * strlen(value) + 4, n;
	char *wire = malloc(size), *out;

	n = (size_t)snprintf(wire, size, "%s:", name);
	out = wire + n;
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\n')
			*out++ = '\r';
		*out++ = *p;
	}
	memcpy(out, "\r\n", 3);
	if (fields_seen(wire) != 1)
		fail_msg("%d fields: %s", fields_seen(wire), wire);
	free(wire);
}

static void test_r10_header_property(void **state)
{
	static const char likely[] = "ab: \t\r\n\r\n \n\t.-";
	uint64_t seed = 10;
	char value[200], name[20];
	int accepted = 0, folded = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		const char *why;
		char *normal, *again;

		random_bytes(&seed, value, i % 3 == 0 ? 12 : 40, likely, sizeof likely);
		random_bytes(&seed, name, 6, "Xab-", 4);
		normal = outgoing_header_value(value, &why);
		if (outgoing_header_name(name) == NULL && normal != NULL) {
			accepted++;
			folded += strchr(normal, '\n') != NULL;
			expect_one_field(name, normal);
			assert_true(*normal == ' ' || *normal == '\t');
			again = outgoing_header_value(normal, &why);
			assert_string_equal(again, normal);
			free(again);
		}
		free(normal);
	}
	assert_true(accepted > 5000 && folded > 500); /* or the test proves nothing */
}

/* Reads `<path> parameters CRLF` as RFC 5321 4.1.1.11 says; false: it is anything else. */
static bool one_command(const char *wire, const char *address, const char *parameters)
{
	bool quoted = false;
	const char *p;

	if (*wire++ != '<')
		return false;
	for (p = wire; quoted || *p != '>'; p++) {
		if (*p == '\0' || *p == '\r' || *p == '\n' ||
		    (!quoted && (*p == ' ' || *p == '<' || *p == ',')))
			return false;
		if (*p == '"')
			quoted = !quoted;
		if (*p == '\\' && *++p == '\0')
			return false;
	}
	if ((size_t)(p - wire) != strlen(address))
		return false;
	p++;
	while (*p == ' ') {
		size_t n = strcspn(++p, " \r\n");

		if (n == 0)
			return false;
		p += n;
	}
	return strcmp(p, "\r\n") == 0 && (size_t)(p - wire) >= strlen(parameters);
}

static void test_r10_command_property(void **state)
{
	static const char likely[] = "aab@@.\"\"\\< >,=[]|";
	static const char likely_parameters[] = "ABC==  ab-1+";
	uint64_t seed = 5;
	char address[60], parameters[60], wire[200];
	int fresh = 0, quoted = 0, known = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		bool is_fresh;

		random_bytes(&seed, address, i % 2 == 0 ? 10 : 30, likely, sizeof likely - 1);
		do
			random_bytes(
			    &seed, parameters, 12, likely_parameters, sizeof likely_parameters - 1);
		while (outgoing_parameters(parameters) != NULL);
		is_fresh = outgoing_address(address) == NULL;
		snprintf(wire, sizeof wire, "<%s> %s\r\n", address, parameters);
		if (is_fresh) {
			fresh++;
			quoted += address[0] == '"';
			if (!one_command(wire, address, parameters))
				fail_msg("accepted: %s", wire);
			expect(address, outgoing_known_address(address), true);
		}
		if (outgoing_known_address(address) == NULL) {
			known++;
			assert_null(strpbrk(address, "\r\n"));
			assert_true(
			    strchr(address, ',') != NULL || one_command(wire, address, parameters));
		}
	}
	assert_true(fresh > 5000 && quoted > 20 && known > 5000);
}

/* R9: whatever bytes a script hands over, the body has no line end but CR LF, and no text is lost.
 */
static void test_r9_body_property(void **state)
{
	static const char likely[] = "..\r\n\r\n\n\ra";
	uint64_t seed = 9;
	char in[100];

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		size_t n = random_bytes(&seed, in, 30, likely, sizeof likely), size, texts = 0;
		const char *why;
		char *body = outgoing_body(in, n, &size, &why);

		for (size_t k = 0; k < size; k++) {
			if (body[k] == '\r')
				assert_true(k + 1 < size && body[k + 1] == '\n');
			else if (body[k] == '\n')
				assert_true(k > 0 && body[k - 1] == '\r');
			else
				texts++;
		}
		for (size_t k = 0; k < n; k++)
			texts -= in[k] != '\r' && in[k] != '\n';
		assert_int_equal(texts, 0);
		assert_true(size == 0 || body[size - 1] == '\n');
		free(body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_header_names),
	    cmocka_unit_test(test_header_values),
	    cmocka_unit_test(test_long_header_value),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_r5_long_addresses),
	    cmocka_unit_test(test_parameters),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_r10_header_property),
	    cmocka_unit_test(test_r10_command_property),
	    cmocka_unit_test(test_r9_body_property),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
