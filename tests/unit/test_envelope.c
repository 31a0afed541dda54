/* MAIL and RCPT arguments as both MTAs hand them over, and hostile ones. */
#include "common/envelope.h"
#include "common/limits.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* libmilter's type is char **; nothing writes to the words. */
static void parse(struct envelope_address *e, const char **words)
{
	envelope_address_parse(e, (char **)words);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *argument;
		const char *address;
	} cases[] = {
	    {"<a@b>", "a@b"},
	    {"a@b", "a@b"}, /* local submission on Postfix (trap T17) */
	    {"", ""},	    /* its null sender */
	    {"<>", ""},
	    {"< a@b >", "a@b"},
	    {" a@b\t", "a@b"},
	    {"<a>", "a"},
	    {"<@x,@y:a@b>", "a@b"},
	    {"<@[IPv6:2001:db8::1]:a@b>", "a@b"},
	    {"<@x>", "@x"},
	    {"@x:a@b", "a@b"},
	    {"<\"a>b\"@c>", "\"a>b\"@c"},
	    {"<\"a\\\">b\"@c>", "\"a\\\">b\"@c"},
	    {"<a\\>b@c>", "a\\>b@c"},
	    {"<\"@x:y\"@c>", "\"@x:y\"@c"},
	    {"Some One <a@b>", "a@b"},
	    {"\"<x>\" <a@b>", "a@b"},
	    {"<a@b> trailing", "a@b"},
	    {"<a@b", "a@b"},
	    {"a@b>", "a@b>"},
	    {"<<a@b>>", "<a@b"},
	    {"<a@[1.2.3.4]>", "a@[1.2.3.4]"},
	    {"joe blow@b", "joe blow@b"}, /* internal form: the local part has a blank */
	    {"<joe @ b>", "joe@b"},
	    {"<\"joe blow\" @b>", "\"joe blow\"@b"},
	    {"<a(x)@b>", "a@b"},
	    {"<(x(y)\\)z)a@(\"b>", "a@"},
	    {"<(x(y)\\)z)a@b>", "a@b"},
	    {"<\"(\"@b>", "\"(\"@b"},
	    {"<a@[1 (2]>", "a@[1 (2]"},
	    {"<(x)@y:a@b>", "@y:a@b"}, /* doubtful, too */
	    {"<(x)>", ""},	       /* null senders */
	    {"<(a@b>", ""},
	    {"(x)", ""},
	    {"<\"\">", ""},
	    {"\"\"", ""},
	    {"<x:;>", ""},
	    {"<x (y) : ;>", ""},
	    {"<;>", ""},
	    {"<\"\"@b>", "\"\"@b"},
	    {"<x:;y>", "x:;y"},
	    {"<x : a@b ;>", "x:a@b;"}, /* Postfix takes a@b, Sendmail x:a@b (observed) */
	    {"<m\xc3\xbcller@b>", "m\xc3\xbcller@b"},
	    {"<%s%n@b>", "%s%n@b"},
	    {"\\", "\\"},
	    {"<\\", "\\"},
	    {"\"", "\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *argv[] = {cases[i].argument, NULL};
		struct envelope_address e;

		parse(&e, argv);
		assert_string_equal(e.address, cases[i].address);
		assert_string_equal(e.raw, cases[i].argument);
		assert_int_equal(e.nparameters, 0);
		assert_false(e.too_long);
		envelope_address_free(&e);
	}
}

/* What MTAs read in different ways is told apart from what they agree on. */
static void test_doubtful_addresses(void **state)
{
	static const struct {
		const char *argument;
		bool doubtful;
	} cases[] = {{"<x:;y>", true}, {"<x : a@b ;>", true}, {"<a;b@c>", true},
	    {"<(x)@y:a@b>", true}, {"x:a@b;", true}, {"<a@b>", false}, {"<>", false},
	    {"<x:;>", false}, {"<;>", false}, {"<@x,@y:a@b>", false}, {"<@x>", false},
	    {"<\"a;b\"@c>", false}, {"<a\\;b@c>", false}, {"<a@[1;2]>", false}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *argv[] = {cases[i].argument, NULL};
		struct envelope_address e;

		parse(&e, argv);
		assert_int_equal(e.doubtful, cases[i].doubtful);
		envelope_address_free(&e);
	}
}

static void test_parameters(void **state)
{
	const char *argv[] = {"<a@b>", "SIZE=100", "Body=8BITMIME", "SMTPUTF8", "AUTH=<>",
	    "envid=a=b", "", "=x", "RET=", "size=7", NULL};
	struct envelope_address e;

	(void)state;
	parse(&e, argv);
	assert_string_equal(e.address, "a@b");
	assert_string_equal(
	    e.raw, "<a@b> SIZE=100 Body=8BITMIME SMTPUTF8 AUTH=<> envid=a=b  =x RET= size=7");
	assert_int_equal(e.nparameters, 7);
	assert_string_equal(e.parameters[1].keyword, "BODY");
	assert_string_equal(e.parameters[1].value, "8BITMIME");
	assert_string_equal(e.parameters[4].keyword, "ENVID");
	assert_string_equal(envelope_parameter(&e, "size"), "100"); /* the first one */
	assert_string_equal(envelope_parameter(&e, "SMTPUTF8"), "");
	assert_string_equal(envelope_parameter(&e, "Auth"), "<>");
	assert_string_equal(envelope_parameter(&e, "ENVID"), "a=b");
	assert_string_equal(envelope_parameter(&e, "RET"), "");
	assert_null(envelope_parameter(&e, "NOTIFY"));
	envelope_address_free(&e);
	assert_null(e.address);
	envelope_address_free(&e); /* zeroed: fine */
}

static void test_no_argument_at_all(void **state)
{
	char *argv[] = {NULL};
	struct envelope_address e;

	(void)state;
	envelope_address_parse(&e, argv);
	assert_string_equal(e.address, "");
	assert_string_equal(e.raw, "");
	assert_null(envelope_parameter(&e, "SIZE"));
	envelope_address_free(&e);
}

static char *filled(const char *before, char c, size_t n, const char *after)
{
	size_t b = strlen(before), a = strlen(after);
	char *s = malloc(b + n + a + 1);

	memcpy(s, before, b);
	memset(s + b, c, n);
	memcpy(s + b + n, after, a + 1);
	return s;
}

static void expect_length(const char *before, size_t n, const char *after, bool too_long)
{
	char *argv[] = {filled(before, 'a', n, after), NULL};
	struct envelope_address e;

	envelope_address_parse(&e, argv);
	assert_int_equal(e.too_long, too_long);
	assert_true(strlen(e.address) <= LIMIT_ADDRESS_BYTES);
	assert_true(e.address[0] != '\0'); /* never taken for the null sender */
	assert_true(strlen(e.raw) <= LIMIT_COMMAND_BYTES);
	envelope_address_free(&e);
	free(argv[0]);
}

static void test_address_length(void **state)
{
	(void)state;
	expect_length("<", LIMIT_ADDRESS_BYTES - 2, "@b>", false);
	expect_length("<", LIMIT_ADDRESS_BYTES - 1, "@b>", true);
	expect_length("<@x,@y:", LIMIT_ADDRESS_BYTES - 2, "@b>", false);
	expect_length("<@x,@y:", LIMIT_ADDRESS_BYTES - 1, "@b>", true);
	expect_length("", LIMIT_ADDRESS_BYTES, "", false);
	expect_length("", LIMIT_ADDRESS_BYTES + 1, "", true);
	for (size_t n = 2 * LIMIT_ADDRESS_BYTES - 8; n < 2 * LIMIT_ADDRESS_BYTES + 8; n++)
		expect_length("<", n, "@b>", true);
	expect_length("<", 1u << 20, "@b>", true);
}

/* R5: 64 KB local parts, of every character that could make a parser look twice. */
static void test_r5_long_addresses(void **state)
{
	static const char units[] = "a\"\\<>@:,[] \t(=";
	clock_t start = clock();

	(void)state;
	for (const char *unit = units; *unit != '\0'; unit++) {
		char *huge = filled("<", *unit, 64u << 10, "@b>");
		char *large = filled("<", *unit, 2 * LIMIT_ADDRESS_BYTES - 10, "@b>");
		char *sets[][4] = {{huge, NULL}, {large, NULL}, {large, huge, large, NULL}};

		for (int i = 0; i < 3000; i++) {
			struct envelope_address e;

			envelope_address_parse(&e, sets[i % 3]);
			assert_true(strlen(e.raw) <= LIMIT_COMMAND_BYTES);
			envelope_address_free(&e);
		}
		free(huge);
		free(large);
	}
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 20);
}

static void test_parameters_are_bounded(void **state)
{
	char *huge = filled("A=", 'x', LIMIT_ADDRESS_BYTES, "");
	const char *argv[LIMIT_PARAMETERS + 4];
	struct envelope_address e;

	(void)state;
	argv[0] = "<a@b>";
	for (size_t i = 1; i < LIMIT_PARAMETERS + 3; i++)
		argv[i] = i == LIMIT_PARAMETERS ? "LAST=1" : "K=v";
	argv[LIMIT_PARAMETERS + 1] = "BEYOND=1";
	argv[LIMIT_PARAMETERS + 3] = NULL;
	parse(&e, argv);
	assert_int_equal(e.nparameters, LIMIT_PARAMETERS);
	assert_string_equal(envelope_parameter(&e, "LAST"), "1");
	assert_null(envelope_parameter(&e, "BEYOND"));
	envelope_address_free(&e);

	for (size_t i = 1; i < LIMIT_PARAMETERS; i++)
		argv[i] = huge; /* not a parameter of this world */
	parse(&e, argv);
	assert_string_equal(e.address, "a@b");
	assert_null(envelope_parameter(&e, "A"));
	assert_string_equal(envelope_parameter(&e, "LAST"), "1");
	assert_int_equal(strlen(e.raw), LIMIT_COMMAND_BYTES);
	envelope_address_free(&e);
	free(huge);
}

/* Are the bytes of s bytes of text, in their order? */
static bool is_within(const char *s, const char *text)
{
	for (; *s != '\0'; s++, text++)
		if ((text = strchr(text, *s)) == NULL)
			return false;
	return true;
}

/* Any bytes: no crash, and what comes out was in what went in. */
static void test_r5_any_bytes(void **state)
{
	static const char likely[] = "<>@,:\"\\ []()ab=A";
	uint64_t seed = 17;
	char words[3][40];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char *argv[4] = {words[0], words[1], words[2], NULL};
		struct envelope_address e;

		for (int k = 0; k < 3; k++)
			random_bytes(&seed, words[k], 25, likely, sizeof likely - 1);
		argv[random_next(&seed) % 4] = NULL;
		envelope_address_parse(&e, argv);
		assert_true(is_within(e.address, argv[0] != NULL ? argv[0] : ""));
		for (size_t k = 0; k < e.nparameters; k++) {
			assert_true(e.parameters[k].keyword[0] != '\0');
			assert_null(strchr(e.parameters[k].keyword, '='));
			assert_null(strchr(e.parameters[k].keyword, 'a'));
			assert_non_null(strstr(e.raw, e.parameters[k].value));
		}
		envelope_address_free(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_doubtful_addresses),
	    cmocka_unit_test(test_parameters),
	    cmocka_unit_test(test_no_argument_at_all),
	    cmocka_unit_test(test_address_length),
	    cmocka_unit_test(test_r5_long_addresses),
	    cmocka_unit_test(test_parameters_are_bounded),
	    cmocka_unit_test(test_r5_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
