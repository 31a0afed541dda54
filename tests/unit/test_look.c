/* Scripts that only look (`mailhooks route`): what reads works as ever, what changes something does
 * nothing, at the top level as in hooks, and scripts are told that it was done. */
#include "lua-bindings/mx_decision.h"
#include "lua-bindings/mxserverrules.h"
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
#include <unistd.h>

#include <cmocka.h>

static struct script_rig rig;

static int setup(void **state)
{
	(void)state;
	script_rig_open(&rig, (const char *const[]){"outbound.holds_ms=0", NULL});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	holds_forget();
	store_shared_close();
	script_rig_close(&rig);
	return 0;
}

/* What CheckServer() decides about the host, n times. */
static void decide(bool look, const char *script, const char *host, int n, enum mx_use wanted)
{
	char error[500] = "", *errors;
	struct script_set *set;

	script_rig_write(&rig, "mxserverrules.lua", script);
	set = look ? script_set_load_to_look(rig.config, error, sizeof error)
		   : script_set_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	for (int i = 0; i < n; i++) {
		struct mx_case c = {.set = set,
		    .deadline_ms = clock_ms() + 10000,
		    .delivery = {.domain = "example.com", .connection_name = "direct"}};
		struct mx_reason r;

		mx_decide(&c, host, &r);
		if (r.use != wanted)
			fail_msg("%s, time %d: %s", host, i, r.why);
	}
	script_set_unref(set);
	errors = script_rig_errors(&rig);
	assert_string_equal(errors, "");
	free(errors);
}

/* R12: a limit is as it was before somebody asked about it. */
static void test_limits_are_not_taken(void **state)
{
	static const char script[] =
	    "function CheckServer(d, mx)\n"
	    "  return (mailhooks.rate_take(mx, {count = 2, minutes = 60}))\n"
	    "end\n";

	(void)state;
	decide(true, script, "mx.test", 5, MX_USE);
	decide(false, script, "mx.test", 2, MX_USE);
	decide(true, script, "mx.test", 2, MX_DROP);
	decide(false, script, "mx.test", 1, MX_DROP);
}

static void test_nothing_is_written(void **state)
{
	char *path = xasprintf("%s/new.txt", rig.directory);
	char *script = xasprintf(
	    "mailhooks.hold{server = 'mx.test', minutes = 5}\n"
	    "done = mailhooks.hold{server = 'mx.test', minutes = 5} == true and\n"
	    "  mailhooks.release{server = 'mx.test'} == false and\n"
	    "  VPOP3.SetSetting('colour', 'red') and os.timedexecute('true', 1000) == -1\n"
	    "function CheckServer(d, mx)\n"
	    "  mailhooks.hold{server = 'mx.test', minutes = 5}\n"
	    "  local f = io.open('%s', 'w')\n"
	    "  local script = assert(io.open('mxserverrules.lua'))\n"
	    "  local known, value = VPOP3.GetSetting('colour')\n"
	    "  if not done or f or value == 'red' or not os.remove then return false end\n"
	    "  if os.remove('mxserverrules.lua') then return false end\n"
	    "  return script:read(9) == 'mailhooks' and mailhooks.held{server = mx} == false and\n"
	    "    mailhooks.count_attempts{server = mx, minutes = 5} == 0\n"
	    "end\n",
	    path);

	(void)state;
	decide(true, script, "mx.test", 2, MX_USE);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
	free(script);
}

/* A hold that exists is seen and stays. */
static void test_what_is_there(void **state)
{
	static const char hold[] = "function CheckServer(d, mx)\n"
				   "  mailhooks.hold{server = mx, minutes = 5}\n"
				   "  return true\n"
				   "end\n";
	static const char release[] = "function CheckServer(d, mx)\n"
				      "  mailhooks.release{server = 'mx.test'}\n"
				      "  return not mailhooks.held{server = 'mx.test'}\n"
				      "end\n";

	(void)state;
	decide(false, hold, "mx.test", 1, MX_USE);
	decide(true, release, "mx.test", 1, MX_DROP);
	decide(true, release, "other.test", 1, MX_DROP);
	decide(false, release, "other.test", 1, MX_USE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_limits_are_not_taken, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_is_written, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_what_is_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
