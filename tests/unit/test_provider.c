/* test_provider.c - who runs a mail host, by the public suffix list; names that hosts choose (R17).
 */
#include "common/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_providers(void **state)
{
	static const struct {
		const char *host, *provider; /* "" = none */
	} cases[] = {
	    {"mx1.mail.example.com", "example.com"},
	    {"example.com", "example.com"},
	    {"MX1.Example.CO.UK", "example.co.uk"},
	    {"mx1.example.com.", "example.com"},
	    {"a_b.example-1.de", "example-1.de"},
	    {"mx.customer.github.io", "customer.github.io"}, /* a private suffix */
	    {"mx1.one.test", "one.test"},		     /* not on the list */
	    {"co.uk", ""},
	    {"com", ""},
	    {"", ""},
	    {".", ""},
	    {"..", ""},
	    {"mx..example.com", ""},
	    {".example.com", ""},
	    {"192.0.2.1", ""},
	    {"2001:db8::1", ""},
	    {"x' OR '1'='1.evil.example", ""},
	    {"mx\n.example.com", ""},
	    {"mx.ex\xc3\xa4mple.com", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char out[256] = "x";

		assert_int_equal(
		    provider_of(cases[i].host, out, sizeof out), cases[i].provider[0] != '\0');
		assert_string_equal(out, cases[i].provider);
	}
}

static void test_long_names(void **state)
{
	char host[1000], out[256], small[8];

	(void)state;
	memset(host, 'a', sizeof host);
	memcpy(host + sizeof host - 5, ".com", 5);
	assert_false(provider_of(host, out, sizeof out));
	assert_false(provider_of("mx.example.com", small, sizeof small));
	assert_string_equal(small, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_providers),
	    cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
