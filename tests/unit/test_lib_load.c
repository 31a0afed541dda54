/* Code that scripts load: text only (R14), from the script set only, one generation for a session.
 */
#include "tests/unit/lua_rig.h"
#include "tests/unit/script_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct script_rig scripts;
static struct script_set *set;
static struct runtime *rt;
static struct lua_State *stock;

static int setup(void **state)
{
	char path[200];

	(void)state;
	rig_listen();
	script_rig_open(&scripts, NULL);
	snprintf(path, sizeof path, "%s/scripts/lib", scripts.directory);
	assert_int_equal(mkdir(path, 0700), 0);
	script_rig_write(&scripts, "Lists.lua",
	    "loads = (loads or 0) + 1 return {name = ..., file = select(2, ...)}");
	script_rig_write(&scripts, "lib/deep.lua", "return 'deep'");
	script_rig_write(&scripts, "nothing.lua", "seen = true");
	script_rig_write(&scripts, "sets.lua", "package.loaded.sets = 'set by itself'");
	script_rig_write(&scripts, "broken.lua", "\nx = = 1");
	script_rig_write(&scripts, "raises.lua", "\n\nerror('boo')");
	script_rig_write(&scripts, "loop.lua", "return require('loop')");
	script_rig_write(&scripts, "unix.lua", "#!/usr/bin/lua\nreturn debug.traceback('')");
	script_rig_write(&scripts, "windows.lua", "\xEF\xBB\xBFreturn 'bom'\r\n");
	script_rig_write(&scripts, "yields.lua", "return coroutine.yield('y')");
	script_rig_write(&scripts, "bytecode.lua", "\x1bLuaT");
	script_rig_write(&scripts, "data.txt", "return 'data'");
	script_rig_write(&scripts, "smtpsvr.lua",
	    "if Marked then Leaked = true end Marked = true "
	    "function Start() return Leaked == nil and getfenv(1) == _G and X == nil end "
	    "setfenv(1, setmetatable({}, {__index = _G, __newindex = function() end})) X = 1");
	rt = rig_load(scripts.config, &set);
	stock = rig_stock_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lua_close(stock);
	rig_close(rt);
	script_set_unref(set);
	script_rig_close(&scripts);
	return 0;
}

static void next_life(void)
{
	assert_true(runtime_end(rt));
	assert_true(runtime_begin(rt, NULL));
}

static const char *const calls[] = {
    "return load('return 1 + 1')(), load('x = ')",
    "return load('return ...', 'name')(5), load('return x', 'n', 't', {x = 7})(), load('return x', 'n', 'bt', {x = 8})()",
    "return load('error(1)', '=chunk') ~= nil, pcall(load('error(\"e\")', '=chunk')), pcall(load('error(\"e\")', '@file.lua'))",
    "return pcall(load('error(\"e\")')), load('=', 'text of the chunk')",
    "local parts, i = {'return ', '4', '2'}, 0 return load(function() i = i + 1 return parts[i] end)()",
    "local i = 0 return load(function() i = i + 1 if i == 1 then return 'return 1' elseif i == 2 then return '' end return 'junk' end)()",
    "return pcall(load, function() return {} end)",
    "return pcall(load, function() error('reader', 0) end)",
    "return load(function() return 5 end ~= nil and function() return nil end)()",
    "return pcall(load), pcall(load, {}), pcall(load, 'x', {}), (load('return 1', 'x', 'b'))",
    "return load('return _ENV', 'x', 't', nil)(), load('local a <const> = 1; a = 2')",
    "return pcall(load, ('return ' .. ('('):rep(300) .. '1' .. (')'):rep(300)), '=deep')",
    "return load('goto x'), load('break'), load('return 1 2')",
    "return dofile == nil, loadfile == nil, require == nil",
};

static void test_load_as_stock(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		rig_same(rt, stock, calls[i]);
	rig_expect(rt, "return loadstring('return ...')(3), loadstring('x =', '=n')",
	    "3|nil|n:1: unexpected symbol near <eof>");
	rig_expect_error(rt, "loadstring(print)", "string expected");
}

static void test_files(void **state)
{
	(void)state;
	next_life();
	rig_expect(rt,
	    "return dofile('LISTS.LUA').name, loads, dofile('./lists.lua') ~= nil, loads",
	    "nil|1|true|2");
	rig_expect(rt,
	    "return dofile('lib/deep.lua'), dofile('lib\\\\DEEP.lua'), loadfile('lib/deep.lua')()",
	    "deep|deep|deep");
	rig_expect(rt,
	    "return dofile('windows.lua'), (dofile('unix.lua'):find('unix.lua:2', 1, true)) ~= nil",
	    "bom|true");
	rig_expect(
	    rt, "return loadfile('broken.lua')", "nil|broken.lua:2: unexpected symbol near '='");
	rig_expect_error(rt, "dofile('broken.lua')", "broken.lua:2: unexpected symbol");
	rig_expect_error(rt, "dofile('raises.lua')", "raises.lua:3: boo");
	rig_expect(rt,
	    "loadfile('nothing.lua', 't', {})() local before = seen loadfile('nothing.lua')() return before, seen",
	    "nil|true");
	rig_expect(rt,
	    "local f = coroutine.wrap(function() return dofile('yields.lua') end) return f(), f('again')",
	    "y|again");
	rig_expect_error(rt, "dofile()", "string expected");
}

static void test_nothing_outside(void **state)
{
	static const char *const names[] = {"/etc/passwd", "../secret.lua", "data.txt", "lib", "",
	    "./../scripts/Lists.lua", "lib/../Lists.lua", "/dev/stdin", "none.lua", "Lists.lua/",
	    "Lists"};
	char code[200];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(code, sizeof code, "return (loadfile('%s')), (pcall(dofile, '%s'))",
		    names[i], names[i]);
		rig_expect(rt, code, "nil|false");
	}
	rig_expect(rt, "return loadfile('none.lua')",
	    "nil|cannot open none.lua: not a .lua file in the script directory");
}

static void test_bytecode(void **state)
{
	(void)state;
	rig_expect(rt, "return loadfile('bytecode.lua')",
	    "nil|attempt to load a binary chunk (mode is 't')");
	rig_expect(rt, "return loadfile('bytecode.lua', 'b')",
	    "nil|attempt to load a text chunk (mode is 'b')");
	rig_expect(rt, "return loadfile('bytecode.lua', 'bt')",
	    "nil|attempt to load a binary chunk (mode is 't')");
	rig_expect_error(rt, "dofile('bytecode.lua')", "binary chunk");
	rig_expect_error(rt, "require('bytecode')", "binary chunk");
}

static void test_require(void **state)
{
	(void)state;
	next_life();
	rig_expect(rt,
	    "local a, file = require('lists') local b = require('lists') return a == b, loads, a.name, a.file, file",
	    "true|1|lists|lists.lua|lists.lua");
	rig_expect(rt,
	    "return require('lib.deep'), require('LIB.DEEP'), require('lists.lua') ~= nil",
	    "deep|deep|true");
	rig_expect(rt, "return require('nothing'), package.loaded.nothing, (require('sets'))",
	    "true|true|set by itself");
	rig_expect(rt, "return require('string') == string, require('_G') == _G", "true|true");
	rig_expect(rt, "package.loaded.lists = nil require('lists') return loads", "3");
	rig_expect_error(rt, "require('none')", "module 'none' not found");
	rig_expect_error(rt, "require('../secret')", "not found");
	rig_expect_error(rt, "require('broken')", "broken.lua:2:");
	rig_expect_error(rt, "require('loop')", "stack overflow");
	rig_expect(rt, "package = nil return require('lib.deep')", "deep");
	next_life();
	rig_expect(
	    rt, "return loads, package.loaded.lists, package.loaded['lib.deep']", "nil|nil|nil");
}

static void test_compiling_is_bounded(void **state)
{
	(void)state;
	rig_expect(
	    rt, "return load(('x = 1 '):rep(1000000))", "nil|chunk is longer than 4194304 bytes");
	rig_expect(rt, "return select(2, pcall(load, function() return ('x = 1 '):rep(10000) end))",
	    "nil|chunk is longer than 4194304 bytes");
	assert_int_equal(
	    rig_run_budget(
		rt, "local s = ('x = 1 '):rep(10000) while true do load(s) end", 3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
	assert_int_equal(
	    rig_run_budget(rt, "while true do loadfile('Lists.lua') end", 3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
}

/* The compiled main function is shared by the lives of a state; setfenv(1) on it must not last. */
static void test_main_function_of_two_lives(void **state)
{
	const struct run_budget budget = {INT64_MAX, 0};

	(void)state;
	for (int life = 0; life < 3; life++) {
		char error[500] = "";

		next_life();
		if (runtime_script(rt, SCRIPT_SMTPSVR, &budget, error, sizeof error) != RUN_OK)
			fail_msg("%s", error);
		rig_expect(rt, "return Start(), Marked, X, Leaked", "true|true|nil|nil");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_load_as_stock),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_nothing_outside),
	    cmocka_unit_test(test_bytecode),
	    cmocka_unit_test(test_require),
	    cmocka_unit_test(test_compiling_is_bounded),
	    cmocka_unit_test(test_main_function_of_two_lives),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
