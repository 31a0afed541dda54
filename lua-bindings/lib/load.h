/* load.h - private to lua-bindings/: turning script text into functions. */
#pragma once

#include "lua-bindings/compat/compat.h"

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

/* Compile n bytes of text, never bytecode. A byte order mark and a first line that begins with #
 * are skipped; a text for an older Lua is rewritten (compat/). Pushes the function and returns
 * LUA_OK, or pushes a message. */
int l_load_text(lua_State *L, const char *text, size_t n, const char *chunkname);
/* The function below the top gets the table on top as its environment; pops the table. */
void l_set_env(lua_State *L);
/* The same for a text that compat_rewrite() has seen. *wrapped: what is pushed has still to go
 * through l_compat_unwrap(). */
int l_load_source(lua_State *L, const char *text, size_t n, const struct compat_source *,
    const char *chunkname, bool *wrapped);
