/* lib_os.c - the os library of Lua: time, files by name; what VPOP3 disables is disabled here too.
 */
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

/*** os.date([format [, time]]) -> string or table
 * As in Lua 5.4. */
static int l_date(lua_State *L)
{
	l_charge(L, 16 * l_string_bytes(L, 1));
	return l_stock(L, STOCK_OS_DATE);
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
    /*** os.difftime(later, earlier) -> seconds
     * As in Lua 5.4. */
    {"difftime", NULL},
    {"execute", l_execute},
    {"exit", l_exit},
    {"getenv", l_getenv},
    {"popen", l_popen},
    {"remove", l_remove},
    {"rename", l_rename},
    {"setlocale", l_setlocale},
    /*** os.time([table]) -> seconds since 1970
     * As in Lua 5.4. */
    {"time", NULL},
    {"tmpname", l_tmpname},
    {NULL, NULL},
};

const struct library library_os = {"os", rows};
