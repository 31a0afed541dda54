/* list_functions.c - print the names of everything that a script finds at the start of its life,
 * one per line. For tests/check-docs. */
#include "lua-bindings/runtime.h"
#include "lua-bindings/lib/sandbox.h"

#include <stdio.h>

static void l_print_names(lua_State *L, void *arg)
{
	(void)arg;
	l_sandbox_list(L);
	for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++) {
		puts(lua_tostring(L, -1));
		lua_pop(L, 1);
	}
}

int main(void)
{
	struct runtime *rt = runtime_new(NULL, 1u << 20);
	bool fine = rt != NULL && runtime_inside(rt, l_print_names, NULL) == RUN_OK;

	runtime_free(rt);
	return fine ? 0 : 1;
}
