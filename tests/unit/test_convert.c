/* Values between scripts and the host (spec 0.3), and tables of the host in scripts for Lua 5.0. */
#include "common/limits.h"
#include "lua-bindings/convert.h"
#include "tests/unit/lua_rig_setup.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct answer {
	const char *code; /* its first result is converted */
	enum given given;
	const char *text;
};

enum kind { BOOL, INTEGER, WHOLE, STRING, LIST };

struct conversion {
	const struct answer *answer;
	enum kind kind;
	enum given given;
	char text[300];
};

static void l_convert(lua_State *L, int first, int n, void *arg)
{
	struct conversion *c = arg;
	struct strlist list = STRLIST_INIT;
	const char *s;
	int64_t integer;
	size_t length;
	bool boolean;

	if (n == 0)
		first = lua_gettop(L) + 1;
	switch (c->kind) {
	case BOOL:
		c->given = l_to_bool(L, first, &boolean);
		if (c->given == GIVEN)
			snprintf(c->text, sizeof c->text, "%s", boolean ? "true" : "false");
		break;
	case INTEGER:
		c->given = l_to_integer(L, first, &integer);
		if (c->given == GIVEN)
			snprintf(c->text, sizeof c->text, "%" PRId64, integer);
		break;
	case WHOLE:
		c->given = l_to_whole(L, first, &integer);
		if (c->given == GIVEN)
			snprintf(c->text, sizeof c->text, "%" PRId64, integer);
		break;
	case STRING:
		if (n > 0) /* counted from the top too */
			first -= lua_gettop(L) + 1;
		c->given = l_to_string(L, first, &s, &length);
		if (c->given == GIVEN)
			snprintf(c->text, sizeof c->text, "%s/%zu", s, length);
		break;
	case LIST:
		c->given = l_to_list(L, first, &list);
		length = (size_t)snprintf(c->text, sizeof c->text, "%zu", list.n);
		for (size_t i = 0; i < list.n && i < 10; i++)
			length += (size_t)snprintf(
			    c->text + length, sizeof c->text - length, "[%.20s]", list.v[i]);
		strlist_clear(&list);
	}
}

static int l_no_arguments(lua_State *L, void *arg)
{
	(void)L;
	(void)arg;
	return 0;
}

static void check(const struct answer *answers, size_t n, enum kind kind)
{
	for (size_t i = 0; i < n; i++) {
		struct conversion c = {.answer = &answers[i], .kind = kind};
		struct run_call call = {"convert", l_no_arguments, l_convert, &c};
		struct run_budget budget = {INT64_MAX, 0};
		char code[500];

		snprintf(code, sizeof code, "convert = function() %s end", answers[i].code);
		assert_int_equal(rig_run(rt, code), RUN_OK);
		assert_int_equal(runtime_call(rt, &call, &budget, NULL, 0), RUN_OK);
		if (c.given != answers[i].given || strcmp(c.text, answers[i].text) != 0)
			fail_msg("%s: %d %s, expected %d %s", answers[i].code, (int)c.given, c.text,
			    (int)answers[i].given, answers[i].text);
	}
}

static void test_booleans(void **state)
{
	static const struct answer answers[] = {
	    {"", NOT_GIVEN, ""},
	    {"return nil", NOT_GIVEN, ""},
	    {"return true", GIVEN, "true"},
	    {"return false", GIVEN, "false"},
	    {"return 1", GIVEN, "true"},
	    {"return 0", GIVEN, "false"},
	    {"return 0.0", GIVEN, "false"},
	    {"return -1.5", GIVEN, "true"},
	    {"return ''", GIVEN, "false"},
	    {"return '0'", GIVEN, "false"},
	    {"return 'No'", GIVEN, "false"},
	    {"return 'OFF'", GIVEN, "false"},
	    {"return 'False'", GIVEN, "false"},
	    {"return '1'", GIVEN, "true"},
	    {"return 'yes'", GIVEN, "true"},
	    {"return '00'", GIVEN, "true"},
	    {"return {}", GIVEN_WRONG, ""},
	    {"return print", GIVEN_WRONG, ""},
	};

	(void)state;
	check(answers, sizeof answers / sizeof *answers, BOOL);
}

static void test_integers(void **state)
{
	static const struct answer answers[] = {
	    {"", NOT_GIVEN, ""},
	    {"return 5", GIVEN, "5"},
	    {"return 10 / 2", GIVEN, "5"},
	    {"return '42'", GIVEN, "42"},
	    {"return ' 42 '", GIVEN, "42"},
	    {"return '5.0'", GIVEN, "5"},
	    {"return '0x10'", GIVEN, "16"},
	    {"return -3", GIVEN, "-3"},
	    {"return 3.5", GIVEN_WRONG, ""},
	    {"return 'x'", GIVEN_WRONG, ""},
	    {"return ''", GIVEN_WRONG, ""},
	    {"return 1e300", GIVEN_WRONG, ""},
	    {"return 0/0", GIVEN_WRONG, ""},
	    {"return true", GIVEN_WRONG, ""},
	    {"return {}", GIVEN_WRONG, ""},
	};

	(void)state;
	check(answers, sizeof answers / sizeof *answers, INTEGER);
}

/* As (int) did in a host of Lua 5.0. */
static void test_fractions_are_cut_off(void **state)
{
	static const struct answer answers[] = {
	    {"", NOT_GIVEN, ""},
	    {"return 5", GIVEN, "5"},
	    {"return 10 / 4", GIVEN, "2"},
	    {"return -10 / 4", GIVEN, "-2"},
	    {"return '2.9'", GIVEN, "2"},
	    {"return 'x'", GIVEN_WRONG, ""},
	    {"return ''", GIVEN_WRONG, ""},
	    {"return 1e300", GIVEN_WRONG, ""},
	    {"return 0/0", GIVEN_WRONG, ""},
	    {"return 1/0", GIVEN_WRONG, ""},
	    {"return true", GIVEN_WRONG, ""},
	};

	(void)state;
	check(answers, sizeof answers / sizeof *answers, WHOLE);
}

static void test_strings(void **state)
{
	static const struct answer answers[] = {
	    {"", NOT_GIVEN, ""},
	    {"return 'x'", GIVEN, "x/1"},
	    {"return ''", GIVEN, "/0"},
	    {"return 5", GIVEN, "5/1"},
	    {"return 5.0", GIVEN, "5/1"},
	    {"return 10 / 2, 'more'", GIVEN, "5/1"},
	    {"return 2.5", GIVEN, "2.5/3"},
	    {"return 'a\\0b'", GIVEN, "a/3"},
	    {"return true", GIVEN_WRONG, ""},
	    {"return {}", GIVEN_WRONG, ""},
	};

	(void)state;
	check(answers, sizeof answers / sizeof *answers, STRING);
}

static void test_lists(void **state)
{
	static const struct answer answers[] = {
	    {"", NOT_GIVEN, "0"},
	    {"return {}", GIVEN, "0"},
	    {"return {'a', 'b'}", GIVEN, "2[a][b]"},
	    {"return {'a', 5, 6.0}", GIVEN, "3[a][5][6]"},
	    {"return {'a', {}, 'b', false}", GIVEN_WRONG, "2[a][b]"},
	    {"return {'a', 'b\\0c'}", GIVEN_WRONG, "1[a]"},
	    {"return {'a', ('x'):rep(2000000)}", GIVEN_WRONG, "1[a]"},
	    {"return 'one'", GIVEN, "1[one]"},
	    {"return 'one\\r\\ntwo\\nthree'", GIVEN, "3[one][two][three]"},
	    {"return 'one\\r\\n'", GIVEN, "1[one]"},
	    {"return 'one\\n\\ntwo'", GIVEN, "3[one][][two]"},
	    {"return ''", GIVEN, "0"},
	    {"return 5", GIVEN, "1[5]"},
	    {"return true", GIVEN_WRONG, "0"},
	    {"local t = {} for i = 1, 20000 do t[i] = 'x' end return t", GIVEN_WRONG,
		"10000[x][x][x][x][x][x][x][x][x][x]"},
	    {"return ('x\\n'):rep(20000)", GIVEN_WRONG, "10000[x][x][x][x][x][x][x][x][x][x]"},
	    {"return setmetatable({'a'}, {__len = function() return 1e9 end, __index = error})",
		GIVEN, "1[a]"},
	};

	(void)state;
	assert_int_equal(LIMIT_LIST_FROM_SCRIPT, 10000);
	check(answers, sizeof answers / sizeof *answers, LIST);
}

static void l_define_tables(lua_State *L, void *arg)
{
	struct strlist list = STRLIST_INIT;

	(void)arg;
	strlist_add(&list, "first");
	strlist_add(&list, "second");
	l_push_env(L);
	l_push_list(L, &list);
	lua_setfield(L, -2, "list");
	strlist_clear(&list);
	lua_newtable(L);
	lua_pushliteral(L, "hello");
	lua_setfield(L, -2, "Subject");
	lua_pushliteral(L, "7");
	lua_rawseti(L, -2, 1);
	l_ignore_key_case(L, -1);
	lua_setfield(L, -2, "headers");
}

static void test_host_tables(void **state)
{
	(void)state;
	assert_int_equal(runtime_inside(rt, l_define_tables, NULL), RUN_OK);
	/* the loop of Lua 5.0 */
	rig_expect(rt, "local s = '' for i, v in list do s = s .. i .. v .. ' ' end return s",
	    "1first 2second ");
	rig_expect(rt, "local n = 0 for k, v in headers do n = n + 1 end return n", "2");
	rig_expect(rt,
	    "local s = '' for i, v in ipairs(list) do s = s .. v end return s, #list, table.getn(list), list.n",
	    "firstsecond|2|2|nil");
	rig_expect(
	    rt, "table.insert(list, 'third') return table.concat(list, ',')", "first,second,third");
	rig_expect(rt,
	    "return headers.Subject, headers.subject, headers.SUBJECT, headers['sUbJeCt'], headers.other, headers[2]",
	    "hello|hello|hello|hello|nil|nil");
	rig_expect(rt,
	    "headers.subject = 'new' headers.Extra = 1 local n = 0 for k in pairs(headers) do n = n + 1 end "
	    "return headers.Subject, rawget(headers, 'subject'), headers.EXTRA, n",
	    "new|nil|1|3");
	rig_expect(
	    rt, "headers.SUBJECT = nil return headers.Subject, next(headers) ~= nil", "nil|true");
	rig_expect(rt, "headers[5] = 'five' return headers[5], headers[1]", "five|7");
}

/* A script can make its table large; a miss in it is accounted. */
static void test_misses_are_accounted(void **state)
{
	(void)state;
	assert_int_equal(runtime_inside(rt, l_define_tables, NULL), RUN_OK);
	assert_int_equal(rig_run_budget(rt,
			     "for i = 1, 50000 do rawset(headers, 'k' .. i, i) end "
			     "while true do local x = headers.none end",
			     3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_booleans),
	    cmocka_unit_test(test_integers),
	    cmocka_unit_test(test_fractions_are_cut_off),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_host_tables),
	    cmocka_unit_test(test_misses_are_accounted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
