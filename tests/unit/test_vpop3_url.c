/* VPOP3.ParseURL: parts of URLs, and what is none. */
#include "tests/unit/lua_rig_setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void expect(const char *url, const char *parts)
{
	char code[1000];

	snprintf(code, sizeof code,
	    "local p, why = VPOP3.ParseURL(%s) if not p then return why end\n"
	    "return table.concat({p.Scheme, p.User, p.Password, p.Host, tostring(p.Port), p.Path,\n"
	    "  p.Query, p.Fragment}, '|')",
	    url);
	rig_expect(rt, code, parts);
}

static void test_parts(void **state)
{
	(void)state;
	expect("'https://ann:s%20x@Example.com:8443/a/b?c=d&e#f'",
	    "https|ann|s%20x|Example.com|8443|/a/b|c=d&e|f");
	expect("'http://example.com'", "http|||example.com|80|/||");
	expect("'smtp://[2001:db8::1]/'", "smtp|||[2001:db8::1]|25|/||");
	expect("'gopher2://h/x'", "gopher2|||h|0|/x||");
}

static void test_what_is_no_url(void **state)
{
	static const char *const texts[] = {"''", "'example.com/x'", "'http://'", "'://x'",
	    "'http://a b/'", "'http://a\\0b/'", "'http://a:99999/'",
	    "'http://' .. ('x'):rep(9000)"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		expect(texts[i], "no URL with a scheme and a host");
	rig_expect(rt, "return tostring(pcall(VPOP3.ParseURL))", "false");
	rig_expect(rt, "return tostring(pcall(VPOP3.ParseURL, {}))", "false");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_is_no_url, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
