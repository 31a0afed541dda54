/* The table and math libraries, old names included: as stock Lua 5.4, and accounted for. */
#include "tests/unit/lua_rig_setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PROXY                                                                                                \
	"local log = {} local real = {10, 20, 30} "                                                          \
	"local p = setmetatable({}, {__index = function(_, k) log[#log + 1] = 'r' .. k return real[k] end, " \
	"__newindex = function(_, k, v) log[#log + 1] = 'w' .. k real[k] = v end, __len = function() return #real end}) "

static const char *const calls[] = {
    "return table.concat({}), table.concat({1, 2.5, 'x'}), table.concat({1, 2, 3}, ', '), table.concat({1, 2, 3}, '-', 2)",
    "return table.concat({1, 2, 3}, '-', 2, 3), table.concat({1, 2, 3}, '-', 3, 2), pcall(table.concat, {1, {}, 3})",
    "return pcall(table.concat, {1, 2}, ',', 1, 3), pcall(table.concat), pcall(table.concat, 5), pcall(table.concat, 'x')",
    "return pcall(table.concat, {}, '', math.maxinteger - 1, math.maxinteger)",
    PROXY "return table.concat(p, ','), table.concat(log, ' ')",
    "local t = {} table.insert(t, 'a') table.insert(t, 1, 'b') table.insert(t, 2, 'c') return table.concat(t)",
    "return pcall(table.insert, {1, 2}, 4, 'x'), pcall(table.insert, {1, 2}, 0, 'x'), pcall(table.insert, {}, 1)",
    "return pcall(table.insert), pcall(table.insert, {}), pcall(table.insert, {}, 1, 2, 3), pcall(table.insert, {}, 'x', 1)",
    "return pcall(table.insert, nil, 1), pcall(table.insert, 'x', 1), pcall(table.insert, setmetatable({}, {}), 1)",
    PROXY "table.insert(p, 2, 15) return table.concat(real, ','), table.concat(log, ' ')",
    "local t = {1, 2, 3} return table.remove(t), table.remove(t, 1), #t, t[1], table.remove(t), table.remove(t), #t",
    "return (pcall(table.remove, {1, 2}, 4)), pcall(table.remove, {1, 2}, 3), pcall(table.remove, {}, 0), (pcall(table.remove, {}, 5))",
    "local t = {n = 0, [0] = 'z'} return table.remove(t), t[0], (pcall(table.remove, {1}, -1))",
    PROXY "local x = table.remove(p, 1) return x, table.concat(real, ','), table.concat(log, ' ')",
    "return table.concat(table.move({1, 2, 3}, 1, 3, 2), ','), table.concat(table.move({1, 2, 3}, 2, 3, 1), ',')",
    "return table.concat(table.move({1, 2, 3}, 1, 3, 3, {9, 9}), ','), #table.move({}, 1, 0, 1), pcall(table.move, {}, 1, 2)",
    "return pcall(table.move, {}, -math.maxinteger, math.maxinteger, 2), pcall(table.move, {}, 1, math.maxinteger, 2)",
    "return pcall(table.move, 5, 1, 2, 3), pcall(table.move, {}, 1, 2, 3, 5)",
    PROXY "table.move(p, 1, 2, 3) return table.concat(real, ','), table.concat(log, ' ')",
    "local t = table.pack(1, nil, 3) return t.n, t[1], t[2], t[3], table.pack().n",
    "return table.unpack({1, 2, 3}), table.unpack({1, 2, 3}, 2), table.unpack({1, 2}, 1, 3), table.unpack({}, 1, 0)",
    "return pcall(table.unpack, {}, 1, 1e7), pcall(table.unpack, {}, math.mininteger, math.maxinteger), pcall(table.unpack)",
    "return (table.unpack({1, 2}, math.maxinteger, math.maxinteger)), select('#', table.unpack({}, -5, 5))",
    "local t = {3, 1, 2} table.sort(t) return table.concat(t, ',')",
    "local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return table.concat(t, ',')",
    "local t = {'b', 'a', 'C', 'B'} table.sort(t) return table.concat(t, ',')",
    "return pcall(table.sort, {1, 'x'}), pcall(table.sort, {1, {}}), pcall(table.sort, {1, 2, nil, 4}, 5), pcall(table.sort)",
    "return pcall(table.sort, {3, 1, 2}, function() error('cmp', 0) end)",
    "local t = {} for i = 1, 1000 do t[i] = i * 7919 % 1009 end table.sort(t) return table.concat(t, ',')",
    "local t = {} for i = 1, 1000 do t[i] = 1000 - i end table.sort(t) return table.concat(t, ',')",
    "local t = {} for i = 1, 1000 do t[i] = i % 3 end table.sort(t) return table.concat(t, ',')",
    "local t = {} for i = 1, 300 do t[i] = {k = i * 31 % 307} end table.sort(t, function(a, b) return a.k < b.k end) "
    "local s = '' for i = 1, 300 do s = s .. t[i].k .. ' ' end return s",
    PROXY "real = {3, 1, 2} table.sort(p) return table.concat(real, ',')",
    "return math.abs(-3), math.ceil(1.5), math.floor(-1.5), math.max(1, 2.5), math.min(3, 1), math.fmod(7, 3), math.fmod(-7, 3)",
    "return math.sqrt(16), math.pi, math.huge, math.maxinteger, math.mininteger, math.type(1), math.type(1.0), math.tointeger(3.0)",
    "return math.ult(1, -1), math.modf(3.7), math.exp(0), math.log(8, 2), math.sin(0), math.cos(0), math.tan(0), math.deg(math.pi)",
    "return math.asin(0), math.acos(1), math.atan(1, 1), math.rad(180), pcall(math.floor, 'x'), pcall(math.max)",
    "return math.frexp(8), math.sinh(0), math.cosh(0), math.tanh(0)",
    "return pcall(math.random, 2, 1), pcall(math.random, 0.5), pcall(math.random, 1, 2, 3), pcall(math.random, 'x')",
    "math.randomseed(42) local t = {} for i = 1, 20 do t[i] = math.random(1000) end "
    "t[21] = math.random() t[22] = math.random(0) t[23] = math.random(-5, 5) t[24] = math.random(math.mininteger, math.maxinteger) "
    "return table.concat(t, ' ')",
    "math.randomseed(1, 2) return math.random(100), math.random(100), select('#', math.randomseed(1))",
};

static void test_as_stock(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		rig_same(rt, stock, calls[i]);
}

/* Any order function at all: an error or some order of the same elements, never a crash or a loop.
 */
static void test_sort_with_nonsense(void **state)
{
	(void)state;
	rig_expect_error(rt,
	    "local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() return true end)",
	    "invalid order function for sorting");
	rig_expect(rt,
	    "local x = 1 for round = 1, 300 do local t, sum = {}, 0 "
	    "for i = 1, round do t[i] = i sum = sum + i end "
	    "pcall(table.sort, t, function(a, b) x = (x * 1103515245 + 12345) % 2147483648 return x % 3 == 0 end) "
	    "for i = 1, round do sum = sum - (t[i] or 0) end "
	    "if sum ~= 0 or #t ~= round then return round end end return 'ok'",
	    "ok");
	rig_expect(rt,
	    "local t = {5, 4, 3, 2, 1} pcall(table.sort, t, function(a, b) t[3] = nil return a < b end) return 'ok'",
	    "ok");
}

/* A length that a metamethod makes up, and everything that loops over it. */
static void test_all_is_accounted(void **state)
{
	static const char *const endless[] = {
	    "table.concat(huge)",
	    "table.insert(huge, 1, 'x')",
	    "table.remove(huge, 1)",
	    "table.move(huge, 1, 1 << 60, 2)",
	    "table.move(huge, 1, 1 << 60, 2, {})",
	    "table.foreachi(huge, function() end)",
	    "table.setn(big, 0) table.insert(big, 1)",
	    "while true do table.insert(big, 1, 'x') table.remove(big, 1) end",
	    "while true do table.unpack(big) end",
	    "while true do table.pack(table.unpack(big)) end",
	    "while true do table.sort(big) end",
	    "while true do table.sort(big, function(a, b) return a < b end) end",
	    "while true do table.maxn(big) end",
	    "while true do table.concat(big) end",
	    "while true do collectgarbage() end",
	    "while true do debug.traceback() end",
	};
	char code[600];

	(void)state;
	for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
		enum run_result result;

		snprintf(code, sizeof code,
		    "local huge = setmetatable({}, {__len = function() return 1 << 60 end, "
		    "__index = function(t, k) return 'x' end, __newindex = function() end}) "
		    "local big = {} for i = 1, 20000 do big[i] = i * 7919 %% 20011 end "
		    "while true do %s end",
		    endless[i]);
		result = rig_run_budget(rt, code, 3000000, RIG_MS);
		if (result != RUN_INSTRUCTIONS)
			fail_msg("%s: %s: %s", endless[i], run_result_text(result), rig_text);
	}
}

static void test_plain_tables_with_false_length(void **state)
{
	(void)state;
	/* no metamethod but __len: nothing but C runs */
	assert_int_equal(
	    rig_run_budget(rt,
		"table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 'x')",
		3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
	assert_int_equal(rig_run_budget(rt, "table.move({}, 1, 1 << 60, 2, {})", 3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
}

/* Names of Lua 5.0, 5.1 and 5.2. */
static void test_old_names(void **state)
{
	(void)state;
	rig_expect(
	    rt, "return table.getn({1, 2, 3}), table.getn({n = 7}), table.getn({})", "3|7|0");
	rig_expect(rt, "local t = {1, 2, 3} table.setn(t, 1) return #t, t[1], t[2]", "1|1|nil");
	rig_expect(
	    rt, "local t = {1, n = 1} table.setn(t, 0) return #t, t.n, table.getn(t)", "0|0|0");
	rig_expect(rt,
	    "local s = '' table.foreach({a = 1}, function(k, v) s = s .. k .. v end) return s",
	    "a1");
	rig_expect(rt,
	    "return table.foreach({5, 6, 7}, function(k, v) if v == 6 then return k end end)", "2");
	rig_expect(rt,
	    "local s = '' table.foreachi({5, 6}, function(i, v) s = s .. i .. v .. ';' end) return s",
	    "15;26;");
	rig_expect(rt, "return table.foreachi({5, 6}, function(i, v) return v end)", "5");
	rig_expect(rt, "return table.maxn({1, 2, [10] = 1, [2.5] = 1}), table.maxn({})", "10|0");
	rig_expect(
	    rt, "return unpack({1, 2, 3}), unpack({1, nil, 3, n = 3}), unpack({1, 2}, 2)", "1|1|2");
	rig_expect(
	    rt, "return select('#', unpack({n = 3})), (select(2, unpack({1, 2, 3}, 2, 3)))", "3|3");
	rig_expect(rt, "return math.mod(7, 3), math.mod(-7, 3), math.mod(5.5, 2)", "1|-1|1.5");
	rig_expect(
	    rt, "return math.pow(2, 3), math.pow(2, 0.5) > 1.41, math.pow(2, 3) .. ''", "8|true|8");
	rig_expect(rt, "return math.log10(1000), math.ldexp(1, 4), math.atan2(0, 1)", "3|16|0.0");
	rig_expect(rt, "local kb, limit = gcinfo() return kb > 0, limit", "true|0");
	rig_expect(rt,
	    "return collectgarbage('count') > 0, collectgarbage(), collectgarbage('step'), collectgarbage(0)",
	    "true|0|true|0");
	rig_expect(rt,
	    "return collectgarbage('stop'), collectgarbage('isrunning'), collectgarbage('setpause', 10)",
	    "0|true|0");
	rig_expect_error(rt, "collectgarbage('nonsense')", "invalid option 'nonsense'");
	rig_expect_error(rt, "loadlib('x', 'y')", "loadlib is disabled in mailhooks");
	rig_expect_error(rt, "module('x')", "use require(name)");
	rig_expect_error(rt, "newproxy()", "setmetatable");
}

static void test_bit32(void **state)
{
	(void)state;
	rig_expect(rt,
	    "return bit32.band(0xff, 0x0f, 7), bit32.band(), bit32.bor(1, 2, 4), bit32.bxor(5, 1)",
	    "7|4294967295|7|4");
	rig_expect(rt, "return bit32.bnot(0), bit32.btest(6, 1), bit32.btest(6, 2), bit32.band(-1)",
	    "4294967295|false|true|4294967295");
	rig_expect(rt,
	    "return bit32.lshift(1, 31), bit32.lshift(1, 32), bit32.lshift(8, -3), bit32.lshift(1, -32)",
	    "2147483648|0|1|0");
	rig_expect(rt,
	    "return bit32.rshift(-1, 28), bit32.rshift(1, -4), bit32.rshift(1, 99), bit32.rshift(1, -99)",
	    "15|16|0|0");
	rig_expect(rt,
	    "return bit32.arshift(0x80000000, 4), bit32.arshift(16, 4), bit32.arshift(-1, 40), bit32.arshift(1, -3)",
	    "4160749568|1|4294967295|8");
	rig_expect(rt,
	    "return bit32.lrotate(0x80000001, 1), bit32.rrotate(1, 1), bit32.lrotate(5, 64), bit32.lrotate(1, -1)",
	    "3|2147483648|5|2147483648");
	rig_expect(rt,
	    "return bit32.extract(0xabcd, 4, 8), bit32.extract(2, 1), bit32.extract(-1, 0, 32)",
	    "188|1|4294967295");
	rig_expect(rt,
	    "return bit32.replace(0, 0xff, 4, 4), bit32.replace(-1, 0, 0), bit32.band(2^32 + 5)",
	    "240|4294967294|5");
	rig_expect_error(rt, "bit32.extract(1, 30, 4)", "non-existent bits");
	rig_expect_error(rt, "bit32.extract(1, -1)", "field cannot be negative");
	rig_expect_error(rt, "bit32.extract(1, 1, 0)", "width must be positive");
	rig_expect_error(rt, "bit32.band(0/0)", "no integer representation");
	/* 127.0.0.2 as RBLResultInfo has it */
	rig_expect(rt, "local x = 0x0200007f return x % 256, bit32.rshift(x, 24)", "127|2");
}

/* What setfenv and getfenv could do for the scripts of 5.0 and 5.1. */
static void test_environments(void **state)
{
	(void)state;
	rig_expect(
	    rt, "x = 1 local function f() return x end setfenv(f, {x = 2}) return f(), x", "2|1");
	rig_expect(rt,
	    "local f = loadstring('y = 5 return y') local e = {} setfenv(f, e) return f(), e.y, y",
	    "5|5|nil");
	rig_expect(rt,
	    "return getfenv(1) == _G, getfenv() == _G, getfenv(0) == _G, getfenv(print) == _G",
	    "true|true|true|true");
	rig_expect(rt,
	    "local e = {print = print} local function f() setfenv(1, e) z = 3 end f() return e.z, z",
	    "3|nil");
	rig_expect(rt,
	    "local e = {} local f = setfenv(function() return a end, e) return getfenv(f) == e",
	    "true");
	rig_expect(rt, "local function f() return 1 end return setfenv(f, {}) == f, f()", "true|1");
	/* the environment of one function is not that of its neighbours */
	rig_expect(rt,
	    "v = 'G' local function f() return v end local function g() return v end setfenv(f, {v = 'F'}) return f(), g()",
	    "F|G");
	rig_expect_error(rt, "setfenv(print, {})", "cannot change environment");
	rig_expect_error(rt, "setfenv(0, {})", "not supported");
	rig_expect_error(rt, "setfenv(50, {})", "invalid level");
	rig_expect_error(rt, "setfenv(-1, {})", "level must be non-negative");
	rig_expect_error(rt, "setfenv('x', {})", "number expected");
	rig_expect_error(rt, "setfenv(1, 5)", "table expected");
	rig_expect_error(rt, "getfenv({})", "number expected");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_as_stock),
	    cmocka_unit_test(test_sort_with_nonsense),
	    cmocka_unit_test(test_all_is_accounted),
	    cmocka_unit_test(test_plain_tables_with_false_length),
	    cmocka_unit_test(test_old_names),
	    cmocka_unit_test(test_bit32),
	    cmocka_unit_test(test_environments),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
