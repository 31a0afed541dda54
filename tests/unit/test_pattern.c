/* String patterns: the same results and messages as stock Lua 5.4, and an end within the budget
 * (R5). */
#include "common/clock.h"
#include "tests/unit/lua_rig_setup.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GENERATED 6000 /* calls that are compared, each by six functions */

/* One call by all functions that take patterns; errors are results too. */
static const char all_functions[] =
    "local s, p, r = ...\n"
    "local out = {}\n"
    "local function note(...)\n"
    "  for i = 1, select('#', ...) do out[#out + 1] = tostring((select(i, ...))) end\n"
    "  out[#out + 1] = ';'\n"
    "end\n"
    "note(pcall(string.find, s, p))\n"
    "note(pcall(string.find, s, p, -3))\n"
    "note(pcall(string.find, s, p, 2, true))\n"
    "note(pcall(string.match, s, p))\n"
    "note(pcall(string.gsub, s, p, r))\n"
    "note(pcall(string.gsub, s, p, function(...) note(...) return ... end, 3))\n"
    "note(pcall(string.gsub, s, p, {a = 'A', b = true, [1] = 'one', ['('] = false}))\n"
    "note(pcall(function() for a, b in string.gmatch(s, p) do note(a, b) end end))\n"
    "note(pcall(function() for a in string.gmatch(s, p, 3) do note(a) end end))\n"
    "return table.concat(out, ',')\n";

struct example {
	const char *subject, *pattern, *replacement;
};

static const struct example examples[] = {
    {"", "", ""},
    {"", "^", "x"},
    {"", "$", "x"},
    {"abc", "^$", "x"},
    {"hello world", "o", "0"},
    {"hello world", "l+", "%0%0"},
    {"hello world", "(l)(o)", "%2%1"},
    {"hello world", "(h)(e)(l)(l)(o)( )(w)(o)(r)(l)", "%1%2%3%4%5%6%7%8%9"},
    {"key = value", "^(%w+)%s*=%s*(%w+)$", "%2=%1"},
    {"  trim  ", "^%s*(.-)%s*$", "%1"},
    {"a.b-c", "%.", "%%"},
    {"a.b-c", "[.-]", "_"},
    {"]]]", "[]]", "x"},
    {"]]]", "[^]]", "x"},
    {"a]b", "[]a]", "x"},
    {"a-b", "[a-]", "x"},
    {"a-b", "[%a-z]", "x"},
    {"a^b", "[a^]", "x"},
    {"a%b", "[%%]", "x"},
    {"THE (quick) fox", "%((%a+)%)", "<%1>"},
    {"THE (quick) fox", "%f[%a]%a+", "%0!"},
    {"THE (quick) fox", "%f[%A]", "|"},
    {"f(a(b)c)d(e)", "%b()", "<>"},
    {"f(a(b)c", "%b()", "<>"},
    {"aaa", "%baa", "x"},
    {"\"it\" 'is'", "([\"'])(.-)%1", "%2"},
    {"abab", "(ab)%1", "x"},
    {"aXb", "()X()", "%1-%2"},
    {"abc", "()", "%1"},
    {"abc", "(()b())", "%1%2%3"},
    {"aaaa", "a-", "x"},
    {"aaaa", "a-$", "x"},
    {"aaab", "^a*b?$", "x"},
    {"one;two;;four", "([^;]*)", "[%1]"},
    {"\r\nline\r\n", "%c+", " "},
    {"x=1,y=2", "(%w)=(%w)", "%1"},
    {"m\xe4rz", "%a+", "x"},
    {"12:34", "%d%d", "%0"},
    {"0x1F", "%x+", "x"},
    {"a,b", "%p", "x"},
    {"aBc", "%u", "x"},
    {"aBc", "%U%L", "x"},
    {"abc", "%g+", "x"},
    {"abc", "%z", "x"},
    {"a$b", "$", "x"},
    {"a$b", "a$b", "x"},
    {"a^b", "a^b", "x"},
    {"-+*?", "%-%+%*%?", "x"},
    {"+", "+", "x"},
    {"*", "*", "x"},
    {"a*", "a**", "x"},
    {"a?", "a??", "x"},
    {"abc", ".", "%0.%0"},
    {"abc", "b", "%"},
    {"abc", "b", "%x"},
    {"abc", "b", "%1"},
    {"abc", "b", "%2"},
    {"abc", "(b)", "%2"},
    {"abc", "(b", "x"},
    {"abc", "b)", "x"},
    {"abc", "%", "x"},
    {"abc", "[a", "x"},
    {"abc", "[", "x"},
    {"abc", "[^", "x"},
    {"abc", "[%", "x"},
    {"abc", "[a%", "x"},
    {"abc", "[]", "x"},
    {"abc", "[^]", "x"},
    {"abc", "%b", "x"},
    {"abc", "%bx", "x"},
    {"abc", "%f", "x"},
    {"abc", "%fa", "x"},
    {"abc", "%1", "x"},
    {"abc", "(a%1)", "x"},
    {"abc", "(a)%2", "x"},
    {"abc", "%0", "x"},
    {"abc", "()%1", "x"},
    {"abc", "a%", "x"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)",
	"%9"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)",
	"x"},
};

static void same(const char *s, size_t n, const char *p, size_t pattern_n, const char *r, size_t rn)
{
	const struct rig_bytes arguments[] = {{s, n}, {p, pattern_n}, {r, rn}};

	rig_same_call(rt, stock, "all", arguments, 3);
}

static void test_examples(void **state)
{
	(void)state;
	rig_define(rt, stock, "all", all_functions);
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		const struct example *e = &examples[i];

		same(e->subject, strlen(e->subject), e->pattern, strlen(e->pattern), e->replacement,
		    strlen(e->replacement));
	}
	same("a\0b\0c", 5, "%z", 2, "0", 1);
	same("a\0b\0c", 5, "\0", 1, "\0\0", 2);
	same("a\0b\0c", 5, "[\0b]+", 5, "x", 1);
	same("a\0b\0c", 5, "b\0c$", 4, "x", 1);
}

/* Any pattern at all over few characters, so that much of it matches and much of it is wrong. */
static void test_generated(void **state)
{
	static const char subject_set[] = "aaabbAB1 2().%-\n",
			  pattern_set[] = "aabb.*+-?^$()[]%%%%wsdfx1-",
			  replacement_set[] = "ab%%%0123 ";
	uint64_t seed = 20261121;
	char s[32], p[24], r[12];

	(void)state;
	rig_define(rt, stock, "all", all_functions);
	for (int i = 0; i < GENERATED; i++) {
		size_t n =
		    random_bytes(&seed, s, sizeof s - 1, subject_set, sizeof subject_set - 1);
		size_t pattern_n =
		    random_bytes(&seed, p, sizeof p - 1, pattern_set, sizeof pattern_set - 1);
		size_t rn = random_bytes(
		    &seed, r, sizeof r - 1, replacement_set, sizeof replacement_set - 1);

		same(s, n, p, pattern_n, r, rn);
	}
}

/* Patterns put together from items that are valid. */
static void test_generated_valid(void **state)
{
	static const char *const items[] = {"a", "b", ".", "%w", "%s", "%d", "[ab]", "[^a]",
	    "[%w1]", "[a-b]", "%b()", "%f[%w]", "%1", "()", "(a)", "(.-)", "([ab]+)", "%."};
	static const char *const counts[] = {"", "", "*", "+", "-", "?"};
	static const char subject_set[] = "aaaabbb1 (ab).";
	uint64_t seed = 4711;
	char s[40], p[200];

	(void)state;
	rig_define(rt, stock, "all", all_functions);
	for (int i = 0; i < GENERATED; i++) {
		size_t n =
		    random_bytes(&seed, s, sizeof s - 1, subject_set, sizeof subject_set - 1);
		int parts = (int)(random_next(&seed) % 6);
		size_t used = 0;

		p[0] = '\0';
		for (int j = 0; j < parts; j++)
			used += (size_t)snprintf(p + used, sizeof p - used, "%s%s",
			    items[random_next(&seed) % (sizeof items / sizeof *items)],
			    counts[random_next(&seed) % (sizeof counts / sizeof *counts)]);
		same(s, n, p, used, "<%0>", 4);
	}
}

static const char *const calls[] = {
    "return pcall(string.find, 'abc', 'b', 10)",
    "return pcall(string.find, 'abc', '', 4)",
    "return pcall(string.find, 'abc', '', 5)",
    "return pcall(string.find, 'abc', 'c', -1)",
    "return pcall(string.find, 'abc', 'a', -10)",
    "return pcall(string.find, 'abc', 'a', math.mininteger)",
    "return pcall(string.find, 'abc', '', math.maxinteger)",
    "return pcall(string.find, 'abc', 'b', '2')",
    "return pcall(string.find, 12345, 34)",
    "return pcall(string.find)",
    "return pcall(string.find, 'a')",
    "return pcall(string.find, {}, 'a')",
    "return pcall(string.find, 'a', 'a', {})",
    "return pcall(string.match, 'abc', '()')",
    "return pcall(string.match, 'abc', '.', 2)",
    "return pcall(string.gmatch, 'abc')",
    "return pcall(string.gsub, 'abc', 'b')",
    "return pcall(string.gsub, 'abc', 'b', true)",
    "return pcall(string.gsub, 'abc', 'b', 5)",
    "return pcall(string.gsub, 'abc', 'b', 'x', 0)",
    "return pcall(string.gsub, 'abc', 'b', 'x', -1)",
    "return pcall(string.gsub, 'abcabc', 'b', 'x', 1)",
    "return pcall(string.gsub, 'abc', 'b', {}, {})",
    "return pcall(string.gsub, 'abc', '%w', function() return {} end)",
    "return pcall(string.gsub, 'abc', '%w', function(c) error('in ' .. c, 0) end)",
    "return pcall(string.gsub, 'abc', '%w', setmetatable({}, {__index = function(_, k) return k .. k end}))",
    "return pcall(string.gsub, 'abc', '^%w', 'x')",
    "return pcall(string.gsub, 'abc', '', '-')",
    "return pcall(string.gsub, ' a b ', '%s*', '-')",
    "return ('x'):rep(500):find(('a?'):rep(300) .. 'x')",
    "return pcall(string.find, ('a'):rep(500), ('a?'):rep(300))",
    "return pcall(string.find, ('a'):rep(500), ('(a'):rep(31) .. (')'):rep(31))",
    "return pcall(string.find, ('('):rep(300), ('%('):rep(300))",
    "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[#t + 1] = k .. v end return table.concat(t)",
    "local f = ('abc'):gmatch('.') return f(), f(), f(), f(), f()",
    "local t = {} for w in ('abc'):gmatch('^a') do t[#t + 1] = w end return #t",
    "local s = ('ab'):rep(100000) .. 'c' return s:find('bc', 1, true)",
    "local s = ('ab'):rep(100000) return s:find('ba' .. ('ab'):rep(50000), 1, true)",
    "local s = ('ab'):rep(40000) .. 'c' return s:find(('ab'):rep(39000) .. 'c', 1, true)",
    "return ('a\\0b'):find('\\0', 1, true)",
    "local co = coroutine.wrap(function() for w in ('a b c'):gmatch('%w') do coroutine.yield(w) end end) "
    "return co(), co(), co()",
    "local it = ('a b c'):gmatch('%w') local a = it() "
    "return a, coroutine.wrap(function() return it() end)(), it()",
};

static void test_calls(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		rig_same(rt, stock, calls[i]);
}

/* Each of these keeps the stock matcher busy for hours; here it ends with the instruction budget.
 */
static void test_endless_patterns_end(void **state)
{
	static const char *const endless[] = {
	    "return ('a'):rep(60):find(('a?'):rep(40) .. ('a'):rep(60) .. 'b')",
	    "return ('a'):rep(3000):find('.-.-.-.-.-b')",
	    "return ('a'):rep(3000):match('(.*)(.*)(.*)(.*)b')",
	    "return ('a'):rep(3000):gsub('.*.*.*.*b', 'x')",
	    "for w in ('a'):rep(3000):gmatch('a*a*a*a*b') do end",
	    "return ('('):rep(1000000):find('%b()')",
	    "return ('a'):rep(30000):find(('a'):rep(10000) .. '.-.-.-b')",
	    "while true do pcall(string.find, ('a'):rep(3000), '.-.-.-b') end",
	    "return ('a'):rep(100000):find('[' .. ('bc'):rep(1000000) .. ']b')",
	};

	(void)state;
	for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
		enum run_result result = rig_run_budget(rt, endless[i], 5000000, RIG_MS);

		if (result != RUN_INSTRUCTIONS)
			fail_msg("%s: %s", endless[i], run_result_text(result));
	}
}

/* ... or with the time of the hook, whatever comes first. */
static void test_endless_pattern_ends_in_time(void **state)
{
	int64_t before = clock_ms();

	(void)state;
	assert_int_equal(
	    rig_run_budget(rt, "return ('a'):rep(5000):find('.-.-.-.-b')", 0, 100), RUN_DEADLINE);
	assert_true(clock_ms() - before < 1100);
}

/* Honest work is not mistaken for an attack. */
static void test_honest_work_fits(void **state)
{
	(void)state;
	rig_expect(rt,
	    "local line = 'Received: from a.example (a.example [192.0.2.1])\\r\\n' "
	    "local text, n = line:rep(2000), 0 "
	    "for host in text:gmatch('from%s+([%w.-]+)') do n = n + 1 end "
	    "local _, k = text:gsub('%d+', '0') return n, k",
	    "2000|8000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_generated),
	    cmocka_unit_test(test_generated_valid),
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_endless_patterns_end),
	    cmocka_unit_test(test_endless_pattern_ends_in_time),
	    cmocka_unit_test(test_honest_work_fits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
