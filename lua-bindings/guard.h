/* guard.h - private to lua-bindings/: what a script may spend: memory, instructions, time.
 *
 * The guard is the allocator of one lua_State and its count hook. Once a budget is gone the hook
 * fires on every line, so a script that wraps itself in pcall() cannot swallow the error (measured:
 * a hook that raises only once is swallowed).
 *
 * A hook comes between two instructions, and one instruction may look through a whole string
 * (comparison, a number read from it), through a whole table (next() and "for" search behind what
 * was removed) or copy a whole stack (f(...)). So the longer the longest string of a life and the
 * bigger its biggest table or stack, the fewer instructions between two looks at the clock; the
 * length of strings is bounded by the time budget, and a block that is big is followed by a look at
 * once: to make one a table may have been filled anew. Not synchronised: one thread at a time per
 * state. */
#pragma once

#include "lua-bindings/cells.h"

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of slabs that a state may keep from earlier lives: no life is short of memory for that. */
#define GUARD_SPARE_BYTES ((size_t)1024 * 1024)

enum guard_spent { GUARD_NOTHING, GUARD_DEADLINE, GUARD_INSTRUCTIONS };

struct guard {
	struct cells cells;
	size_t told;	      /* of what the cells take, what the sum of the process knows about */
	size_t used, cap;     /* bytes; cap 0 = no limit (while the state is prepared) */
	size_t string_cap;    /* bytes of one string, 0 = no limit but cap */
	size_t longest;	      /* string since guard_begin() */
	size_t biggest;	      /* other block since guard_begin(): a table's, a stack */
	lua_State *running;   /* the coroutine that runs; NULL: between two calls */
	int64_t budget_ms;    /* from the start of the running call to its deadline */
	int64_t deadline_ms;  /* monotonic clock */
	int64_t instructions; /* left of the running call */
	enum guard_spent spent;
	bool memory_refused, string_refused; /* since guard_start() */
	char where[LUA_IDSIZE + 16]; /* "file:line" that asked for memory last; "" unknown */
};

/* What all scripts of the process may use together, 0 = no limit. Thread-safe. */
void guard_limit_total(size_t bytes);
void *guard_alloc(void *guard, void *old, size_t old_size, size_t new_size); /* a lua_Alloc */

/* Of zeros; largest_cell as in struct cells. */
void guard_init(struct guard *, size_t largest_cell);
/* After the end of its state: all memory goes back. */
void guard_clear(struct guard *);

/* A new life, with no limits yet. */
void guard_begin(struct guard *);
/* From now on: memory_bytes on top of base, and no string longer than time_ms allows. */
void guard_limit(struct guard *, size_t base, size_t memory_bytes, int64_t time_ms);
/* Begin a budget for the call that follows, and arm the hook on L. find gives the guard of any
 * lua_State (a hook has no argument of its own). */
void guard_start(struct guard *, lua_State *L, int64_t deadline_ms, int64_t instructions);
void guard_stop(struct guard *);
/* The coroutine L begins to run, or goes on. Whoever calls this keeps L from being collected until
 * the next call. */
void guard_enter(struct guard *, lua_State *L);
/* Account n units of work done in C; raises when the budget is gone. */
void l_guard_work(lua_State *L, struct guard *, int64_t n);
_Noreturn void l_guard_raise(lua_State *L, struct guard *, enum guard_spent);

/* Supplied by runtime.c. */
struct guard *guard_of(lua_State *L);
