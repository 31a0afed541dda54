/* guard.c - see guard.h.
 *
 * The interval of the count hook is a compromise: at 1000 instructions a hook call costs about 1 %
 * of a tight loop, and a loop overruns its deadline by some microseconds only. */
#include "lua-bindings/guard.h"

#include "common/clock.h"

#include <lauxlib.h>

#include <stdlib.h>

#define HOOK_INTERVAL 1000 /* VM instructions between two looks at the clock */

void *guard_alloc(void *arg, void *old, size_t old_size, size_t new_size)
{
	struct guard *g = arg;
	void *p;

	if (old == NULL)
		old_size = 0; /* Lua passes the kind of object here */
	if (new_size == 0) {
		free(old);
		g->used -= old_size;
		return NULL;
	}
	if (new_size > old_size && g->cap != 0 &&
	    (new_size > g->cap || g->used - old_size > g->cap - new_size)) {
		g->memory_refused = true;
		return NULL;
	}
	p = realloc(old, new_size);
	if (p != NULL)
		g->used += new_size - old_size;
	else
		g->memory_refused = true;
	return p;
}

static const char *spent_text(enum guard_spent why)
{
	return why == GUARD_DEADLINE ? "time budget of the hook used up"
				     : "instruction budget of the hook used up";
}

static void hook(lua_State *L, lua_Debug *ar)
{
	struct guard *g = guard_of(L);

	(void)ar;
	if (g->spent == GUARD_NOTHING) {
		if (lua_gethookmask(L) & LUA_MASKLINE) /* a coroutine of an earlier call */
			lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_INTERVAL);
		l_guard_work(L, g, HOOK_INTERVAL);
		return;
	}
	l_guard_raise(L, g, g->spent);
}

void guard_start(struct guard *g, lua_State *L, int64_t deadline_ms, int64_t instructions)
{
	g->deadline_ms = deadline_ms;
	g->instructions = instructions;
	g->spent = GUARD_NOTHING;
	g->memory_refused = false;
	lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_INTERVAL);
}

void guard_stop(struct guard *g)
{
	/* between two calls only the host works in the state: never interrupt it */
	g->deadline_ms = INT64_MAX;
	g->instructions = INT64_MAX;
}

void l_guard_work(lua_State *L, struct guard *g, int64_t n)
{
	if (g->spent != GUARD_NOTHING)
		l_guard_raise(L, g, g->spent);
	g->instructions -= n;
	if (g->instructions < 0)
		l_guard_raise(L, g, GUARD_INSTRUCTIONS);
	if (clock_ms() >= g->deadline_ms)
		l_guard_raise(L, g, GUARD_DEADLINE);
}

_Noreturn void l_guard_raise(lua_State *L, struct guard *g, enum guard_spent why)
{
	g->spent = why;
	lua_sethook(L, hook, LUA_MASKCOUNT | LUA_MASKLINE, 1);
	luaL_error(L, "%s", spent_text(why));
	abort(); /* not reached; luaL_error is not declared noreturn */
}
