/* Routes: the order of GetOverrides(), CheckServer() and FinalOverrides(), what is answered for
 * them, and answers that are kept for when there is none in time. */
#include "lua-bindings/route.h"
#include "policy/answers.h"
#include "policy/maps.h"
#include "tests/unit/script_rig.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/store/holds.h"
#include "common/store/store_shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct script_rig rig;

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static int setup(void **state)
{
	(void)state;
	/* nobody answers there: what DNS would say is not known */
	script_rig_open(
	    &rig, (const char *const[]){"dns.servers=127.0.0.1:9", "outbound.holds_ms=0",
		      "outbound.local_domains=ours.test", "lua.instructions=1000000000000", NULL});
	log_capture(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_capture(NULL, NULL);
	holds_forget();
	answers_forget_all();
	store_shared_close();
	script_rig_close(&rig);
	return 0;
}

static struct script_set *load_by(
    const char *script, struct script_set *(*how)(struct config *, char *, size_t))
{
	char error[500] = "";
	struct script_set *set;

	script_rig_write(&rig, "mxserverrules.lua", script);
	set = how(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	return set;
}

static struct script_set *load(const char *script)
{
	return load_by(script, script_set_load);
}

/* "OK value", "NOTFOUND " ...; to be freed */
static char *ask_map(struct script_set *set, const char *name, const char *key, int ms, bool late)
{
	const struct map_query q = {.set = set,
	    .name = name,
	    .key = key,
	    .key_n = strlen(key),
	    .deadline_ms = clock_ms() + ms};
	size_t n;
	char *reply = late ? maps_default(&q, &n) : maps_answer(&q, &n), *out;

	reply[n - 1] = '\0';
	out = xstrdup(strchr(reply, ':') + 1);
	free(reply);
	return out;
}

static char *ask(struct script_set *set, const char *key, int ms, bool late)
{
	return ask_map(set, "transport", key, ms, late);
}

static void expect(struct script_set *set, const char *key, const char *wanted)
{
	char *got = ask(set, key, 5000, false);

	if (strcmp(got, wanted) != 0)
		fail_msg("%s gives \"%s\", not \"%s\"", key, got, wanted);
	free(got);
}

static void test_what_is_answered(void **state)
{
	struct script_set *set =
	    load("function GetOverrides(d)\n"
		 "  if d == 'nothing.test' then return {'x.test'}, false end\n"
		 "  return {'a.test', '[2001:db8::1]:26', 'held.test'}\n"
		 "end\n"
		 "function CheckServer(d, mx) if mx == 'held.test' then return false, 5 end end\n"
		 "function FinalOverrides(d, s)\n"
		 "  if d == 'final.test' then return {s[2], 'last.test:27'} end\n"
		 "end\n");

	(void)state;
	expect(set, "bob@one.test", "OK smtp:[a.test], [2001:db8::1]:26");
	expect(set, "\"a@b\"@FINAL.test", "OK smtp:[2001:db8::1]:26, [last.test]:27");
	expect(set, "bob@nothing.test", "OK mailhooks-wait:[192.0.0.8]");
	expect(set, "*", "NOTFOUND ");
	expect(set, "bob", "NOTFOUND ");
	expect(set, "bob@", "NOTFOUND ");
	expect(set, "bob@[192.0.2.1]", "NOTFOUND ");
	expect(set, "bob@ours.test", "NOTFOUND ");
	expect(set, "bob@x'y.test", "NOTFOUND "); /* R17 */
	script_set_unref(set);
	set = load("function CheckServer() return false, 5 end");
	expect(set, "bob@one.test", "NOTFOUND "); /* nobody routes */
	script_set_unref(set);
}

/* All of the script's servers are out of the question, or their domain is held: its mail waits, and
 * no server is held for the others. */
static void test_a_domain_waits(void **state)
{
	const struct store_hold domain = {.dimension = STORE_DOMAIN,
	    .key = "held.test",
	    .until_ms = holds_now_ms() + 60000,
	    .who = "bob",
	    .reason = "a pause"};
	struct hold_target a = {.server = "a.test"};
	struct held held;
	struct script_set *set;

	(void)state;
	assert_int_equal(holds_set(rig.config->store, &domain, 5000), STORE_FOUND);
	set = load("function GetOverrides(d) return {'a.test', '192.0.2.1:26'} end\n"
		   "function CheckServer(d) return d == 'two.test' or d == 'held.test' end\n"
		   "function FinalOverrides(d, s)\n"
		   "  if d == 'final.test' or d == 'held.test' then return {'b.test'} end\n"
		   "  if d == 'same.test' then return s end\n"
		   "end");
	expect(set, "bob@one.test", "OK mailhooks-wait:[192.0.0.8]");
	expect(set, "bob@two.test", "OK smtp:[a.test], [192.0.2.1]:26");
	expect(set, "bob@final.test", "OK smtp:[b.test]");
	expect(set, "bob@held.test", "OK mailhooks-wait:[192.0.0.8]");
	expect(set, "bob@same.test", "OK mailhooks-wait:[192.0.0.8]");
	assert_int_equal(holds_find(rig.config->store, &a, 0, &held, 5000), STORE_ABSENT);
	script_set_unref(set);
}

static void test_the_last_answer(void **state)
{
	struct script_set *set = load("function GetOverrides(d)\n"
				      "  if Broken then error('x') end\n"
				      "  if d == 'dns.test' then return end\n"
				      "  return {'a.test'}\n"
				      "end\n");
	char *got = ask(set, "bob@one.test", 5000, true);

	(void)state;
	assert_string_equal(got, "TEMP no route in time");
	free(got);
	expect(set, "bob@one.test", "OK smtp:[a.test]");
	got = ask(set, "joe@ONE.test", 5000, true);
	assert_string_equal(got, "OK smtp:[a.test]");
	free(got);
	got = ask(set, "bob@ours.test", 5000, true);
	assert_string_equal(got, "NOTFOUND ");
	free(got);
	/* DNS does not answer, but nobody needs to know */
	expect(set, "bob@dns.test", "NOTFOUND ");
	script_set_unref(set);
	/* FinalOverrides() does: not known is not "no" */
	set = load("function FinalOverrides() end\n");
	got = ask(set, "bob@dns.test", 400, false);
	assert_string_equal(got, "TEMP no route in time");
	free(got);
	script_set_unref(set);
	/* other scripts have no last answer */
	set = load("function GetOverrides(d) return {'b.test'} end\n");
	got = ask(set, "bob@one.test", 5000, true);
	assert_string_equal(got, "TEMP no route in time");
	free(got);
	script_set_unref(set);
}

/* A script that is late has not said that it has no opinion. */
static void test_a_late_script(void **state)
{
	static const char *const scripts[] = {"function GetOverrides() while true do end end",
	    "function GetOverrides() return {'a.test'} end\n"
	    "function FinalOverrides() while true do end end"};

	(void)state;
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		struct script_set *set = load(scripts[i]);
		char *got = ask(set, "bob@one.test", 200, false);

		assert_string_equal(got, "TEMP no route in time");
		free(got);
		script_set_unref(set);
	}
}

static void test_the_story(void **state)
{
	struct script_set *set = load_by("function GetOverrides() return {'a.test', 'b.test'} end\n"
					 "function CheckServer(d, mx)\n"
					 "  if mx == 'b.test' then return false, 5 end\n"
					 "end\n",
	    script_set_load_to_look);
	struct strlist story = STRLIST_INIT;
	struct route r = {.story = &story};
	struct mx_case c = {.set = set,
	    .deadline_ms = clock_ms() + 5000,
	    .delivery = {.domain = "one.test", .connection_name = ""}};
	struct hold_target b = {.server = "b.test"};
	struct held held;

	(void)state;
	assert_int_equal(route_find(&c, &r), ROUTE_SERVERS);
	assert_int_equal(story.n, 3);
	assert_string_equal(
	    story.v[0], "GetOverrides (mxserverrules.lua:1): smtp:[a.test], [b.test]");
	assert_non_null(strstr(story.v[2], "b.test: not used: CheckServer(one.test, b.test, 0, 0) "
					   "of mxserverrules.lua:2 returned false"));
	assert_int_equal(holds_find(rig.config->store, &b, 0, &held, 5000), STORE_ABSENT);
	strlist_clear(&story);
	route_clear(&r);
	script_set_unref(set);
}

/* ---- Sendmail: one answer is the whole decision ---- */

static void expect_rule(struct script_set *set, const char *key, bool late, const char *wanted)
{
	char *got = ask_map(set, "local_rule", key, 5000, late);

	if (strcmp(got, wanted) != 0)
		fail_msg("%s gives \"%s\", not \"%s\"", key, got, wanted);
	free(got);
}

static void test_sendmail(void **state)
{
	struct script_set *set = load("function GetOverrides(d)\n"
				      "  if d == 'stop.test' then return nil, false end\n"
				      "  if d == 'port.test' then return {'a.test:26'} end\n"
				      "  return {'a.test:25', '[2001:db8::1]', 'b.test'}\n"
				      "end\n"
				      "function CheckServer(d, mx, tries)\n"
				      "  if tries == 9 then return false end\n"
				      "  return not (tries == 3 and mx == 'a.test')\n"
				      "end\n");
	struct hold_target a = {.server = "a.test"};
	struct held held;

	(void)state;
	expect_rule(set, "6A | | a@b.test | bob@late.test.", true, "TEMP no route in time");
	expect_rule(set, "6A | | a@b.test | bob@one.test.", false,
	    "OK [a.test]:[IPv6:2001:db8::1]:[b.test]");
	expect_rule(set, "6A | 3 | <> | bob@one.test", false, "OK [IPv6:2001:db8::1]:[b.test]");
	expect_rule(set, "6A|9||bob@one.test", false, "TEMP no server may be used now");
	expect_rule(set, "6A | 1 || bob@stop.test", false, "TEMP no server may be used now");
	expect_rule(set, "6A | 1 || bob@port.test", false, "TEMP a server with a port");
	expect_rule(set, "6A | 1 || bob@ours.test", false, "NOTFOUND ");
	/* waiting is no route: the last one stands when there is no answer */
	expect_rule(set, "6A | 9 || bob@one.test.", true, "OK [IPv6:2001:db8::1]:[b.test]");
	/* refused without minutes is not held here: everything is asked again anyhow */
	assert_int_equal(holds_find(rig.config->store, &a, 0, &held, 5000), STORE_ABSENT);
	script_set_unref(set);
	/* only a script that routes may keep mail back because of the time; as the map mx */
	set = load("function CheckServer() return true end\n");
	expect_rule(set, "6A | 1 || bob@late.test", true, "NOTFOUND ");
	script_set_unref(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_what_is_answered, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_domain_waits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_last_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_late_script, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_story, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_sendmail, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
