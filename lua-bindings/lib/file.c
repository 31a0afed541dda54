/* file.c - see file.h: opening, closing, and the methods except reading (file_read.c). */
#include "lua-bindings/lib/file.h"

#include "common/limits.h"
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/lib/work.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ---- open and close ---- */

static int close_stream(struct file *f)
{
	*f->link = f->next;
	if (f->next != NULL)
		f->next->link = f->link;
	f->life->nfiles--;
	f->stream.closef = NULL;
	return fclose(f->stream.f);
}

/* What luaL_Stream wants; also the mark of an open handle. */
static int l_close_stream(lua_State *L)
{
	struct file *f = luaL_checkudata(L, 1, LUA_FILEHANDLE);

	return luaL_fileresult(L, close_stream(f) == 0, NULL);
}

void file_close_all(struct life *life)
{
	while (life->files != NULL)
		close_stream(life->files);
}

struct file *l_file(lua_State *L, int index)
{
	struct file *f = luaL_checkudata(L, index, LUA_FILEHANDLE);

	luaL_argcheck(L, lua_rawlen(L, index) >= sizeof *f, index, "a file of another library");
	if (f->stream.closef == NULL)
		luaL_error(L, "attempt to use a closed file");
	return f;
}

bool file_mode_is_valid(const char *mode)
{
	if (*mode == '\0' || strchr("rwa", *mode++) == NULL)
		return false;
	if (*mode == '+')
		mode++;
	return strspn(mode, "b") == strlen(mode);
}

/* mknod(2) numbers that Linux fixed for all time: null, random, urandom */
static bool is_harmless_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 &&
	       (minor(st->st_rdev) == 3 || minor(st->st_rdev) == 8 || minor(st->st_rdev) == 9);
}

/* Not truncated at open: what is no regular file must not be touched. */
static int open_checked(const char *path, const char *mode)
{
	static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR};
	bool both = strchr(mode, '+') != NULL;
	int flags = access[both ? 2 : *mode != 'r'];
	struct stat st;
	int fd, saved;

	if (*mode != 'r')
		flags |= O_CREAT;
	if (*mode == 'a')
		flags |= O_APPEND;
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0)
		goto refused;
	if (!S_ISREG(st.st_mode) && !is_harmless_device(&st)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EPERM;
		goto refused;
	}
	if (*mode == 'w' && S_ISREG(st.st_mode) && ftruncate(fd, 0) != 0)
		goto refused;
	return fd;
refused:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* A closed handle on top of the stack; one that nobody uses any more may make room for it. */
static struct file *l_new_handle(lua_State *L)
{
	struct life *life = l_life(L);
	struct file *f;

	if (life->nfiles >= LIMIT_SCRIPT_OPEN_FILES)
		l_collect(L);
	f = lua_newuserdatauv(L, sizeof *f, 0);
	*f = (struct file){.life = life};
	luaL_setmetatable(L, LUA_FILEHANDLE);
	return f;
}

/* Takes over fd; -1: errno says why. */
static bool l_adopt(lua_State *L, struct file *f, int fd, const char *mode)
{
	FILE *stream = NULL;
	int saved;

	if (fd >= 0 && f->life->nfiles < LIMIT_SCRIPT_OPEN_FILES)
		stream = fdopen(fd, mode);
	else if (fd >= 0)
		errno = EMFILE;
	saved = errno;
	if (stream == NULL) {
		if (fd >= 0)
			close(fd);
		lua_pop(L, 1);
		errno = saved;
		return false;
	}
	f->stream.f = stream;
	f->stream.closef = l_close_stream;
	f->text = strchr(mode, 'b') == NULL;
	f->next = f->life->files;
	f->link = &f->life->files;
	if (f->next != NULL)
		f->next->link = &f->next;
	f->life->files = f;
	f->life->nfiles++;
	return true;
}

bool l_file_open(lua_State *L, const char *path, const char *mode)
{
	struct file *f = l_new_handle(L); /* first: what is opened after it cannot leak */

	l_charge(L, WORK_SYSCALL);
	return l_adopt(L, f, open_checked(path, mode), mode);
}

bool l_file_open_temporary(lua_State *L, const char *directory)
{
	struct file *f = l_new_handle(L);

	l_charge(L, WORK_SYSCALL);
	return l_adopt(L, f, open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), "w+b");
}

/* ---- methods ---- */

/*** file:close() -> true
 * Closes the file; on failure nil, message and error number. */
int l_file_close(lua_State *L)
{
	l_file(L, 1);
	return l_close_stream(L);
}

/*** file:flush() -> true
 * Writes what is buffered; on failure nil, message and error number. */
static int l_file_flush(lua_State *L)
{
	struct file *f = l_file(L, 1);

	l_charge(L, WORK_SYSCALL);
	return luaL_fileresult(L, fflush(f->stream.f) == 0, NULL);
}

/*** file:lines([format, ...]) -> iterator
 * As in Lua 5.4; without a format line by line. */
static int l_file_lines(lua_State *L)
{
	l_file(L, 1);
	l_file_push_lines(L, false);
	return 1;
}

/*** file:read([format, ...]) -> value, ...
 * As in Lua 5.4: "l" a line, "L" a line with its end, "a" the rest, "n" a number, or a number of
 * bytes; the "*l" of Lua 5.0 works too. In a file opened without "b" the CR of a CR LF is dropped
 * by "l". */
static int l_file_read(lua_State *L)
{
	l_file(L, 1);
	return l_file_read_formats(L, 2);
}

/*** file:seek([whence [, offset]]) -> position
 * As in Lua 5.4: whence is "set", "cur" or "end". */
static int l_file_seek(lua_State *L)
{
	l_charge(L, WORK_SYSCALL);
	l_old_integers(L, 3, 3);
	return l_stock(L, STOCK_FILE_SEEK);
}

/*** file:setvbuf(mode [, size]) -> true
 * As in Lua 5.4: mode is "no", "full" or "line". */
static int l_file_setvbuf(lua_State *L)
{
	l_old_integers(L, 3, 3);
	return l_stock(L, STOCK_FILE_SETVBUF);
}

/*** file:write(value, ...) -> file
 * Writes strings and numbers; on failure nil, message and error number. */
static int l_file_write(lua_State *L)
{
	l_file_charge_write(L, 2);
	return l_stock(L, STOCK_FILE_WRITE);
}

void l_file_charge_write(lua_State *L, int first)
{
	size_t work = 0;

	for (int i = first, last = lua_gettop(L); i <= last; i++)
		work += 1 + l_string_bytes(L, i) / WORK_BYTE;
	l_charge(L, work);
}

static int l_file_tostring(lua_State *L)
{
	const struct file *f = luaL_checkudata(L, 1, LUA_FILEHANDLE);

	if (f->stream.closef == NULL)
		lua_pushliteral(L, "file (closed)");
	else
		lua_pushfstring(L, "file (%p)", (const void *)f->stream.f);
	return 1;
}

static int l_file_gc(lua_State *L)
{
	struct file *f = luaL_checkudata(L, 1, LUA_FILEHANDLE);

	if (f->stream.closef != NULL)
		close_stream(f);
	return 0;
}

const struct library_row file_methods[] = {
    {"close", l_file_close},
    {"flush", l_file_flush},
    {"lines", l_file_lines},
    {"read", l_file_read},
    {"seek", l_file_seek},
    {"setvbuf", l_file_setvbuf},
    {"write", l_file_write},
    {NULL, NULL},
};

void l_file_prepare(lua_State *L)
{
	static const luaL_Reg meta[] = {
	    {"__gc", l_file_gc},
	    {"__close", l_file_gc},
	    {"__tostring", l_file_tostring},
	    {NULL, NULL},
	};

	luaL_newmetatable(L, LUA_FILEHANDLE);
	luaL_setfuncs(L, meta, 0);
	lua_newtable(L);
	for (const struct library_row *row = file_methods; row->name != NULL; row++) {
		lua_pushcfunction(L, row->function);
		lua_setfield(L, -2, row->name);
	}
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0); /* the metatable is of the state: no script may get at it */
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
