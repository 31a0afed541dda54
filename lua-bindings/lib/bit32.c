/* bit32.c - the bit32 library of Lua 5.2: operations on 32-bit numbers. */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/library.h"

#include <lauxlib.h>

#include <math.h>
#include <stdint.h>

#define BITS 32

/* A number modulo 2^32, as Lua 5.2 took it. */
static uint32_t l_word(lua_State *L, int arg)
{
	int fits;
	lua_Integer whole = lua_tointegerx(L, arg, &fits);
	lua_Number x;

	if (fits)
		return (uint32_t)whole;
	x = fmod(floor(luaL_checknumber(L, arg)), 4294967296.0);
	luaL_argcheck(L, isfinite(x), arg, "number has no integer representation");
	return (uint32_t)(int64_t)x;
}

static int l_push_word(lua_State *L, uint32_t word)
{
	lua_pushinteger(L, word);
	return 1;
}

static uint32_t l_and_all(lua_State *L)
{
	uint32_t word = UINT32_MAX;

	for (int i = 1, n = lua_gettop(L); i <= n; i++)
		word &= l_word(L, i);
	return word;
}

/* To the left; to the right when n is negative. */
static uint32_t shift(uint32_t word, lua_Integer n)
{
	if (n <= -BITS || n >= BITS)
		return 0;
	return n >= 0 ? word << n : word >> -n;
}

/* By how many bits, at arg. */
static lua_Integer l_bits(lua_State *L, int arg)
{
	l_old_integers(L, arg, arg);
	return luaL_checkinteger(L, arg);
}

static int l_rotate(lua_State *L, int sign)
{
	uint32_t word = l_word(L, 1);
	int n = (int)(l_bits(L, 2) % BITS) * sign;

	n = (n + BITS) % BITS;
	return l_push_word(L, n == 0 ? word : (word << n) | (word >> (BITS - n)));
}

/* Arguments from arg on: field and width, as a mask of the width; *field is the lowest bit. */
static uint32_t l_field(lua_State *L, int arg, int *field)
{
	lua_Integer low = l_bits(L, arg);
	lua_Integer width = lua_isnoneornil(L, arg + 1) ? 1 : l_bits(L, arg + 1);

	luaL_argcheck(L, low >= 0, arg, "field cannot be negative");
	luaL_argcheck(L, width > 0, arg + 1, "width must be positive");
	if (low >= BITS || width > BITS - low)
		luaL_error(L, "trying to access non-existent bits");
	*field = (int)low;
	return width == BITS ? UINT32_MAX : ((uint32_t)1 << width) - 1;
}

/*** bit32.band(x, ...) -> number
 * Lua 5.2: the bits that all arguments have. */
static int l_band(lua_State *L)
{
	return l_push_word(L, l_and_all(L));
}

/*** bit32.btest(x, ...) -> boolean
 * Lua 5.2: do the arguments have a bit in common? */
static int l_btest(lua_State *L)
{
	lua_pushboolean(L, l_and_all(L) != 0);
	return 1;
}

/*** bit32.bor(x, ...) -> number
 * Lua 5.2: the bits that any argument has. */
static int l_bor(lua_State *L)
{
	uint32_t word = 0;

	for (int i = 1, n = lua_gettop(L); i <= n; i++)
		word |= l_word(L, i);
	return l_push_word(L, word);
}

/*** bit32.bxor(x, ...) -> number
 * Lua 5.2: the bits that an odd number of arguments has. */
static int l_bxor(lua_State *L)
{
	uint32_t word = 0;

	for (int i = 1, n = lua_gettop(L); i <= n; i++)
		word ^= l_word(L, i);
	return l_push_word(L, word);
}

/*** bit32.bnot(x) -> number
 * Lua 5.2: all 32 bits inverted. */
static int l_bnot(lua_State *L)
{
	return l_push_word(L, ~l_word(L, 1));
}

/*** bit32.lshift(x, n) -> number
 * Lua 5.2: n bits to the left; to the right when n is negative. */
static int l_lshift(lua_State *L)
{
	return l_push_word(L, shift(l_word(L, 1), l_bits(L, 2)));
}

/*** bit32.rshift(x, n) -> number
 * Lua 5.2: n bits to the right; to the left when n is negative. */
static int l_rshift(lua_State *L)
{
	lua_Integer n = l_bits(L, 2);

	return l_push_word(L, n <= -BITS ? 0 : shift(l_word(L, 1), -n));
}

/*** bit32.arshift(x, n) -> number
 * Lua 5.2: as rshift(), with copies of the highest bit coming in. */
static int l_arshift(lua_State *L)
{
	uint32_t word = l_word(L, 1);
	lua_Integer n = l_bits(L, 2);

	if (n < 0)
		return l_push_word(L, n <= -BITS ? 0 : shift(word, -n));
	if (n >= BITS)
		return l_push_word(L, word >> (BITS - 1) ? UINT32_MAX : 0);
	return l_push_word(L, word >> (BITS - 1) ? ~(~word >> n) : word >> n);
}

/*** bit32.lrotate(x, n) -> number
 * Lua 5.2: n bits to the left, those that leave come in again. */
static int l_lrotate(lua_State *L)
{
	return l_rotate(L, 1);
}

/*** bit32.rrotate(x, n) -> number
 * Lua 5.2: n bits to the right, those that leave come in again. */
static int l_rrotate(lua_State *L)
{
	return l_rotate(L, -1);
}

/*** bit32.extract(x, field [, width]) -> number
 * Lua 5.2: width bits (1) from bit field on. */
static int l_extract(lua_State *L)
{
	uint32_t word = l_word(L, 1);
	int field;
	uint32_t mask = l_field(L, 2, &field);

	return l_push_word(L, word >> field & mask);
}

/*** bit32.replace(x, value, field [, width]) -> number
 * Lua 5.2: x with width bits (1) from bit field on taken from value. */
static int l_replace(lua_State *L)
{
	uint32_t word = l_word(L, 1), value = l_word(L, 2);
	int field;
	uint32_t mask = l_field(L, 3, &field);

	return l_push_word(L, (word & ~(mask << field)) | (value & mask) << field);
}

static const struct library_row rows[] = {
    {"arshift", l_arshift},
    {"band", l_band},
    {"bnot", l_bnot},
    {"bor", l_bor},
    {"btest", l_btest},
    {"bxor", l_bxor},
    {"extract", l_extract},
    {"lrotate", l_lrotate},
    {"lshift", l_lshift},
    {"replace", l_replace},
    {"rrotate", l_rrotate},
    {"rshift", l_rshift},
    {NULL, NULL},
};

const struct library library_bit32 = {"bit32", rows};
