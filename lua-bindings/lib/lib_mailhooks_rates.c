/* lib_mailhooks_rates.c - rate limits for scripts: what is counted (messages, recipients, bytes) is
 * the cost of a call, what it is counted by is the key. */
#include "common/limits.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/store_call.h"
#include "lua-bindings/lib/work.h"
#include "lua-bindings/runtime.h"

#include <lauxlib.h>

#include <string.h>

#define SECOND_MS 1000

struct asked {
	struct store_rate_window windows[LIMIT_STORE_RATE_WINDOWS];
	struct store_rate_limit limit;
	uint64_t cost;
	struct store_rate_state state;
};

/* A whole number of a field of the table on top; 0: not given. */
static uint64_t l_whole(lua_State *L, const char *name, const char *usage)
{
	int64_t value = 0;

	lua_getfield(L, -1, name);
	if (l_to_integer(L, -1, &value) == GIVEN_WRONG || value < 0 ||
	    (uint64_t)value > LIMIT_STORE_RATE_COUNT)
		luaL_error(L, "%s: %s must be a whole number", usage, name);
	lua_pop(L, 1);
	return (uint64_t)value;
}

/* seconds, minutes, hours or days of the table on top. */
static int64_t l_period(lua_State *L, const char *usage)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"seconds", SECOND_MS}, {"minutes", 60 * SECOND_MS},
	    {"hours", 3600 * SECOND_MS}, {"days", (int64_t)86400 * SECOND_MS}};
	double period = 0;

	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (lua_getfield(L, -1, units[i].name) != LUA_TNIL)
			period += lua_tonumber(L, -1) * (double)units[i].ms;
		lua_pop(L, 1);
	}
	/* written so that what is no number is refused, too */
	if (!(period >= 1 && period <= (double)LIMIT_STORE_PERIOD_MS))
		luaL_error(
		    L, "%s: each window has count, and seconds, minutes, hours or days", usage);
	return (int64_t)period;
}

/* From the table on top. */
static void l_take_window(lua_State *L, struct asked *a, const char *usage)
{
	struct store_rate_window *w = &a->windows[a->limit.nwindows];

	if (lua_type(L, -1) != LUA_TTABLE)
		luaL_error(L, "%s: a window is a table", usage);
	if (a->limit.nwindows == LIMIT_STORE_RATE_WINDOWS)
		luaL_error(L, "%s: at most %d windows", usage, LIMIT_STORE_RATE_WINDOWS);
	w->count = l_whole(L, "count", usage);
	w->burst = l_whole(L, "burst", usage);
	w->period_ms = l_period(L, usage);
	if (w->count == 0)
		luaL_error(L, "%s: count must be 1 or more", usage);
	for (size_t i = 0; i < a->limit.nwindows; i++)
		if (a->windows[i].period_ms == w->period_ms)
			luaL_error(L, "%s: two windows of the same length", usage);
	a->limit.nwindows++;
}

static void l_take_arguments(lua_State *L, struct asked *a, const char *usage)
{
	int64_t cost = 1;
	size_t n;

	*a = (struct asked){0};
	a->limit.windows = a->windows;
	lua_settop(L, 3);
	if (l_to_string(L, 1, &a->limit.key, &n) != GIVEN || strlen(a->limit.key) != n)
		luaL_error(L, "%s: the key is a string without zero bytes", usage);
	if (lua_type(L, 2) != LUA_TTABLE)
		luaL_error(L, "%s: the limit is a table", usage);
	if (l_to_integer(L, 3, &cost) == GIVEN_WRONG || cost < 0 ||
	    (uint64_t)cost > LIMIT_STORE_RATE_COUNT)
		luaL_error(L, "%s: the cost is a whole number", usage);
	a->cost = (uint64_t)cost;
	lua_settop(L, 2);
	if (lua_getfield(L, 2, "count") != LUA_TNIL) { /* one window */
		lua_settop(L, 2);
		l_take_window(L, a, usage);
		return;
	}
	for (lua_Integer i = 1; lua_geti(L, 2, i) != LUA_TNIL; i++) {
		l_take_window(L, a, usage);
		lua_pop(L, 1);
	}
	if (a->limit.nwindows == 0)
		luaL_error(L, "%s: the limit has no window", usage);
}

static void l_push_state(lua_State *L, const struct asked *a, enum store_rate answer)
{
	lua_createtable(L, 0, 4);
	lua_pushinteger(L, (lua_Integer)a->state.remaining);
	lua_setfield(L, -2, "remaining");
	lua_pushinteger(L, (lua_Integer)a->state.window + 1);
	lua_setfield(L, -2, "window");
	lua_pushboolean(L, a->state.local);
	lua_setfield(L, -2, "local");
	if (answer == STORE_RATE_OVER && a->state.retry_ms >= 0) {
		lua_pushnumber(L, (lua_Number)a->state.retry_ms / SECOND_MS);
		lua_setfield(L, -2, "retry");
	}
}

static int l_rate(lua_State *L, bool take, const char *name, const char *usage)
{
	enum store_rate answer = STORE_RATE_UNKNOWN;
	struct store_call call;
	struct asked a;

	l_refuse_in_safety_mode(L, name);
	l_take_arguments(L, &a, usage);
	take &= runtime_dry(runtime_of(L)) == RUNTIME_REAL;
	if (store_call_begin(L, &call)) {
		int ms = store_call_counter_ms(&call);

		answer = take ? store_rate_take(call.store, &a.limit, a.cost, &a.state, ms)
			      : store_rate_peek(call.store, &a.limit, a.cost, &a.state, ms);
		store_call_end(&call, answer == STORE_RATE_UNKNOWN ? STORE_UNKNOWN : STORE_FOUND,
		    a.state.local);
	}
	if (answer == STORE_RATE_UNKNOWN)
		return l_no_store(L, name);
	lua_pushboolean(L, answer == STORE_RATE_PASS);
	l_push_state(L, &a, answer);
	return 2;
}

/*** mailhooks.rate_take(key, limit [, cost]) -> boolean, state or nil, why
 * Takes the cost (1: a message; or a number of recipients, of bytes) from a limit if all its
 * windows have room for it, else nothing. key names what is counted ("sender:" .. address). limit
 * is a window or a list of windows, each a table of count, seconds, minutes, hours or days, and
 * burst (how much at once; count if not given); up to 8 of different lengths. true: it was taken;
 * false: over the limit; nil: the store does not answer. state is a table: remaining (in the
 * tightest window), window (its number), retry (seconds until the cost would pass; none if it never
 * does), local (true while Redis is away: counted by this process and merged later). Refused in
 * safety mode. */
static int l_rate_take(lua_State *L)
{
	return l_rate(L, true, "mailhooks.rate_take",
	    "mailhooks.rate_take(key, {count = 100, hours = 1} [, cost])");
}

/*** mailhooks.rate_peek(key, limit [, cost]) -> boolean, state or nil, why
 * As mailhooks.rate_take, but takes nothing: would the cost pass now? */
static int l_rate_peek(lua_State *L)
{
	return l_rate(L, false, "mailhooks.rate_peek",
	    "mailhooks.rate_peek(key, {count = 100, hours = 1} [, cost])");
}

static const struct library_row rows[] = {
    {"rate_peek", l_rate_peek},
    {"rate_take", l_rate_take},
    {NULL, NULL},
};

const struct library library_mailhooks_rates = {"mailhooks", rows};
