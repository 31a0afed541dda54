/* lib_os_vpop3.c - what VPOP3 adds to the os library, except os.timedexecute (timedexecute.c):
 * sleep, directories, safety mode.
 *
 * Safety mode is of the life: a script of the administrator turns it on before it calls code of a
 * user. It disables functions, not objects: handles that are open go on working, and so does what
 * the user's code is handed. Nesting is not documented by VPOP3; here the first key stays in force.
 */
#include "common/waiting.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/lib/path.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/timedexecute.h"
#include "lua-bindings/lib/work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- sleep ---- */

static void sleep_ms(int64_t ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/*** os.sleep(milliseconds)
 * Waits. The time counts: when the hook's time is used up the hook ends with it. When too many
 * sessions wait already (setting milter.waiting) it returns at once. */
static int l_sleep(lua_State *L)
{
	lua_Number wanted = luaL_checknumber(L, 1);
	int left = runtime_left_ms(runtime_of(L));
	bool over = wanted >= left;

	if (wanted > 0 && waiting_enter()) {
		sleep_ms(over ? left : (int64_t)wanted);
		waiting_leave();
		if (over)
			l_deadline(L);
	}
	return 0;
}

/* ---- directories ---- */

#define DIRECTORY "mailhooks directory" /* metatable of the handle; scripts never see one */

static int l_close_directory(lua_State *L)
{
	DIR **d = lua_touserdata(L, 1);

	if (*d != NULL)
		closedir(*d);
	*d = NULL;
	return 0;
}

static DIR **l_new_directory(lua_State *L)
{
	DIR **d = lua_newuserdatauv(L, sizeof *d, 0);

	*d = NULL;
	if (luaL_newmetatable(L, DIRECTORY)) {
		lua_pushcfunction(L, l_close_directory);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return d;
}

/* Not by opendir(): it would open a FIFO for reading, and wait. */
static DIR *open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK), saved;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	saved = errno;
	if (d == NULL && fd >= 0)
		close(fd);
	errno = saved;
	return d;
}

/* The letters of Windows, as far as Linux has something like it. */
static void l_push_attributes(lua_State *L, const char *name, const struct statx *st)
{
	char letters[8];
	size_t n = 0;
	bool plain = S_ISREG(st->stx_mode), directory = S_ISDIR(st->stx_mode);

	if (plain)
		letters[n++] = 'A';
	if (st->stx_attributes & STATX_ATTR_COMPRESSED)
		letters[n++] = 'C';
	if (directory)
		letters[n++] = 'D';
	if (st->stx_attributes & STATX_ATTR_ENCRYPTED)
		letters[n++] = 'E';
	if (name[0] == '.')
		letters[n++] = 'H';
	if (!(st->stx_mode & 0222))
		letters[n++] = 'R';
	if (!plain && !directory)
		letters[n++] = 'S';
	lua_pushlstring(L, letters, n);
}

static void l_set_integer(lua_State *L, const char *name, int64_t value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

/* Add the entry to the table on top. */
static void l_add_entry(lua_State *L, int fd, const char *name)
{
	struct statx st;
	const unsigned want = STATX_BASIC_STATS | STATX_BTIME;

	if (statx(fd, name, AT_NO_AUTOMOUNT, want, &st) != 0 && /* gone, or a link to nothing */
	    statx(fd, name, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, want, &st) != 0)
		return;
	lua_createtable(L, 0, 5);
	l_set_integer(L, "Size", (int64_t)st.stx_size);
	l_set_integer(
	    L, "Creation", st.stx_mask & STATX_BTIME ? st.stx_btime.tv_sec : st.stx_ctime.tv_sec);
	l_set_integer(L, "LastAccess", st.stx_atime.tv_sec);
	l_set_integer(L, "LastWrite", st.stx_mtime.tv_sec);
	l_push_attributes(L, name, &st);
	lua_setfield(L, -2, "Attributes");
	l_iterable(L, -1);
	lua_setfield(L, -2, name);
}

/*** os.getdirectory(directory) -> table
 * The entries of a directory by name (upper and lower case do not matter when looking one up),
 * without "." and
 * "..". Each is a table of Size (bytes), Attributes (letters: A file, C compressed, D directory, E
 * encrypted, H hidden, R read-only, S neither file nor directory) and Creation, LastAccess,
 * LastWrite as os.time() gives them. On failure nil, message and error number. A relative name
 * means the script directory. */
static int l_getdirectory(lua_State *L)
{
	struct dirent *e;
	const char *path;
	DIR **d;

	l_refuse_in_safety_mode(L, "os.getdirectory");
	path = l_path(L, 1);
	d = l_new_directory(L);
	l_charge(L, WORK_SYSCALL);
	*d = open_directory(path);
	if (*d == NULL)
		return luaL_fileresult(L, 0, lua_tostring(L, 1));
	lua_newtable(L);
	while ((e = readdir(*d)) != NULL) {
		l_charge(L, 2 * WORK_SYSCALL);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			l_add_entry(L, dirfd(*d), e->d_name);
	}
	closedir(*d);
	*d = NULL;
	l_ignore_key_case(L, -1);
	return 1;
}

/* ---- safety mode ---- */

/*** os.setsafety(key) -> boolean
 * Safety mode on: file, process, module and settings functions raise an error until
 * os.clearsafety() is called with the same key. Handles that are open go on working. False when it
 * was on already; the first key stays. */
static int l_setsafety(lua_State *L)
{
	struct life *life = l_life(L);
	bool was = life->safe;

	luaL_checkstring(L, 1);
	if (!was) {
		lua_pushvalue(L, 1);
		l_life_set(L, LIFE_SAFETY_KEY);
		life->safe = true;
	}
	lua_pushboolean(L, !was);
	return 1;
}

/*** os.clearsafety(key) -> boolean
 * Safety mode off, if the key is the one it was turned on with; tells whether it is off now. */
static int l_clearsafety(lua_State *L)
{
	struct life *life = l_life(L);

	luaL_checkstring(L, 1);
	l_life_get(L, LIFE_SAFETY_KEY);
	if (life->safe && lua_rawequal(L, 1, -1))
		life->safe = false;
	lua_pushboolean(L, !life->safe);
	return 1;
}

void l_sandbox_restrict(lua_State *L)
{
	lua_pushnil(L); /* equal to no key */
	l_life_set(L, LIFE_SAFETY_KEY);
	l_life(L)->safe = true;
}

static const struct library_row rows[] = {
    {"clearsafety", l_clearsafety},
    {"getdirectory", l_getdirectory},
    {"setsafety", l_setsafety},
    {"sleep", l_sleep},
    {"timedexecute", l_timedexecute},
    {NULL, NULL},
};

const struct library library_os_vpop3 = {"os", rows};
