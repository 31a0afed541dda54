/* convert.c - see convert.h. */
#include "lua-bindings/convert.h"

#include "common/limits.h"
#include "lua-bindings/lib/work.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* ---- from scripts ---- */

static bool means_false(const char *s)
{
	static const char *const words[] = {"", "0", "false", "no", "off"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return false;
}

enum given l_to_bool(lua_State *L, int index, bool *out)
{
	switch (lua_type(L, index)) {
	case LUA_TNONE:
	case LUA_TNIL:
		return NOT_GIVEN;
	case LUA_TBOOLEAN:
		*out = lua_toboolean(L, index);
		return GIVEN;
	case LUA_TNUMBER:
		*out = lua_tonumber(L, index) != 0;
		return GIVEN;
	case LUA_TSTRING:
		*out = !means_false(lua_tostring(L, index));
		return GIVEN;
	default:
		return GIVEN_WRONG;
	}
}

enum given l_to_integer(lua_State *L, int index, int64_t *out)
{
	lua_Integer value;
	int fits;

	if (lua_isnoneornil(L, index))
		return NOT_GIVEN;
	value = lua_tointegerx(L, index, &fits);
	if (!fits)
		return GIVEN_WRONG;
	*out = value;
	return GIVEN;
}

enum given l_to_whole(lua_State *L, int index, int64_t *out)
{
	enum given given = l_to_integer(L, index, out);
	lua_Integer whole;
	lua_Number x;
	int is_number;

	if (given != GIVEN_WRONG)
		return given;
	x = lua_tonumberx(L, index, &is_number);
	if (!is_number || !lua_numbertointeger(trunc(x), &whole))
		return GIVEN_WRONG;
	*out = whole;
	return GIVEN;
}

enum given l_to_string(lua_State *L, int index, const char **out, size_t *n)
{
	lua_Integer whole;
	int fits;

	if (lua_isnoneornil(L, index))
		return NOT_GIVEN;
	index = lua_absindex(L, index);
	if (lua_type(L, index) == LUA_TNUMBER) {
		whole = lua_tointegerx(L, index, &fits);
		if (fits) { /* 10/2 is 5.0, and means 5 */
			lua_pushinteger(L, whole);
			lua_replace(L, index);
		}
	} else if (lua_type(L, index) != LUA_TSTRING) {
		return GIVEN_WRONG;
	}
	*out = lua_tolstring(L, index, n);
	return GIVEN;
}

static bool add_entry(struct strlist *out, const char *s, size_t n)
{
	if (n > LIMIT_STRING_FROM_SCRIPT || memchr(s, '\0', n) != NULL ||
	    out->n >= LIMIT_LIST_FROM_SCRIPT)
		return false;
	strlist_addn(out, s, n);
	return true;
}

/* The lines of s, without their ends; no empty entry for a line end at the very end. */
static enum given split_lines(const char *s, size_t n, struct strlist *out)
{
	const char *end = s + n;
	enum given given = GIVEN;

	while (s < end) {
		const char *stop = memchr(s, '\n', (size_t)(end - s));
		const char *next = stop != NULL ? stop + 1 : end;

		if (stop == NULL)
			stop = end;
		if (stop > s && stop[-1] == '\r')
			stop--;
		if (!add_entry(out, s, (size_t)(stop - s)))
			given = GIVEN_WRONG;
		s = next;
	}
	return given;
}

enum given l_to_list(lua_State *L, int index, struct strlist *out)
{
	enum given given = GIVEN;
	lua_Unsigned entries;
	size_t pending = 0, n;
	const char *s;

	if (lua_isnoneornil(L, index))
		return NOT_GIVEN;
	if (!lua_istable(L, index)) {
		given = l_to_string(L, index, &s, &n);
		return given == GIVEN ? split_lines(s, n, out) : given;
	}
	index = lua_absindex(L, index);
	entries = lua_rawlen(L, index);
	for (lua_Unsigned i = 1; i <= entries; i++) {
		if (out->n >= LIMIT_LIST_FROM_SCRIPT)
			return GIVEN_WRONG;
		lua_rawgeti(L, index, (lua_Integer)i);
		if (l_to_string(L, -1, &s, &n) != GIVEN || !add_entry(out, s, n))
			given = GIVEN_WRONG;
		lua_pop(L, 1);
		l_meter(L, &pending, 4);
	}
	return given;
}

/* ---- to scripts ---- */

static const char iterable_key, any_case_key; /* registry: the two metatables */

/* t(_, key): what Lua 5.0's `for k, v in t do` amounts to. */
static int l_iterate(lua_State *L)
{
	lua_settop(L, 3);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

/* Replace the string key at index by the one of the table at 1 that is equal when the ASCII case is
 * ignored; false: there is none. */
static bool l_find_key(lua_State *L, int index)
{
	size_t n, length, pending = 0;
	const char *wanted, *key;

	if (lua_type(L, index) != LUA_TSTRING)
		return false;
	wanted = lua_tolstring(L, index, &length);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		lua_pop(L, 1);
		l_meter(L, &pending, 2);
		if (lua_type(L, -1) != LUA_TSTRING)
			continue;
		key = lua_tolstring(L, -1, &n);
		if (n == length && strncasecmp(key, wanted, n) == 0) {
			lua_replace(L, index);
			return true;
		}
	}
	return false;
}

static int l_index_any_case(lua_State *L)
{
	lua_settop(L, 2);
	if (!l_find_key(L, 2))
		return 0;
	lua_rawget(L, 1);
	return 1;
}

static int l_assign_any_case(lua_State *L)
{
	lua_settop(L, 3);
	l_find_key(L, 2);
	lua_rawset(L, 1);
	return 0;
}

static void l_metatable(lua_State *L, const void *key, const luaL_Reg *functions)
{
	lua_createtable(L, 0, 4);
	luaL_setfuncs(L, functions, 0);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void l_convert_prepare(lua_State *L)
{
	static const luaL_Reg iterable[] = {{"__call", l_iterate}, {NULL, NULL}};
	static const luaL_Reg any_case[] = {
	    {"__call", l_iterate},
	    {"__index", l_index_any_case},
	    {"__newindex", l_assign_any_case},
	    {NULL, NULL},
	};

	l_metatable(L, &iterable_key, iterable);
	l_metatable(L, &any_case_key, any_case);
}

void l_iterable(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &iterable_key);
	lua_setmetatable(L, index);
}

void l_ignore_key_case(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &any_case_key);
	lua_setmetatable(L, index);
}

void l_push_list(lua_State *L, const struct strlist *list)
{
	lua_createtable(L, (int)list->n, 0);
	for (size_t i = 0; i < list->n; i++) {
		lua_pushstring(L, list->v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
}
