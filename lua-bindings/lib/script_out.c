/* script_out.c - see script_out.h. */
#include "lua-bindings/lib/script_out.h"

#include "lua-bindings/lib/life.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/lib/work.h"

#include <string.h>

void l_script_out(lua_State *L)
{
	const char *text, *last;
	size_t n, line;

	l_life_get(L, LIFE_UNFINISHED);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
	} else {
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	text = lua_tolstring(L, -1, &n);
	l_charge(L, 2 * WORK_SYSCALL + n / WORK_BYTE);
	last = memrchr(text, '\n', n);
	line = last != NULL ? (size_t)(last - text) : n;
	if (last == NULL && n < LUAL_BUFFERSIZE) { /* wait for the end of the line */
		l_life_set(L, LIFE_UNFINISHED);
		return;
	}
	luaout_print(text, line);
	if (last != NULL && line + 1 < n)
		lua_pushlstring(L, last + 1, n - line - 1);
	else
		lua_pushnil(L);
	l_life_set(L, LIFE_UNFINISHED);
	lua_pop(L, 1);
}
