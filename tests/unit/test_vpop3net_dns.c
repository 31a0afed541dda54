/* VPOP3Net.GetDNSRecords against a real server (dnsmasq) and servers that misbehave. */
#include "common/clock.h"
#include "common/waiting.h"
#include "tests/unit/dns_servers.h"
#include "tests/unit/lua_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GRACE_MS 1000 /* a loaded machine */

static struct runtime *rt;
static struct dnsmasq server;
static bool have_dnsmasq;

static int setup(void **state)
{
	static const char *const args[] = {"--local=/test/", "--auth-server=ns.bl.test,127.0.0.1",
	    "--auth-zone=bl.test,192.0.2.0/24,2001:db8::/64",
	    "--auth-soa=7,host.bl.test,3600,600,86400", "--auth-ttl=77",
	    "--host-record=a.bl.test,192.0.2.7", "--host-record=a.bl.test,192.0.2.8",
	    "--host-record=v6.bl.test,2001:db8::25", "--txt-record=a.bl.test,one ,two",
	    "--mx-host=a.bl.test,mx1.bl.test,10", "--mx-host=a.bl.test,mx2.bl.test,20",
	    "--host-record=mx1.bl.test,192.0.2.25", "--cname=alias.bl.test,a.bl.test",
	    "--srv-host=_s._tcp.bl.test,a.bl.test,443,1,2",
	    "--mx-host=evil.bl.test,x' OR '1'='1.bl.test,1", "--mx-host=evil.bl.test,ok.bl.test,2",
	    NULL};

	(void)state;
	rt = rig_open();
	have_dnsmasq = dnsmasq_start(&server, args);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dnsmasq_stop(&server);
	rig_close(rt);
	return 0;
}

/* code with $S for the address of the server, run with these functions in front:
 * show(records, flag): the answers as lines "type value"; ms(): time passed. */
static const char *with(const char *code, const char *address)
{
	static char text[4000];
	const char *at = strstr(code, "$S");
	size_t head = at != NULL ? (size_t)(at - code) : strlen(code);

	snprintf(text, sizeof text,
	    "local function get(...) return VPOP3Net.GetDNSRecords(...) end "
	    "local function show(t, ok, section) if not ok then return t, ok end local out = {} "
	    "for i, r in ipairs(t) do if r.Section == (section or 'AN') then "
	    "out[#out + 1] = r.Domain .. ' ' .. r.Type .. ' ' .. (r.MXPriority or '') .. ' ' .. "
	    "r.Value end end table.sort(out) return table.concat(out, ', '), ok end %.*s%s%s",
	    (int)head, code, at != NULL ? address : "", at != NULL ? at + 2 : "");
	return text;
}

static void expect(const char *code, const char *results)
{
	rig_expect(rt, with(code, server.address), results);
}

/* ---- a real server ---- */

static void test_types(void **state)
{
	(void)state;
	if (!have_dnsmasq)
		skip();
	expect("return show(get('a.bl.test', 1, '$S'))",
	    "a.bl.test A  192.0.2.7, a.bl.test A  192.0.2.8|true");
	expect("return show(get('a.bl.test', 15, '$S'))",
	    "a.bl.test MX 10 mx1.bl.test, a.bl.test MX 20 mx2.bl.test|true");
	expect("return show(get('a.bl.test', '16', '$S'))", "a.bl.test TXT  one two|true");
	expect("return show(get('v6.bl.test', 28.0, '$S'))", "v6.bl.test 28  2001:db8::25|true");
	expect("return show(get('_s._tcp.bl.test', 33, '$S'))",
	    "_s._tcp.bl.test SRV  1 2 443 a.bl.test|true");
	expect("return show(get('7.2.0.192.in-addr.arpa', 12, '$S'))",
	    "7.2.0.192.in-addr.arpa PTR  a.bl.test|true");
	expect("return show(get('alias.bl.test', 1, '$S'))",
	    "a.bl.test A  192.0.2.7, a.bl.test A  192.0.2.8, alias.bl.test CNAME  a.bl.test|true");
	expect("return show(get('bl.test', 2, '$S'))", "bl.test NS  ns.bl.test|true");
	expect("local t, ok = get('a.bl.test', 255, '$S') return #t >= 1, ok", "true|true");
}

static void test_soa(void **state)
{
	(void)state;
	if (!have_dnsmasq)
		skip();
	expect("local t, ok = get('bl.test', 6, '$S') local r = t[1] "
	       "return ok, r.Domain, r.Type, r.Section, r.TTL, r.Serial, r.Refresh, r.Retry, "
	       "r.Expiry, r.PrimaryNS, r.ResponsibleEmail, r.MXPriority, math.type(r.MinimumTTL)",
	    "true|bl.test|SOA|AN|77|7|3600|600|86400|ns.bl.test|host@bl.test|nil|integer");
	/* a name without such a record: none in the answer, the zone's SOA beside it */
	expect("return show(get('a.bl.test', 28, '$S'))", "|true");
	expect("local t = get('a.bl.test', 28, '$S') return t[1].Section, t[1].Type", "NS|SOA");
}

static void test_no_such_name(void **state)
{
	(void)state;
	if (!have_dnsmasq)
		skip();
	expect("return get('gone.bl.test', 1, '$S')", "3|false");
	expect("return get('refused.example', 1, '$S')", "5|false");
	expect("for k, r in get('a.bl.test', 1, '$S') do for name in r do end end", "");
}

/* R17 through a real answer. */
static void test_evil_names_are_left_out(void **state)
{
	(void)state;
	if (!have_dnsmasq)
		skip();
	expect("return show(get('evil.bl.test', 15, '$S'))", "evil.bl.test MX 2 ok.bl.test|true");
	expect("return get(\"x' OR '1'='1.bl.test\", 1, '$S')", "-3|false");
	assert_int_equal(dnsmasq_asked(&server, "OR"), 0);
}

/* ---- several servers ---- */

static void test_first_that_responds_wins(void **state)
{
	struct responder silent, failing, listed;
	char code[300];

	(void)state;
	if (!have_dnsmasq)
		skip();
	assert_true(responder_start(&silent, "127.0.0.1", 0, SAYS_NOTHING));
	assert_true(responder_start(&failing, "127.0.0.1", 0, SAYS_SERVFAIL));
	assert_true(responder_start(&listed, "127.0.0.1", 0, SAYS_LISTED));
	snprintf(code, sizeof code, "return show(get('a.bl.test', 1, '%s; %s;%s;%s'))",
	    failing.address, silent.address, server.address, listed.address);
	expect(code, "a.bl.test A  192.0.2.7, a.bl.test A  192.0.2.8|true");
	snprintf(code, sizeof code, "return get('a.bl.test', 1, '%s')", failing.address);
	expect(code, "2|false");
	assert_int_equal(listed.questions, 0);
	snprintf(code, sizeof code, "return show(get('a.bl.test', 1, '%s;%s'))", listed.address,
	    server.address);
	expect(code, "a.bl.test A  127.0.0.2|true");
	/* that a name does not exist is a response */
	snprintf(code, sizeof code, "return get('gone.bl.test', 1, '%s;%s')", server.address,
	    listed.address);
	expect(code, "3|false");
	responder_stop(&silent);
	responder_stop(&failing);
	responder_stop(&listed);
}

/* ---- servers that misbehave: R6, and the hook's time ---- */

static void test_hostile_answers(void **state)
{
	static const struct {
		enum manners manners;
		const char *result;
	} cases[] = {{SAYS_REFUSED, "5|false"}, {SAYS_FORMERR, "1|false"}, {SAYS_LIE, "-2|false"},
	    {SAYS_LOOP, "a.test CNAME  a.test|true"}};
	struct responder r;
	char code[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(responder_start(&r, "127.0.0.1", 0, cases[i].manners));
		snprintf(code, sizeof code, "return show(get('a.test', 1, '%s'))", r.address);
		expect(code, cases[i].result);
		responder_stop(&r);
	}
}

static void test_silence_leaves_time_to_the_script(void **state)
{
	static const enum manners silences[] = {SAYS_NOTHING, SAYS_OTHER_NAME, SAYS_TRUNCATED};
	struct responder r;
	char code[200];
	int64_t start;

	(void)state;
	for (size_t i = 0; i < sizeof silences / sizeof *silences; i++) {
		assert_true(responder_start(&r, "127.0.0.1", 0, silences[i]));
		snprintf(code, sizeof code, "return get('a.test', 1, '%s')", r.address);
		start = clock_ms();
		assert_int_equal(
		    rig_run_budget(rt, with(code, ""), RIG_INSTRUCTIONS, 1200), RUN_OK);
		assert_string_equal(rig_text, "-1|false");
		assert_in_range(clock_ms() - start, 0, 1200 + GRACE_MS);
		responder_stop(&r);
	}
}

static void test_silent_server_is_skipped(void **state)
{
	struct responder r;
	char code[200];
	unsigned asked;
	int64_t start;

	(void)state;
	assert_true(responder_start(&r, "127.0.0.1", 0, SAYS_NOTHING));
	snprintf(code, sizeof code, "return get('a.test', 1, '%s')", r.address);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_run_budget(rt, with(code, ""), RIG_INSTRUCTIONS, 600), RUN_OK);
	asked = r.questions;
	start = clock_ms();
	for (int i = 0; i < 20; i++)
		rig_expect(rt, with(code, ""), "-3|false");
	assert_in_range(clock_ms() - start, 0, GRACE_MS);
	assert_int_equal(r.questions, asked);
	responder_stop(&r);
}

/* ---- wrong use ---- */

static void test_wrong_use(void **state)
{
	(void)state;
	rig_expect_error(rt, "VPOP3Net.GetDNSRecords()",
	    "VPOP3Net.GetDNSRecords(domain, type [, servers]): a name and a number");
	rig_expect_error(rt, "VPOP3Net.GetDNSRecords('a.test', 'MX')", "a name and a number");
	rig_expect_error(rt, "VPOP3Net.GetDNSRecords('a.test', 1, 'ns.example')",
	    "DNS server \"ns.example\": not an address");
	expect("return get('', 1, '127.0.0.1')", "-3|false");
	expect("return get('a.test\\0.x', 1, '127.0.0.1')", "-3|false");
	expect("return get('a.test', 0, '127.0.0.1')", "-3|false");
	expect("return get('a.test', 252, '127.0.0.1')", "-3|false");
	expect("return get('a.test', 65536 + 1, '127.0.0.1')", "-3|false");
}

static void test_waiting_is_bounded(void **state)
{
	(void)state;
	waiting_limit(0);
	expect("return get('a.bl.test', 1, '127.0.0.1')", "-3|false");
	waiting_limit(100);
	assert_true(waiting_enter());
	waiting_leave();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_soa),
	    cmocka_unit_test(test_no_such_name),
	    cmocka_unit_test(test_evil_names_are_left_out),
	    cmocka_unit_test(test_first_that_responds_wins),
	    cmocka_unit_test(test_hostile_answers),
	    cmocka_unit_test(test_silence_leaves_time_to_the_script),
	    cmocka_unit_test(test_silent_server_is_skipped),
	    cmocka_unit_test(test_wrong_use),
	    cmocka_unit_test(test_waiting_is_bounded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
