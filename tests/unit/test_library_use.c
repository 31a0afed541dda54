/* Which source texts certainly leave the library tables alone (R14): only after those are the
 * tables of one life handed to the next one unseen. */
#include "lua-bindings/compat/compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *library(size_t i)
{
	static const char *const names[] = {"_G", "string", "math", "VPOP3"};

	return i < sizeof names / sizeof *names ? names[i] : NULL;
}

static const char *base(size_t i)
{
	static const char *const names[] = {"print", "type"};

	return i < sizeof names / sizeof *names ? names[i] : NULL;
}

static bool leaves(const char *text)
{
	return compat_leaves_libraries(text, strlen(text), library, base);
}

static void test_reading_and_calling(void **state)
{
	static const char *const texts[] = {
	    "",
	    "function Start() return string.sub(IPAddress, 1, 4) == '127.' end",
	    "x = math.pi * 2 y = math.huge",
	    "local a = string.format'%d' local b = string.rep 'x'",
	    "if VPOP3.GetSetting('a') == nil then return VPOP3.SetSetting('a', 1) end",
	    "return string.find == nil",
	    "-- string = {}\nprint('string.sub = 1') --[[ math = nil ]]",
	    "t.string = {} t.math.pi = 3 t:string() self.string.sub = f",
	    "#!/usr/bin/lua string.sub = 1\nreturn string.sub('a', 1)",
	    "stringx.sub = 1 mystring = math.floor(2)",
	    "print(type(x), 1) if print == nil then print'' end f(type, 1)",
	    "local print = print",
	    "function print(...) end t.type = 1 t:print()",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (!leaves(texts[i]))
			fail_msg("leaves the libraries alone: %s", texts[i]);
}

static void test_anything_else(void **state)
{
	static const char *const texts[] = {
	    "string.sub = nil",
	    "string.sub\n--[[ ]] = nil",
	    "string . sub = nil",
	    "string --[[ ]] . --\n sub = nil",
	    "x, string.sub = 1",
	    "string.sub, x = 1",
	    "string['sub'] = 1",
	    "function string.trim(s) end",
	    "function --[[ ]] string.trim(s) end",
	    "local s = string s.sub = nil",
	    "local string = string",
	    "string = {}",
	    "for k, v in pairs(string) do end",
	    "rawset(string, 'sub', nil)",
	    "setmetatable(string, {})",
	    "f{string}",
	    "_G.string.sub = nil",
	    "_G['str' .. 'ing'].sub = nil",
	    "package.loaded.string.sub = nil",
	    "local s = require 'string'",
	    "load('string.sub = nil')()",
	    "getfenv().string.sub = nil",
	    "_ENV.string.sub = nil",
	    "return string",
	    "string.sub.x = 1",
	    "math.x[1] = 2",
	    "x = [==[",
	    /* the first line of a file, when it begins with #, is no part of the program */
	    "#[==[\nstring.sub = nil\n--]==]",
	    "\xEF\xBB\xBF#[==[\nstring.sub = nil\n--]==]",
	    "\xEF\xBB\xBFstring.sub = nil",
	    "#!/usr/bin/lua\nstring.sub = nil",
	    "x = 'unfinished",
	    "print = nil",
	    "x, print = 1, nil",
	    "print, x = nil",
	    "x = 1 type --[[ ]]\n = x",
	    "t[1], type, x = nil",
	    "for type, x in pairs(t) do end",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (leaves(texts[i]))
			fail_msg("may change a library: %s", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reading_and_calling),
	    cmocka_unit_test(test_anything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
