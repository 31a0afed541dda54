/* The gate into Lua: every way a script can end, and what it may spend (R5, R14). */
#include "common/clock.h"
#include "tests/unit/lua_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SHORT_MS 200	 /* a deadline that tests wait for */
#define GENEROUS_MS 1000 /* what may come on top of a deadline */
#define FEW 100000	 /* a small instruction budget */

/* ---- allocation failure: guard_alloc() is wrapped ---- */

static long fail_at, allocations; /* fail_at: the first allocation that fails, 0 = none */

void *__real_guard_alloc(void *guard, void *old, size_t old_size, size_t new_size);
void *__wrap_guard_alloc(void *guard, void *old, size_t old_size, size_t new_size);

void *__wrap_guard_alloc(void *guard, void *old, size_t old_size, size_t new_size)
{
	if (new_size > 0 && (old == NULL || new_size > old_size)) {
		allocations++;
		if (fail_at > 0 && allocations >= fail_at)
			return NULL;
	}
	return __real_guard_alloc(guard, old, old_size, new_size);
}

/* ---- how a run ends ---- */

static void test_results(void **state)
{
	static const struct {
		const char *code;
		enum run_result result;
	} cases[] = {
	    {"return 1", RUN_OK},
	    {"error('x')", RUN_ERROR},
	    {"error({})", RUN_ERROR},
	    {"error(nil)", RUN_ERROR},
	    {"error(setmetatable({}, {__tostring = function() error('y') end}))", RUN_ERROR},
	    {"error(setmetatable({}, {__tostring = function() return {} end}))", RUN_ERROR},
	    {"local t = nil; return t.x", RUN_ERROR},
	    {"local function f() return f() + 1 end return f()", RUN_MEMORY},
	    {"coroutine.yield()", RUN_ERROR},
	    {"while true do end", RUN_INSTRUCTIONS},
	    {"while true do pcall(function() while true do end end) end", RUN_INSTRUCTIONS},
	    {"local function f() while true do end end\n"
	     "while true do xpcall(f, f) end",
		RUN_INSTRUCTIONS},
	    {"coroutine.wrap(function() while true do end end)()", RUN_INSTRUCTIONS},
	    {"while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
		RUN_INSTRUCTIONS},
	    {"setmetatable(_G, {__index = function(t, k) return t[k .. 'x'] end}) return nothing",
		RUN_ERROR},
	    {"local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
		RUN_INSTRUCTIONS},
	    {"local t = {} for i = 1, 100 do t[i] = i end\n"
	     "table.sort(t, function() while true do end end)",
		RUN_INSTRUCTIONS},
	    {"return (('a'):rep(28)):find(('a?'):rep(28) .. ('a'):rep(28))", RUN_INSTRUCTIONS},
	    {"local s = 'x' while true do s = s .. s end", RUN_MEMORY},
	    {"return ('x'):rep(1 << 30)", RUN_MEMORY},
	    {"local t = {} while true do t[#t + 1] = {} end", RUN_MEMORY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct runtime *rt = rig_open();
		enum run_result r = rig_run_budget(rt, cases[i].code, 20000000, RIG_MS);

		if (r != cases[i].result)
			fail_msg("%s: %s (%s)", cases[i].code, run_result_text(r), rig_text);
		rig_expect(rt, "return 'alive'", "alive"); /* the state is as good as new */
		rig_close(rt);
	}
}

static void test_deadline(void **state)
{
	static const char *const codes[] = {
	    "while true do end",
	    "while true do pcall(function() while true do end end) end",
	    "while true do os.sleep(10) end",
	    "os.sleep(1e9)",
	    "pcall(os.sleep, 1e9) while true do end",
	};

	(void)state;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		struct runtime *rt = rig_open();
		int64_t before = clock_ms(), took;

		assert_int_equal(rig_run_budget(rt, codes[i], INT64_MAX, SHORT_MS), RUN_DEADLINE);
		took = clock_ms() - before;
		assert_in_range(took, SHORT_MS - 20, SHORT_MS + GENEROUS_MS);
		rig_close(rt);
	}
}

/* A coroutine that ran into the budget of one call goes on in the next one. */
static void test_coroutine_outlives_a_budget(void **state)
{
	struct runtime *rt = rig_open();

	(void)state;
	rig_run_budget(rt,
	    "co = coroutine.create(function() for i = 1, 1e6 do end coroutine.yield('a')\n"
	    "  return 'b' end) sleeper = coroutine.create(function() coroutine.yield()\n"
	    "  for i = 1, 5000 do local x = i end return 'done' end) coroutine.resume(sleeper)\n"
	    "coroutine.resume(co)",
	    FEW, RIG_MS);
	rig_expect(rt, "return coroutine.resume(sleeper)", "true|done");
	rig_close(rt);
}

static void test_absent_function(void **state)
{
	struct runtime *rt = rig_open();
	struct run_call call = {.function = "NoSuchHook"};
	struct run_budget b = {.deadline_ms = clock_ms() + RIG_MS};

	(void)state;
	assert_int_equal(runtime_call(rt, &call, &b, NULL, 0), RUN_ABSENT);
	rig_close(rt);
}

/* ---- lives ---- */

static void test_nothing_survives_a_life(void **state)
{
	struct runtime *rt = rig_open();

	(void)state;
	rig_run(rt, "leak = 1 string.leak = 2 table.insert = nil math.pi = 3 _G.os.time = 4\n"
		    "package.loaded.leak = 5 math.randomseed(42)");
	for (int i = 0; i < 3; i++) {
		assert_true(runtime_end(rt));
		assert_true(runtime_begin(rt, NULL));
		rig_expect(rt,
		    "return leak, string.leak, (''):upper(), type(table.insert), math.pi > 3.1,\n"
		    "type(os.time), package.loaded.leak",
		    "nil|nil||function|true|function|nil");
	}
	rig_close(rt);
}

static void test_memory_does_not_grow_over_lives(void **state)
{
	struct runtime *rt = rig_open();

	(void)state;
	for (int i = 0; i < 200; i++) {
		/* what each life keeps and needs on the way is most of its memory */
		assert_int_equal(rig_run(rt, "keep = ('x'):rep(14 << 20)"), RUN_OK);
		assert_true(runtime_end(rt));
		assert_true(runtime_begin(rt, NULL));
	}
	rig_close(rt);
}

/* ---- running out of memory anywhere ---- */

static void l_busy(lua_State *L, void *arg)
{
	(void)arg;
	luaL_loadstring(L, "local t = {} for i = 1, 20 do t[i] = ('x'):rep(i) .. i end\n"
			   "local co = coroutine.wrap(function() return pcall(error, t) end) co()\n"
			   "return table.concat(t, ','):gsub('%d', function(d) return d .. d end)");
	lua_call(L, 0, 0);
}

static enum run_result one_life(long n)
{
	enum run_result r = RUN_MEMORY;
	struct runtime *rt;

	allocations = 0;
	fail_at = n;
	rt = runtime_new(NULL, RIG_MEMORY);
	if (rt != NULL && runtime_begin(rt, NULL)) {
		/* the second life of a state allocates at other points than the first */
		if (runtime_end(rt) && runtime_begin(rt, NULL))
			r = runtime_inside(rt, l_busy, NULL);
		fail_at = 0; /* ending a life must work again once there is memory */
		runtime_end(rt);
	}
	fail_at = 0;
	runtime_free(rt);
	return r;
}

static void test_every_allocation_may_fail(void **state)
{
	long failed = 0;

	(void)state;
	for (long n = 1; n < 100000; n++) {
		enum run_result r = one_life(n);

		if (r == RUN_OK && allocations < n)
			break;
		failed++;
		assert_true(r == RUN_MEMORY || r == RUN_ERROR || r == RUN_OK);
	}
	assert_in_range(
	    failed, 300, 99998); /* the sweep really met allocations, and came to an end */
}

/* ---- compiling ---- */

static bool compiles(struct runtime *rt, const char *source, size_t n, char *error, size_t size)
{
	struct script_file file = {.text = (char *)source, .size = n};
	void *bytecode = NULL;
	size_t length;
	bool wrapped;
	bool fine =
	    runtime_compile(rt, &file, "@test.lua", &bytecode, &length, &wrapped, error, size);

	free(bytecode);
	return fine;
}

static void test_compile(void **state)
{
	struct runtime *rt = rig_open();
	char error[500];

	(void)state;
#define COMPILES(s) compiles(rt, s, sizeof s - 1, error, sizeof error)
	assert_true(COMPILES("x = 1"));
	assert_true(COMPILES("\xEF\xBB\xBFx = 1"));
	assert_true(COMPILES("#!/usr/bin/lua\nx = 1"));
	assert_false(COMPILES("x = = 1"));
	assert_string_equal(error, "test.lua:1: unexpected symbol near '='");
	assert_false(COMPILES("#!lua\n\nx = = 1"));
	assert_non_null(strstr(error, "test.lua:3:"));
	assert_false(COMPILES("\x1bLua")); /* bytecode is never taken (R14) */
	rig_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_results),
	    cmocka_unit_test(test_deadline),
	    cmocka_unit_test(test_coroutine_outlives_a_budget),
	    cmocka_unit_test(test_absent_function),
	    cmocka_unit_test(test_nothing_survives_a_life),
	    cmocka_unit_test(test_memory_does_not_grow_over_lives),
	    cmocka_unit_test(test_every_allocation_may_fail),
	    cmocka_unit_test(test_compile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
