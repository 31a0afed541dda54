/* path.c - see path.h. */
#include "lua-bindings/lib/path.h"

#include "lua-bindings/runtime.h"

#include <string.h>

const char *l_path(lua_State *L, int arg)
{
	size_t n;
	const char *name = luaL_checklstring(L, arg, &n);
	const struct script_set *set = runtime_set(runtime_of(L));

	luaL_argcheck(L, strlen(name) == n, arg, "file name contains a zero byte");
	if (strchr(name, '/') == NULL && strchr(name, '\\') != NULL)
		name = luaL_gsub(L, name, "\\", "/");
	if (name[0] == '/' || set == NULL)
		return lua_pushstring(L, name);
	return lua_pushfstring(L, "%s/%s", script_set_config(set)->scripts, name);
}
