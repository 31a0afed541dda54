/* lib_base.c - functions without a prefix, except those that load code (lib_load.c); the debug
 * library, which is stock but for what it leaves out. */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/script_out.h"
#include "lua-bindings/lib/work.h"

#include <string.h>

/*** print(value, ...)
 * Writes one line to LUA.OUT: the values as tostring() gives them, with tabs between. */
static int l_print(lua_State *L)
{
	int n = lua_gettop(L);
	size_t pending = 0;
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (int i = 1; i <= n; i++) {
		l_meter(L, &pending, WORK_NUMBER);
		if (i > 1)
			luaL_addchar(&b, '\t');
		l_old_number(L, i);
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&b);
	}
	luaL_addchar(&b, '\n');
	luaL_pushresult(&b);
	l_script_out(L);
	return 0;
}

/*** select(n, ...) -> values from the n-th on, or their number for "#"
 * As in Lua 5.4. */
static int l_select(lua_State *L)
{
	l_old_integers(L, 1, 1);
	return l_stock(L, STOCK_SELECT);
}

/*** tostring(value) -> string
 * As in Lua 5.4; in an old script numbers have no ".0". */
static int l_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	l_old_number(L, 1);
	luaL_tolstring(L, 1, NULL);
	return 1;
}

/*** setmetatable(table, metatable) -> table
 * As in Lua 5.4, but a metatable with a field __gc is refused: finalisers run outside of all
 * limits. */
static int l_setmetatable(lua_State *L)
{
	if (lua_istable(L, 2)) {
		lua_pushliteral(L, "__gc");
		if (lua_rawget(L, 2) != LUA_TNIL)
			return luaL_error(
			    L, "setmetatable(table, metatable): __gc is not available to scripts");
		lua_pop(L, 1);
	}
	return l_stock(L, STOCK_SETMETATABLE);
}

/* The arguments of tonumber(value, base) as Lua 5.4 takes them. */
static void l_old_base(lua_State *L)
{
	enum compat_mode mode = l_compat_mode(L);

	if (mode == COMPAT_54)
		return;
	l_old_integers(L, 2, 2);
	if (lua_tointeger(L, 2) == 10 && mode != COMPAT_52 && l_old_numbers(L))
		lua_settop(L, 1);
	else if (lua_type(L, 1) == LUA_TNUMBER)
		l_number_as_text(L, 1);
}

/*** tonumber(value [, base]) -> number or nil
 * As in Lua 5.4. As in Lua 5.1, value may be a number when there is a base, and in an old script
 * base 10 is like none (not with lua.compat = "5.4"). */
static int l_tonumber(lua_State *L)
{
	l_charge(L, l_string_bytes(L, 1) / WORK_BYTE);
	if (!lua_isnoneornil(L, 2))
		l_old_base(L);
	return l_stock(L, STOCK_TONUMBER);
}

/*** error(message [, level])
 * As in Lua 5.4. */
static int l_error(lua_State *L)
{
	l_old_integers(L, 2, 2);
	return l_stock(L, STOCK_ERROR);
}

/* liblua runs the handler with hooks switched off when the error came out of a hook, that is, when
 * a budget is used up: the handler could go on for ever. So it is not run then. */
static int l_handle(lua_State *L)
{
	if (runtime_left_ms(runtime_of(L)) == 0)
		return 1;
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 1, 1);
	return 1;
}

/*** xpcall(function, handler, ...) -> true, results or false, what handler returned
 * As in Lua 5.4. It does not protect from a budget that is used up, and the handler is not called
 * then. */
static int l_xpcall(lua_State *L)
{
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_pushvalue(L, 2);
	lua_pushcclosure(L, l_handle, 1);
	lua_replace(L, 2);
	return l_stock(L, STOCK_XPCALL);
}

static int l_gc_count(lua_State *L)
{
	lua_pushnumber(L, lua_gc(L, LUA_GCCOUNT) + lua_gc(L, LUA_GCCOUNTB) / 1024.0);
	return 1;
}

static int l_gc_collect(lua_State *L)
{
	l_collect(L);
	lua_pushinteger(L, 0);
	return 1;
}

static int l_gc_step(lua_State *L)
{
	l_collect(L); /* never less than asked for, and accounted */
	lua_pushboolean(L, 1);
	return 1;
}

static int l_gc_is_running(lua_State *L)
{
	lua_pushboolean(L, 1);
	return 1;
}

static int l_gc_mode(lua_State *L)
{
	lua_pushliteral(L, "incremental");
	return 1;
}

static int l_gc_nothing(lua_State *L)
{
	lua_pushinteger(L, 0);
	return 1;
}

/*** collectgarbage([option [, argument]]) -> number
 * "count" tells the KiB in use; "collect" and "step" collect all garbage; other options of Lua 5.4
 * are accepted and change nothing: the collector belongs to the host. */
static int l_collectgarbage(lua_State *L)
{
	static const char *const names[] = {"collect", "step", "count", "isrunning", "incremental",
	    "generational", "stop", "restart", "setpause", "setstepmul", NULL};
	static const lua_CFunction functions[] = {l_gc_collect, l_gc_step, l_gc_count,
	    l_gc_is_running, l_gc_mode, l_gc_mode, l_gc_nothing, l_gc_nothing, l_gc_nothing,
	    l_gc_nothing};

	if (lua_type(L, 1) == LUA_TNUMBER) /* Lua 5.0: a threshold in KiB */
		return l_gc_collect(L);
	return functions[luaL_checkoption(L, 1, "collect", names)](L);
}

static const struct library_row base_rows[] = {
    /*** _VERSION
     * "Lua 5.4" */
    {"_VERSION", NULL},
    /*** assert(value [, message, ...]) -> value, message, ...
     * As in Lua 5.4. */
    {"assert", NULL},
    {"collectgarbage", l_collectgarbage},
    {"error", l_error},
    /*** getmetatable(value) -> metatable
     * As in Lua 5.4; false for strings, file handles and tables made by the host: these are locked.
     */
    {"getmetatable", NULL},
    /*** ipairs(table) -> iterator, table, 0
     * As in Lua 5.4. */
    {"ipairs", NULL},
    /*** next(table [, key]) -> key, value
     * As in Lua 5.4. */
    {"next", NULL},
    /*** pairs(table) -> next, table, nil
     * As in Lua 5.4. */
    {"pairs", NULL},
    /*** pcall(function, ...) -> true, results or false, message
     * As in Lua 5.4. It does not protect from a budget that is used up. */
    {"pcall", NULL},
    {"print", l_print},
    /*** rawequal(a, b) -> boolean
     * As in Lua 5.4. */
    {"rawequal", NULL},
    /*** rawget(table, key) -> value
     * As in Lua 5.4. */
    {"rawget", NULL},
    /*** rawlen(value) -> number
     * As in Lua 5.4. */
    {"rawlen", NULL},
    /*** rawset(table, key, value) -> table
     * As in Lua 5.4. */
    {"rawset", NULL},
    {"select", l_select},
    {"setmetatable", l_setmetatable},
    {"tonumber", l_tonumber},
    {"tostring", l_tostring},
    /*** type(value) -> string
     * As in Lua 5.4. */
    {"type", NULL},
    {"xpcall", l_xpcall},
    {NULL, NULL},
};

const struct library library_base = {"_G", base_rows};

/*** debug.traceback([coroutine,] [message [, level]]) -> string
 * As in Lua 5.4; the only function of this library. */
static int l_traceback(lua_State *L)
{
	lua_State *of = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
	lua_Debug ar;
	int depth = 64, level = of != L ? 3 : 2;

	l_old_integers(L, level, level);
	while (lua_getstack(of, depth, &ar) && depth < LUAI_MAXSTACK)
		depth *= 4;
	l_charge(L, 1000 + 32 * (size_t)depth); /* liblua searches for the depth in O(n log n) */
	return l_stock(L, STOCK_DEBUG_TRACEBACK);
}

static const struct library_row debug_rows[] = {
    {"traceback", l_traceback},
    {NULL, NULL},
};

const struct library library_debug = {"debug", debug_rows};
