/* file.h - private to lua-bindings/: file handles of scripts.
 *
 * A handle is a luaL_Stream under LUA_FILEHANDLE, so stock methods work on it, and knows the life
 * it belongs to: the end of the life closes it. Only regular files, /dev/null and the random
 * devices are opened: nothing that could block for ever. */
#pragma once

#include "lua-bindings/lib/library.h"

#include <lauxlib.h>
#include <lua.h>

#include <stdbool.h>

struct life;

struct file {
	luaL_Stream stream;
	struct life *life;
	struct file *next;  /* open files of the life */
	struct file **link; /* what points here */
	bool text;	    /* opened without "b": CR LF ends a line as LF does */
};

extern const struct library_row file_methods[];

void l_file_prepare(lua_State *L); /* the metatable, once per state */
void file_close_all(struct life *);

bool file_mode_is_valid(const char *mode);
/* Push a handle for path. False: errno says why and nothing is pushed. */
bool l_file_open(lua_State *L, const char *path, const char *mode);
bool l_file_open_temporary(lua_State *L, const char *directory); /* has no name */
/* The handle at index, open; raises when it is something else or closed. */
struct file *l_file(lua_State *L, int index);

/* file:close() of the handle at stack index 1. */
int l_file_close(lua_State *L);
/* Read by the formats from stack index first to the top, from the handle at index 1. Pushes the
 * results, or nil, message and error number. Returns their number. (file_read.c) */
int l_file_read_formats(lua_State *L, int first);
/* Push an iterator over the lines of the handle at index 1, formats from index 2 to the top; with
 * close the handle is closed at the end of the file. (file_read.c) */
void l_file_push_lines(lua_State *L, bool close);

/* Charge for writing the arguments from index first to the top. */
void l_file_charge_write(lua_State *L, int first);
