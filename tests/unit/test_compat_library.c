/* Library functions that take integers, and arguments that the manuals of Lua 5.0 and 5.1 allow and
 * Lua 5.4 refuses: function by function, in every mode. And whose numbers are written without .0:
 * those of the chunk that is old, whoever loaded it. R14. */
#include "lua-bindings/lib/compat_help.h"
#include "tests/unit/lua_rig_setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int restore_and_teardown(void **state)
{
	compat_without_set(COMPAT_AUTO);
	return teardown(state);
}

static const enum compat_mode old_modes[] = {COMPAT_AUTO, COMPAT_50, COMPAT_52};

/* A call, what it gave, and a part of what Lua 5.4 says. */
struct old_call {
	const char *code, *results, *now;
};

#define INTEGER "number has no integer representation"
#define GONE NULL /* under "5.4" the function does not exist, where there is a set */

static void check(const struct old_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t m = 0; m < sizeof old_modes / sizeof *old_modes; m++) {
			compat_without_set(old_modes[m]);
			rig_expect(rt, calls[i].code, calls[i].results);
		}
		compat_without_set(COMPAT_54);
		if (calls[i].now != NULL)
			rig_expect_error(rt, calls[i].code, calls[i].now);
	}
	compat_without_set(COMPAT_AUTO);
}

#define CHECK(calls) check(calls, sizeof(calls) / sizeof *(calls))

/* Manual 5.1, lua_tointeger: "If the number is not an integer, it is truncated". Every function of
 * sections 5.1 to 5.8 of the manuals that takes one, each of its integers on its own. */
static void test_fractions(void **state)
{
	static const struct old_call calls[] = {
	    /* basic functions */
	    {"return select(2.7, 'a', 'b', 'c')", "b|c", INTEGER},
	    {"return select(-1.7, 'a', 'b', 'c')", "c", INTEGER},
	    {"return tonumber('ff', 16.5)", "255", INTEGER},
	    {"return select(2, pcall(error, 'x', 0.5))", "x", NULL},
	    {"error('at my caller', 0.5)", "", NULL},
	    {"return unpack({1, 2, 3}, 1.5)", "1|2|3", GONE},
	    {"return unpack({1, 2, 3}, 2, 2.5)", "2", GONE},
	    {"return type(getfenv(1.5))", "table", GONE},
	    {"return type(setfenv(1.5, getfenv(1)))", "function", GONE},
	    {"return collectgarbage(100.5)", "0", NULL},
	    {"return type(debug.traceback('x', 1.5))", "string", INTEGER},
	    /* string */
	    {"return string.byte('abc', 2.5)", "98", INTEGER},
	    {"return string.byte('abc', 1, 2.5)", "97|98", INTEGER},
	    {"return string.char(65.5, 66)", "AB", INTEGER},
	    {"return string.char(65, 66.5)", "AB", INTEGER},
	    {"return string.find('abcabc', 'b', 2.5)", "2|2", INTEGER},
	    {"return string.find('a.c', '.', 2.5, true)", "2|2", INTEGER},
	    {"return string.match('abc', '%a', 2.5)", "b", INTEGER},
	    {"return (string.gsub('aaa', 'a', 'b', 2.5))", "bba", INTEGER},
	    {"return string.rep('x', 2.5)", "xx", INTEGER},
	    {"return string.sub('abc', 2.5)", "bc", INTEGER},
	    {"return string.sub('abc', 1, -1.5)", "abc", INTEGER},
	    {"return ('abc'):sub('1.5')", "abc", INTEGER},
	    {"return string.format('%d %i %c %o %x %X', 3.5, -3.5, 65.5, 8.5, 255.5, 255.5)",
		"3 -3 A 10 ff FF", INTEGER},
	    {"return string.format('%5.2d|%-4d|', 3.5, 4.5)", "   03|4   |", INTEGER},
	    /* table */
	    {"return table.concat({'a', 'b', 'c'}, '', 1.5)", "abc", INTEGER},
	    {"return table.concat({'a', 'b', 'c'}, '', 1, 2.5)", "ab", INTEGER},
	    {"local t = {'a', 'b'} table.insert(t, 1.5, 'x') return t[1], t[3]", "x|b", INTEGER},
	    {"local t = {'a', 'b'} return table.remove(t, 1.5), #t", "a|1", INTEGER},
	    {"local t = {1, 2, 3} table.setn(t, 2.5) return #t", "2", GONE},
	    {"return table.unpack({1, 2, 3}, 1.5, 2.5)", "1|2", INTEGER},
	    /* math */
	    {"return math.ldexp(1, 4.5)", "16", GONE},
	    {"return math.random(1.5)", "1", INTEGER},
	    {"return math.random(2.5, 2.9)", "2", INTEGER},
	    {"math.randomseed(1.5) return type(math.random())", "number", NULL},
	    /* bit32 of 5.2 */
	    {"return bit32.lshift(1, 4.5), bit32.rshift(16, 4.5), bit32.arshift(16, 4.5)", "16|1|1",
		GONE},
	    {"return bit32.lrotate(1, 1.5), bit32.extract(6, 1.5, 2.5), bit32.replace(0, 1, 1.5)",
		"2|3|2", GONE},
	    /* os */
	    {"return os.date('!%S', 61.9)", "01", INTEGER},
	    {"return os.date('!*t', 61.9).sec", "1", INTEGER},
	    {"return os.difftime(61.9, 1)", "60.0", INTEGER},
	    {"return os.difftime(61, 1.9)", "60.0", INTEGER},
	    {"local t = {year = 2003.9, month = 4.5, day = 10.5, hour = 11.5, min = 12.5, sec = 13.5} "
	     "return os.date('%Y-%m-%d %H:%M:%S', os.time(t)), t.day",
		"2003-04-10 11:12:13|10.5", "field 'year' is not an integer"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (strncmp(calls[i].code, "error(", 6) == 0) { /* has no results */
			rig_expect_error(rt, calls[i].code, "at my caller");
			compat_without_set(COMPAT_54);
			rig_expect_error(rt, calls[i].code, INTEGER);
			compat_without_set(COMPAT_AUTO);
		} else {
			check(&calls[i], 1);
		}
}

#define FILE_OF "local name = os.tmpname() local f = io.open(name, 'w+') f:write('0123456789') "
#define DONE "f:close() os.remove(name) return r, s"

static void test_fractions_of_files(void **state)
{
	static const struct old_call calls[] = {
	    {FILE_OF "local r = f:seek('set', 2.7) local s = f:read(3.7) " DONE, "2|234", INTEGER},
	    {FILE_OF "f:seek('set', 0) local r, s = f:read(1.5, 2.5) " DONE, "0|12", INTEGER},
	    {FILE_OF "f:seek('set', 0) local r, s = f:lines(4.5)() " DONE, "0123|nil", INTEGER},
	    {FILE_OF "local r, s = f:setvbuf('full', 1024.5) " DONE, "true|nil", INTEGER},
	    {FILE_OF "f:seek('set', 0) io.input(f) local r, s = io.read(2.5) io.input(f) " DONE,
		"01|nil", INTEGER},
	};

	(void)state;
	CHECK(calls);
}

/* What Lua 5.0 and 5.1 took besides. */
static void test_arguments(void **state)
{
	static const struct old_call calls[] = {
	    {"return tonumber(10, 16), tonumber(10.0, 2)", "16|2", "string expected, got number"},
	    {"return os.difftime(60)", "60.0", "number expected"},
	    {"return os.difftime(60, nil)", "60.0", "number expected"},
	    {"return os.date('%H', os.time{year = 2003, month = 1, day = 1, hour = 'noon'})", "12",
		"field 'hour' is not an integer"},
	    {"return os.date('%d', os.time{year = '2003', month = '1', day = '2.5'})", "02",
		"field 'day' is not an integer"},
	    {"return math.fmod(1, 0) ~= math.fmod(1, 0)", "true", "zero"},
	    {FILE_OF
		"f:close() f = io.open(name, 'rb+') local r, s = f:read('*a'), f:write('x') == f " DONE,
		"0123456789|true", "invalid mode"},
	    {FILE_OF "f:close() f = io.open(name, 'rt') local r, s = f:read('*a') " DONE,
		"0123456789|nil", "invalid mode"},
	    {FILE_OF "f:close() f = io.open(name, 'a+t') local r, s = f:write('x') == f " DONE,
		"true|nil", "invalid mode"},
	};

	(void)state;
	CHECK(calls);
	for (size_t m = 0; m < sizeof old_modes / sizeof *old_modes; m++) {
		compat_without_set(old_modes[m]);
		rig_expect_error(rt, "io.open('x', 'q')", "invalid mode");
		rig_expect_error(rt, "io.open('x', 'rw')", "invalid mode");
		rig_expect_error(rt, "io.open('x', '')", "invalid mode");
		rig_expect_error(
		    rt, "os.time{year = 2003, month = 1, day = 'x'}", "field 'day' missing");
		rig_expect_error(rt, "string.rep('x', {})", "number expected, got table");
	}
	compat_without_set(COMPAT_AUTO);
}

/* 5.1: "base 10, the default"; 5.2 made it one like any other. */
static void test_base_ten(void **state)
{
	static const char code[] = "return tonumber('1.5', 10), tonumber('0x10', 10.5)";

	(void)state;
	rig_expect(rt, code, "nil|nil");
	compat_without_set(COMPAT_50);
	rig_expect(rt, code, "1.5|16");
	compat_without_set(COMPAT_52);
	rig_expect(rt, code, "nil|nil");
	compat_without_set(COMPAT_AUTO);
	rig_expect(rt, "return load(\"local s = '\\\\V' return tonumber('1.5', 10)\")()", "1.5");
}

/* ---- whose numbers are old ---- */

#define OLD_TEXT "\"local s = '\\\\V' " /* an unknown escape proves a text to be old */

static void test_old_chunks(void **state)
{
	(void)state;
	rig_expect(rt, "return tostring(10/2)", "5.0");
	rig_expect(rt, "return load(" OLD_TEXT "return tostring(10/2), 10/2 .. ''\")()", "5|5");
	rig_expect(rt, "return loadstring(" OLD_TEXT "return tostring(10/2)\")()", "5");
	rig_expect(rt, "return load(" OLD_TEXT "return tostring(10/2)\", '=name')()", "5");
	/* what an old chunk loads is old, its functions stay old, and they alone */
	rig_expect(
	    rt, "return load(" OLD_TEXT "return loadstring('return tostring(4/2)')()\")()", "2");
	rig_expect(rt,
	    "local f = load(" OLD_TEXT "return function(x) return tostring(x) end\")() "
	    "collectgarbage() collectgarbage() return f(10/2), tostring(10/2), "
	    "load('return tostring(...)')(10/2)",
	    "5|5.0|5.0");
	rig_expect(rt, "return load(" OLD_TEXT "return select(2, pcall(tostring, 10/2))\")()", "5");
	rig_expect(rt, "return select(2, pcall(tostring, 10/2))", "5.0");
	rig_expect(
	    rt, "return load(" OLD_TEXT "return string.format('%s', 4/2)\", '=case')()", "2");
}

/* The chunks that are kept are the last ones, and no other chunk is taken for one of them. */
static void test_many_old_chunks(void **state)
{
	(void)state;
	rig_expect(rt,
	    "local kept = {} "
	    "for i = 1, 1000 do "
	    "  local f = load(" OLD_TEXT "return tostring(...) -- a name that is long \" .. i) "
	    "  assert(f(i + 0.0) == tostring(i), i) "
	    "  local g = load('return tostring(...) -- another long name ' .. i) "
	    "  assert(g(i + 0.0) == i .. '.0', i) "
	    "  kept[i] = g "
	    "end "
	    "for i = 1, 1000 do assert(kept[i](2.0) == '2.0') end "
	    "return 'fine'",
	    "fine");
}

/* A new life knows nothing of the chunks of the one before. */
static void test_chunks_of_another_life(void **state)
{
	(void)state;
	rig_expect(rt, "return load(" OLD_TEXT "return tostring(1.0)\", '=same')()", "1");
	assert_true(runtime_end(rt) && runtime_begin(rt, NULL));
	rig_expect(rt, "return load('return tostring(1.0)', '=same')()", "1.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fractions),
	    cmocka_unit_test(test_fractions_of_files),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_base_ten),
	    cmocka_unit_test(test_old_chunks),
	    cmocka_unit_test(test_many_old_chunks),
	    cmocka_unit_test(test_chunks_of_another_life),
	};

	return cmocka_run_group_tests(tests, setup, restore_and_teardown);
}
