/* smtprules_N.lua answering requests: which hooks, with what, and what their results become for
 * Postfix. Integration tests show the same on the real one. */
#include "policy/policy_rules.h"
#include "tests/unit/script_rig.h"

#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/luaout.h"
#include "policy/ehlo_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct script_rig rig;
static char logged[4096];

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

static void open_rig(const char *const *settings)
{
	script_rig_open(&rig, settings);
	logged[0] = '\0';
	log_capture(hear, NULL);
}

static void close_rig(void)
{
	log_capture(NULL, NULL);
	script_rig_close(&rig);
}

static struct script_set *load(void)
{
	char error[500] = "";
	struct script_set *set = script_set_load(rig.config, error, sizeof error);

	assert_string_equal(error, "");
	return set;
}

/* The answer to a request of Postfix, without "action=" and line ends; malloc'ed. */
static char *ask(struct script_set *set, const char *state, const char *sender, const char *context)
{
	const struct policy_attribute a[] = {{"request", "smtpd_access_policy"},
	    {"protocol_state", state}, {"sender", sender}, {"recipient", "bob@one.test"},
	    {"client_address", "192.0.2.7"}, {"sasl_username", "ann"}, {"size", "1234"},
	    {"policy_context", context}};
	struct policy_query q = {set, "unix:/p", a, sizeof a / sizeof *a, clock_ms() + 10000, NULL};
	size_t n;
	char *reply = policy_rules_answer(&q, &n);

	assert_memory_equal(reply, "action=", 7);
	assert_memory_equal(reply + n - 2, "\n\n", 2);
	memmove(reply, reply + 7, n - 9);
	reply[n - 9] = '\0';
	return reply;
}

static void expect(
    struct script_set *set, const char *state, const char *sender, const char *wanted)
{
	char *action = ask(set, state, sender, "");

	if (strcmp(action, wanted) != 0)
		fail_msg("%s from %s gives \"%s\", not \"%s\"; log:\n%s", state, sender, action,
		    wanted, logged);
	free(action);
}

/* One rule script, one request at RCPT. */
static void rule(const char *body, const char *wanted, const char *said)
{
	struct script_set *set;
	char *script = xasprintf("function First() %s end", body);

	open_rig(NULL);
	script_rig_write(&rig, "smtprules_1.lua", script);
	set = load();
	expect(set, "RCPT", "a@b", wanted);
	if (said != NULL && strstr(logged, said) == NULL)
		fail_msg("\"%s\" is not in the log:\n%s", said, logged);
	script_set_unref(set);
	free(script);
	close_rig();
}

static void test_results(void **state)
{
	(void)state;
	rule("", "DUNNO", NULL);
	rule("return nil", "DUNNO", NULL);
	rule("return 'None'", "DUNNO", NULL);
	rule("return ''", "DUNNO", NULL);
	rule("return false", "DUNNO", NULL);
	rule("return 'REJECT no', 7, 'seven'", "REJECT no", "rule seven");
	rule("return '550 5.7.1 no'", "550 5.7.1 no", NULL);
	rule("return 'redirect', 1, 'r', 'ann@two.test'", "REDIRECT ann@two.test", NULL);
	rule("return 550, 1, 'r', '5.7.1 no'", "550 5.7.1 no", NULL);
	rule("return 'REJECT no', 1, '', nil, nil, false, false, false, true", "DEFER no", NULL);
	rule("return '550 5.7.1 no', 1, '', nil, nil, 0, 0, 0, 1", "450 4.7.1 no", NULL);
	rule("return 'REJECT no', 1, '', nil, nil, false, true", "521 5.7.1 no", NULL);
	rule("return '550 5.1.1 no', 1, '', nil, nil, false, true, false, true", "421 4.7.0 no",
	    NULL);
	rule("return 'REJECT', 1, '', nil, nil, false, true", "521 5.7.1 Access denied", NULL);
	rule("return nil, 1, 'h', 'why', nil, false, false, true", "HOLD why", NULL);
	rule("return 'OK', 1, '', nil, nil, false, false, true", "HOLD", NULL);
	rule("return nil, 1, '', nil, {'X-A: b'}", "PREPEND X-A: b", NULL);
	rule("return nil, 1, '', nil, {'X-A: b', 'X-C: d'}", "PREPEND X-A: b", "left out");
	rule("return 'REJECT no', 1, '', nil, nil, true", "REJECT no", "not possible");
	/* what Postfix must never be told */
	rule("return '250 2.0.0 fine'", "DUNNO", "not an SMTP reply that refuses");
	rule("return 'FROBNICATE'", "DUNNO", "not an action that Postfix knows");
	rule("return 'REJECT a\\naction=OK'", "DUNNO", "control character"); /* R10 */
	rule("return 'REJECT a\\0b'", "DUNNO", "zero bytes");
	rule("return 'REJECT ' .. string.rep('x', 2000)", "DUNNO", "too long");
	rule("return {}", "DUNNO", "not text");
	rule("return 'REJECT', 1, '', nil, nil, {}", "DUNNO", "not true or false");
}

static void test_order_and_arguments(void **state)
{
	struct script_set *set;

	(void)state;
	open_rig(NULL);
	script_rig_write(&rig, "SMTPRULES_1.LUA",
	    "calls = ''\n"
	    "function First(c, size, position, mods, rule)\n"
	    "  calls = calls .. 'F'\n"
	    "  if c.MailFrom == 'first' then return 'WARN ' .. table.concat({calls, size, position,\n"
	    "    #mods, rule, c.ClientIPAddress, c.AuthUser, #c.Recipients,\n"
	    "    c.Recipients[1] or 'none', c.Subject, #c.BccRecipients}, ',') end\n"
	    "end\n"
	    "function Policy(r)\n"
	    "  calls = calls .. 'P'\n"
	    "  if r.sender == 'policy' then return 'WARN ' .. calls .. r.state ..\n"
	    "    r.protocol_state .. r.client_address .. tostring(r.nothing) end\n"
	    "end\n"
	    "function Last(c, size, position)\n"
	    "  return 'WARN ' .. calls .. position\n"
	    "end\n");
	set = load();
	expect(set, "MAIL", "first", "WARN F,1234,1,0,,192.0.2.7,ann,0,none,,0");
	expect(set, "RCPT", "first", "WARN F,1234,2,0,,192.0.2.7,ann,1,bob@one.test,,0");
	expect(set, "RCPT", "policy", "WARN FPRCPTRCPT192.0.2.7nil");
	expect(set, "DATA", "policy", "WARN PDATADATA192.0.2.7nil");
	expect(set, "MAIL", "other", "WARN FP1");
	expect(set, "DATA", "other", "DUNNO");
	script_set_unref(set);
	script_rig_write(&rig, "SMTPRULES_1.LUA", "function Start() return 'WARN start' end");
	set = load();
	expect(set, "MAIL", "a", "WARN start");
	script_set_unref(set);
	close_rig();
}

static void test_stage_decides(void **state)
{
	struct script_set *set;

	(void)state;
	open_rig(NULL);
	script_rig_write(&rig, "smtprules_1.lua", "function Policy(r) return r.sender end");
	set = load();
	expect(set, "END-OF-MESSAGE", "PREPEND X-A: b", "DUNNO");
	assert_non_null(strstr(logged, "no effect at this stage"));
	logged[0] = '\0';
	expect(set, "END-OF-MESSAGE", "PREPEND X-A: b", "DUNNO");
	assert_string_equal(logged, ""); /* once for each loading */
	expect(set, "CONNECT", "HOLD", "DUNNO");
	expect(set, "DATA", "PREPEND X-A: b", "PREPEND X-A: b");
	script_set_unref(set);
	close_rig();
}

/* Each service has its own file; the number is not a prefix of another one. */
static void test_services(void **state)
{
	struct config_overrides o = {STRLIST_INIT};
	struct script_set *set;
	struct config *config;
	char error[500] = "", *action, *path, *file;

	(void)state;
	open_rig(NULL);
	script_rig_write(&rig, "smtprules_1.lua", "function Policy() return 'WARN one' end");
	script_rig_write(&rig, "SmtpRules_22.lua", "function Policy() return 'WARN two' end");
	script_rig_write(&rig, "smtprules_022.lua", "this is no script of ours");
	path = xasprintf("scripts=%s/scripts", rig.directory);
	strlist_add(&o.items, path);
	script_rig_write(&rig, "../services.conf",
	    "service first { id = 1 }\n"
	    "service second { id = 22 daemon_names = { submission } }\n"
	    "service third { id = 3 daemon_names = { third } }\n");
	file = xasprintf("%s/services.conf", rig.directory);
	config = config_load(file, &o, error, sizeof error);
	free(file);
	if (config == NULL)
		fail_msg("%s", error);
	set = script_set_load(config, error, sizeof error);
	assert_string_equal(error, "");
	assert_int_equal(script_set_count(set), SCRIPT_COUNT + 1);
	action = ask(set, "RCPT", "a", "");
	assert_string_equal(action, "WARN one");
	free(action);
	action = ask(set, "RCPT", "a", "submission");
	assert_string_equal(action, "WARN two");
	free(action);
	action = ask(set, "RCPT", "a", "third");
	assert_string_equal(action, "DUNNO");
	free(action);
	script_set_unref(set);
	config_unref(config);
	strlist_clear(&o.items);
	free(path);
	close_rig();
}

static void test_failures(void **state)
{
	static const struct {
		const char *on_error, *wanted;
	} cases[] = {
	    {"lua.on_error=accept", "WARN last"}, /* as if First() were absent */
	    {"lua.on_error=tempfail", "451 4.3.0 Local policy failed, try again later"},
	    {"lua.on_error=reject", "554 5.3.0 Local policy failed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const settings[] = {cases[i].on_error, NULL};
		struct script_set *set;

		open_rig(settings);
		script_rig_write(&rig, "smtprules_1.lua",
		    "function First() error('no') end function Last() return 'WARN last' end");
		set = load();
		expect(set, "MAIL", "a", cases[i].wanted);
		script_set_unref(set);
		close_rig();
	}
}

/* A loop ends at the request's deadline, long before lua.hook_ms. */
static void test_deadline(void **state)
{
	static const char *const settings[] = {"lua.instructions=1000000000000", NULL};
	const struct policy_attribute a[] = {
	    {"request", "smtpd_access_policy"}, {"protocol_state", "MAIL"}};
	struct policy_query q = {.attributes = a, .nattributes = 2, .listen = ""};
	int64_t start = clock_ms();
	size_t n;

	(void)state;
	open_rig(settings);
	script_rig_write(&rig, "smtprules_1.lua", "function First() while true do end end");
	q.set = load();
	q.deadline_ms = clock_ms() + 100;
	free(policy_rules_answer(&q, &n));
	assert_true(clock_ms() - start < 100 + 1000);
	script_set_unref(q.set);
	close_rig();
}

static void test_other_requests(void **state)
{
	const struct policy_attribute a[] = {
	    {"request", "something_else"}, {"protocol_state", "MAIL"}};
	struct policy_query q = {.attributes = a, .nattributes = 2, .listen = ""};
	char *reply;
	size_t n;

	(void)state;
	open_rig(NULL);
	script_rig_write(&rig, "smtprules_1.lua", "function Policy() return 'REJECT' end");
	q.set = load();
	q.deadline_ms = clock_ms() + 10000;
	reply = policy_rules_answer(&q, &n);
	assert_memory_equal(reply, "action=DUNNO\n\n", n);
	free(reply);
	script_set_unref(q.set);
	close_rig();
}

/* ---- ehlo_in ---- */

static void removed(const char *capabilities, const char *wanted, bool wanted_added)
{
	struct strlist offered = STRLIST_INIT;
	bool added;
	char *out;

	strlist_add(&offered, "PIPELINING");
	strlist_add(&offered, "STARTTLS");
	strlist_add(&offered, "AUTH");
	out = ehlo_in_removed(&offered, capabilities, &added);
	if (wanted == NULL)
		assert_null(out);
	else
		assert_string_equal(out, wanted);
	assert_int_equal(added, wanted_added);
	free(out);
	strlist_clear(&offered);
}

static void test_removed_keywords(void **state)
{
	(void)state;
	removed("PIPELINING\r\nSTARTTLS\r\nAUTH", NULL, false);
	removed("250-pipelining\r\n250-AUTH=PLAIN\n250 STARTTLS\r\n", NULL, false);
	removed("PIPELINING STARTTLS AUTH", NULL, false);
	removed("PIPELINING\r\nAUTH PLAIN LOGIN", "STARTTLS, silent-discard", false);
	removed("PIPELINING\r\nX-STARTTLS\r\nAUTHENTIC", "STARTTLS, AUTH, silent-discard", true);
	removed("none", "PIPELINING, STARTTLS, AUTH, silent-discard", true);
}

static char *look_up(struct script_set *set, const char *name, const char *key)
{
	struct map_query q = {.set = set,
	    .name = name,
	    .key = key,
	    .key_n = strlen(key),
	    .deadline_ms = clock_ms() + 10000};
	size_t n;
	char *reply = maps_answer(&q, &n), *text = xstrndup(reply, n);

	free(reply);
	return text;
}

static void expect_found(
    struct script_set *set, const char *name, const char *key, const char *wanted)
{
	char *text = look_up(set, name, key);

	assert_string_equal(text, wanted);
	free(text);
}

static void test_ehlo_in(void **state)
{
	struct script_set *set;

	(void)state;
	open_rig(NULL);
	script_rig_write(&rig, "smtpsvr.lua",
	    "calls = (calls or 0) + 1\n"
	    "function Start() error('no session was opened') end\n"
	    "function GetEHLOCapabilities(host, capabilities)\n"
	    "  print('asked for ' .. host .. ' ' .. IPAddress .. ' ' .. calls)\n"
	    "  if host == '192.0.2.9' then error('no') end\n"
	    "  if host == '192.0.2.8' then return nil end\n"
	    "  return (string.gsub(capabilities, 'STARTTLS\\r\\n', '')) .. '\\r\\nXNEW'\n"
	    "end\n");
	set = load();
	expect_found(set, "ehlo_in", "192.0.2.7", "27:OK STARTTLS, silent-discard,");
	expect_found(set, "ehlo_in.1", "2001:db8::7", "27:OK STARTTLS, silent-discard,");
	assert_non_null(strstr(logged, "keywords can only be removed"));
	expect_found(set, "ehlo_in", "192.0.2.8", "9:NOTFOUND ,");
	expect_found(set, "ehlo_in", "192.0.2.9", "9:NOTFOUND ,");
	expect_found(set, "ehlo_in", "unknown", "9:NOTFOUND ,");
	logged[0] = '\0';
	expect_found(set, "nothing", "key", "9:NOTFOUND ,");
	assert_non_null(strstr(logged, "there is no such map"));
	logged[0] = '\0';
	expect_found(set, "nothing", "key", "9:NOTFOUND ,");
	expect_found(set, "ehlo_in.x", "192.0.2.7", "9:NOTFOUND ,");
	assert_string_equal(logged, "");
	script_set_unref(set);
	close_rig();
}

static int count_prints;

static void count_print(const char *text, size_t n, void *arg)
{
	(void)text, (void)n, (void)arg;
	count_prints++;
}

/* An answer is remembered for a client and a set of scripts. */
static void test_ehlo_in_is_remembered(void **state)
{
	struct script_set *set;

	(void)state;
	open_rig(NULL);
	script_rig_write(&rig, "smtpsvr.lua",
	    "function GetEHLOCapabilities(host, c) print(host) return 'PIPELINING' end");
	for (int i = 1; i <= 2; i++) {
		set = load();
		count_prints = 0;
		luaout_capture(count_print, NULL);
		free(look_up(set, "ehlo_in", "192.0.2.7"));
		free(look_up(set, "ehlo_in", "192.0.2.7"));
		assert_int_equal(count_prints, 1);
		free(look_up(set, "ehlo_in", "192.0.2.8"));
		assert_int_equal(count_prints, 2);
		luaout_capture(NULL, NULL);
		script_set_unref(set);
	}
	close_rig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_results),
	    cmocka_unit_test(test_order_and_arguments),
	    cmocka_unit_test(test_stage_decides),
	    cmocka_unit_test(test_services),
	    cmocka_unit_test(test_failures),
	    cmocka_unit_test(test_deadline),
	    cmocka_unit_test(test_other_requests),
	    cmocka_unit_test(test_removed_keywords),
	    cmocka_unit_test(test_ehlo_in),
	    cmocka_unit_test(test_ehlo_in_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
