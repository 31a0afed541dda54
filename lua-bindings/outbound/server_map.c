/* server_map.c - see server_map.h. */
#include "lua-bindings/outbound/server_map.h"

#include "common/limits.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/work.h"

#include <stdint.h>
#include <string.h>

static void l_set(lua_State *L, const char *name, lua_Integer value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

void l_push_server_map(lua_State *L, const struct mx_servers *list)
{
	lua_createtable(L, (int)list->n, 0);
	for (size_t i = 0; i < list->n; i++) {
		const struct mx_server *s = &list->v[i];

		lua_createtable(L, 0, 3);
		lua_pushstring(L, s->host);
		lua_setfield(L, -2, "server");
		l_set(L, "priority", s->priority);
		if (s->port != 0)
			l_set(L, "port", s->port);
		l_ignore_key_case(L, -1);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
}

static bool l_add(lua_State *L, int index, int64_t priority, int64_t port, struct mx_servers *out)
{
	const char *host;
	size_t n;

	if (l_to_string(L, index, &host, &n) != GIVEN || strlen(host) != n || priority < 0 ||
	    priority > UINT16_MAX || port < 0 || port > UINT16_MAX)
		return false;
	return mx_servers_add(out, host, (unsigned)priority, (unsigned short)port);
}

/* The first of the names that the table at index has; leaves one value on the stack. */
static void l_get_any(lua_State *L, int index, const char *const *names)
{
	for (; *names != NULL; names++) {
		lua_pushstring(L, *names);
		if (lua_rawget(L, index) != LUA_TNIL)
			return;
		lua_pop(L, 1);
	}
	lua_pushnil(L);
}

static bool l_add_table(lua_State *L, int index, int64_t position, struct mx_servers *out)
{
	static const char *const host[] = {"server", "Server", "host", "Host", "Value", NULL};
	static const char *const priority[] = {"priority", "Priority", "MXPriority", NULL};
	static const char *const port[] = {"port", "Port", NULL};
	int64_t p = position, o = 0;
	bool fine;

	l_get_any(L, index, host);
	l_get_any(L, index, priority);
	l_get_any(L, index, port);
	fine = l_to_whole(L, -2, &p) != GIVEN_WRONG && l_to_whole(L, -1, &o) != GIVEN_WRONG &&
	       l_add(L, lua_gettop(L) - 2, p, o, out);
	lua_pop(L, 3);
	return fine;
}

/* One pair: [1] = "host", [1] = {...}, ["host"] = 10. A list without priorities is in order. */
static bool l_read_pair(lua_State *L, int key, int value, struct mx_servers *out)
{
	int64_t number = 0;

	if (lua_type(L, key) == LUA_TSTRING)
		return l_to_whole(L, value, &number) == GIVEN && l_add(L, key, number, 0, out);
	if (!lua_isinteger(L, key))
		return false;
	number = lua_tointeger(L, key);
	if (lua_istable(L, value))
		return l_add_table(L, value, number, out);
	return lua_type(L, value) == LUA_TSTRING && l_add(L, value, number, 0, out);
}

/* The order of lua_next() over a list is its order in practice only; priorities make it sure. */
bool l_read_server_map(lua_State *L, int index, struct mx_servers *out)
{
	bool fine = true;

	index = lua_absindex(L, index);
	luaL_checkstack(L, 10, NULL);
	if (lua_isnil(L, index) || (lua_isboolean(L, index) && !lua_toboolean(L, index)))
		return true;
	if (lua_type(L, index) == LUA_TSTRING)
		return l_add(L, index, 1, 0, out);
	if (!lua_istable(L, index))
		return false;
	for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 2)) {
		l_work(L, 10);
		/* lua_next() must see the key as it was: a copy of both is read */
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		if (!l_read_pair(L, lua_gettop(L) - 1, lua_gettop(L), out))
			fine = false;
	}
	mx_servers_sort(out);
	return fine;
}
