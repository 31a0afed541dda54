/* The string and utf8 libraries: as stock Lua 5.4, except where Lua 5.0 is kept, and accounted for.
 */
#include "tests/unit/lua_rig_setup.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const calls[] = {
    "return ('abc'):byte(1, -1)",
    "return ('abc'):byte(-1), ('abc'):byte(10), pcall(string.byte)",
    "return pcall(string.byte, ('x'):rep(2000000), 1, -1)",
    "return string.char(), string.char(97, 98), pcall(string.char, 256), pcall(string.char, 'x')",
    "return ('AbC'):lower(), ('AbC'):upper(), ('AbC'):reverse(), ('AbC'):len(), pcall(string.lower)",
    "return ('hello'):sub(2, 3), ('hello'):sub(-3), ('hello'):sub(4, 2), ('hello'):sub(0), pcall(string.sub, 'x')",
    "return ('ab'):rep(3), ('ab'):rep(3, ','), ('ab'):rep(0), ('ab'):rep(-1), ('ab'):rep(1, 'x'), (''):rep(5, 'x')",
    "return pcall(string.rep), pcall(string.rep, 'x'), pcall(string.rep, 'x', {}), (''):rep(1000000000)",
    "return pcall(string.rep, 'abc', math.maxinteger), pcall(string.rep, '', math.maxinteger, 'ab')",
    "return pcall(string.rep, 'x', 3.0), pcall(string.rep, 'x', 2.5)",
    "local s = ('ab'):rep(1000, 'xyz') return #s, s:sub(1, 12), s:sub(-7)",
    "return string.format('%s %d %5.2f %x %X %o %c %q %a %i %e %g %%', 'a', 3, 1.5, 255, 255, 8, 65, 'q\\n', 1, 7, 1, 1)",
    "return string.format('%-10s|%10s|%.2s|%5d|%-5d|%05d|%+d', 'a', 'b', 'cde', 1, 2, 3, 4)",
    "return pcall(string.format, '%d', 'x'), pcall(string.format, '%d'), pcall(string.format, '%y', 1)",
    "return pcall(string.format, '%d', {}), pcall(string.format), pcall(string.format, '%')",
    "return pcall(string.format, '%123d', 1), pcall(string.format, '%10q', 'x'), pcall(string.format, '%s')",
    "return string.format('%s|%s|%s', nil, true, setmetatable({}, {__tostring = function() return 'T' end}))",
    "return string.format('%d|%d|%s', '10', 3.0, 3.0), pcall(string.format, '%d', math.huge)",
    "return pcall(string.format, '%d', 1e300), pcall(string.format, '%d', 0/0)",
    "return string.format('%q', 1/3), string.format('%q', math.mininteger), pcall(string.format, '%-5%|')",
    "return string.pack('i4', 100), string.pack('>I2 s1 z', 258, 'abc', 'def'), pcall(string.pack, 'i17', 1)",
    "return string.packsize('i4i8'), pcall(string.packsize, 's'), pcall(string.packsize, 'c10000000000000000000')",
    "return string.unpack('<i2', '\\1\\2'), string.unpack('z', 'abc\\0def'), string.unpack('s1', '\\3abc')",
    "return pcall(string.unpack, 'z', 'abc'), pcall(string.unpack, 'i4', 'abc'), pcall(string.unpack, 'i4', 'abcdef', 9)",
    "return string.unpack('z', 'a\\0b\\0c\\0', -4), string.unpack('c3', 'abcdef', 3), pcall(string.pack, 'c2', 'abc')",
    "return #string.pack('c100000', 'x'), string.pack('!8 i1 !8 i8', 1, 2), pcall(string.unpack, 'c5', 'abc')",
    "return '10' + 5, '3' * '4', 10 .. 20, -'2', '7' // 2, pcall(function() return 'x' + 1 end)",
    "return #'abc', ('x' < 'y'), ('abc').len, ('x'):rep(3), pcall(function() return ('x').y.z end)",
    "return utf8.char(72, 228, 8364, 0x10FFFF), pcall(utf8.char, -1), utf8.charpattern, utf8.char()",
    "return utf8.codepoint('h\\u{e4}\\u{20ac}', 1, -1), pcall(utf8.codepoint, '\\xff'), pcall(utf8.codepoint, 'x', 5)",
    "return pcall(utf8.codepoint, 'abc', 1, 9), pcall(utf8.codepoint, 'abc', -9), utf8.codepoint('abc', 2, 1)",
    "return utf8.len('h\\u{e4}'), utf8.len('\\xff'), utf8.len('abc', 4), pcall(utf8.len, 'abc', 5), utf8.len('abc', -2)",
    "return utf8.len('abc', 1, -2), pcall(utf8.len, 'abc', 1, 4), utf8.len('\\u{7FFFFFFF}', 1, -1, true)",
    "return utf8.offset('h\\u{e4}x', 3), utf8.offset('h\\u{e4}x', -1), utf8.offset('h\\u{e4}x', 0, 3), utf8.offset('abc', 9)",
    "return pcall(utf8.offset, 'h\\u{e4}', 1, 3), pcall(utf8.offset, 'abc', 1, 9), utf8.offset('abc', 4), utf8.offset('', 1)",
    "local t = {} for p, c in utf8.codes('h\\u{e4}\\u{20ac}') do t[#t + 1] = p .. ':' .. c end return table.concat(t, ' ')",
    "local t = {} for p, c in utf8.codes('\\u{7FFFFFFF}a', true) do t[#t + 1] = p .. ':' .. c end return table.concat(t, ' ')",
    "return pcall(function() for p, c in utf8.codes('ab\\xff') do end end)",
    "return pcall(utf8.codes), pcall(utf8.codes, '\\x80'), select('#', utf8.codes('x'))",
};

static void test_as_stock(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		rig_same(rt, stock, calls[i]);
}

/* utf8 functions on any bytes at all, at any position. */
static void test_utf8_of_anything(void **state)
{
	static const char body[] =
	    "local s, i, n = ... i, n = tonumber(i), tonumber(n) local out = {}\n"
	    "local function note(...) for k = 1, select('#', ...) do out[#out + 1] = tostring((select(k, ...))) end end\n"
	    "note(pcall(utf8.len, s, i)) note(pcall(utf8.len, s, i, n, true)) note(pcall(utf8.offset, s, n, i))\n"
	    "note(pcall(utf8.offset, s, n)) note(pcall(utf8.codepoint, s, i, n))\n"
	    "note(pcall(function() for p, c in utf8.codes(s) do note(p, c) end end))\n"
	    "local it = utf8.codes('') note(pcall(it, s, i)) note(pcall(it, s, n))\n"
	    "return table.concat(out, ',')";
	static const char likely[] = "ab\xc3\xa4\xe2\x82\xac\x80\xbf\xf0\x9f\x98\x80";
	uint64_t seed = 99;
	char s[24], i[8], n[8];

	(void)state;
	rig_define(rt, stock, "all", body);
	for (int round = 0; round < 3000; round++) {
		size_t length = random_bytes(&seed, s, sizeof s - 1, likely, sizeof likely - 1);
		struct rig_bytes arguments[] = {{s, length}, {i, 0}, {n, 0}};

		arguments[1].n =
		    (size_t)snprintf(i, sizeof i, "%d", (int)(random_next(&seed) % 30) - 10);
		arguments[2].n =
		    (size_t)snprintf(n, sizeof n, "%d", (int)(random_next(&seed) % 16) - 6);
		rig_same_call(rt, stock, "all", arguments, 3);
	}
}

/* What Lua 5.0 accepted and Lua 5.4 does not. */
static void test_format_as_in_50(void **state)
{
	(void)state;
	rig_expect(rt, "return string.format('%d %i %x %c %o', 3.5, -3.9, 255.9, 65.5, 8.1)",
	    "3 -3 ff A 10");
	rig_expect(
	    rt, "return string.format('%5d|%-5d|%05d', 3.5, '4.5', 5.9)", "    3|4    |00005");
	rig_expect(rt, "return string.format('%u', 7), string.format('%u', 3.7)", "7|3");
	rig_expect(rt, "return string.format('%u %5u%%|%s', -1, 42, 'u')", "4294967295    42%|u");
	rig_expect(rt, "return string.format('%s %d', 3.5, 3.5)", "3.5 3");
	rig_expect(rt, "return string.format('%d%%u %d', 1.5, 2.5)", "1%u 2");
	rig_expect(rt,
	    "local t = {} for w in string.gfind('a b', '%a') do t[#t + 1] = w end return #t", "2");
}

static void test_no_dump(void **state)
{
	(void)state;
	rig_expect(rt, "return string.dump", "nil"); /* R14 */
}

/* Each loop here spends its time in C; it ends with the instruction budget, or with that of memory.
 */
static void test_all_is_accounted(void **state)
{
	static const char *const loops[] = {
	    "s:upper()",
	    "s:lower()",
	    "s:reverse()",
	    "s:sub(2)",
	    "s:byte(1, 100000)",
	    "string.char(s:byte(1, 10000))",
	    "s:find('b', 1, true)",
	    "s:find('b')",
	    "s:gsub('b', 'c')",
	    "pcall(string.format, '%s', s)",
	    "pcall(string.format, '%q', s)",
	    "pcall(string.rep, s, 3)",
	    "string.pack('s4', s)",
	    "string.pack('c1000000', '')",
	    "string.packsize(('i'):rep(1000000))",
	    "pcall(string.unpack, 'z', s)",
	    "string.unpack('s4', p)",
	    "utf8.len(s)",
	    "utf8.offset(s, 1000000)",
	    "utf8.offset(s, -1000000)",
	    "pcall(utf8.codepoint, s, 1, 10000)",
	    "pcall(next_code, c, 1)",
	    "tonumber(s)",
	    "tonumber(s, 16)",
	    "os.date(s)",
	    "load(s)",
	    "print(s)",
	    "table.concat({s, s})",
	};
	char code[300];

	(void)state;
	rig_listen();
	for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
		enum run_result result;

		snprintf(code, sizeof code,
		    "local s, c = ('a'):rep(1000000), ('\\x80'):rep(1000000) local p = string.pack('s4', s) "
		    "local next_code = utf8.codes('') while true do %s end",
		    loops[i]);
		result = rig_run_budget(rt, code, 5000000, RIG_MS);
		if (result != RUN_INSTRUCTIONS)
			fail_msg("%s: %s: %s", loops[i], run_result_text(result), rig_text);
	}
}

static void test_a_gigabyte_is_refused(void **state)
{
	(void)state;
	assert_int_equal(rig_run(rt, "return ('x'):rep(1000000000)"), RUN_MEMORY);
	assert_int_equal(rig_run(rt, "return string.pack('c1000000000', '')"), RUN_MEMORY);
	assert_int_equal(rig_run(rt, "return ('x'):rep(20000000):gsub('x', 'yy')"), RUN_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_as_stock),
	    cmocka_unit_test(test_utf8_of_anything),
	    cmocka_unit_test(test_format_as_in_50),
	    cmocka_unit_test(test_no_dump),
	    cmocka_unit_test(test_all_is_accounted),
	    cmocka_unit_test(test_a_gigabyte_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
