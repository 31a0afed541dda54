/* lib_table.c - the table library except sort (lib_sort.c).
 *
 * By hand although stock functions exist: their loops run as long as a table's length says, and a
 * metamethod __len may say 2^62. These account for each step. Metamethods are honoured as in
 * Lua 5.4. */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/table.h"
#include "lua-bindings/lib/work.h"

#include <limits.h>

#define WORK_ELEMENT 4 /* units to move one element */

/* Does the metatable on top have this field? */
static bool has_field(lua_State *L, const char *name)
{
	bool has;

	lua_pushstring(L, name);
	has = lua_rawget(L, -2) != LUA_TNIL;
	lua_pop(L, 1);
	return has;
}

void l_check_table(lua_State *L, int arg, unsigned uses)
{
	bool enough;

	if (lua_istable(L, arg))
		return;
	if (!lua_getmetatable(L, arg)) {
		luaL_checktype(L, arg, LUA_TTABLE);
		return;
	}
	enough = (!(uses & TABLE_READ) || has_field(L, "__index")) &&
		 (!(uses & TABLE_WRITE) || has_field(L, "__newindex")) &&
		 (!(uses & TABLE_LENGTH) || has_field(L, "__len"));
	lua_pop(L, 1);
	if (!enough)
		luaL_checktype(L, arg, LUA_TTABLE);
}

lua_Integer l_table_length(lua_State *L, int arg, unsigned uses)
{
	l_check_table(L, arg, uses | TABLE_LENGTH);
	return luaL_len(L, arg);
}

/*** table.concat(list [, separator [, i [, j]]]) -> string
 * As in Lua 5.4; accounted. */
static int l_concat(lua_State *L)
{
	lua_Integer last = l_table_length(L, 1, TABLE_READ), i;
	size_t n, separator_n, pending = 0;
	const char *separator = luaL_optlstring(L, 2, "", &separator_n);
	luaL_Buffer b;

	l_old_integers(L, 3, 4);
	i = luaL_optinteger(L, 3, 1);
	last = luaL_optinteger(L, 4, last);
	luaL_buffinit(L, &b);
	while (i <= last) {
		lua_geti(L, 1, i);
		if (!lua_isstring(L, -1))
			return luaL_error(L, "invalid value (%s) at index %I in table for 'concat'",
			    luaL_typename(L, -1), (LUAI_UACINT)i);
		l_old_number(L, -1);
		n = lua_rawlen(L, -1) + separator_n;
		luaL_addvalue(&b);
		if (i == last)
			break; /* i + 1 might be too large */
		luaL_addlstring(&b, separator, separator_n);
		l_meter(L, &pending, WORK_ELEMENT + n / WORK_COPY);
		i++;
	}
	luaL_pushresult(&b);
	return 1;
}

/*** table.insert(list, [position,] value)
 * As in Lua 5.4; accounted. As in Lua 5.1, the position may be outside of the list (not with
 * lua.compat = "5.4"). */
static int l_insert(lua_State *L)
{
	lua_Integer end =
	    (lua_Integer)((lua_Unsigned)l_table_length(L, 1, TABLE_READ | TABLE_WRITE) + 1);
	lua_Integer position = end;
	size_t pending = 0;

	if (lua_gettop(L) == 3) {
		l_old_integers(L, 2, 2);
		position = luaL_checkinteger(L, 2);
		luaL_argcheck(L,
		    (lua_Unsigned)position - 1 < (lua_Unsigned)end || l_compat_mode(L) != COMPAT_54,
		    2, "position out of bounds");
		for (lua_Integer i = end; i > position; i--) {
			lua_geti(L, 1, i - 1);
			lua_seti(L, 1, i);
			l_meter(L, &pending, WORK_ELEMENT);
		}
	} else if (lua_gettop(L) != 2) {
		return luaL_error(L, "wrong number of arguments to 'insert'");
	}
	lua_seti(L, 1, position);
	return 0;
}

/*** table.remove(list [, position]) -> value
 * As in Lua 5.4; accounted. As in Lua 5.1, nothing is removed at a position outside of the list
 * (not with lua.compat = "5.4"). */
static int l_remove(lua_State *L)
{
	lua_Integer size = l_table_length(L, 1, TABLE_READ | TABLE_WRITE);
	lua_Integer position;
	size_t pending = 0;

	l_old_integers(L, 2, 2);
	position = luaL_optinteger(L, 2, size);
	if ((lua_Unsigned)position - 1 > (lua_Unsigned)size && l_compat_mode(L) != COMPAT_54 &&
	    position != size)
		return 0;
	if (position != size)
		luaL_argcheck(L, (lua_Unsigned)position - 1 <= (lua_Unsigned)size, 2,
		    "position out of bounds");
	lua_geti(L, 1, position);
	for (; position < size; position++) {
		lua_geti(L, 1, position + 1);
		lua_seti(L, 1, position);
		l_meter(L, &pending, WORK_ELEMENT);
	}
	lua_pushnil(L);
	lua_seti(L, 1, position);
	return 1;
}

/*** table.move(from, first, last, at [, to]) -> to
 * As in Lua 5.4; accounted. */
static int l_move(lua_State *L)
{
	lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
	lua_Integer at = luaL_checkinteger(L, 4), n;
	int to = lua_isnoneornil(L, 5) ? 1 : 5;
	size_t pending = 0;
	bool upwards;

	l_check_table(L, 1, TABLE_READ);
	l_check_table(L, to, TABLE_WRITE);
	if (last >= first) {
		luaL_argcheck(
		    L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
		n = last - first + 1;
		luaL_argcheck(L, at <= LUA_MAXINTEGER - n + 1, 4, "destination wrap around");
		/* the source may be overwritten before it is read only in the same table */
		upwards = at > last || at <= first || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ));
		for (lua_Integer done = 0; done < n; done++) {
			lua_Integer i = upwards ? done : n - 1 - done;

			lua_geti(L, 1, first + i);
			lua_seti(L, to, at + i);
			l_meter(L, &pending, WORK_ELEMENT);
		}
	}
	lua_pushvalue(L, to);
	return 1;
}

/*** table.pack(value, ...) -> list with a field n
 * As in Lua 5.4; accounted. */
static int l_pack(lua_State *L)
{
	int n = lua_gettop(L);

	l_charge(L, (size_t)n);
	lua_createtable(L, n, 1);
	lua_insert(L, 1);
	for (int i = n; i >= 1; i--)
		lua_rawseti(L, 1, i);
	lua_pushinteger(L, n);
	lua_setfield(L, 1, "n");
	return 1;
}

int l_table_unpack(lua_State *L, lua_Integer first, lua_Integer last)
{
	lua_Unsigned n = (lua_Unsigned)last - (lua_Unsigned)first;
	size_t pending = 0;

	if (first > last)
		return 0;
	if (n >= INT_MAX || !lua_checkstack(L, (int)++n))
		return luaL_error(L, "too many results to unpack");
	for (; first < last; first++) {
		lua_geti(L, 1, first);
		l_meter(L, &pending, 1);
	}
	lua_geti(L, 1, last);
	return (int)n;
}

/*** table.unpack(list [, i [, j]]) -> value, ...
 * As in Lua 5.4; accounted. */
static int l_unpack(lua_State *L)
{
	lua_Integer first;

	l_old_integers(L, 2, 3);
	first = luaL_optinteger(L, 2, 1);
	return l_table_unpack(L, first, luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1)));
}

static const struct library_row rows[] = {
    {"concat", l_concat},
    {"insert", l_insert},
    {"move", l_move},
    {"pack", l_pack},
    {"remove", l_remove},
    {"sort", l_table_sort},
    {"unpack", l_unpack},
    {NULL, NULL},
};

const struct library library_table = {"table", rows};
