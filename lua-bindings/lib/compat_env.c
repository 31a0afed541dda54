/* compat_env.c - setfenv and getfenv of Lua 5.0 and 5.1.
 *
 * In Lua 5.4 the environment of a function is its upvalue _ENV, which functions share. setfenv()
 * gives the function an upvalue of its own. Only functions written in Lua have one, and those a
 * script can name belong to its life: functions of the host are written in C and are refused. */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/runtime.h"

#include <string.h>

/* The number of upvalue _ENV of the Lua function on top, 0 when it uses no global variable. */
static int l_find_env(lua_State *L)
{
	const char *name;

	for (int i = 1; (name = lua_getupvalue(L, -1, i)) != NULL; i++) {
		lua_pop(L, 1);
		if (strcmp(name, "_ENV") == 0)
			return i;
	}
	return 0;
}

/* Push the function that argument 1 means: itself, or the one running at that level. */
static void l_push_function(lua_State *L, bool optional)
{
	lua_Debug ar;
	lua_Integer level;

	if (lua_isfunction(L, 1)) {
		lua_pushvalue(L, 1);
		return;
	}
	level = optional ? luaL_optinteger(L, 1, 1) : luaL_checkinteger(L, 1);
	luaL_argcheck(L, level >= 0, 1, "level must be non-negative");
	if (level > LUAI_MAXSTACK || !lua_getstack(L, (int)level, &ar))
		luaL_argerror(L, 1, "invalid level");
	lua_getinfo(L, "f", &ar);
}

/*** getfenv([function or level]) -> table
 * Lua 5.0 and 5.1: the table in which a function finds its global variables; level 1, the default,
 * is the caller. */
static int l_getfenv(lua_State *L)
{
	int i;

	l_old_integers(L, 1, 1);
	if (lua_isnumber(L, 1) && lua_tointeger(L, 1) == 0) {
		l_push_env(L);
		return 1;
	}
	l_push_function(L, true);
	i = lua_iscfunction(L, -1) ? 0 : l_find_env(L);
	if (i == 0)
		l_push_env(L);
	else
		lua_getupvalue(L, -1, i);
	return 1;
}

/*** setfenv(function or level, table) -> function
 * Lua 5.0 and 5.1: lets a function written in Lua find its global variables in this table.
 * Functions inside of it that exist already keep theirs. Level 0 is not supported. */
static int l_setfenv(lua_State *L)
{
	int i;

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	l_old_integers(L, 1, 1);
	if (lua_isnumber(L, 1) && lua_tointeger(L, 1) == 0)
		return luaL_error(L, "setfenv(0, table) is not supported; use setfenv(1, table)");
	l_push_function(L, false);
	if (lua_iscfunction(L, -1))
		return luaL_error(L, "'setfenv' cannot change environment of given object");
	i = l_find_env(L);
	if (i > 0) {
		luaL_loadstring(L, ""); /* a function with a fresh upvalue _ENV */
		lua_pushvalue(L, 2);
		lua_setupvalue(L, -2, 1);
		lua_upvaluejoin(L, -2, i, -1, 1);
		lua_pop(L, 1);
	}
	return 1;
}

static const struct library_row rows[] = {
    {"getfenv", l_getfenv},
    {"setfenv", l_setfenv},
    {NULL, NULL},
};

const struct library library_compat_env = {"_G", rows};
