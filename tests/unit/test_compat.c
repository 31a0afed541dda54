/* What becomes of the text of an old script: idiom by idiom, in every mode; what is said about it;
 * and that a text for Lua 5.4 stays as it is (R14). How the results run is in test_compat_run.c.
 * Longer than other files: the tables of cases are the specification, and it stays in one piece. */
#include "common/list.h"
#include "lua-bindings/compat/compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>

#define SAME NULL
#define ALL (-1)

struct row {
	int mode; /* ALL: the same in all but 5.4 */
	const char *text, *becomes, *notices;
};

/* Every notice as "line name detail;". */
static char *list_notices(const struct compat_source *source)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < source->notices.n; i++) {
		const struct compat_notice *n = &source->notices.v[i];
		char *more = xasprintf("%s%s%d %s%s%s", all, i > 0 ? ";" : "", n->line,
		    compat_idiom_info(n->idiom)->name, n->detail[0] != '\0' ? " " : "", n->detail);

		free(all);
		all = more;
	}
	return all;
}

/* Between head and tail of a wrapped text. */
static char *body_of(const struct compat_source *source)
{
	static const char head[] = "return function(...)", tail[] = "\nend";
	const char *text = source->text, *begin;
	size_t n = source->size;

	assert_int_equal(strlen(text), n);
	if (!source->wrapped)
		return xstrdup(text);
	begin = strstr(text, head);
	assert_non_null(begin);
	assert_null(memchr(text, '\n', (size_t)(begin - text)));
	begin += sizeof head - 1;
	n -= (size_t)(begin - text) + sizeof tail - 1;
	assert_string_equal(begin + n, tail);
	return xstrndup(begin, n);
}

static void check_row(const struct row *row, enum compat_mode mode)
{
	struct compat_source source;
	char *body, *notices;

	assert_true(compat_rewrite(row->text, strlen(row->text), mode, false, &source));
	body = source.text != NULL ? body_of(&source) : xstrdup("(same)");
	notices = list_notices(&source);
	if (strcmp(body, row->becomes != NULL ? row->becomes : "(same)") != 0 ||
	    strcmp(notices, row->notices) != 0)
		fail_msg("%s: %s\n  becomes  %s  [%s]\n  expected %s  [%s]", compat_mode_name(mode),
		    row->text, body, notices, row->becomes != NULL ? row->becomes : "(same)",
		    row->notices);
	free(body);
	free(notices);
	compat_source_free(&source);
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct row same = {COMPAT_54, rows[i].text, SAME, ""};

		check_row(&same, COMPAT_54);
		for (int mode = COMPAT_AUTO; mode < COMPAT_54; mode++)
			if (rows[i].mode == mode || rows[i].mode == ALL)
				check_row(&rows[i], (enum compat_mode)mode);
	}
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

/* Manual of Lua 5.0, 2.1: "\ followed by" anything else is that character. */
static void test_escapes(void **state)
{
	static const struct row rows[] = {
	    {ALL, "s = \"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\\'\\065\\0\"", SAME, ""},
	    {ALL, "s = \"a\\\nb\" t = \"a\\\r\nb\"", SAME, ""},
	    {COMPAT_AUTO, "s = \"C:\\VPOP3\"", "s = \"C:VPOP3\"", "1 unknown-escape \\V"},
	    {COMPAT_AUTO, "s = 'C:\\VPOP3'", "s = 'C:VPOP3'", "1 unknown-escape \\V"},
	    {COMPAT_50, "s = \"C:\\VPOP3\"", "s = \"C:VPOP3\"", "1 unknown-escape \\V"},
	    {COMPAT_52, "s = \"C:\\VPOP3\"", SAME, ""}, /* VPOP3 6.7 did not load it either */
	    {COMPAT_AUTO, "x()\n\ns = \"\\V\\[\" ", "x()\n\ns = \"V[\" ",
		"3 unknown-escape \\V;3 unknown-escape \\["},
	    {COMPAT_AUTO, "s = \"\\x41\\u{48}\\z  b\"", SAME, ""},
	    {COMPAT_50, "s = \"\\x41\\u{48}\\z  b\"", "s = \"x41u{48}z  b\"",
		"1 unknown-escape \\u;1 unknown-escape \\x;1 unknown-escape \\z"},
	    {COMPAT_AUTO, "s = \"C:\\xampp\\zip\"",
		"s = \"C:xampp"
		"zip\"",
		"1 unknown-escape \\x;1 unknown-escape \\z"},
	    {COMPAT_AUTO, "s = \"C:\\VPOP3\" t = \"\\x41\"", "s = \"C:VPOP3\" t = \"\\x41\"",
		"1 unknown-escape \\V"}, /* that one is newer: only what does not load */
	    {COMPAT_AUTO, "s = \"\\u{110000000}\\u\"", "s = \"u{110000000}u\"",
		"1 unknown-escape \\u"},
	    {COMPAT_AUTO, "-- \"C:\\VPOP3\"", SAME, ""},
	    {COMPAT_AUTO, "s = [[C:\\VPOP3]]", SAME, ""},
	    {COMPAT_AUTO, "s = \"\\999\"", SAME, ""}, /* too large in every version */
	    {COMPAT_AUTO, "s = \"\\V\n\"", SAME, ""}, /* no end: a fault in every version */
	    {COMPAT_AUTO, "s = \"\\V\" = 1", "s = \"V\" = 1", "1 unknown-escape \\V"},
	};

	(void)state;
	CHECK(rows);
}

/* Lua 5.0: [[ ]] nest, also in comments. */
static void test_long_strings(void **state)
{
	static const struct row rows[] = {
	    {ALL, "s = [[ a ]] t = [==[ ]] ]=] ]==] --[[ c ]] --[=[ ]] ]=]", SAME, ""},
	    {COMPAT_AUTO, "s = [[ a [[ b ]] c ]]", "s = [=[ a [[ b ]] c ]=]",
		"1 nested-long-string"},
	    {COMPAT_50, "s = [[ a [[ b ]] c ]]", "s = [=[ a [[ b ]] c ]=]", "1 nested-long-string"},
	    {COMPAT_52, "s = [[ a [[ b ]] c ]]", SAME, ""},
	    {COMPAT_AUTO, "s = [[ a [[ b ]=] ]==] ]] c ]]", "s = [===[ a [[ b ]=] ]==] ]] c ]===]",
		"1 nested-long-string"},
	    {COMPAT_AUTO, "s = [[[[[[x]]]]]]", "s = [=[[[[[x]]]]]=]", "1 nested-long-string"},
	    {COMPAT_AUTO, "\n--[[ x\n = [[ y ]]\n ]] a = 1", "\n--[=[ x\n = [[ y ]]\n ]=] a = 1",
		"2 nested-long-string"},
	    {COMPAT_AUTO, "s = [[ a [[ b ]]", SAME, ""}, /* Lua 5.4 takes that as it is */
	    {COMPAT_AUTO, "s = [[ a [[ b ]] t = [[ c [[ d ]] e ]]", SAME, ""}, /* cannot be both */
	};

	(void)state;
	CHECK(rows);
}

static void test_goto(void **state)
{
	static const struct row rows[] = {
	    {COMPAT_AUTO, "for i = 1, 2 do goto continue ::continue:: end", SAME, ""},
	    {COMPAT_52, "for i = 1, 2 do goto continue ::continue:: end", SAME, ""},
	    {COMPAT_50, "for i = 1, 2 do goto continue ::continue:: end", SAME, ""},
	    {COMPAT_AUTO, "goto = 1", "_ENV[\"goto\"] = 1", "1 goto-name"},
	    {COMPAT_50, "goto = 1", "_ENV[\"goto\"] = 1", "1 goto-name"},
	    {COMPAT_52, "goto = 1", SAME, ""},
	    {COMPAT_AUTO, "x = goto\ny = 2", "x = _ENV[\"goto\"]\ny = 2", "1 goto-name"},
	    {COMPAT_AUTO, "goto(1)", "_ENV[\"goto\"](1)", "1 goto-name"},
	    {COMPAT_AUTO, "local goto = goto goto = goto",
		"local goto_ = _ENV[\"goto\"] goto_ = goto_", "1 goto-name"},
	    {COMPAT_AUTO, "goto_ = 1 local goto = 2", "goto_ = 1 local goto_1_ = 2", "1 goto-name"},
	    {COMPAT_AUTO, "t.goto.x = t.goto", "t[\"goto\"].x = t[\"goto\"]", "1 goto-name"},
	    {COMPAT_AUTO, "t = {goto = 1, goto, [goto] = goto}",
		"t = {[\"goto\"] = 1, _ENV[\"goto\"], [_ENV[\"goto\"]] = _ENV[\"goto\"]}",
		"1 goto-name"},
	    {COMPAT_AUTO, "function goto(a) end", " _ENV[\"goto\"]=function(a) end", "1 goto-name"},
	    {COMPAT_AUTO, "local function goto() return goto end",
		"local function goto_() return goto_ end", "1 goto-name"},
	    {COMPAT_AUTO, "function t.goto() end", " t[\"goto\"]=function() end", "1 goto-name"},
	    {COMPAT_AUTO, "function t:goto() end", " t[\"goto\"]=function(self) end",
		"1 goto-name"},
	    {COMPAT_AUTO, "function t:goto(a) end", " t[\"goto\"]=function(self,a) end",
		"1 goto-name"},
	    {COMPAT_AUTO, "function goto:m() end", " _ENV[\"goto\"].m=function(self) end",
		"1 goto-name"},
	    {COMPAT_AUTO, "local goto function goto:m() end", "local goto_ function goto_:m() end",
		"1 goto-name"},
	    {COMPAT_AUTO, "t:goto()", "compat_call(t,\"goto\")", "1 goto-name"},
	    {COMPAT_AUTO, "t:goto(1, 2)", "compat_call(t,\"goto\",1, 2)", "1 goto-name"},
	    {COMPAT_AUTO, "t.a:goto'x':goto{1}.y()",
		"compat_call(compat_call(t.a,\"goto\",'x'),\"goto\",{1}).y()", "1 goto-name"},
	    {COMPAT_AUTO, "for goto = 1, 2 do f(goto) end", "for goto_ = 1, 2 do f(goto_) end",
		"1 goto-name"},
	    {COMPAT_AUTO, "for k, goto in pairs(t) do f(goto) end",
		"for k, goto_ in pairs(t) do f(goto_) end", "1 goto-name"},
	    {COMPAT_AUTO, "function f(goto, ...) return goto end",
		"function f(goto_, ...) return goto_ end", "1 goto-name"},
	    {COMPAT_AUTO, "do local goto = 1 end\ngoto = 2",
		"do local goto_ = 1 end\n_ENV[\"goto\"] = 2", "1 goto-name;2 goto-name"},
	};

	(void)state;
	CHECK(rows);
}

/* Lua 5.0, 2.5.8: "the extra arguments are collected in a table, arg, with a field n". */
static void test_arg(void **state)
{
#define ARG " local arg=compat_arg(_ENV,...)"
#define OLD " local arg=compat_arg(nil,...)"
	static const struct row rows[] = {
	    {COMPAT_AUTO, "function f(...) return arg.n end",
		"function f(...)" ARG " return arg.n end", "1 implicit-arg"},
	    {COMPAT_50, "function f(...) return arg.n end",
		"function f(...)" OLD " return arg.n end", "1 implicit-arg"},
	    {COMPAT_52, "function f(...) return arg.n end", SAME, ""},
	    {COMPAT_AUTO, "f = function(a, ...)\nreturn unpack(arg) end",
		"f = function(a, ...)" ARG "\nreturn unpack(arg) end",
		"1 implicit-arg;2 old-function unpack"},
	    {COMPAT_AUTO, "function f(...) g(function() return arg[1] end) end",
		"function f(...)" ARG " g(function() return arg[1] end) end", "1 implicit-arg"},
	    /* a correct script of Lua 5.4 */
	    {ALL, "function f(...) return ... end", SAME, ""},
	    {ALL, "function f(a) return arg[1] end", SAME, ""},
	    {ALL, "return arg[1]", SAME, ""},
	    {ALL, "function f(...) return arg[1], ... end", SAME, ""}, /* 5.1: no arg then */
	    {ALL, "function f(...) local arg = {} return arg[1] end", SAME, ""},
	    {ALL, "function f(arg, ...) return arg[1] end", SAME, ""},
	    {ALL, "function f(...) return t.arg, {arg = 1}, t:arg() end", SAME, ""},
	    {COMPAT_AUTO, "function f(...) if arg then return arg[1] end end", SAME, ""},
	    {COMPAT_AUTO, "function f(...) return not arg end", SAME, ""},
	    {COMPAT_AUTO, "function f(...) local a = arg or {} end", SAME, ""},
	    {COMPAT_AUTO, "arg = {} function f(...) return arg[1] end", SAME, ""},
	    {COMPAT_AUTO, "function f(...) return arg[1] end\nx, arg = 1, 2", SAME, ""},
	    {COMPAT_AUTO, "local arg = {} function f(...) return arg[1] end", SAME, ""},
	    /* but of Lua 5.0 when we are told so */
	    {COMPAT_50, "local arg = {} function f(...) return arg[1] end",
		"local arg = {} function f(...)" OLD " return arg[1] end", "1 implicit-arg"},
	    {COMPAT_50, "function f(...) if arg then arg = 1 end end",
		"function f(...)" OLD " if arg then arg = 1 end end", "1 implicit-arg"},
	    /* or when the text shows it */
	    {COMPAT_AUTO, "s = '\\V' function f(...) if arg then return 1 end end",
		"s = 'V' function f(...)" OLD " if arg then return 1 end end",
		"1 implicit-arg;1 unknown-escape \\V"},
	};

	(void)state;
	CHECK(rows);
}

static void test_for(void **state)
{
	static const struct row rows[] = {
	    {ALL, "for k, v in pairs(t) do end for _, v in ipairs(t) do end", SAME, ""},
	    {ALL, "for w in s:gmatch('a') do end for w in string.gmatch(s, 'a') do end", SAME, ""},
	    {ALL, "for k, v in next, t do end for l in io.lines(f) do end", SAME, ""},
	    {ALL, "for i = 1, 10, 2 do end", SAME, ""},
	    {ALL, "for k in function() end do end", SAME, ""},
	    {COMPAT_AUTO, "for k, v in t do end", "for k, v in compat_walk(t) do end", ""},
	    {COMPAT_50, "for k, v in t do end", "for k, v in compat_walk(t) do end", ""},
	    {COMPAT_52, "for k, v in t do end", SAME, ""},
	    {COMPAT_AUTO, "for k, v in f(x) do end", "for k, v in compat_walk(f(x)) do end", ""},
	    {COMPAT_AUTO, "for k in t.a[1] do end", "for k in compat_walk(t.a[1]) do end", ""},
	    {COMPAT_AUTO, "for k in (f(x)) do end", "for k in compat_walk((f(x))) do end", ""},
	    {COMPAT_AUTO, "for k in {1, 2} do end", "for k in compat_for({1, 2}) do end",
		"1 for-in-table {1,?2}"},
	    {COMPAT_AUTO, "local t = {}\nfor k in t do end",
		"local t = {}\nfor k in compat_for(t) do end", "2 for-in-table t"},
	    {COMPAT_AUTO, "o.list = {}\nfor k in o.list do end",
		"o.list = {}\nfor k in compat_for(o.list) do end", "2 for-in-table o.list"},
	    {COMPAT_AUTO, "t = {} t = f() for k in t do end",
		"t = {} t = f() for k in compat_walk(t) do end", ""},
	};

	(void)state;
	CHECK(rows);
}

static void test_numbers(void **state)
{
	static const struct row rows[] = {
	    {COMPAT_AUTO, "s = a .. 'x'", SAME, ""},
	    {COMPAT_AUTO, "s = 10/2 .. ''", SAME, "1 number-text"}, /* said, not changed */
	    {COMPAT_52, "s = 10/2 .. ''", "s = compat_text(10/2) .. ''", "1 number-text"},
	    {COMPAT_50, "s = 10/2 .. ''", "s = compat_text(10/2) .. ''", "1 number-text"},
	    {COMPAT_52, "s = 'a' .. 'b' .. 5", SAME, ""},
	    {COMPAT_52, "s = a .. b",
		"s = compat_text(a,\"global 'a'\",         1) .. compat_text(b,\"global 'b'\",         1)",
		"1 number-text"},
	    {COMPAT_52, "s = 1 + 2 * x .. -y .. f(x)",
		"s = compat_text(1 + 2 * x) .. compat_text(-y) .. compat_text(f(x))",
		"1 number-text"},
	    {COMPAT_52, "local a s = a.b .. a['c'] .. a[i] .. (a) .. (a .. 1)",
		"local a s = compat_text(a.b,\"field 'b'\",         1) .. compat_text(a['c'],\"field 'c'\",         1) "
		".. compat_text(a[i],\"field '?'\",         1) .. compat_text((a),\"local 'a'\",         1) .. "
		"compat_text((compat_text(a,\"local 'a'\",         1) .. 1))",
		"1 number-text"},
	    {COMPAT_52, "local u function f() return u ..\n\nu end",
		"local u function f() return compat_text(u,\"upvalue 'u'\",         1) ..\n\n"
		"compat_text(u,\"upvalue 'u'\",         1) end",
		"1 number-text"},
	    {COMPAT_52, "s = a .. 1 == b .. 2 and x",
		"s = compat_text(a,\"global 'a'\",         1) .. 1 == compat_text(b,\"global 'b'\",         1) .. 2 "
		"and x",
		"1 number-text"},
	    {COMPAT_52, "for k in a .. 1 do end",
		"for k in compat_text(a,\"global 'a'\",         1) .. 1 do end", "1 number-text"},
	    {COMPAT_52, "m = {__concat = f} s = a .. 1",
		"m = {__concat = f} s = compat_text(a) .. 1", "1 number-text"},
	    /* what is proven old has old numbers; what is newer, too, has not */
	    {COMPAT_AUTO, "p = '\\V' s = a .. 1",
		"p = 'V' s = compat_text(a,\"global 'a'\",         1) .. 1",
		"1 unknown-escape \\V;1 number-text"},
	    {COMPAT_AUTO, "p = '\\V' s = a // 1 .. 1", "p = 'V' s = a // 1 .. 1",
		"1 unknown-escape \\V"},
	    {COMPAT_AUTO, "p = '\\V' local x <const> = 1 s = a .. 1",
		"p = 'V' local x <const> = 1 s = a .. 1", "1 unknown-escape \\V"},
	};

	(void)state;
	CHECK(rows);
}

static void test_functions(void **state)
{
	static const struct row rows[] = {
	    {ALL, "n = table.getn(t)", SAME, "1 old-function table.getn"},
	    {ALL, "table.foreach(t,\nprint) for w in s:gfind('x') do end", SAME,
		"1 old-function table.foreach;2 old-function gfind"},
	    {ALL, "local getn = table.getn", SAME, "1 old-function table.getn"},
	    {ALL, "local unpack = table.unpack or unpack", SAME, ""},
	    {ALL, "local getn = table.getn or f if table.getn then end", SAME, ""},
	    {ALL, "table.getn = f function table.getn() end", SAME, ""},
	    {ALL, "local table = {} table.getn(t)", SAME, ""},
	    {ALL, "local unpack = table.unpack unpack(t) t.unpack() t:unpack()", SAME, ""},
	    {ALL, "module('x')", SAME, "1 refused-function module"},
	    {COMPAT_AUTO, "string.gsub(s, 'x', '50%')", SAME, "1 gsub-percent '50%'"},
	    {COMPAT_50, "s:gsub('x', \"%d\")", SAME, "1 gsub-percent \"%d\""},
	    {COMPAT_52, "s:gsub('x', \"%d\")", SAME, ""},
	    {ALL, "s:gsub('%s', '%%%1') string.gsub(s, '%d', '') gsub(s, 'x%', y)", SAME, ""},
	};

	(void)state;
	CHECK(rows);
}

static void test_ends(void **state)
{
	static const struct row rows[] = {
	    {ALL, "x = 1\r\n\032", "x = 1\r\n", "2 ctrl-z"},
	    {ALL, "x = 1 \032 junk ( ]]", "x = 1 ", "1 ctrl-z"},
	    {ALL, "x = '\032'", SAME, ""},
	    {ALL, "", SAME, ""},
	    {ALL, "x = = 1 \n", SAME, ""},
	    {ALL, "return\n", SAME, ""},
	    {ALL, "x = 1 y", SAME, ""},
	    {ALL, "end", SAME, ""},
	};

	(void)state;
	CHECK(rows);
}

/* CR, LF, CR LF and LF CR end a line, as in liblua. */
static void test_lines(void **state)
{
	static const struct row rows[] = {
	    {COMPAT_AUTO, "\r\n\r\ns = '\\V'", "\r\n\r\ns = 'V'", "3 unknown-escape \\V"},
	    {COMPAT_AUTO, "\r\rs = '\\V'", "\r\rs = 'V'", "3 unknown-escape \\V"},
	    {COMPAT_AUTO, "\n\r\n\rs = '\\V'", "\n\r\n\rs = 'V'", "3 unknown-escape \\V"},
	    {COMPAT_AUTO, "--[[\r\n\r\n]] s = [[\r\n]] t = 'a\\\r\n\\V'",
		"--[[\r\n\r\n]] s = [[\r\n]] t = 'a\\\r\nV'", "5 unknown-escape \\V"},
	};
	size_t n;

	(void)state;
	CHECK(rows);
	n = 10;
	assert_string_equal(compat_text_start("\xEF\xBB\xBF#!lua\nx", &n), "\nx");
	assert_int_equal(n, 2);
	n = 5;
	assert_string_equal(compat_text_start("#!lua", &n), "");
	n = 2;
	assert_string_equal(compat_text_start("\xEF\xBB", &n), "\xEF\xBB");
	n = 0;
	assert_string_equal(compat_text_start("", &n), "");
}

static void test_names_do_not_clash(void **state)
{
	struct compat_source source;
	char *all;
	static const char text[] = "compat_walk = 1 compat1 = 2 for k in t do end";

	(void)state;
	assert_true(compat_rewrite(text, sizeof text - 1, COMPAT_AUTO, false, &source));
	assert_non_null(strstr(source.text, "in compat2_walk(t)"));
	compat_source_free(&source);
	all = xstrdup("for k in t do end compat ");
	for (int i = 1; i < 200; i++) {
		char *more = xasprintf("%scompat%d = goto_%d_ ", all, i, i);

		free(all);
		all = more;
	}
	assert_true(compat_rewrite(all, strlen(all), COMPAT_AUTO, false, &source));
	assert_null(source.text);
	compat_source_free(&source);
	free(all);
}

/* Deep nesting and long chains end, and stay what they are. */
static void test_deep_texts(void **state)
{
	static const char *const pieces[] = {
	    "(", "{", "[[", "do ", "a(", "not ", "function(", "a .. ", "a.goto.", "x=[[ [[ ]] "};
	struct compat_source source;
	char *text = xmalloc(200001);

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		size_t n = strlen(pieces[i]), all = 0;

		while (all + n <= 200000) {
			memcpy(text + all, pieces[i], n);
			all += n;
		}
		for (int mode = 0; mode <= COMPAT_54; mode++) {
			assert_true(
			    compat_rewrite(text, all, (enum compat_mode)mode, false, &source));
			assert_null(source.text);
			compat_source_free(&source);
		}
	}
	free(text);
}

/* A text with more to change than any script has stays as it is. */
static void test_too_many_edits(void **state)
{
	struct compat_source source;
	size_t n = 3u << 20;
	char *text = xmalloc(n + 1);

	(void)state;
	for (size_t i = 0; i < n; i++)
		text[i] = "x='\\q' "[i % 7];
	for (int mode = COMPAT_AUTO; mode <= COMPAT_50; mode++) {
		assert_true(compat_rewrite(text, n, (enum compat_mode)mode, false, &source));
		assert_null(source.text);
		assert_false(source.wrapped);
		assert_int_equal(source.notices.n, 1); /* the same ones on one line */
		compat_source_free(&source);
		assert_true(compat_rewrite(text, 70000, (enum compat_mode)mode, false, &source));
		assert_int_equal(source.size, 60000);
		compat_source_free(&source);
	}
	free(text);
}

/* ---- allocation failure: malloc() and its kin are wrapped ---- */

static long fail_at, allocations; /* fail_at: the first allocation that fails, 0 = none */

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void *__wrap_realloc(void *old, size_t n);

static bool fails(void)
{
	return fail_at > 0 && ++allocations >= fail_at;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
	return fails() ? NULL : __real_realloc(old, n);
}

/* A text with every idiom, long enough for lists to grow. */
static char *long_text(void)
{
	static const char part[] =
	    "local function f%d(a, ...) local goto = arg.n for k, v in t do t:goto(k .. v .. 10/2) end "
	    "s = \"C:\\VPOP3\" .. [[ a [[ b ]] c ]] table.foreach(t, f) end\n";
	char *text = xstrdup("");

	for (int i = 0; i < 40; i++) {
		char *more = xasprintf("%s", text), *one = xasprintf(part, i);

		free(text);
		text = xasprintf("%s%s", more, one);
		free(more);
		free(one);
	}
	return text;
}

static void test_every_allocation_may_fail(void **state)
{
	char *text = long_text();
	int failed[COMPAT_54] = {0};

	(void)state;
	for (int mode = 0; mode < COMPAT_54; mode++) {
		struct compat_source source;
		bool fine = false;

		for (long n = 1; !fine && n < 100000; n++) {
			fail_at = n;
			allocations = 0;
			fine = compat_rewrite(
			    text, strlen(text), (enum compat_mode)mode, false, &source);
			fail_at = 0;
			failed[mode] += !fine;
			if (!fine)
				assert_true(source.text == NULL && source.notices.v == NULL);
		}
		assert_true(fine);
		assert_true(mode == COMPAT_52 || source.wrapped);
		compat_source_free(&source);
	}
	assert_in_range(failed[COMPAT_AUTO], 30, 1000); /* it really met allocations */
	assert_in_range(failed[COMPAT_50], 20, 1000);
	free(text);
}

/* ---- our own scripts ---- */

static int scripts_seen;

static int check_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	static char text[1 << 20];
	size_t n = strlen(path);
	struct compat_source source;
	FILE *f;

	(void)st, (void)ftw;
	if (type != FTW_F || n < 4 || strcmp(path + n - 4, ".lua") != 0)
		return 0;
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	assert_true(compat_rewrite(text, n, COMPAT_AUTO, false, &source));
	if (source.text != NULL)
		fail_msg("%s is not left as it is", path);
	compat_source_free(&source);
	scripts_seen++;
	return 0;
}

static void test_our_scripts_stay_as_they_are(void **state)
{
	static const char *const folders[] = {"contrib", "tests/bench"};

	(void)state;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		char *path = xasprintf("%s/%s", getenv("MAILHOOKS_SOURCE"), folders[i]);

		assert_int_equal(nftw(path, check_file, 10, FTW_PHYS), 0);
		free(path);
	}
	assert_true(scripts_seen >= 6);
}

/* ---- texts of notices ---- */

static void test_notice_text(void **state)
{
	struct compat_notice notice = {12, COMPAT_ESCAPE, COMPAT_REWRITTEN, "\\V"};
	char text[300];

	(void)state;
	compat_notice_text(&notice, "smtpsvr.lua", text, sizeof text);
	assert_string_equal(text,
	    "smtpsvr.lua:12: unknown-escape \\V: the backslash is dropped, as in "
	    "Lua 5.0");
	compat_notice_text(&notice, "smtpsvr.lua", text, 12);
	assert_string_equal(text, "smtpsvr.lua");
	for (int i = 0; i < COMPAT_IDIOMS; i++) {
		const struct compat_idiom_info *info = compat_idiom_info((enum compat_idiom)i);

		assert_true(*info->name && *info->idiom && *info->since && *info->stock &&
			    *info->remedy && *info->brief);
		assert_int_equal(info->modes & (1u << COMPAT_54), 0);
		assert_int_not_equal(info->modes & (1u << COMPAT_50), 0);
	}
}

/* ---- the reference ---- */

static char *table_of_idioms(void)
{
	static const enum compat_mode modes[] = {COMPAT_AUTO, COMPAT_50, COMPAT_52};
	char *table = xstrdup("| a script has | since | Lua 5.4 | here | auto | 5.0 | 5.2 |\n"
			      "| --- | --- | --- | --- | --- | --- | --- |\n");

	for (int i = 0; i < COMPAT_IDIOMS; i++) {
		const struct compat_idiom_info *info = compat_idiom_info((enum compat_idiom)i);
		char *more = xasprintf("%s| %s: %s | %s | %s | %s |", table, info->name,
		    info->idiom, info->since, info->stock, info->remedy);

		free(table);
		table = more;
		for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
			more = xasprintf("%s %s |%s", table,
			    info->modes & (1u << modes[m]) ? "yes" : "no", m == 2 ? "\n" : "");
			free(table);
			table = more;
		}
	}
	return table;
}

static void test_the_reference_has_this_table(void **state)
{
	char *path = xasprintf("%s/doc/old-scripts.md", getenv("MAILHOOKS_SOURCE"));
	char *table = table_of_idioms(), *page = xcalloc(1, 1 << 20), *found;
	FILE *f = fopen(path, "r");

	(void)state;
	assert_non_null(f);
	page[fread(page, 1, (1 << 20) - 1, f)] = '\0';
	fclose(f);
	found = strstr(page, table);
	if (found == NULL || found[strlen(table)] == '|') {
		fputs(table, stdout);
		fail_msg("%s wants the table above", path);
	}
	free(path);
	free(table);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_escapes),
	    cmocka_unit_test(test_long_strings),
	    cmocka_unit_test(test_goto),
	    cmocka_unit_test(test_arg),
	    cmocka_unit_test(test_for),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_functions),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_names_do_not_clash),
	    cmocka_unit_test(test_deep_texts),
	    cmocka_unit_test(test_too_many_edits),
	    cmocka_unit_test(test_every_allocation_may_fail),
	    cmocka_unit_test(test_our_scripts_stay_as_they_are),
	    cmocka_unit_test(test_notice_text),
	    cmocka_unit_test(test_the_reference_has_this_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
