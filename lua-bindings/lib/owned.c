/* owned.c - see owned.h. */
#include "lua-bindings/lib/owned.h"

#include <lauxlib.h>

#include <stdalign.h>
#include <string.h>

#define OWNED "mailhooks owned" /* its metatable in the registry */

struct owned {
	void (*clear)(void *);
	alignas(max_align_t) char bytes[];
};

void l_owned_clear(lua_State *L, int index)
{
	struct owned *o = lua_touserdata(L, index);
	void (*clear)(void *) = o->clear;

	o->clear = NULL;
	if (clear != NULL)
		clear(o->bytes);
}

static int l_collect_owned(lua_State *L)
{
	l_owned_clear(L, 1);
	return 0;
}

void *l_owned(lua_State *L, size_t n, void (*clear)(void *))
{
	struct owned *o = lua_newuserdatauv(L, sizeof *o + n, 0);

	memset(o, 0, sizeof *o + n);
	if (luaL_newmetatable(L, OWNED)) {
		lua_pushcfunction(L, l_collect_owned);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	o->clear = clear;
	return o->bytes;
}
