/* lib_os.c - the os library of Lua: time, files by name; what VPOP3 disables is disabled here too.
 */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/disabled.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/path.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/work.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The length of the conversion of strftime(3) behind a %, 0: C99 does not know it. */
static size_t conversion(const char *s)
{
	static const char plain[] = "aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%";
	static const char with_e[] = "cCxXyY", with_o[] = "deHImMSuUVwWy";
	const char *after = s[0] == 'E' ? with_e : s[0] == 'O' ? with_o : NULL;

	if (after != NULL)
		return s[1] != '\0' && strchr(after, s[1]) != NULL ? 2 : 0;
	return s[0] != '\0' && strchr(plain, s[0]) != NULL ? 1 : 0;
}

/* Conversions that C99 does not know stand for themselves, as they do in strftime(3). */
static void l_double_percents(lua_State *L, const char *format, size_t n)
{
	const char *end = format + n;
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	while (format < end) {
		size_t length = *format == '%' ? conversion(format + 1) : 0;

		if (*format == '%' && length == 0)
			luaL_addchar(&b, '%');
		luaL_addlstring(&b, format, length + 1);
		format += length + 1;
	}
	luaL_pushresult(&b);
	lua_replace(L, 1);
}

/*** os.date([format [, time]]) -> string or table
 * As in Lua 5.4. A conversion that C99 does not know stands for itself (not with lua.compat =
 * "5.4"). */
static int l_date(lua_State *L)
{
	size_t n;
	const char *format = luaL_optlstring(L, 1, "", &n);

	l_charge(L, 16 * l_string_bytes(L, 1));
	if (memchr(format, '%', n) != NULL && l_compat_mode(L) != COMPAT_54)
		l_double_percents(L, format, n);
	l_old_integers(L, 2, 2);
	return l_stock(L, STOCK_OS_DATE);
}

/*** os.difftime(later [, earlier]) -> seconds
 * As in Lua 5.4. As in Lua 5.1, earlier is 0 when it is missing (not with lua.compat = "5.4"). */
static int l_difftime(lua_State *L)
{
	l_old_integers(L, 1, 2);
	if (lua_isnoneornil(L, 2) && l_compat_mode(L) != COMPAT_54) {
		lua_settop(L, 1);
		lua_pushinteger(L, 0);
	}
	return l_stock(L, STOCK_OS_DIFFTIME);
}

static const char *const date_fields[] = {"year", "month", "day", "hour", "min", "sec"};

#define DATE_FIELDS (sizeof date_fields / sizeof *date_fields)

/* Has the table at 1 a field that Lua 5.4 refuses? */
static bool l_has_old_field(lua_State *L)
{
	bool has = false;

	for (size_t i = 0; i < DATE_FIELDS && !has; i++) {
		int fits;

		lua_getfield(L, 1, date_fields[i]);
		lua_tointegerx(L, -1, &fits);
		has = !fits && !lua_isnil(L, -1);
		lua_pop(L, 1);
	}
	return has;
}

/* A copy of the table at 1 takes its place: fractions are cut off, what is no number is left out.
 */
static void l_take_old_fields(lua_State *L)
{
	lua_createtable(L, 0, DATE_FIELDS + 1);
	lua_getfield(L, 1, "isdst");
	lua_setfield(L, -2, "isdst");
	for (size_t i = 0; i < DATE_FIELDS; i++) {
		lua_getfield(L, 1, date_fields[i]);
		l_old_integers(L, -1, -1);
		if (lua_isnumber(L, -1))
			lua_setfield(L, -2, date_fields[i]);
		else
			lua_pop(L, 1);
	}
	lua_replace(L, 1);
}

/*** os.time([table]) -> seconds since 1970
 * As in Lua 5.4. As in Lua 5.1, fractions in the table are cut off and a field that is no number
 * counts as missing (not with lua.compat = "5.4"). */
static int l_time(lua_State *L)
{
	lua_settop(L, 1);
	if (lua_istable(L, 1) && l_compat_mode(L) != COMPAT_54 && l_has_old_field(L))
		l_take_old_fields(L);
	return l_stock(L, STOCK_OS_TIME);
}

/*** os.getenv(name) -> string or nil
 * An environment variable of the daemon. */
static int l_getenv(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	l_refuse_in_safety_mode(L, "os.getenv");
	lua_pushstring(L, getenv(name));
	return 1;
}

/*** os.remove(name) -> true
 * Removes a file or an empty directory; on failure nil, message and error number. A relative name
 * means the script directory. */
static int l_remove(lua_State *L)
{
	const char *path;

	l_refuse_in_safety_mode(L, "os.remove");
	path = l_path(L, 1);
	l_charge(L, WORK_SYSCALL);
	return luaL_fileresult(L, remove(path) == 0, lua_tostring(L, 1));
}

/*** os.rename(from, to) -> true
 * Renames a file; on failure nil, message and error number. Relative names mean the script
 * directory. */
static int l_rename(lua_State *L)
{
	const char *from, *to;

	l_refuse_in_safety_mode(L, "os.rename");
	from = l_path(L, 1);
	to = l_path(L, 2);
	l_charge(L, WORK_SYSCALL);
	return luaL_fileresult(L, rename(from, to) == 0, NULL);
}

/*** os.tmpname() -> name
 * Makes an empty file with a name nobody can guess, readable for the daemon only, in state_dir, and
 * returns its path. The script removes it. */
static int l_tmpname(lua_State *L)
{
	const struct script_set *set = runtime_set(runtime_of(L));
	char name[PATH_MAX];
	int fd, n;

	l_refuse_in_safety_mode(L, "os.tmpname");
	l_charge(L, 4 * WORK_SYSCALL);
	n = snprintf(name, sizeof name, "%s/lua_XXXXXX",
	    set != NULL ? script_set_config(set)->state_dir : "/tmp");
	if (n < 0 || (size_t)n >= sizeof name)
		return luaL_error(L, "os.tmpname: state_dir is too long");
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return luaL_error(L, "os.tmpname: cannot create %s: %s", name, strerror(errno));
	close(fd);
	lua_pushstring(L, name);
	return 1;
}

/*** os.execute()
 * Disabled, as in VPOP3: raises an error that says so. */
DISABLED(l_execute, "os.execute", "use os.timedexecute(program, milliseconds)")

/*** os.exit()
 * Disabled, as in VPOP3: raises an error that says so. */
DISABLED(l_exit, "os.exit", "return from the hook, or raise error(message)")

/*** os.popen()
 * Disabled, as in VPOP3: raises an error that says so. */
DISABLED(l_popen, "os.popen", "use os.timedexecute(program, milliseconds)")

/*** os.setlocale()
 * Disabled, as in VPOP3: raises an error that says so. */
DISABLED(l_setlocale, "os.setlocale", "the locale belongs to the whole process")

static const struct library_row rows[] = {
    /*** os.clock() -> seconds
     * As in Lua 5.4: processor time of the whole daemon. */
    {"clock", NULL},
    {"date", l_date},
    {"difftime", l_difftime},
    {"execute", l_execute},
    {"exit", l_exit},
    {"getenv", l_getenv},
    {"popen", l_popen},
    {"remove", l_remove},
    {"rename", l_rename},
    {"setlocale", l_setlocale},
    {"time", l_time},
    {"tmpname", l_tmpname},
    {NULL, NULL},
};

const struct library library_os = {"os", rows};
