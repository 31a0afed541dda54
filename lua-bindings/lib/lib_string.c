/* lib_string.c - the string library except pattern matching (lib_match.c). Most functions are the
 * stock ones, accounted for; string.dump does not exist (bytecode). */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/work.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static size_t sum_lengths(lua_State *L, int first)
{
	size_t sum = 0;

	for (int i = first, last = lua_gettop(L); i <= last; i++)
		sum += 1 + l_string_bytes(L, i);
	return sum;
}

/*** string.byte(s [, i [, j]]) -> number, ...
 * As in Lua 5.4; accounted. */
static int l_byte(lua_State *L)
{
	int n;

	l_old_integers(L, 2, 3);
	n = l_stock(L, STOCK_STRING_BYTE);

	l_charge(L, (size_t)n);
	return n;
}

/*** string.char(number, ...) -> string
 * As in Lua 5.4; accounted. */
static int l_char(lua_State *L)
{
	l_charge(L, (size_t)lua_gettop(L));
	l_old_integers(L, 1, lua_gettop(L));
	return l_stock(L, STOCK_STRING_CHAR);
}

/*** string.lower(s) -> string
 * As in Lua 5.4; accounted. */
static int l_lower(lua_State *L)
{
	l_charge(L, l_string_bytes(L, 1) / WORK_BYTE);
	return l_stock(L, STOCK_STRING_LOWER);
}

/*** string.upper(s) -> string
 * As in Lua 5.4; accounted. */
static int l_upper(lua_State *L)
{
	l_charge(L, l_string_bytes(L, 1) / WORK_BYTE);
	return l_stock(L, STOCK_STRING_UPPER);
}

/*** string.reverse(s) -> string
 * As in Lua 5.4; accounted. */
static int l_reverse(lua_State *L)
{
	l_charge(L, l_string_bytes(L, 1) / WORK_BYTE);
	return l_stock(L, STOCK_STRING_REVERSE);
}

/*** string.sub(s, i [, j]) -> string
 * As in Lua 5.4; accounted. */
static int l_sub(lua_State *L)
{
	int n;

	l_old_integers(L, 2, 3);
	n = l_stock(L, STOCK_STRING_SUB);
	l_charge(L, lua_rawlen(L, -1) / WORK_COPY);
	return n;
}

/*** string.rep(s, n [, separator]) -> string
 * As in Lua 5.4; accounted. A result that does not fit into the memory of the script raises "not
 * enough memory" at once. */
static int l_rep(lua_State *L)
{
	size_t n, separator_n, all, filled, pending = 0;
	const char *s = luaL_checklstring(L, 1, &n), *separator;
	lua_Integer times;
	luaL_Buffer b;
	char *out;

	l_old_integers(L, 2, 2);
	times = luaL_checkinteger(L, 2);
	separator = luaL_optlstring(L, 3, "", &separator_n);
	if (times <= 0) {
		lua_pushliteral(L, "");
		return 1;
	}
	if (n + separator_n < n || n + separator_n > (size_t)PTRDIFF_MAX / (size_t)times)
		return luaL_error(L, "resulting string too large");
	all = n * (size_t)times + separator_n * (size_t)(times - 1);
	out = luaL_buffinitsize(L, &b, all);
	filled = n + separator_n < all ? n + separator_n : all;
	memcpy(out, s, n);
	memcpy(out + n, separator, filled - n);
	while (filled < all) { /* what is there already, again: doubles */
		size_t more = filled < all - filled ? filled : all - filled;

		memcpy(out + filled, out, more);
		filled += more;
		l_meter(L, &pending, 1 + more / WORK_COPY);
	}
	luaL_pushresultsize(&b, all);
	return 1;
}

/* ---- format ---- */

#define UNSIGNED_WRAP 4294967296.0 /* %u of a negative number: VPOP3 is a 32-bit program */

/* A number that Lua 5.0 would print with %d: its integral part as an integer, where that fits. */
static void l_truncate(lua_State *L, int arg, bool is_unsigned)
{
	int fits, is_number;
	lua_Integer whole = lua_tointegerx(L, arg, &fits);
	lua_Number x;

	if (!fits) {
		x = trunc(lua_tonumberx(L, arg, &is_number));
		if (!is_number || !lua_numbertointeger(x, &whole))
			return; /* the stock function says what is wrong */
	}
	if (is_unsigned && whole < 0 && (lua_Number)whole >= -UNSIGNED_WRAP)
		whole += (lua_Integer)UNSIGNED_WRAP;
	lua_pushinteger(L, whole);
	lua_replace(L, arg);
}

/* Convert the arguments of integer conversions; *is_unsigned: there is a %u. */
static void l_prepare_arguments(
    lua_State *L, const char *format, const char *end, bool *is_unsigned)
{
	int arg = 1, last = lua_gettop(L);

	*is_unsigned = false;
	while ((format = memchr(format, '%', (size_t)(end - format))) != NULL) {
		if (*++format == '%') {
			format++;
			continue;
		}
		arg++;
		while (*format != '\0' && strchr("-+ #0123456789.", *format) != NULL)
			format++;
		if (*format == 'u')
			*is_unsigned = true;
		if (arg <= last && *format == 's')
			l_old_number(L, arg);
		if (arg <= last && *format != '\0' && strchr("diuoxXc", *format) != NULL)
			l_truncate(L, arg, *format == 'u');
	}
}

/* %u is %d by now: the argument has been made what it prints. */
static void l_replace_unsigned(lua_State *L, const char *format, const char *end)
{
	luaL_Buffer b;
	bool inside = false;

	luaL_buffinit(L, &b);
	for (; format < end; format++) {
		if (*format == '%')
			inside = !inside;
		else if (inside && strchr("-+ #0123456789.", *format) == NULL) {
			luaL_addchar(&b, *format == 'u' ? 'd' : *format);
			inside = false;
			continue;
		}
		luaL_addchar(&b, *format);
	}
	luaL_pushresult(&b);
	lua_replace(L, 1);
}

/*** string.format(format, ...) -> string
 * As in Lua 5.4; accounted. As in Lua 5.0, %d %i %u %o %x %X %c take the integral part of a number,
 * and %u is known (not with lua.compat = "5.4"). */
static int l_format(lua_State *L)
{
	size_t n;
	const char *format = luaL_checklstring(L, 1, &n);
	bool is_unsigned;
	int results;

	l_charge(L, sum_lengths(L, 1) / WORK_BYTE);
	if (l_compat_mode(L) != COMPAT_54) {
		l_prepare_arguments(L, format, format + n, &is_unsigned);
		if (is_unsigned)
			l_replace_unsigned(L, format, format + n);
	}
	results = l_stock(L, STOCK_STRING_FORMAT);
	l_charge(L, lua_rawlen(L, -1) / WORK_COPY);
	return results;
}

/* ---- binary data ---- */

#define PADDING_MOST                                                                 \
	(64u << 20) /* bytes; the memory budget ends a longer result before its time \
		     */

/* Bytes that "c<n>" options of a pack format ask for: filled in one by one. */
static size_t padding(const char *format)
{
	size_t sum = 0;

	for (; *format != '\0'; format++) {
		size_t n = 0;

		if (*format != 'c')
			continue;
		while (isdigit((unsigned char)format[1]) && n < SIZE_MAX / 100)
			n = n * 10 + (size_t)(*++format - '0');
		sum += n < PADDING_MOST ? n : PADDING_MOST;
	}
	return sum < PADDING_MOST ? sum : PADDING_MOST;
}

/*** string.pack(format, value, ...) -> string
 * As in Lua 5.4; accounted. */
static int l_pack(lua_State *L)
{
	const char *format = luaL_checkstring(L, 1);

	l_charge(L, (sum_lengths(L, 1) + padding(format)) / WORK_BYTE);
	return l_stock(L, STOCK_STRING_PACK);
}

/*** string.packsize(format) -> number
 * As in Lua 5.4; accounted. */
static int l_packsize(lua_State *L)
{
	l_charge(L, l_string_bytes(L, 1) / WORK_BYTE);
	return l_stock(L, STOCK_STRING_PACKSIZE);
}

/*** string.unpack(format, s [, position]) -> value, ..., next position
 * As in Lua 5.4; accounted. */
static int l_unpack(lua_State *L)
{
	size_t format_n, n, tail = 0;
	const char *format = luaL_checklstring(L, 1, &format_n), *s = luaL_checklstring(L, 2, &n),
		   *z;
	lua_Integer start = luaL_optinteger(L, 3, 1), used;
	int results;

	if (strchr(format, 'z') != NULL) { /* a "z" without an end is searched to the end of s */
		z = memrchr(s, '\0', n);
		tail = z != NULL ? (size_t)(s + n - z) : n;
	}
	l_charge(L, format_n / 2 + tail / WORK_COPY);
	results = l_stock(L, STOCK_STRING_UNPACK);
	used = lua_tointeger(L, -1) - (start > 0 ? start : start + (lua_Integer)n + 1);
	l_charge(L, used > 0 ? (size_t)used / WORK_COPY : 0);
	return results;
}

static const struct library_row rows[] = {
    {"byte", l_byte},
    {"char", l_char},
    {"format", l_format},
    /*** string.len(s) -> number
     * As in Lua 5.4. */
    {"len", NULL},
    {"lower", l_lower},
    {"pack", l_pack},
    {"packsize", l_packsize},
    {"rep", l_rep},
    {"reverse", l_reverse},
    {"sub", l_sub},
    {"unpack", l_unpack},
    {"upper", l_upper},
    {NULL, NULL},
};

const struct library library_string = {"string", rows};
