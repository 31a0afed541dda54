/* The sandbox (R14): what scripts cannot reach, and that nothing of one life is seen in the next.
 */
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/sandbox.h"
#include "tests/unit/lua_rig_setup.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* As the pool does it. */
static void next_life(void)
{
	assert_true(runtime_end(rt));
	if (runtime_is_lean(rt)) {
		assert_true(runtime_begin(rt, NULL));
		return;
	}
	runtime_free(rt);
	rt = rig_open();
}

/* ---- what is not there ---- */

static void test_absent(void **state)
{
	static const char *const absent[] = {"package.loadlib", "package.cpath",
	    "package.searchers", "package.searchpath", "package.preload", "string.dump",
	    "debug.getinfo", "debug.sethook", "debug.getregistry", "debug.getupvalue",
	    "debug.setupvalue", "debug.upvaluejoin", "debug.getmetatable", "debug.setmetatable",
	    "debug.setuservalue", "debug.getlocal", "debug.debug", "io.stdin", "io.stdout",
	    "io.stderr", "warn"};
	char code[100];

	(void)state;
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
		snprintf(code, sizeof code, "return %s", absent[i]);
		rig_expect(rt, code, "nil");
	}
	rig_expect(rt,
	    "local n = {} for k in pairs(debug) do n[#n + 1] = k end return table.concat(n, ' ')",
	    "traceback");
	rig_expect(rt,
	    "return package.path, package.loaded.string == string, package.loaded._G == _G",
	    "?.lua|true|true");
}

static void test_disabled(void **state)
{
	(void)state;
	rig_expect_error(rt, "os.execute('true')", "use os.timedexecute(program, milliseconds)");
	rig_expect_error(rt, "os.exit()", "os.exit is disabled in mailhooks");
	rig_expect_error(rt, "os.setlocale('C')", "os.setlocale is disabled in mailhooks");
	rig_expect_error(rt, "os.popen('true')", "os.popen is disabled in mailhooks");
	rig_expect_error(rt, "io.popen('true')", "io.popen is disabled in mailhooks");
}

/* ---- ways out that were open elsewhere ---- */

static void test_metatables_are_locked(void **state)
{
	(void)state;
	rig_expect(
	    rt, "return getmetatable(''), getmetatable(io.open('/dev/null'))", "false|false");
	rig_expect_error(rt, "setmetatable('', {})", "table expected");
	rig_expect_error(rt, "setmetatable(io.open('/dev/null'), {})", "table expected");
	rig_expect_error(rt, "('').x = 1", "attempt to index a string value");
	rig_expect_error(rt, "io.open('/dev/null').x = 1", "attempt to index a FILE* value");
	rig_expect(rt,
	    "return (''):len(), ('x').__index, io.open('/dev/null').__gc, io.open('/dev/null').__index",
	    "0|nil|nil|nil");
	rig_expect_error(rt, "setmetatable({}, {__gc = function() end})", "__gc is not available");
	rig_expect_error(
	    rt, "local m = {} setmetatable({}, m) m.__gc = true setmetatable({}, m)", "__gc");
	rig_expect(rt,
	    "ran = nil do local m = {} setmetatable({}, m) m.__gc = function() ran = true end end "
	    "collectgarbage() collectgarbage() return ran",
	    "nil");
	rig_expect_error(
	    rt, "setmetatable(setmetatable({}, {__metatable = 1}), {})", "protected metatable");
}

static void l_define_host_tables(lua_State *L, void *arg)
{
	struct strlist list = STRLIST_INIT;

	(void)arg;
	strlist_add(&list, "a");
	strlist_add(&list, "b");
	l_push_env(L);
	l_push_list(L, &list);
	lua_setfield(L, -2, "list");
	lua_createtable(L, 0, 1);
	lua_pushliteral(L, "1000");
	lua_setfield(L, -2, "SIZE");
	l_ignore_key_case(L, -1);
	lua_setfield(L, -2, "parameters");
	strlist_clear(&list);
}

static void test_host_tables_are_locked(void **state)
{
	(void)state;
	assert_int_equal(runtime_inside(rt, l_define_host_tables, NULL), RUN_OK);
	rig_expect(rt, "return getmetatable(list), getmetatable(parameters)", "false|false");
	rig_expect_error(rt, "setmetatable(list, {})", "protected metatable");
	rig_expect_error(rt, "setmetatable(parameters, nil)", "protected metatable");
	rig_expect(rt, "return list.__index, list.__call, parameters.__index, parameters.size",
	    "nil|nil|nil|1000");
}

static void test_bytecode_is_refused(void **state)
{
	(void)state;
	rig_expect(
	    rt, "return load('\\27Lua')", "nil|attempt to load a binary chunk (mode is 't')");
	rig_expect(rt, "return load('\\27Lua', 'x', 'bt')",
	    "nil|attempt to load a binary chunk (mode is 't')");
	rig_expect(rt, "return (load('\\27Lua', 'x', 'b')), (loadstring('\\27Lua'))", "nil|nil");
	rig_expect(rt,
	    "local t = {'\\27', 'Lua'} local i = 0 return load(function() i = i + 1 return t[i] end)",
	    "nil|attempt to load a binary chunk (mode is 't')");
	rig_expect(rt, "return load('return 1', 'x', 'b')",
	    "nil|attempt to load a text chunk (mode is 'b')");
	/* real bytecode, made elsewhere */
	rig_expect(rt,
	    "return load('\\x1bLuaT\\0\\x19\\x93\\r\\n\\x1a\\n\\4\\8\\8xV\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0(w@\\1')",
	    "nil|attempt to load a binary chunk (mode is 't')");
}

static void test_environment_tricks(void **state)
{
	(void)state;
	rig_expect(
	    rt, "return load('return _ENV')() == _G, load('return _G')() == _G", "true|true");
	rig_expect(rt, "local _ENV = {} return x", "nil");
	rig_expect_error(rt, "local _ENV = nil return x", "attempt to index a nil value");
	rig_expect(rt, "_G = nil return print ~= nil, load('return print')() ~= nil", "true|true");
	rig_expect(rt, "return load('x = 5 return x', 'x', 't', {})(), x", "5|nil");
	rig_expect(rt, "return coroutine.wrap(function() return getfenv(0) == _ENV end)()", "true");
	rig_expect(rt,
	    "local c = coroutine.running() return coroutine.isyieldable(), pcall(coroutine.close, c)",
	    "false|false|cannot close a running coroutine");
	rig_expect_error(rt,
	    "for f in pairs({print, string.find, io.open, os.date}) do end setfenv(string.find, {})",
	    "cannot change environment");
	rig_expect_error(rt, "setfenv(('x'):gmatch('.'), {})", "cannot change environment");
	next_life();
}

/* A budget that is used up is not to be caught, hidden in a coroutine or put off. */
static void test_budgets_cannot_be_escaped(void **state)
{
	static const char *const endless[] = {
	    "while true do end",
	    "while true do pcall(function() while true do end end) end",
	    "while true do xpcall(function() while true do end end, function() while true do end end) end",
	    "while true do coroutine.wrap(function() while true do end end)() end",
	    "while true do pcall(coroutine.wrap(function() while true do end end)) end",
	    "local function f() pcall(f) while true do end end f()",
	    "local x <close> = setmetatable({}, {__close = function() while true do end end}) while true do end",
	    "repeat local ok = pcall(error) until false",
	    "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) while true do pcall(function() return t[1] end) end",
	    "local co = {} for i = 1, 50 do co[i] = coroutine.create(function() while true do coroutine.yield() end end) end "
	    "while true do for i = 1, 50 do coroutine.resume(co[i]) end end",
	    "while true do load('while true do end')() end",
	    "while true do pcall(string.gsub, 'a', '.', function() while true do end end) end",
	    "while true do pcall(table.sort, {3, 2, 1}, function() while true do end end) end",
	    "while true do pcall(load, function() while true do end end) end",
	    "while true do tostring(setmetatable({}, {__tostring = function() while true do end end})) end",
	    "::again:: goto again",
	    "for i = 1, math.huge do local s = 'x' .. i end",
	    "while true do require = nil end",
	    "while true do next({}) end",
	    "while true do pcall(require, 'no such file') end",
	    "while true do print() io.write('x') end",
	};

	(void)state;
	for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
		enum run_result result = rig_run_budget(rt, endless[i], 3000000, RIG_MS);

		if (result != RUN_INSTRUCTIONS)
			fail_msg("%s: %s: %s", endless[i], run_result_text(result), rig_text);
	}
	rig_expect(rt, "return 'fine'", "fine");
	next_life();
}

/* liblua switches hooks off in a coroutine that a hook ended; a later call must not run code there.
 */
static void test_coroutine_that_used_up_a_budget(void **state)
{
	(void)state;
	assert_int_equal(
	    rig_run_budget(rt,
		"local endless = {__close = function() while true do end end} "
		"local function f() local x <close> = setmetatable({}, endless) while true do end end "
		"a, b = coroutine.create(f), coroutine.wrap(f) coroutine.resume(a)",
		1000000, RIG_MS),
	    RUN_INSTRUCTIONS);
	assert_int_equal(rig_run_budget(rt, "b()", 1000000, RIG_MS), RUN_INSTRUCTIONS);
	rig_expect(rt, "return coroutine.close(a)", "false|the coroutine used up a budget");
	rig_expect(rt, "return pcall(b)", "false|cannot resume dead coroutine");
	rig_expect(rt, "return coroutine.status(a), pcall(coroutine.resume, a)",
	    "dead|true|false|cannot resume dead coroutine");
	next_life();
}

/* Closing works as in stock Lua otherwise. */
static void test_coroutines_are_closed(void **state)
{
	(void)state;
	rig_same(rt, stock,
	    "local log = {} local function var(name) return setmetatable({}, {__close = function(_, e) "
	    "log[#log + 1] = name .. ':' .. tostring(e) end}) end "
	    "local co = coroutine.create(function() local x <close> = var('x') coroutine.yield() end) "
	    "coroutine.resume(co) log[#log + 1] = tostring(coroutine.close(co)) "
	    "co = coroutine.create(function() local y <close> = var('y') error('boo', 0) end) "
	    "coroutine.resume(co) log[#log + 1] = table.concat({tostring(coroutine.close(co)), "
	    "select(2, coroutine.close(co))}, ' ') "
	    "local w = coroutine.wrap(function() local z <close> = var('z') error('bah', 0) end) "
	    "local ok, e = pcall(w) log[#log + 1] = tostring(e) "
	    "ok, e = pcall(w) log[#log + 1] = tostring(e) "
	    "w = coroutine.wrap(function() error({1}) end) ok, e = pcall(w) log[#log + 1] = type(e) "
	    "w = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) "
	    "log[#log + 1] = w(1) .. ' ' .. w(5) "
	    "return table.concat(log, ','), pcall(coroutine.close), pcall(coroutine.wrap, 1)");
}

static void test_memory_is_bounded(void **state)
{
	static const char *const greedy[] = {
	    "local t = {} for i = 1, 1e8 do t[i] = 'x' .. i end",
	    "local s = 'x' while true do s = s .. s end",
	    "local t = {} while true do t = {t, ('x'):rep(100)} end",
	    "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
	    "local function f(...) f(1, ...) end f()",
	    "local t = {} while true do t[#t + 1] = function() return t end end",
	};

	(void)state;
	for (size_t i = 0; i < sizeof greedy / sizeof *greedy; i++) {
		enum run_result result = rig_run_budget(rt, greedy[i], 0, 20000);

		if (result != RUN_MEMORY && strstr(rig_text, "stack overflow") == NULL)
			fail_msg("%s: %s: %s", greedy[i], run_result_text(result), rig_text);
		next_life();
	}
	rig_expect(rt, "big = ('x'):rep(10000000) return #big", "10000000");
	next_life(); /* and all of it is there again */
	rig_expect(rt, "big = ('x'):rep(10000000) return #big", "10000000");
	next_life();
}

/* ---- one life after another ---- */

/* Everything that can be reached from the environment, a line each: path, type, and what it is. */
static const char walk_code[] =
    "local seen, out = {}, {} "
    "local function walk(path, v) "
    "  local kind = type(v) "
    "  local text = kind == 'string' and string.format('%q', v) or tostring(v) "
    "  out[#out + 1] = path .. ' ' .. kind .. ' ' .. (kind == 'table' and '' or text) "
    "  if kind ~= 'function' and kind ~= 'table' or seen[v] then return end "
    "  seen[v] = true "
    "  walk(path .. '<meta>', getmetatable(v)) "
    "  if kind == 'function' then walk(path .. '<env>', getfenv(v)) end "
    "  if kind == 'table' then "
    "    for k, x in next, v do "
    "      if k ~= 'rig' then walk(path .. '.' .. tostring(k), x) end "
    "      if type(k) ~= 'string' then walk(path .. '<key>', k) end "
    "    end "
    "  end "
    "end "
    "walk('_G', _G) walk('list', list) walk('parameters', parameters) "
    "walk('string meta', getmetatable('')) walk('string method', ('').poison) "
    "walk('nil meta', getmetatable(nil)) walk('number meta', getmetatable(1)) "
    "walk('boolean meta', getmetatable(true)) walk('function meta', getmetatable(print)) "
    "walk('thread meta', getmetatable(coroutine.create(print))) "
    "local f = io.open('/dev/null') "
    "walk('file meta', getmetatable(f)) walk('file.read', f.read) walk('file.poison', f.poison) "
    "walk('output', io.output()) walk('input', io.input()) "
    "f:close() table.sort(out) return table.concat(out, '\\n')";

/* Write into whatever can be written to, from the root down. */
static const char poison[] =
    "local seen, todo = {}, {_G, '', list, parameters, print, coroutine.create(print), io.open('/dev/null'), 1, true} "
    "local mark = function() return 'poison' end "
    "local next, pcall, rawset, type, getmetatable, setmetatable, setfenv, getfenv = "
    "next, pcall, rawset, type, getmetatable, setmetatable, setfenv, getfenv "
    "local co = coroutine.wrap(function() coroutine.yield() poisoned = true end) co() "
    "local env, rawget = _G, rawget math.randomseed(1) os.setsafety('key') "
    "io_open = io.open "
    "while #todo > 0 do "
    "  local v = todo[#todo] todo[#todo] = nil "
    "  local kind = type(v) "
    "  if not seen[v] then "
    "    seen[v] = true "
    "    local meta = getmetatable(v) "
    "    if type(meta) == 'table' then todo[#todo + 1] = meta end "
    "    if kind == 'function' then "
    "      todo[#todo + 1] = getfenv(v) "
    "      pcall(setfenv, v, {poison = mark}) "
    "    end "
    "    if kind == 'table' then "
    "      local keys = {} "
    "      for k, x in next, v do todo[#todo + 1] = x todo[#todo + 1] = k keys[#keys + 1] = k end "
    "      for i = 1, #keys do pcall(rawset, v, keys[i], mark) end "
    "      pcall(rawset, v, 'poison', mark) "
    "      pcall(function() v.poison = mark end) "
    "      pcall(setmetatable, v, {__index = function() return mark end, __call = mark, __newindex = mark}) "
    "    else "
    "      pcall(function() v.poison = mark end) "
    "      pcall(function() v.read = mark end) "
    "    end "
    "  end "
    "end "
    "return type(rawget(env, 'poison'))";

static char first_walk[sizeof rig_text];

static void walk_life(char *out)
{
	assert_int_equal(runtime_inside(rt, l_define_host_tables, NULL), RUN_OK);
	if (rig_run(rt, walk_code) != RUN_OK)
		fail_msg("%s", rig_text);
	assert_true(rig_text_n < sizeof rig_text - 1);
	memcpy(out, rig_text, rig_text_n + 1);
}

static void test_poison_dies_with_its_life(void **state)
{
	static char walk[sizeof rig_text];

	(void)state;
	next_life();
	walk_life(first_walk);
	assert_non_null(strstr(first_walk, "string.find function"));
	assert_non_null(strstr(first_walk, "string meta boolean false"));
	for (int round = 0; round < 3; round++) {
		next_life();
		assert_int_equal(runtime_inside(rt, l_define_host_tables, NULL), RUN_OK);
		rig_expect(rt, poison, "function");
		next_life();
		walk_life(walk);
		assert_string_equal(walk, first_walk);
		assert_null(strstr(walk, "poison function"));
		rig_expect(rt, "return ('x'):upper(), string.format('%d', 3), poisoned, io_open",
		    "X|3|nil|nil");
		rig_expect(
		    rt, "return io.type(io.open('/dev/null'))", "file"); /* safety mode is off */
	}
}

/* Each way to change a library's table, alone: the next life finds the table as it should be. */
static void test_library_tables_are_restored(void **state)
{
	static const char *const changes[] = {
	    "string.sub = string.upper",
	    "string.sub = nil",
	    "string.trim = string.upper",
	    "string.sub = nil string.trim = string.upper",
	    "string.sub, string.upper = string.upper, string.sub",
	    "math.pi = 3",
	    "math.pi = math.pi + 0 string.sub = 'sub'",
	    "setmetatable(string, {})",
	    "setmetatable(string, {__index = function() return 'x' end})",
	    "for k in pairs(string) do string[k] = nil end",
	    "string = {sub = string.sub}",
	    "package.loaded.string.sub = print",
	    "rawset(string, 1, 'one')",
	    "math.huge = 0/0 math.pi = math.huge",
	    "math.maxinteger = math.maxinteger - 1",
	    "math.mininteger = -2.0^63",
	    "string.secret = 1 string.secret = nil",
	};

	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		next_life();
		rig_expect(rt, changes[i], "");
		next_life();
		rig_expect(rt,
		    "local n = 0 for k, v in pairs(string) do n = n + 1 assert(type(v) == 'function', k) end "
		    "return ('abc'):sub(2, 2), ('a'):upper(), string.trim, string[1], getmetatable(string), "
		    "math.pi > 3.14, n > 12, string == package.loaded.string, math.huge == 1/0, "
		    "math.maxinteger + 1 == math.mininteger, math.type(math.mininteger), "
		    "(pcall(next, string, 'secret'))",
		    "b|A|nil|nil|nil|true|true|true|true|true|integer|false");
	}
}

/* Each object of the host that a life gets is its own. */
static void test_tables_are_new(void **state)
{
	static const char identities[] =
	    "local t = {tostring(_G)} for k, v in pairs(_G) do if type(v) == 'table' then t[#t + 1] = tostring(v) end end "
	    "kept = _G return #t > 8";

	(void)state;
	next_life();
	rig_expect(rt, identities, "true");
	next_life();
	rig_expect(rt, "return kept", "nil");
}

static void test_random_state_does_not_leak(void **state)
{
	char seeded[100], unseeded[100];

	(void)state;
	next_life();
	assert_int_equal(
	    rig_run(rt, "math.randomseed(7) math.random(0) return math.random(0), math.random(0)"),
	    RUN_OK);
	memcpy(seeded, rig_text, sizeof seeded);
	next_life();
	assert_int_equal(rig_run(rt, "math.randomseed(7) math.random(0)"), RUN_OK);
	next_life();
	assert_int_equal(rig_run(rt, "return math.random(0), math.random(0)"), RUN_OK);
	memcpy(unseeded, rig_text, sizeof unseeded);
	assert_string_not_equal(unseeded, seeded);
	next_life();
	assert_int_equal(rig_run(rt, "return math.random(0), math.random(0)"), RUN_OK);
	assert_string_not_equal(rig_text, unseeded);
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void test_files_die_with_their_life(void **state)
{
	char path[] = "/tmp/mailhooks-sandbox-XXXXXX", code[200], text[20] = "";
	int fd = mkstemp(path), before = descriptors();

	(void)state;
	assert_true(fd >= 0);
	next_life();
	snprintf(code, sizeof code,
	    "f = io.open('%s', 'w') f:write('not flushed') io.output(f) g = io.open('%s')", path,
	    path);
	assert_int_equal(rig_run(rt, code), RUN_OK);
	assert_int_equal(descriptors(), before + 2);
	next_life();
	assert_int_equal(descriptors(), before);
	assert_int_equal(read(fd, text, sizeof text - 1), 11);
	assert_string_equal(text, "not flushed");
	close(fd);
	unlink(path);
}

static void test_unfinished_line_is_written_at_the_end(void **state)
{
	(void)state;
	next_life();
	rig_printed_clear();
	rig_expect(rt, "io.write('one ', 2, '\\nthr') io.write('ee') print(4) io.write('end')", "");
	assert_string_equal(rig_printed, "one 2\nthree4\n");
	next_life();
	assert_string_equal(rig_printed, "one 2\nthree4\nend\n");
}

/* ---- a traceback names functions, and a script cannot make that expensive or false ---- */

static void test_traceback(void **state)
{
	(void)state;
	next_life();
	rig_expect(rt,
	    "local ok, text = xpcall(string.rep, debug.traceback) return (text:find(\"function 'string.rep'\", 1, true)) ~= nil",
	    "true");
	rig_expect(rt,
	    "package.loaded.fake = {} for i = 1, 100 do package.loaded['fake' .. i] = package.loaded.fake end "
	    "string.rep = nil string.evil = ('x').rep "
	    "return debug.traceback('x'):find('evil')",
	    "nil");
	next_life();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_disabled),
	    cmocka_unit_test(test_metatables_are_locked),
	    cmocka_unit_test(test_host_tables_are_locked),
	    cmocka_unit_test(test_bytecode_is_refused),
	    cmocka_unit_test(test_environment_tricks),
	    cmocka_unit_test(test_budgets_cannot_be_escaped),
	    cmocka_unit_test(test_coroutine_that_used_up_a_budget),
	    cmocka_unit_test(test_coroutines_are_closed),
	    cmocka_unit_test(test_memory_is_bounded),
	    cmocka_unit_test(test_poison_dies_with_its_life),
	    cmocka_unit_test(test_library_tables_are_restored),
	    cmocka_unit_test(test_tables_are_new),
	    cmocka_unit_test(test_random_state_does_not_leak),
	    cmocka_unit_test(test_files_die_with_their_life),
	    cmocka_unit_test(test_unfinished_line_is_written_at_the_end),
	    cmocka_unit_test(test_traceback),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
