/* owned.h - private to lua-bindings/: C memory that must not be lost when a Lua error is raised.
 *
 * A userdata that scripts never see, zeroed, with a function that frees what it holds: called when
 * it is collected, or before by l_owned_clear(). */
#pragma once

#include <lua.h>

#include <stddef.h>

/* Push one of n bytes. */
void *l_owned(lua_State *L, size_t n, void (*clear)(void *));
void l_owned_clear(lua_State *L, int index); /* now; a second time does nothing */
