/* dry.h - private to lua-bindings/: calls on trial, and calls that only look.
 *
 * l_dry_wrap() puts a switch before every function of the present life that reaches out of the
 * process: files, network, store, programs, waiting. On trial (runtime_set_dry()) such a function
 * does nothing and answers as if nobody could tell ("no answer", "no such setting"); in a call that
 * only looks it does what it does, unless that changes something: then it does nothing and says it
 * was done where scripts ask. Which functions do no harm is the list here, so a new function is on
 * the careful side until somebody decides. For states that are thrown away: what is wrapped stays
 * wrapped. */
#pragma once

#include <lua.h>

void l_dry_wrap(lua_State *L); /* right after runtime_begin(), before any script */
