/* CheckFile(): ten arguments, five actions, one instance for all messages of a run. */
#include "tests/unit/script_rig.h"

#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/checkfile.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/script_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct script_rig rig;
static struct script_set *set;
static struct checkfile_run *run;
static const struct log_id id = {.session = "test", .queue = "Q1"};
static struct strlist recipients, headers;

static int open_rig(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	script_rig_open(&rig, NULL);
	luaout_configure(rig.config);
	strlist_add(&recipients, "bob@two.test");
	strlist_add(&recipients, "eve@three.test");
	strlist_add(&headers, "Received: one");
	strlist_add(&headers, "Received: two\r\n folded ");
	strlist_add(&headers, "subject:hi");
	return 0;
}

static int close_rig(void **state)
{
	(void)state;
	strlist_clear(&recipients);
	strlist_clear(&headers);
	script_rig_close(&rig);
	return 0;
}

static void begin(const char *script)
{
	char error[500] = "";

	script_rig_write(&rig, "mxout.lua", script);
	set = script_set_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	run = checkfile_open(set);
}

static int end(void **state)
{
	(void)state;
	checkfile_close(run);
	script_set_unref(set);
	run = NULL;
	set = NULL;
	return 0;
}

static enum mxout_answer ask(int64_t last_try_ms, struct checkfile_actions *a)
{
	const struct checkfile_message m = {.filename = "4WxyzABCD1",
	    .size = 5000000000,
	    .created_ms = 1700000000000,
	    .retries = last_try_ms != 0 ? 3 : 0,
	    .last_try_ms = last_try_ms,
	    .sender = "ann@one.test",
	    .recipients = &recipients,
	    .header_lines = &headers};

	return checkfile_ask(run, &m, &id, clock_ms() + 5000, a);
}

static void test_arguments(void **state)
{
	struct checkfile_actions a = {0};

	(void)state;
	begin("function CheckFile(...)\n"
	      "local file, what, size, created, tries, last, from, to, data, lines = ...\n"
	      "what.Reason = table.concat({select('#', ...), file, size, created, tries,\n"
	      "'<' .. last .. '>', from, table.concat(to, ' '), data.Subject, data.RECEIVED,\n"
	      "#lines, lines[3], tostring(what.SkipSend), tostring(what.ForceLastTry),\n"
	      "tostring(what.ForceRetry), what.Priority, '<' .. ConnectionName .. '>',\n"
	      "ConnectionId}, '|')\n"
	      "return what end");
	assert_int_equal(ask(0, &a), MXOUT_DECIDED);
	assert_string_equal(a.Reason,
	    "10|4WxyzABCD1|5000000000|20231114221320|0|<>|ann@one.test|bob@two.test "
	    "eve@three.test|hi|two folded|3|subject:hi|false|false|false|50|<>|0");
	assert_int_equal(ask(1700000060000, &a), MXOUT_DECIDED);
	assert_non_null(strstr(a.Reason, "|3|<20231114221420>|"));
	assert_false(a.SkipSend || a.ForceLastTry || a.ForceRetry);
	assert_int_equal(a.Priority, 50);
	checkfile_actions_clear(&a);
}

/* R14: as scripts write booleans; also without returning the table. */
static void test_actions(void **state)
{
	static const struct {
		const char *body;
		bool skip, last, retry;
		int priority;
	} cases[] = {
	    {"what.SkipSend = 1", true, false, false, 50},
	    {"what.SkipSend = 0 return what", false, false, false, 50},
	    {"what.ForceLastTry = true what.Priority = 100.0 return what", false, true, false, 100},
	    {"what.ForceRetry = 'yes' what.Priority = '7' return what", false, false, true, 7},
	    {"return {SkipSend = true, ForceLastTry = true, ForceRetry = true}", true, false, false,
		50},
	    {"what.Priority = -3", false, false, false, 1},
	    {"what.Priority = 1e6", false, false, false, 100},
	    {"return nil", false, false, false, 50},
	};
	struct checkfile_actions a = {0};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *script = xasprintf("function CheckFile(file, what) %s end", cases[i].body);

		begin(script);
		free(script);
		assert_int_equal(ask(0, &a), MXOUT_DECIDED);
		assert_int_equal(a.SkipSend, cases[i].skip);
		assert_int_equal(a.ForceLastTry, cases[i].last);
		assert_int_equal(a.ForceRetry, cases[i].retry);
		assert_int_equal(a.Priority, cases[i].priority);
		end(state);
	}
	checkfile_actions_clear(&a);
}

static void test_one_instance(void **state)
{
	struct checkfile_actions a = {0};

	(void)state;
	begin("n = 0\nfunction CheckFile(file, what) n = n + 1 what.SkipSend = n > 2 end");
	for (int i = 1; i <= 4; i++) {
		assert_int_equal(ask(0, &a), MXOUT_DECIDED);
		assert_int_equal(a.SkipSend, i > 2);
	}
	checkfile_close(run);
	run = checkfile_open(set);
	assert_int_equal(ask(0, &a), MXOUT_DECIDED);
	assert_false(a.SkipSend);
	checkfile_actions_clear(&a);
}

/* A failure is no decision, and does not end the run. */
static void test_failures(void **state)
{
	struct checkfile_actions a = {.SkipSend = true, .Priority = 3};

	begin("function ServerDetails() end");
	assert_false(checkfile_wanted(set));
	assert_int_equal(ask(0, &a), MXOUT_NO_OPINION);
	assert_false(a.SkipSend);
	assert_int_equal(a.Priority, 50);
	end(state);
	begin("n = 0\nfunction CheckFile(file, what) n = n + 1\n"
	      "what.SkipSend = true what.Reason = 'x'\n"
	      "if n == 1 then error('no') elseif n == 2 then return 5\n"
	      "elseif n == 3 then what.Priority = {} end return what end");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(0, &a), MXOUT_FAILED);
		assert_false(a.SkipSend);
		assert_null(a.Reason);
	}
	assert_int_equal(ask(0, &a), MXOUT_DECIDED);
	assert_true(a.SkipSend);
	checkfile_actions_clear(&a);
	end(state);
	begin("if ConnectionId == 0 then error('top') end function CheckFile() end");
	assert_int_equal(ask(0, &a), MXOUT_FAILED);
	assert_int_equal(ask(0, &a), MXOUT_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_arguments, end),
	    cmocka_unit_test(test_actions),
	    cmocka_unit_test_teardown(test_one_instance, end),
	    cmocka_unit_test_teardown(test_failures, end),
	};

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}
