/* lua_rig.c - see lua_rig.h. */
#include "tests/unit/lua_rig.h"

#include "common/clock.h"
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/luaout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char rig_text[65536], rig_printed[65536];
size_t rig_text_n;

static size_t printed_n;

static void hear(const char *text, size_t n, void *arg)
{
	(void)arg;
	if (n + 2 < sizeof rig_printed - printed_n) {
		memcpy(rig_printed + printed_n, text, n);
		printed_n += n;
		rig_printed[printed_n++] = '\n';
		rig_printed[printed_n] = '\0';
	}
}

void rig_listen(void)
{
	luaout_capture(hear, NULL);
	rig_printed_clear();
}

void rig_printed_clear(void)
{
	printed_n = 0;
	rig_printed[0] = '\0';
}

static struct runtime *begin(struct script_set *set)
{
	struct runtime *rt = runtime_new(set, RIG_MEMORY);

	assert_non_null(rt);
	assert_true(runtime_begin(rt, NULL));
	return rt;
}

struct runtime *rig_open(void)
{
	return begin(NULL);
}

struct runtime *rig_load(struct config *config, struct script_set **set)
{
	char error[1024];

	*set = script_set_load(config, error, sizeof error);
	if (*set == NULL)
		fail_msg("%s", error);
	return begin(*set);
}

void rig_close(struct runtime *rt)
{
	assert_true(runtime_end(rt));
	runtime_free(rt);
}

/* ---- results ---- */

static void keep(lua_State *L, int first, int n)
{
	rig_text_n = 0;
	for (int i = 0; i < n; i++) {
		size_t length;
		const char *s = luaL_tolstring(L, first + i, &length);

		if (i > 0 && rig_text_n < sizeof rig_text - 1)
			rig_text[rig_text_n++] = '|';
		if (length > sizeof rig_text - 1 - rig_text_n)
			length = sizeof rig_text - 1 - rig_text_n;
		memcpy(rig_text + rig_text_n, s, length);
		rig_text_n += length;
		lua_pop(L, 1);
	}
	rig_text[rig_text_n] = '\0';
}

static void l_keep(lua_State *L, int first, int n, void *arg)
{
	(void)arg;
	keep(L, first, n);
}

/* ---- ours ---- */

struct definition {
	const char *name, *code;
	char error[1000];
};

static void l_define(lua_State *L, void *arg)
{
	struct definition *d = arg;

	l_push_env(L);
	if (luaL_loadbufferx(L, d->code, strlen(d->code), "=test", "t") != LUA_OK)
		snprintf(d->error, sizeof d->error, "%s", lua_tostring(L, -1));
	else
		lua_setfield(L, -2, d->name);
}

static enum run_result run(
    struct runtime *rt, const struct run_call *call, int64_t instructions, int ms)
{
	struct run_budget budget = {clock_ms() + ms, instructions};
	char error[sizeof rig_text];
	enum run_result result = runtime_call(rt, call, &budget, error, sizeof error);

	if (result != RUN_OK)
		rig_text_n = (size_t)snprintf(rig_text, sizeof rig_text, "%s", error);
	return result;
}

enum run_result rig_run_budget(struct runtime *rt, const char *code, int64_t instructions, int ms)
{
	struct definition d = {"rig", code, ""};
	struct run_call call = {.function = "rig", .l_take = l_keep};

	if (runtime_inside(rt, l_define, &d) != RUN_OK || d.error[0] != '\0')
		fail_msg("%s: %s", code, d.error);
	return run(rt, &call, instructions, ms);
}

enum run_result rig_run(struct runtime *rt, const char *code)
{
	return rig_run_budget(rt, code, RIG_INSTRUCTIONS, RIG_MS);
}

void rig_expect(struct runtime *rt, const char *code, const char *results)
{
	enum run_result result = rig_run(rt, code);

	if (result != RUN_OK || strcmp(rig_text, results) != 0)
		fail_msg("%s\n  gives    %s (%s)\n  expected %s", code, rig_text,
		    run_result_text(result), results);
}

void rig_expect_error(struct runtime *rt, const char *code, const char *part)
{
	enum run_result result = rig_run(rt, code);

	if (result != RUN_ERROR || strstr(rig_text, part) == NULL)
		fail_msg("%s\n  gives    %s (%s)\n  expected an error with %s", code, rig_text,
		    run_result_text(result), part);
}

/* ---- and stock ---- */

struct lua_State *rig_stock_open(void)
{
	lua_State *L = luaL_newstate();

	assert_non_null(L);
	luaL_openlibs(L);
	return L;
}

static void stock_call(lua_State *L, int arguments)
{
	int top = lua_gettop(L) - arguments - 1;

	if (lua_pcall(L, arguments, LUA_MULTRET, 0) != LUA_OK)
		fail_msg("stock Lua: %s", lua_tostring(L, -1));
	keep(L, top + 1, lua_gettop(L) - top);
	lua_settop(L, top);
}

static void compare(const char *ours, size_t n, const char *what)
{
	if (n != rig_text_n || memcmp(ours, rig_text, n) != 0)
		fail_msg("%s\n  ours  %.*s\n  stock %s", what, (int)n, ours, rig_text);
}

void rig_same(struct runtime *rt, struct lua_State *stock, const char *code)
{
	static char ours[sizeof rig_text];
	enum run_result result;
	size_t n;

	compat_without_set(COMPAT_54);
	result = rig_run(rt, code);
	compat_without_set(COMPAT_AUTO);
	n = rig_text_n;
	if (result != RUN_OK)
		fail_msg("%s: %s", code, rig_text);
	memcpy(ours, rig_text, n);
	if (luaL_loadbufferx(stock, code, strlen(code), "=test", "t") != LUA_OK)
		fail_msg("stock Lua: %s", lua_tostring(stock, -1));
	stock_call(stock, 0);
	compare(ours, n, code);
}

void rig_define(struct runtime *rt, struct lua_State *stock, const char *name, const char *body)
{
	struct definition d = {name, body, ""};

	if (runtime_inside(rt, l_define, &d) != RUN_OK || d.error[0] != '\0')
		fail_msg("%s: %s", body, d.error);
	assert_int_equal(luaL_loadbufferx(stock, body, strlen(body), "=test", "t"), LUA_OK);
	lua_setglobal(stock, name);
}

struct arguments {
	const struct rig_bytes *v;
	int n;
};

static int l_push_arguments(lua_State *L, void *arg)
{
	const struct arguments *a = arg;

	for (int i = 0; i < a->n; i++)
		lua_pushlstring(L, a->v[i].s, a->v[i].n);
	return a->n;
}

void rig_same_call(
    struct runtime *rt, struct lua_State *stock, const char *name, const struct rig_bytes *v, int n)
{
	static char ours[sizeof rig_text];
	struct arguments a = {v, n};
	struct run_call call = {
	    .function = name, .l_push = l_push_arguments, .l_take = l_keep, .arg = &a};
	enum run_result result;
	size_t ours_n;
	char what[2000];

	compat_without_set(COMPAT_54);
	result = run(rt, &call, RIG_INSTRUCTIONS, RIG_MS);
	compat_without_set(COMPAT_AUTO);
	ours_n = rig_text_n;
	snprintf(what, sizeof what, "%s(\"%s\", \"%s\", \"%s\")", name, v[0].s, n > 1 ? v[1].s : "",
	    n > 2 ? v[2].s : "");
	if (result != RUN_OK)
		fail_msg("%s: %s (%s)", what, rig_text, run_result_text(result));
	memcpy(ours, rig_text, ours_n);
	lua_getglobal(stock, name);
	stock_call(stock, l_push_arguments(stock, &a));
	compare(ours, ours_n, what);
}
