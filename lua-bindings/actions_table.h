/* actions_table.h - private to lua-bindings/: the table Actions that a hook gets, changes and
 * should give back. A hook that forgets to return it has changed it all the same [R]. */
#pragma once

#include <lua.h>

#include <stdbool.h>

/* The table on top is complete: it is kept during the call, and can be iterated as in Lua 5.0. */
void l_actions_keep(lua_State *);
/* Puts at `first`, the index of the hook's first result, the table that it got if it gave none.
 * False: it gave something that is no table. */
bool l_actions_returned(lua_State *, int first);
