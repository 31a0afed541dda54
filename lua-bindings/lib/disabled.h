/* disabled.h - private to lua-bindings/: functions of stock Lua that are not available to scripts.
 *
 * VPOP3 disables them too. They exist, and raise an error that says what to do instead: a script
 * that calls one is told more than "attempt to call a nil value". */
#pragma once

#include <lauxlib.h>

#define DISABLED(function, name, instead)                                               \
	static int function(lua_State *L)                                               \
	{                                                                               \
		return luaL_error(L, "%s is disabled in mailhooks; %s", name, instead); \
	}
