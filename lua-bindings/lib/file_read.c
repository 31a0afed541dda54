/* file_read.c - see file.h: reading from a handle, in pieces that are accounted one by one. */
#include "lua-bindings/lib/file.h"

#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/work.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINES_FORMATS 250 /* of file:lines(): upvalues of the iterator, as in stock Lua */

/* One reader pushes one value; false: end of file, the value is to be thrown away. */

static bool l_read_line(lua_State *L, const struct file *f, bool keep_end)
{
	size_t pending = 0, n;
	luaL_Buffer b;
	int c = 0;

	luaL_buffinit(L, &b);
	do {
		char *room = luaL_prepbuffer(&b);

		for (n = 0; n < LUAL_BUFFERSIZE; n++) {
			c = getc_unlocked(f->stream.f); /* a handle has one thread at a time */
			if (c == EOF || c == '\n')
				break;
			room[n] = (char)c;
		}
		luaL_addsize(&b, n);
		l_meter(L, &pending, 1 + n / WORK_BYTE);
	} while (c != EOF && c != '\n');
	n = luaL_bufflen(&b);
	if (keep_end && c == '\n')
		luaL_addchar(&b, '\n');
	else if (!keep_end && f->text && c == '\n' && n > 0 && luaL_buffaddr(&b)[n - 1] == '\r')
		luaL_buffsub(&b, 1);
	luaL_pushresult(&b);
	return c == '\n' || n > 0;
}

/* At most n bytes. */
static size_t l_read_bytes(lua_State *L, FILE *stream, size_t n)
{
	size_t pending = 0, got, all = 0;
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	do {
		char *room = luaL_prepbuffer(&b);
		size_t most = n < LUAL_BUFFERSIZE ? n : LUAL_BUFFERSIZE;

		got = fread(room, 1, most, stream);
		luaL_addsize(&b, got);
		all += got;
		n = got == most ? n - got : 0;
		l_meter(L, &pending, 1 + got / WORK_COPY);
	} while (n > 0);
	luaL_pushresult(&b);
	return all;
}

static bool l_at_end(lua_State *L, FILE *stream)
{
	int c = getc(stream);

	ungetc(c, stream); /* no-op for EOF */
	lua_pushliteral(L, "");
	return c == EOF;
}

static int l_stock_read(lua_State *L)
{
	return l_stock(L, STOCK_FILE_READ);
}

/* The stock function would skip any amount of white space without accounting for it. */
static bool l_read_number(lua_State *L, FILE *stream)
{
	size_t pending = 0;
	int c;

	do {
		c = getc_unlocked(stream);
		l_meter(L, &pending, 1);
	} while (isspace(c));
	ungetc(c, stream);
	lua_pushcfunction(L, l_stock_read);
	lua_pushvalue(L, 1);
	lua_pushliteral(L, "n");
	lua_call(L, 2, 1);
	return !lua_isnil(L, -1);
}

static bool l_read_one(lua_State *L, const struct file *f, int format)
{
	const char *name;

	if (lua_type(L, format) == LUA_TNUMBER) {
		size_t n;

		l_old_integers(L, format, format);
		n = (size_t)luaL_checkinteger(L, format);
		return n == 0 ? !l_at_end(L, f->stream.f) : l_read_bytes(L, f->stream.f, n) > 0;
	}
	name = luaL_checkstring(L, format);
	if (*name == '*') /* Lua 5.0 to 5.2 */
		name++;
	switch (*name) {
	case 'n':
		return l_read_number(L, f->stream.f);
	case 'l':
		return l_read_line(L, f, false);
	case 'L':
		return l_read_line(L, f, true);
	case 'a':
		l_read_bytes(L, f->stream.f, SIZE_MAX);
		return true;
	default:
		return luaL_argerror(L, format, "invalid format");
	}
}

int l_file_read_formats(lua_State *L, int first)
{
	const struct file *f = l_file(L, 1);
	int top = lua_gettop(L), results = 0;
	bool found = true;

	l_charge(L, (size_t)top);
	clearerr(f->stream.f);
	if (first > top) {
		found = l_read_line(L, f, false);
		results = 1;
	} else {
		luaL_checkstack(L, top - first + 1 + LUA_MINSTACK, "too many arguments");
		for (int i = first; i <= top && found; i++, results++)
			found = l_read_one(L, f, i);
	}
	if (ferror(f->stream.f))
		return luaL_fileresult(L, 0, NULL);
	if (!found) {
		lua_pop(L, 1);
		lua_pushnil(L);
	}
	return results;
}

/* Upvalues: the handle, how many formats, whether to close at the end, the formats. */
static int l_next_line(lua_State *L)
{
	struct file *f = lua_touserdata(L, lua_upvalueindex(1));
	int formats = (int)lua_tointeger(L, lua_upvalueindex(2)), results;

	if (f->stream.closef == NULL)
		return luaL_error(L, "file is already closed");
	lua_settop(L, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	luaL_checkstack(L, formats, "too many arguments");
	for (int i = 1; i <= formats; i++)
		lua_pushvalue(L, lua_upvalueindex(3 + i));
	results = l_file_read_formats(L, 2);
	if (lua_toboolean(L, -results))
		return results;
	if (results > 1) /* nil, message, error number */
		return luaL_error(L, "%s", lua_tostring(L, -results + 1));
	if (lua_toboolean(L, lua_upvalueindex(3))) {
		lua_settop(L, 1);
		l_file_close(L);
	}
	return 0;
}

void l_file_push_lines(lua_State *L, bool close)
{
	int formats = lua_gettop(L) - 1;

	luaL_argcheck(L, formats <= LINES_FORMATS, LINES_FORMATS + 2, "too many arguments");
	lua_pushvalue(L, 1);
	lua_pushinteger(L, formats);
	lua_pushboolean(L, close);
	lua_rotate(L, 2, 3);
	lua_pushcclosure(L, l_next_line, 3 + formats);
}
