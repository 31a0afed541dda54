/* load.h - private to lua-bindings/: turning script text into functions. */
#pragma once

#include <lua.h>

#include <stddef.h>

/* Compile n bytes of text, never bytecode. A byte order mark and a first line that begins with #
 * are skipped. Pushes the function and returns LUA_OK, or pushes a message. */
int l_load_text(lua_State *L, const char *text, size_t n, const char *chunkname);
