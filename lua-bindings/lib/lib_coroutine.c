/* lib_coroutine.c - the coroutine library: stock, but for what closes a coroutine.
 *
 * A coroutine that used up a budget was ended by an error out of a hook, and liblua keeps hooks
 * switched off in it from then on. Its __close metamethods would run without any limit, so such a
 * coroutine is never closed, neither at once nor by a later hook of the same session. */
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/work.h"

#include <stdbool.h>

/* Was it ended by a hook? The guard has armed it for every line then, and it never ran again. */
static bool ended_by_budget(lua_State *co)
{
	int status = lua_status(co);

	return status != LUA_OK && status != LUA_YIELD && (lua_gethookmask(co) & LUA_MASKLINE) != 0;
}

/*** coroutine.close(coroutine) -> true or false, message
 * As in Lua 5.4. A coroutine that used up a budget is not closed. */
static int l_close(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);

	l_work(L, 0); /* raises when a budget is used up */
	if (co != NULL && ended_by_budget(co)) {
		lua_pushboolean(L, 0);
		lua_pushliteral(L, "the coroutine used up a budget");
		return 2;
	}
	return l_stock(L, STOCK_COROUTINE_CLOSE);
}

/* The coroutine at index 1 ended with the error on top: close it, which may replace the error. */
static void l_close_failed(lua_State *L)
{
	l_work(L, 0);
	lua_pushcfunction(L, l_close);
	lua_pushvalue(L, 1);
	lua_call(L, 1, 2);
	if (lua_toboolean(L, -2))
		lua_pop(L, 2);
}

static const char running_key; /* of the registry: keeps the coroutine that the guard knows */

/* The coroutine at index is the one that runs from now on. */
static void l_running(lua_State *L, int index)
{
	lua_State *co = lua_tothread(L, index);

	lua_pushvalue(L, index);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &running_key);
	runtime_running(co);
}

/*** coroutine.resume(coroutine, ...) -> true, results or false, message
 * As in Lua 5.4. */
static int l_resume(lua_State *L)
{
	int n;

	if (lua_isthread(L, 1))
		l_running(L, 1);
	n = l_stock(L, STOCK_COROUTINE_RESUME);
	lua_pushthread(L);
	l_running(L, lua_gettop(L));
	lua_pop(L, 1);
	return n;
}

/* What coroutine.wrap() gives: resumes its coroutine, hands errors on. */
static int l_resume_wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	int n, status;

	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	n = l_resume(L);
	if (lua_toboolean(L, -n))
		return n - 1;
	status = lua_status(co);
	if (status != LUA_OK && status != LUA_YIELD && !ended_by_budget(co))
		l_close_failed(L);
	if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

/*** coroutine.wrap(function) -> function
 * As in Lua 5.4. */
static int l_wrap(lua_State *L)
{
	l_stock(L, STOCK_COROUTINE_CREATE);
	lua_pushcclosure(L, l_resume_wrapped, 1);
	return 1;
}

static const struct library_row coroutine_rows[] = {
    {"close", l_close},
    /*** coroutine.create(function) -> coroutine
     * As in Lua 5.4. The budgets of the hook cover its coroutines. */
    {"create", NULL},
    /*** coroutine.isyieldable([coroutine]) -> boolean
     * As in Lua 5.4. */
    {"isyieldable", NULL},
    {"resume", l_resume},
    /*** coroutine.running() -> coroutine, is the main one
     * As in Lua 5.4. */
    {"running", NULL},
    /*** coroutine.status(coroutine) -> string
     * As in Lua 5.4. */
    {"status", NULL},
    {"wrap", l_wrap},
    /*** coroutine.yield(...) -> arguments of the next resume
     * As in Lua 5.4. */
    {"yield", NULL},
    {NULL, NULL},
};

const struct library library_coroutine = {"coroutine", coroutine_rows};
