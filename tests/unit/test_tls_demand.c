/* What ServerDetails() demands, as a line of Postfix's TLS policy: the strictest of all hosts, and
 * refused rather than weakened. And the actions as a script sees and changes them. */
#include "lua-bindings/tls_demand.h"
#include "policy/next_hop.h"
#include "tests/unit/script_rig.h"

#include "common/clock.h"
#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHA1 "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD"
#define OTHER "00:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD"

/* One letter or more for each host: t tryTLS, f forceTLS, v verifyCert; then name or thumbprint. */
struct row {
	const char *host[2];
	const char *name[2], *thumb[2];
	const char *wanted; /* NULL: refused; "": nothing demanded */
};

static void test_strictest_of_all(void **state)
{
	static const struct row rows[] = {
	    {{"t"}, .wanted = ""},
	    {{"t", "t"}, .wanted = ""},
	    {{""}, .wanted = "none"},
	    {{"", "t"}, .wanted = "may"},
	    {{"", ""}, .wanted = "none"},
	    {{"tf"}, .wanted = "encrypt"},
	    {{"f", ""}, .wanted = "encrypt"},
	    {{"", "tf"}, .wanted = "encrypt"},
	    {{"tv"}, .wanted = "secure match=mx1.one.test"},
	    {{"tv", "t"}, .wanted = "secure match=mx1.one.test"},
	    {{"tf", "tv"}, .wanted = "secure match=mx2.one.test"},
	    {{"tv", "tv"}, .wanted = "secure match=mx1.one.test:mx2.one.test"},
	    {{"t"}, {"Mail.One.Test."}, .wanted = "secure match=mail.one.test"},
	    {{"tv"}, {"*.one.test"}, .wanted = "secure match=.one.test"},
	    {{"t", "t"}, {"a.test", "a.test"}, .wanted = "secure match=a.test"},
	    {{"t"}, {"mail*.one.test"}, .wanted = NULL},
	    {{"t"}, {"*"}, .wanted = NULL},
	    {{"t"}, {"a.test b=c"}, .wanted = NULL},
	    {{"t"}, {"a.test:b.test"}, .wanted = NULL},
	    {{"t"}, .thumb = {SHA1}, .wanted = "fingerprint match=" SHA1},
	    {{"t"}, .thumb = {"aabbccddeeff00112233445566778899aabbccdd"},
		.wanted = "fingerprint match=" SHA1},
	    {{"t"}, .thumb = {"aa bb cc dd ee ff 00 11 22 33 44 55 66 77 88 99 aa bb cc dd"},
		.wanted = "fingerprint match=" SHA1},
	    {{"t", "t"}, .thumb = {SHA1, OTHER}, .wanted = "fingerprint match=" SHA1 "|" OTHER},
	    {{"t", "tf"}, .thumb = {SHA1}, .wanted = "fingerprint match=" SHA1},
	    {{"t"}, .thumb = {"aabb"}, .wanted = NULL},
	    {{"t"}, .thumb = {SHA1 ":00"}, .wanted = NULL},
	    {{"t"}, .thumb = {"xx"}, .wanted = NULL},
	    {{"tv"}, .thumb = {SHA1}, .wanted = NULL},
	    {{"t"}, {"a.test"}, {SHA1}, .wanted = NULL},
	    {{"t", "tv"}, .thumb = {SHA1}, .wanted = NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		static const char *const servers[] = {"mx1.one.test", "mx2.one.test"};
		struct tls_demand sum = {0};
		const char *why = NULL;
		char *text = NULL;
		bool fine = true;

		for (int h = 0; h < 2 && rows[i].host[h] != NULL; h++) {
			const struct server_actions a = {
			    .tryTLS = strchr(rows[i].host[h], 't') != NULL,
			    .forceTLS = strchr(rows[i].host[h], 'f') != NULL,
			    .verifyCert = strchr(rows[i].host[h], 'v') != NULL,
			    .checkCertName = (char *)(uintptr_t)rows[i].name[h],
			    .checkCertThumbprint = (char *)(uintptr_t)rows[i].thumb[h]};

			fine = fine && tls_demand_add(&sum, servers[h], &a, 20, &why);
		}
		text = tls_demand_text(&sum);
		if (fine != (rows[i].wanted != NULL) ||
		    (fine && strcmp(text != NULL ? text : "", rows[i].wanted) != 0))
			fail_msg("row %zu: %s, %s", i, text, why);
		free(text);
		tls_demand_clear(&sum);
	}
}

static void test_an_address_has_no_name_to_verify(void **state)
{
	const struct server_actions a = {.tryTLS = true, .verifyCert = true};
	struct tls_demand sum = {0};
	const char *why;

	(void)state;
	assert_false(tls_demand_add(&sum, "2001:db8::1", &a, 20, &why));
	tls_demand_clear(&sum);
}

static void test_next_hops(void **state)
{
	static const struct {
		const char *text, *name;
		bool host;
	} rows[] = {
	    {"One.test", "one.test", false},
	    {"one.test:2525", "one.test", false},
	    {"[mx1.one.test]", "mx1.one.test", true},
	    {"[192.0.2.1]:25", "192.0.2.1", true},
	    {"[IPv6:2001:db8::1]", "2001:db8::1", true},
	    {"[mx1.one.test", NULL, true},
	    {"", NULL, false},
	    {"a b", NULL, false},
	    {"'", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool host;
		char *name = next_hop_name(rows[i].text, &host);

		if (rows[i].name == NULL)
			assert_null(name);
		else
			assert_string_equal(name, rows[i].name);
		assert_true(host == rows[i].host);
		free(name);
	}
}

/* ---- with a script ---- */

static struct script_rig rig;

static enum mxout_answer ask(const char *script, struct server_actions *out)
{
	const struct mxout_connection c = {
	    .server = "mx1.one.test", .domain = "one.test", .size = 7, .id = 3, .name = "three"};
	enum mxout_answer answer;
	struct script_set *set;
	char error[500] = "";

	script_rig_open(&rig, NULL);
	script_rig_write(&rig, "mxout.lua", script);
	set = script_set_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	answer = mxout_server_details(set, &c, NULL, clock_ms() + 10000, out);
	script_set_unref(set);
	script_rig_close(&rig);
	return answer;
}

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static void test_the_table_of_actions(void **state)
{
	struct server_actions a = {0};

	(void)state;
	assert_int_equal(
	    ask("function ServerDetails(p, h, a)\n"
		"  assert(p.server == 'mx1.one.test' and p.domain == 'one.test')\n"
		"  assert(p.length == 7 and p.connnid == 3 and p.connid == 3)\n"
		"  assert(p.connection == 'three' and #h == 0)\n"
		"  assert(a.tryESMTP == true and a.tryTLS == true and a.forceTLS == 0)\n"
		"  assert(type(a.timeouts) == 'table')\n"
		"  a['tryTLS'] = 0 a.unknown = {} a.forceTLS = true\n"
		"  a.checkCertName = 'x.test'\n"
		"end\n",
		&a),
	    MXOUT_DECIDED);
	assert_false(a.tryTLS);
	assert_true(a.forceTLS && a.allowDSN && !a.verifyCert);
	assert_string_equal(a.checkCertName, "x.test");
	/* another table than the one that was given: what it lacks is unchanged */
	assert_int_equal(
	    ask("function ServerDetails() return {allowDSN = 'no', verifyCert = 1} end", &a),
	    MXOUT_DECIDED);
	assert_true(a.tryTLS && a.verifyCert && !a.allowDSN);
	server_actions_clear(&a);
	assert_int_equal(ask("function CheckFile() end", &a), MXOUT_NO_OPINION);
	log_capture(hear, NULL);
	assert_int_equal(ask("function ServerDetails() error('x') end", &a), MXOUT_FAILED);
	assert_int_equal(ask("function ServerDetails() return 7 end", &a), MXOUT_FAILED);
	assert_int_equal(
	    ask("function ServerDetails() return {forceTLS = {}} end", &a), MXOUT_FAILED);
	log_capture(NULL, NULL);
	server_actions_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strictest_of_all),
	    cmocka_unit_test(test_an_address_has_no_name_to_verify),
	    cmocka_unit_test(test_next_hops),
	    cmocka_unit_test(test_the_table_of_actions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
