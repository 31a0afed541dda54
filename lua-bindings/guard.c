/* guard.c - see guard.h.
 *
 * The interval of the count hook is a compromise: at 1000 instructions a hook call costs about 1 %
 * of a tight loop, and a loop overruns its deadline by some microseconds only. */
#include "lua-bindings/guard.h"

#include "common/clock.h"

#include <lauxlib.h>

#include <stdatomic.h>
#include <stdlib.h>

#define FAIR_START_BYTES (512 * 1024) /* libraries, a script and some data */
#define TELL_BYTES (64 * 1024)
#define HOOK_INTERVAL 1000 /* VM instructions between two looks at the clock */

static atomic_size_t total, total_cap;

void guard_limit_total(size_t bytes)
{
	atomic_store(&total_cap, bytes);
}

static void account_memory(struct guard *g, size_t old_size, size_t new_size)
{
	g->used += new_size - old_size; /* wraps where it shrinks */
	if (g->used - g->told + TELL_BYTES > 2 * TELL_BYTES || g->used == 0) {
		/* in large steps: a counter that all threads write for each object is slow */
		atomic_fetch_add_explicit(&total, g->used - g->told, memory_order_relaxed);
		g->told = g->used;
	}
}

/* The sum counts for an instance that uses more than a fair start only: one greedy script must not
 * keep others from beginning. */
static bool may_grow(const struct guard *g, size_t old_size, size_t new_size)
{
	size_t all = atomic_load_explicit(&total_cap, memory_order_relaxed);

	if (new_size > g->cap || g->used - old_size > g->cap - new_size)
		return false;
	return all == 0 || g->used < FAIR_START_BYTES ||
	       atomic_load_explicit(&total, memory_order_relaxed) - old_size + new_size <= all;
}

void *guard_alloc(void *arg, void *old, size_t old_size, size_t new_size)
{
	struct guard *g = arg;
	void *p;

	if (old == NULL)
		old_size = 0; /* Lua passes the kind of object here */
	if (new_size == 0) {
		free(old);
		account_memory(g, old_size, 0);
		return NULL;
	}
	if (new_size > old_size && g->cap != 0 && !may_grow(g, old_size, new_size)) {
		g->memory_refused = true;
		return NULL;
	}
	p = realloc(old, new_size);
	if (p != NULL)
		account_memory(g, old_size, new_size);
	else
		g->memory_refused = true;
	return p;
}

static const char *spent_text(enum guard_spent why)
{
	return why == GUARD_DEADLINE ? "time budget of the hook used up"
				     : "instruction budget of the hook used up";
}

/* level: of the function whose line the message tells; inside of a hook that is 0, in a C function
 * it is 1, its caller. */
static _Noreturn void l_raise(lua_State *L, struct guard *g, enum guard_spent why, int level);

static enum guard_spent account(struct guard *g, int64_t n)
{
	if (g->spent != GUARD_NOTHING)
		return g->spent;
	g->instructions -= n;
	if (g->instructions < 0)
		return GUARD_INSTRUCTIONS;
	return clock_ms() >= g->deadline_ms ? GUARD_DEADLINE : GUARD_NOTHING;
}

static void hook(lua_State *L, lua_Debug *ar)
{
	struct guard *g = guard_of(L);
	enum guard_spent why;

	(void)ar;
	if (g->spent == GUARD_NOTHING && (lua_gethookmask(L) & LUA_MASKLINE))
		lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_INTERVAL); /* armed by an earlier call */
	why = account(g, HOOK_INTERVAL);
	if (why != GUARD_NOTHING)
		l_raise(L, g, why, 0);
}

static void l_raise(lua_State *L, struct guard *g, enum guard_spent why, int level)
{
	g->spent = why;
	lua_sethook(L, hook, LUA_MASKCOUNT | LUA_MASKLINE, 1);
	luaL_where(L, level);
	lua_pushstring(L, spent_text(why));
	lua_concat(L, 2);
	lua_error(L);
	abort(); /* not reached; lua_error is not declared noreturn */
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
	enum guard_spent why = account(g, n);

	if (why != GUARD_NOTHING)
		l_raise(L, g, why, 1);
}

_Noreturn void l_guard_raise(lua_State *L, struct guard *g, enum guard_spent why)
{
	l_raise(L, g, why, 1);
}
