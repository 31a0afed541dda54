/* lib_utf8.c - the utf8 library: the stock functions, accounted for by the bytes they look at. */
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/work.h"

#include <stdbool.h>
#include <string.h>

static bool is_continuation(char c)
{
	return (c & 0xC0) == 0x80;
}

/* A position as scripts give it: negative counts from the end, before the start is 0. */
static lua_Integer position(lua_Integer i, size_t n)
{
	if (i >= 0)
		return i;
	return (lua_Unsigned)0 - (lua_Unsigned)i > n ? 0 : (lua_Integer)n + i + 1;
}

static void l_charge_range(lua_State *L, lua_Integer from, lua_Integer to, size_t n)
{
	if (from < 1)
		from = 1;
	if (to > (lua_Integer)n)
		to = (lua_Integer)n;
	l_charge(L, to >= from ? (size_t)(to - from + 1) : 0);
}

/*** utf8.char(code, ...) -> string
 * As in Lua 5.4; accounted. */
static int l_utf8_char(lua_State *L)
{
	l_charge(L, 4 * (size_t)lua_gettop(L));
	return l_stock(L, STOCK_UTF8_CHAR);
}

/*** utf8.codepoint(s [, i [, j [, lax]]]) -> code, ...
 * As in Lua 5.4; accounted. */
static int l_utf8_codepoint(lua_State *L)
{
	size_t n;
	lua_Integer i, j;

	luaL_checklstring(L, 1, &n);
	i = position(luaL_optinteger(L, 2, 1), n);
	j = position(luaL_optinteger(L, 3, i), n);
	l_charge_range(L, i, j, n);
	return l_stock(L, STOCK_UTF8_CODEPOINT);
}

/*** utf8.len(s [, i [, j [, lax]]]) -> number of characters or nil, position
 * As in Lua 5.4: the position is that of the first invalid byte; accounted. */
static int l_utf8_len(lua_State *L)
{
	size_t n;

	luaL_checklstring(L, 1, &n);
	l_charge_range(
	    L, position(luaL_optinteger(L, 2, 1), n), position(luaL_optinteger(L, 3, -1), n), n);
	return l_stock(L, STOCK_UTF8_LEN);
}

/*** utf8.offset(s, n [, i]) -> position
 * As in Lua 5.4; accounted. */
static int l_utf8_offset(lua_State *L)
{
	size_t n;
	lua_Integer wanted, from, to;
	int results;

	luaL_checklstring(L, 1, &n);
	wanted = luaL_checkinteger(L, 2);
	from = position(luaL_optinteger(L, 3, wanted > 0 ? 1 : (lua_Integer)n + 1), n);
	results = l_stock(L, STOCK_UTF8_OFFSET);
	to = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : wanted > 0 ? (lua_Integer)n : 1;
	l_charge(L, (size_t)(to > from ? to - from : from - to) / 2);
	return results;
}

/* The stock iterators skip any number of continuation bytes before they look at one character. */
static void l_charge_skip(lua_State *L)
{
	size_t n, from, to;
	const char *s = luaL_checklstring(L, 1, &n);
	lua_Integer i = lua_tointeger(L, 2);

	if (i < 0 || (size_t)i >= n)
		return;
	for (from = to = (size_t)i; is_continuation(s[to]); to++)
		;
	l_charge(L, to - from);
}

static int l_next_strict(lua_State *L)
{
	l_charge_skip(L);
	return l_stock(L, STOCK_UTF8_NEXT);
}

static int l_next_lax(lua_State *L)
{
	l_charge_skip(L);
	return l_stock(L, STOCK_UTF8_NEXT_LAX);
}

/*** utf8.codes(s [, lax]) -> iterator
 * As in Lua 5.4; accounted. */
static int l_utf8_codes(lua_State *L)
{
	bool lax = lua_toboolean(L, 2);
	int results = l_stock(L, STOCK_UTF8_CODES); /* iterator, s, 0 */

	lua_pushcfunction(L, lax ? l_next_lax : l_next_strict);
	lua_replace(L, -results - 1);
	return results;
}

static const struct library_row rows[] = {
    {"char", l_utf8_char},
    /*** utf8.charpattern
     * The pattern that matches one character. */
    {"charpattern", NULL},
    {"codepoint", l_utf8_codepoint},
    {"codes", l_utf8_codes},
    {"len", l_utf8_len},
    {"offset", l_utf8_offset},
    {NULL, NULL},
};

const struct library library_utf8 = {"utf8", rows};
