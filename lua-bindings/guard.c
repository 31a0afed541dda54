/* guard.c - see guard.h.
 *
 * While any hook is armed liblua looks at it for each instruction: tight arithmetic takes twice its
 * time then, work in library functions a tenth more (tests/bench, script_cost). The interval adds
 * little to that: at 1000 instructions a call of the hook costs about 1 %, and a loop overruns its
 * deadline by some microseconds only. It is shorter when there are long strings. */
#include "lua-bindings/guard.h"

#include "common/clock.h"

#include <lauxlib.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define FAIR_START_BYTES (512 * 1024) /* libraries, a script and some data */
#define TELL_BYTES (64 * 1024)
#define HELD_TIMES 2 /* with what lies between its objects a state takes so many times its cap */
#define MOST_CAP ((SIZE_MAX - GUARD_SPARE_BYTES) / HELD_TIMES)
#define HOOK_INTERVAL 1000 /* VM instructions between two looks at the clock, at most */

/* What one instruction may take for each byte of a string: comparing strings of zero bytes takes 7
 * ns, reading a hexadecimal number 1 ns (measured). */
#define WORST_NS_PER_BYTE 8
/* The same for a table or a stack: next() over removed entries takes 0.05 ns, f(...) 0.14 ns. */
#define BLOCK_BYTES_PER_NS 4
#define NS_PER_MS 1000000
#define SLACK 40 /* the instructions of one interval take this part of the budget at most */
#define STRING_BYTES_PER_MS 8192 /* a sixteenth of the budget for one instruction */
#define SHORT_STRING 1024	 /* not worth a thought */
#define SMALL_BLOCK (64 * 1024)	 /* filled in less than a millisecond */

static atomic_size_t total, total_cap;

void guard_limit_total(size_t bytes)
{
	atomic_store(&total_cap, bytes);
}

static void tell(struct guard *g, size_t taken)
{
	atomic_fetch_add_explicit(&total, taken - g->told, memory_order_relaxed);
	g->told = taken;
}

static void account_memory(struct guard *g, size_t old_size, size_t new_size)
{
	size_t taken = cells_taken(&g->cells);

	g->used += new_size - old_size; /* wraps where it shrinks */
	/* in large steps: a counter that all threads write for each object is slow */
	if (taken - g->told + TELL_BYTES > 2 * TELL_BYTES)
		tell(g, taken);
}

/* The sum counts for an instance that uses more than a fair start only: one greedy script must not
 * keep others from beginning. */
static bool may_grow(const struct guard *g, size_t old_size, size_t new_size)
{
	size_t all = atomic_load_explicit(&total_cap, memory_order_relaxed);

	if (new_size > g->cap || g->used - old_size > g->cap - new_size)
		return false;
	return all == 0 || cells_taken(&g->cells) < FAIR_START_BYTES ||
	       atomic_load_explicit(&total, memory_order_relaxed) - old_size + new_size <= all;
}

/* ---- how often to look at the clock ---- */

static int interval(const struct guard *g)
{
	int64_t worst =
	    (int64_t)g->longest * WORST_NS_PER_BYTE + (int64_t)(g->biggest / BLOCK_BYTES_PER_NS);
	int64_t slack, n;

	if (worst == 0 || g->budget_ms > INT32_MAX)
		return HOOK_INTERVAL;
	slack = g->budget_ms * NS_PER_MS / SLACK;
	n = slack / worst;
	return n >= HOOK_INTERVAL ? HOOK_INTERVAL : n < 1 ? 1 : (int)n;
}

static void hook(lua_State *L, lua_Debug *ar);

static void arm(const struct guard *g, lua_State *L)
{
	lua_sethook(L, hook, LUA_MASKCOUNT, interval(g));
}

/* Once a budget is gone the hook fires on every line: that stays. A hook of somebody else (module/)
 * is none of our business. */
static void arm_closer(const struct guard *g, lua_State *L)
{
	if (g->spent == GUARD_NOTHING && lua_gethook(L) == hook &&
	    lua_gethookcount(L) > interval(g))
		arm(g, L);
}

void guard_enter(struct guard *g, lua_State *L)
{
	g->running = L;
	arm_closer(g, L);
}

/* The next instruction looks at the clock. lua_sethook() is safe even in a signal handler. */
static void look_soon(const struct guard *g)
{
	if (g->running != NULL && g->spent == GUARD_NOTHING && lua_gethook(g->running) == hook)
		lua_sethook(g->running, hook, LUA_MASKCOUNT, 1);
}

/* liblua calls no message handler for want of memory, so the line is noted here. These functions
 * ask for none, and the VM knows its line wherever it does. */
static void note_place(struct guard *g)
{
	lua_Debug ar;

	for (int level = 0; g->running != NULL && lua_getstack(g->running, level, &ar); level++)
		if (lua_getinfo(g->running, "Sl", &ar) && ar.currentline > 0) {
			snprintf(g->where, sizeof g->where, "%s:%d", ar.short_src, ar.currentline);
			return;
		}
}

/* No memory: liblua collects all garbage now and tries again. A script that goes on after such an
 * error must not do that a hundred times until the next look at the clock. */
static void *refuse(struct guard *g)
{
	g->memory_refused = true;
	note_place(g);
	look_soon(g);
	return NULL;
}

/* A string of n bytes comes into being. */
static void account_string(struct guard *g, size_t n)
{
	if (n <= g->longest || n < SHORT_STRING)
		return;
	g->longest = n;
	if (g->running != NULL)
		arm_closer(g, g->running);
}

/* A table or a stack has n bytes now, and perhaps all of its entries have been put in again: one
 * assignment to a full table does that each time when another entry goes. */
static void account_block(struct guard *g, size_t n)
{
	if (n < SMALL_BLOCK)
		return;
	if (n > g->biggest)
		g->biggest = n;
	look_soon(g);
}

/* ---- memory ---- */

void *guard_alloc(void *arg, void *old, size_t old_size, size_t new_size)
{
	struct guard *g = arg;
	bool string = old == NULL && old_size == LUA_TSTRING; /* Lua tells the kind of object */
	void *p;

	if (old == NULL)
		old_size = 0;
	if (new_size == 0) {
		cells_resize(&g->cells, old, old_size, 0);
		account_memory(g, old_size, 0);
		return NULL;
	}
	if (new_size > old_size && g->cap != 0 && !may_grow(g, old_size, new_size))
		return refuse(g);
	if (string && g->string_cap != 0 && new_size > g->string_cap) {
		g->string_refused = true;
		return refuse(g);
	}
	p = cells_resize(&g->cells, old, old_size, new_size);
	if (p == NULL)
		return refuse(g);
	account_memory(g, old_size, new_size);
	if (string)
		account_string(g, new_size);
	else
		account_block(g, new_size);
	return p;
}

void guard_init(struct guard *g, size_t largest_cell)
{
	g->cells.largest = largest_cell;
	guard_begin(g);
	guard_stop(g);
}

void guard_clear(struct guard *g)
{
	cells_clear(&g->cells);
	tell(g, 0);
}

/* ---- budgets ---- */

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
	enum guard_spent why = account(g, lua_gethookcount(L));

	(void)ar;
	if (why == GUARD_NOTHING && (lua_gethookmask(L) & LUA_MASKLINE))
		arm(g, L); /* armed by an earlier call */
	else if (why == GUARD_NOTHING && lua_gethookcount(L) != interval(g))
		arm(g, L);
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

void guard_begin(struct guard *g)
{
	g->cap = 0;
	g->string_cap = 0;
	g->cells.most = SIZE_MAX;
	g->longest = g->biggest = 0;
}

void guard_limit(struct guard *g, size_t base, size_t memory_bytes, int64_t time_ms)
{
	g->cap = memory_bytes < SIZE_MAX - base ? base + memory_bytes : SIZE_MAX;
	g->cells.most = g->cap < MOST_CAP ? HELD_TIMES * g->cap + GUARD_SPARE_BYTES : SIZE_MAX;
	g->string_cap = time_ms < INT32_MAX ? (size_t)time_ms * STRING_BYTES_PER_MS : 0;
}

void guard_start(struct guard *g, lua_State *L, int64_t deadline_ms, int64_t instructions)
{
	g->deadline_ms = deadline_ms;
	g->budget_ms = deadline_ms - clock_ms();
	g->instructions = instructions;
	g->spent = GUARD_NOTHING;
	g->memory_refused = g->string_refused = false;
	g->running = L;
	arm(g, L);
}

void guard_stop(struct guard *g)
{
	/* between two calls only the host works in the state: never interrupt it */
	g->running = NULL;
	g->where[0] = '\0';
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
