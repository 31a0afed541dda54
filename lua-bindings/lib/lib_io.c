/* lib_io.c - the io library: files by name, default input and output.
 *
 * There are no standard handles (VPOP3 has none either): without a default output io.write() goes
 * where print() goes, without a default input io.read() returns nil. Everything here is disabled in
 * safety mode; methods of open handles are not, an administrator may hand them to a user's script.
 */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/disabled.h"
#include "lua-bindings/lib/file.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/lib/path.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/script_out.h"
#include "lua-bindings/lib/work.h"

#include <errno.h>
#include <string.h>

/* The file named at arg is opened and pushed, or an error is raised. */
static void l_open_or_raise(lua_State *L, int arg, const char *mode)
{
	const char *path = l_path(L, arg);

	if (!l_file_open(L, path, mode))
		luaL_error(L, "cannot open file '%s' (%s)", lua_tostring(L, arg), strerror(errno));
	lua_remove(L, -2);
}

/* The mode at 2 as Lua 5.4 wants it. Before Lua 5.2 it went to fopen(3) as it was: "rb+" and, on
 * Windows, "rt". */
static const char *l_mode(lua_State *L)
{
	const char *mode = luaL_optstring(L, 2, "r");
	size_t n = strlen(mode);

	if (file_mode_is_valid(mode) || l_compat_mode(L) == COMPAT_54)
		return mode;
	if (strchr("rwa", *mode) == NULL || strspn(mode + (n > 0), "+bt") + 1 != n)
		return "";
	return lua_pushfstring(L, "%c%s%s", *mode, strchr(mode, '+') != NULL ? "+" : "",
	    strchr(mode, 'b') != NULL ? "b" : "");
}

/*** io.open(name [, mode]) -> file
 * As in Lua 5.4; on failure nil, message and error number. A relative name means the script
 * directory. Regular files only: a FIFO, socket or device could block for ever. At most 32 files
 * are open at once; all are closed when the script's life ends. As in Lua 5.1, modes such as "rb+"
 * and "rt" are taken (not with lua.compat = "5.4"). */
static int l_io_open(lua_State *L)
{
	const char *mode, *path;

	l_refuse_in_safety_mode(L, "io.open");
	mode = l_mode(L);
	path = l_path(L, 1);
	luaL_argcheck(L, file_mode_is_valid(mode), 2, "invalid mode");
	if (l_file_open(L, path, mode))
		return 1;
	return luaL_fileresult(L, 0, lua_tostring(L, 1));
}

/*** io.tmpfile() -> file
 * A new file without a name, open for update; it is gone when it is closed. */
static int l_io_tmpfile(lua_State *L)
{
	const struct script_set *set = runtime_set(runtime_of(L));

	l_refuse_in_safety_mode(L, "io.tmpfile");
	if (l_file_open_temporary(L, set != NULL ? script_set_config(set)->state_dir : "/tmp"))
		return 1;
	return luaL_fileresult(L, 0, NULL);
}

/*** io.lines([name [, format, ...]]) -> iterator
 * As in Lua 5.4; raises when the file cannot be opened. Without a name: the default input. */
static int l_io_lines(lua_State *L)
{
	l_refuse_in_safety_mode(L, "io.lines");
	if (lua_isnoneornil(L, 1)) {
		lua_settop(L, lua_gettop(L) > 0 ? lua_gettop(L) : 1);
		l_life_get(L, LIFE_INPUT);
		lua_replace(L, 1);
		luaL_argcheck(L, lua_isuserdata(L, 1), 1, "no default input; give a file name");
		l_file(L, 1);
		l_file_push_lines(L, false);
		return 1;
	}
	l_open_or_raise(L, 1, "r");
	lua_replace(L, 1);
	l_file_push_lines(L, true);
	lua_pushnil(L); /* state and control of the loop */
	lua_pushnil(L);
	lua_pushvalue(L, 1); /* closed at the end of the loop, however it ends */
	return 4;
}

/* io.input() and io.output(). */
static int l_default(lua_State *L, enum life_value which, const char *mode)
{
	if (!lua_isnoneornil(L, 1)) {
		if (lua_type(L, 1) == LUA_TSTRING) {
			l_open_or_raise(L, 1, mode);
		} else {
			l_file(L, 1);
			lua_pushvalue(L, 1);
		}
		l_life_set(L, which);
	}
	l_life_get(L, which);
	return 1;
}

/*** io.input([file]) -> file
 * Sets the default input, a handle or a name to open; returns it, nil when there is none. */
static int l_io_input(lua_State *L)
{
	l_refuse_in_safety_mode(L, "io.input");
	return l_default(L, LIFE_INPUT, "r");
}

/*** io.output([file]) -> file
 * Sets the default output, a handle or a name to open; returns it, nil when there is none. */
static int l_io_output(lua_State *L)
{
	l_refuse_in_safety_mode(L, "io.output");
	return l_default(L, LIFE_OUTPUT, "w");
}

/*** io.close([file]) -> true
 * Closes the file, or the default output. */
static int l_io_close(lua_State *L)
{
	l_refuse_in_safety_mode(L, "io.close");
	if (lua_isnone(L, 1)) {
		l_life_get(L, LIFE_OUTPUT);
		luaL_argcheck(L, lua_isuserdata(L, 1), 1, "no default output; give a file");
		lua_pushnil(L);
		l_life_set(L, LIFE_OUTPUT);
	}
	return l_file_close(L);
}

/*** io.read([format, ...]) -> value, ...
 * Reads from the default input as file:read() does; nil when there is none. */
static int l_io_read(lua_State *L)
{
	l_refuse_in_safety_mode(L, "io.read");
	l_life_get(L, LIFE_INPUT);
	if (lua_isnil(L, -1))
		return 1;
	lua_insert(L, 1);
	return l_file_read_formats(L, 2);
}

/*** io.write(value, ...) -> file
 * Writes to the default output. Without one the text goes where print() goes, line by line, and the
 * result is true. */
static int l_io_write(lua_State *L)
{
	l_refuse_in_safety_mode(L, "io.write");
	l_file_charge_write(L, 1);
	l_life_get(L, LIFE_OUTPUT);
	if (!lua_isnil(L, -1)) {
		lua_insert(L, 1);
		return l_stock(L, STOCK_FILE_WRITE);
	}
	lua_pop(L, 1);
	for (int i = 1; i <= lua_gettop(L); i++) {
		l_old_number(L, i);
		luaL_checklstring(L, i, NULL);
	}
	luaL_checkstack(L, LUA_MINSTACK, "too many arguments");
	lua_concat(L, lua_gettop(L));
	l_script_out(L);
	lua_pushboolean(L, 1);
	return 1;
}

/*** io.flush() -> true
 * Writes what the default output has buffered. */
static int l_io_flush(lua_State *L)
{
	l_refuse_in_safety_mode(L, "io.flush");
	lua_settop(L, 0);
	l_life_get(L, LIFE_OUTPUT);
	if (lua_isnil(L, 1)) {
		lua_pushboolean(L, 1);
		return 1;
	}
	lua_getfield(L, 1, "flush");
	lua_insert(L, 1);
	lua_call(L, 1, LUA_MULTRET);
	return lua_gettop(L);
}

/*** io.type(value) -> "file", "closed file" or nil
 * As in Lua 5.4. */
static int l_io_type(lua_State *L)
{
	const struct file *f;

	luaL_checkany(L, 1);
	f = luaL_testudata(L, 1, LUA_FILEHANDLE);
	if (f == NULL)
		lua_pushnil(L);
	else
		lua_pushstring(L, f->stream.closef == NULL ? "closed file" : "file");
	return 1;
}

/*** io.popen()
 * Disabled, as in VPOP3: raises an error that says so. */
DISABLED(l_io_popen, "io.popen", "use os.timedexecute(program, milliseconds)")

static const struct library_row rows[] = {
    {"close", l_io_close},
    {"flush", l_io_flush},
    {"input", l_io_input},
    {"lines", l_io_lines},
    {"open", l_io_open},
    {"output", l_io_output},
    {"popen", l_io_popen},
    {"read", l_io_read},
    {"tmpfile", l_io_tmpfile},
    {"type", l_io_type},
    {"write", l_io_write},
    {NULL, NULL},
};

const struct library library_io = {"io", rows};
