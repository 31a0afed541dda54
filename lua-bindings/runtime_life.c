/* runtime_life.c - the life of one Lua state: prepared once, then one life after the other, each
 * with an environment of its own; and states that belong to somebody else. See runtime.h. */
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/runtime_private.h"
#include "lua-bindings/script_set_private.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_GARBAGE_BYTES (128 * 1024) /* a life that leaves more is followed by a collection */
#ifndef __has_feature
#define __has_feature(x) 0 /* that is how clang tells */
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
#define LARGEST_CELL 0 /* AddressSanitizer watches each block */
#else
#define LARGEST_CELL CELLS_LARGEST
#endif
#define FIRST_PAUSE 1000 /* percent of what is left, lua_gc() */
#define USUAL_PAUSE 200
/* host variables and what a usual script adds, with the libraries and without: no rehash */
#define ENV_ENTRIES 128
#define ENV_ENTRIES_SHARED 64

/* Collects, and the next cycle starts late: few lives use enough memory for one. */
static void l_collect(lua_State *L)
{
	lua_gc(L, LUA_GCINC, FIRST_PAUSE, 0, 0);
	lua_gc(L, LUA_GCCOLLECT);
	lua_gc(L, LUA_GCINC, USUAL_PAUSE, 0, 0);
}

/* A first life that nobody lives: the libraries that lives share belong to the base. */
static void l_prepare_body(lua_State *L, struct gate *g)
{
	const struct runtime *rt = g->arg;

	l_sandbox_prepare(L);
	lua_newtable(L);
	l_sandbox_open(L, script_set_leaves_libraries(rt->set));
	l_sandbox_close(L);
	l_collect(L);
}

static void l_begin_body(lua_State *L, struct gate *g)
{
	const bool *share = g->arg;

	lua_createtable(L, 0, *share ? ENV_ENTRIES_SHARED : ENV_ENTRIES);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &runtime_env_key);
	l_sandbox_open(L, *share);
}

static void l_end_body(lua_State *L, struct gate *g)
{
	const struct runtime *rt = g->arg;

	l_sandbox_close(L);
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &runtime_env_key);
	if (rt->guard.used > rt->base + KEEP_GARBAGE_BYTES)
		l_collect(L);
}

struct runtime *runtime_new(struct script_set *set, size_t memory_bytes)
{
	struct runtime *rt = calloc(1, sizeof *rt);
	struct gate g = {.l_body = l_prepare_body, .arg = rt};

	if (rt == NULL)
		return NULL;
	rt->set = set;
	rt->memory_bytes = memory_bytes;
	rt->script = rt->hook = "(preparation)";
	guard_init(&rt->guard, LARGEST_CELL);
	rt->L = lua_newstate(guard_alloc, &rt->guard);
	if (rt->L == NULL) {
		guard_clear(&rt->guard);
		free(rt);
		return NULL;
	}
	memcpy(lua_getextraspace(rt->L), &rt, sizeof rt);
	if (runtime_enter(rt, &g, NULL, NULL, 0) != RUN_OK) {
		runtime_free(rt);
		return NULL;
	}
	rt->base = rt->guard.used;
	return rt;
}

void runtime_free(struct runtime *rt)
{
	if (rt == NULL)
		return;
	guard_begin(&rt->guard);
	lua_close(rt->L);
	guard_clear(&rt->guard);
	free(rt);
}

static bool begin(struct runtime *rt, const struct log_id *id, bool share)
{
	struct gate g = {.l_body = l_begin_body, .arg = &share};

	rt->id = id;
	rt->script = rt->hook = "(begin)";
	guard_begin(&rt->guard);
	if (runtime_enter(rt, &g, NULL, NULL, 0) != RUN_OK)
		return false;
	guard_limit(&rt->guard, rt->base, rt->memory_bytes, INT64_MAX);
	return true;
}

bool runtime_begin(struct runtime *rt, const struct log_id *id)
{
	return begin(rt, id, false);
}

bool runtime_begin_with_the_set(struct runtime *rt, const struct log_id *id)
{
	return begin(rt, id, script_set_leaves_libraries(rt->set));
}

bool runtime_end(struct runtime *rt)
{
	struct gate g = {.l_body = l_end_body, .arg = rt};
	bool fine;

	rt->script = rt->hook = "(end)";
	guard_begin(&rt->guard);
	fine = runtime_enter(rt, &g, NULL, NULL, 0) == RUN_OK;
	rt->id = NULL;
	return fine;
}

bool runtime_is_lean(const struct runtime *rt)
{
	return rt->guard.cells.bytes <= GUARD_SPARE_BYTES;
}

/* ---- guests ---- */

struct runtime *runtime_adopt(lua_State *L)
{
	struct runtime *rt = calloc(1, sizeof *rt);

	if (rt == NULL)
		return NULL;
	lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
	rt->L = lua_tothread(L, -1);
	lua_pop(L, 1);
	rt->guest = true;
	rt->script = rt->hook = "(guest)";
	guard_stop(&rt->guard);
	memcpy(lua_getextraspace(rt->L), &rt, sizeof rt); /* coroutines to come get a copy */
	memcpy(lua_getextraspace(L), &rt, sizeof rt);
	return rt;
}

void runtime_guest_set(struct runtime *rt, struct script_set *set)
{
	rt->set = set;
}

void l_guest_environment(lua_State *L)
{
	lua_rawsetp(L, LUA_REGISTRYINDEX, &runtime_env_key);
}

void runtime_abandon(struct runtime *rt)
{
	free(rt);
}

bool runtime_is_guest(const struct runtime *rt)
{
	return rt->guest;
}
