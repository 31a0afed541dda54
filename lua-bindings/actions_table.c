/* actions_table.c - see actions_table.h. */
#include "lua-bindings/actions_table.h"

#include "lua-bindings/convert.h"

static const char actions_key; /* its address: where the table is kept in the registry */

void l_actions_keep(lua_State *L)
{
	l_iterable(L, -1);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &actions_key);
}

bool l_actions_returned(lua_State *L, int first)
{
	lua_settop(L, first);
	if (lua_isnil(L, first)) {
		lua_rawgetp(L, LUA_REGISTRYINDEX, &actions_key);
		lua_replace(L, first);
	}
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &actions_key);
	return lua_istable(L, first);
}
