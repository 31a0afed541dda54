/* sandbox.h - private to lua-bindings/: which functions a script can reach.
 *
 * A whitelist: libraries are built function by function, nothing is inherited from the stock
 * tables. l_sandbox_prepare() runs once per state (metatables, shared C closures);
 * l_sandbox_open() fills a fresh environment table at the top of the stack for one life. What a
 * script does to the tables it got dies with its life (R14). */
#pragma once

#include <lua.h>

void l_sandbox_prepare(lua_State *L);
void l_sandbox_open(lua_State *L); /* environment table on top, stays there */
