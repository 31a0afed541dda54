/* header_data.c - see header_data.h. */
#include "lua-bindings/outbound/header_data.h"

#include "lua-bindings/convert.h"

#include <lauxlib.h>

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void l_push_lower(lua_State *L, const char *name, size_t n)
{
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (size_t i = 0; i < n; i++)
		luaL_addchar(
		    &b, (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]));
	luaL_pushresult(&b);
}

/* Without the folds (RFC 5322 2.2.3). */
static void l_push_unfolded(lua_State *L, const char *value, size_t n)
{
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (size_t i = 0; i < n; i++)
		if (value[i] != '\r' && value[i] != '\n')
			luaL_addchar(&b, value[i]);
	luaL_pushresult(&b);
}

/* Push the spelling under which the field stands in the table: that of the first one. names is the
 * index of a table from the name in lower case to it. */
static void l_push_name(lua_State *L, int names, const char *name, size_t n)
{
	l_push_lower(L, name, n);
	lua_pushvalue(L, -1);
	if (lua_rawget(L, names) == LUA_TNIL) {
		lua_pop(L, 1);
		lua_pushvalue(L, -1);
		lua_pushlstring(L, name, n);
		lua_rawset(L, names);
		lua_pushlstring(L, name, n);
	}
	lua_remove(L, -2);
}

void l_push_header_data(lua_State *L, const struct strlist *lines)
{
	int table, names;

	lua_createtable(L, 0, (int)lines->n);
	table = lua_gettop(L);
	lua_createtable(L, 0, (int)lines->n);
	names = table + 1;
	for (size_t i = 0; i < lines->n; i++) {
		const char *line = lines->v[i], *colon = strchr(line, ':'), *value;
		size_t name, n;

		if (colon == NULL)
			continue;
		for (name = (size_t)(colon - line); name > 0 && is_blank(line[name - 1]); name--)
			;
		for (value = colon + 1; is_blank(*value); value++)
			;
		for (n = strlen(value); n > 0 && is_blank(value[n - 1]); n--)
			;
		l_push_name(L, names, line, name);
		l_push_unfolded(L, value, n);
		lua_rawset(L, table);
	}
	lua_settop(L, table);
	l_ignore_key_case(L, table);
}
