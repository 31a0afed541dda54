/* compat.c - functions that scripts for Lua 5.0, 5.1 and 5.2 expect and that Lua 5.4 no longer has.
 *
 * Numbers come out as Lua 5.0 printed them: a result with an integral value is an integer, so that
 * math.pow(2, 3) .. "" is "8" and not "8.0". setfenv and getfenv are in compat_env.c, bit32 is in
 * bit32.c. */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/disabled.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/table.h"
#include "lua-bindings/lib/work.h"

#include <limits.h>
#include <math.h>

/* As an integer when it is one. */
static int l_push_number(lua_State *L, lua_Number x)
{
	lua_Integer whole;

	if (x == floor(x) && lua_numbertointeger(x, &whole))
		lua_pushinteger(L, whole);
	else
		lua_pushnumber(L, x);
	return 1;
}

/* ---- without a prefix ---- */

/*** gcinfo() -> KiB in use, threshold
 * Lua 5.0: collectgarbage("count"). */
static int l_gcinfo(lua_State *L)
{
	lua_pushinteger(L, lua_gc(L, LUA_GCCOUNT));
	lua_pushinteger(L, 0);
	return 2;
}

/* The field n of the list at index 1, where Lua 5.0 kept lengths, or -1. */
static lua_Integer l_field_n(lua_State *L)
{
	lua_Integer n = -1;

	if (lua_istable(L, 1)) {
		lua_pushliteral(L, "n");
		if (lua_rawget(L, 1) == LUA_TNUMBER && lua_isinteger(L, -1))
			n = lua_tointeger(L, -1);
		lua_pop(L, 1);
	}
	return n;
}

/*** unpack(list [, i [, j]]) -> value, ...
 * Lua 5.0 and 5.1: table.unpack(). Without j a field n of the list is its length. */
static int l_unpack(lua_State *L)
{
	lua_Integer first, last;

	l_old_integers(L, 2, 3);
	first = luaL_optinteger(L, 2, 1);
	if (!lua_isnoneornil(L, 3))
		last = luaL_checkinteger(L, 3);
	else if ((last = l_field_n(L)) < 0)
		last = luaL_len(L, 1);
	return l_table_unpack(L, first, last);
}

/*** loadlib()
 * Disabled, as in VPOP3: raises an error that says so. */
DISABLED(l_loadlib, "loadlib", "C libraries cannot be loaded")

/*** module()
 * Lua 5.1, not supported: raises an error that says so. */
DISABLED(l_module, "module", "return a table from the file and use require(name)")

/*** newproxy()
 * Lua 5.1, not supported: raises an error that says so. */
DISABLED(l_newproxy, "newproxy", "use setmetatable({}, metatable)")

static const struct library_row base_rows[] = {
    {"gcinfo", l_gcinfo},
    {"loadlib", l_loadlib},
    {"module", l_module},
    {"newproxy", l_newproxy},
    {"unpack", l_unpack},
    {NULL, NULL},
};

const struct library library_compat_base = {"_G", base_rows};

/* ---- table ---- */

/*** table.getn(list) -> number
 * Lua 5.0 and 5.1: the field n of the list if it has one, else #list. */
static int l_getn(lua_State *L)
{
	lua_Integer n;

	luaL_checktype(L, 1, LUA_TTABLE);
	n = l_field_n(L);
	lua_pushinteger(L, n >= 0 ? n : luaL_len(L, 1));
	return 1;
}

/*** table.setn(list, n)
 * Lua 5.0: makes the list n long. Elements behind are removed; a field n, if there is one, is set.
 */
static int l_setn(lua_State *L)
{
	size_t pending = 0;
	lua_Integer n;

	l_old_integers(L, 2, 2);
	n = luaL_checkinteger(L, 2);
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argcheck(L, n >= 0, 2, "length is negative");
	for (lua_Integer i = (lua_Integer)lua_rawlen(L, 1); i > n; i--) {
		lua_pushnil(L);
		lua_rawseti(L, 1, i);
		l_meter(L, &pending, 4);
	}
	if (l_field_n(L) >= 0) {
		lua_pushinteger(L, n);
		lua_setfield(L, 1, "n");
	}
	return 0;
}

/* Call the function at 2 with the two values on top, which stay; true: its result, not nil, is on
 * top. */
static bool l_visit(lua_State *L)
{
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -3);
	lua_pushvalue(L, -3);
	lua_call(L, 2, 1);
	if (!lua_isnil(L, -1))
		return true;
	lua_pop(L, 1);
	return false;
}

/*** table.foreach(table, function) -> first result that is not nil
 * Lua 5.0 and 5.1: calls function(key, value) for all entries. */
static int l_foreach(lua_State *L)
{
	size_t pending = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		if (l_visit(L))
			return 1;
		lua_pop(L, 1);
		l_meter(L, &pending, 4);
	}
	return 0;
}

/*** table.foreachi(list, function) -> first result that is not nil
 * Lua 5.0 and 5.1: calls function(index, value) for the elements in their order. */
static int l_foreachi(lua_State *L)
{
	lua_Integer n;
	size_t pending = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	n = l_field_n(L);
	if (n < 0)
		n = luaL_len(L, 1);
	for (lua_Integer i = 1; i <= n; i++) {
		lua_pushinteger(L, i);
		lua_geti(L, 1, i);
		if (l_visit(L))
			return 1;
		lua_settop(L, 2);
		l_meter(L, &pending, 4);
	}
	return 0;
}

/*** table.maxn(table) -> number
 * Lua 5.1: the greatest numeric key, 0 when there is none. */
static int l_maxn(lua_State *L)
{
	size_t pending = 0;
	lua_Number most = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		lua_pop(L, 1);
		if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) > most)
			most = lua_tonumber(L, -1);
		l_meter(L, &pending, 4);
	}
	return l_push_number(L, most);
}

static const struct library_row table_rows[] = {
    {"foreach", l_foreach},
    {"foreachi", l_foreachi},
    {"getn", l_getn},
    {"maxn", l_maxn},
    {"setn", l_setn},
    {NULL, NULL},
};

const struct library library_compat_table = {"table", table_rows};

/* ---- math ---- */

/*** math.mod(x, y) -> number
 * Lua 5.0: the remainder of x / y, with the sign of x. */
static int l_mod(lua_State *L)
{
	return l_push_number(L, fmod(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
}

/*** math.pow(x, y) -> number
 * x ^ y; an integer when the value is one. */
static int l_pow(lua_State *L)
{
	return l_push_number(L, pow(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
}

/*** math.log10(x) -> number
 * math.log(x, 10); an integer when the value is one. */
static int l_log10(lua_State *L)
{
	return l_push_number(L, log10(luaL_checknumber(L, 1)));
}

/*** math.ldexp(m, e) -> number
 * m times 2 ^ e; an integer when the value is one. */
static int l_ldexp(lua_State *L)
{
	lua_Integer e;

	l_old_integers(L, 2, 2);
	e = luaL_checkinteger(L, 2);
	e = e > INT_MAX ? INT_MAX : e < INT_MIN ? INT_MIN : e;
	return l_push_number(L, ldexp(luaL_checknumber(L, 1), (int)e));
}

/*** math.frexp(x) -> m, e
 * x is m times 2 ^ e, with m in [0.5, 1). */
static int l_frexp(lua_State *L)
{
	int e;

	lua_pushnumber(L, frexp(luaL_checknumber(L, 1), &e));
	lua_pushinteger(L, e);
	return 2;
}

/*** math.cosh(x) -> number
 * The hyperbolic cosine. */
static int l_cosh(lua_State *L)
{
	lua_pushnumber(L, cosh(luaL_checknumber(L, 1)));
	return 1;
}

/*** math.sinh(x) -> number
 * The hyperbolic sine. */
static int l_sinh(lua_State *L)
{
	lua_pushnumber(L, sinh(luaL_checknumber(L, 1)));
	return 1;
}

/*** math.tanh(x) -> number
 * The hyperbolic tangent. */
static int l_tanh(lua_State *L)
{
	lua_pushnumber(L, tanh(luaL_checknumber(L, 1)));
	return 1;
}

/*** math.atan2(y, x) -> number
 * math.atan(y, x). */
static int l_atan2(lua_State *L)
{
	lua_pushnumber(L, atan2(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
	return 1;
}

static const struct library_row math_rows[] = {
    {"atan2", l_atan2},
    {"cosh", l_cosh},
    {"frexp", l_frexp},
    {"ldexp", l_ldexp},
    {"log10", l_log10},
    {"mod", l_mod},
    {"pow", l_pow},
    {"sinh", l_sinh},
    {"tanh", l_tanh},
    {NULL, NULL},
};

const struct library library_compat_math = {"math", math_rows};
