/* Lives of one state whose scripts only read the libraries share these (lib/library_tables.h), and
 * nothing else: what one life defines the next one does not see (R14). The functions are the same
 * ones as in a life that has libraries of its own. */
#include "lua-bindings/instance.h"
#include "lua-bindings/script_set_private.h"
#include "tests/unit/script_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Answers what it finds, then leaves traces wherever a script can that only reads libraries. */
#define SCRIPT                                                                                          \
	"function Check()\n"                                                                            \
	"  local t = {}\n"                                                                              \
	"  local answer = table.concat({('abc'):sub(2, 2), ('a'):upper(), string.format('%d', 3),\n"    \
	"    type(print), tostring(trace), tostring(helper), type(VPOP3.HexString), math.floor(2.5),\n" \
	"    tostring(next(t)), select('#', 1, 2), tostring(getmetatable(''))}, '|')\n"                 \
	"  function print() return 'mine' end\n"                                                        \
	"  function helper() end\n"                                                                     \
	"  trace = 'left'\n"                                                                            \
	"  return answer .. '|' .. (print() or 'nothing')\n"                                            \
	"end\n"
#define ANSWER "b|A|3|function|nil|nil|function|2|nil|2|false|mine"
#define LIVES 50

struct answer {
	char text[200];
};

static void l_take(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct answer *a = arg;

	(void)in;
	assert_int_equal(n, 1);
	snprintf(a->text, sizeof a->text, "%s", lua_tostring(L, first));
}

static void ask(struct script_set *set, struct answer *a)
{
	struct instance_call c = {.hook = "Check", .l_results = l_take, .arg = a};
	struct instance in;

	assert_int_equal(instance_open(&in, set, SCRIPT_PASSWORDCHECK, NULL, INT64_MAX, NULL, NULL),
	    INSTANCE_DONE);
	assert_int_equal(instance_call(&in, &c), INSTANCE_DONE);
	instance_close(&in);
}

static void live(struct script_set *set, const char *expected)
{
	struct answer a = {""};

	ask(set, &a);
	assert_string_equal(a.text, expected);
}

static struct script_set *load(struct script_rig *rig, const char *text)
{
	struct script_set *set;
	char error[500] = "";

	script_rig_open(rig, NULL);
	script_rig_write(rig, "passwordcheck.lua", text);
	set = script_set_load(rig->config, error, sizeof error);
	assert_string_equal(error, "");
	return set;
}

/* Enough lives for several collections of garbage in between. */
static void test_lives_that_share(void **state)
{
	struct script_rig rig;
	struct script_set *set = load(&rig, SCRIPT);

	(void)state;
	assert_true(script_set_leaves_libraries(set));
	for (int i = 0; i < LIVES; i++)
		live(set, ANSWER);
	script_set_unref(set);
	script_rig_close(&rig);
}

static void test_lives_that_do_not_share(void **state)
{
	struct script_rig rig;
	struct script_set *set = load(&rig, SCRIPT "_G.string.upper = nil");

	(void)state;
	assert_false(script_set_leaves_libraries(set));
	script_set_unref(set);
	script_rig_close(&rig);
	set = load(&rig, SCRIPT "Environment = _G");
	assert_false(script_set_leaves_libraries(set));
	for (int i = 0; i < LIVES; i++)
		live(set, ANSWER);
	script_set_unref(set);
	script_rig_close(&rig);
}

/* Texts that share although they play with names: each says the same in a life that shares, in the
 * next one, and in one that has libraries of its own. */
static void test_same_answers(void **state)
{
	static const char *const bodies[] = {
	    "local print <const> = 5 return print",
	    "local string_ = {} string_.sub = 1 return string_.sub",
	    "local t = {} t.string = {} t.string.sub = 7 return t.string.sub",
	    "local function type() return 'mine' end return type(1) .. math.type(1)",
	    "function tostring(x) return 'own' end return tostring(1)",
	    "function next() return 'n' end for k in pairs{a = 1} do return next() .. k end",
	    "for _, print in ipairs{1, 2} do x = print end return x .. type(print)",
	    "goto print do return 'no' end ::print:: return type(print)",
	    "return tostring((function(...) local pairs = ... return pairs end)(1, 2, 3))",
	    "return tostring(math.pi == math.huge) .. math.floor(math.pi)",
	    "return select(2, pcall(function() print.x = 1 end))",
	    "return select(2, pcall(function() return string.nothing() end))",
	    "return select(2, pcall(function() return ('x'):nothing() end))",
	    "return select(2, pcall(function() ('x').sub = 1 end))",
	    "return tostring(string.sub == ('').sub) .. tostring(('').nothing)",
	    "return select(2, pcall(setmetatable, 'x', {})) .. tostring(getmetatable('x'))",
	    "local t = setmetatable({}, {__index = function(_, k) return k end}) return t.print",
	    "local c = coroutine.wrap(function() x = coroutine.yield() end) c() c(7) return x",
	    "local c = coroutine.create(function() x = string.rep end) coroutine.resume(c) "
	    "return tostring(x == string.rep)",
	    "math.randomseed(7) os.setsafety('k') unfinished = 'u' return tostring(debug.traceback)"
	    ":sub(1, 8)",
	    "return (('a'):gsub('a', {a = 'string.sub = nil'}))",
	    "print 'x' io.write('y') return type(io.output())",
	    "return tostring(unfinished)",
	};
	struct script_rig rig;

	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct answer first = {""}, next = {""}, own = {""};
		char text[1000];
		struct script_set *set;

		snprintf(text, sizeof text, "function Check() %s end", bodies[i]);
		set = load(&rig, text);
		if (!script_set_leaves_libraries(set))
			fail_msg("does not share: %s", bodies[i]);
		ask(set, &first);
		ask(set, &next);
		script_set_unref(set);
		script_rig_close(&rig);
		snprintf(text, sizeof text, "function Check() %s end Environment = _G", bodies[i]);
		set = load(&rig, text);
		assert_false(script_set_leaves_libraries(set));
		ask(set, &own);
		script_set_unref(set);
		script_rig_close(&rig);
		if (strcmp(first.text, own.text) != 0 || strcmp(next.text, own.text) != 0)
			fail_msg("%s: \"%s\", then \"%s\", with libraries of its own \"%s\"",
			    bodies[i], first.text, next.text, own.text);
	}
}

/* "print = nil" has to hide print, which stands behind the environment of a life that shares. */
static void test_base_function_taken_away(void **state)
{
	struct script_rig rig;
	struct script_set *set = load(&rig, "function Check() print = nil return type(print) end");

	(void)state;
	live(set, "nil");
	script_set_unref(set);
	script_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lives_that_share),
	    cmocka_unit_test(test_lives_that_do_not_share),
	    cmocka_unit_test(test_same_answers),
	    cmocka_unit_test(test_base_function_taken_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
