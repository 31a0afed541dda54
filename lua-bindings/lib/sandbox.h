/* sandbox.h - private to lua-bindings/: which functions a script can reach.
 *
 * A whitelist: libraries are built function by function, nothing is inherited from the stock
 * tables. l_sandbox_prepare() runs once per state (metatables, templates); l_sandbox_open() fills a
 * fresh environment table at the top of the stack for one life; l_sandbox_close() ends the life:
 * its files are closed and nothing refers to its tables any more. What a script does to the tables
 * it got dies with its life (R14).
 *
 * During a life the environment table is also the globals table of the state, so what load()
 * compiles runs in it. Between two lives there is none. */
#pragma once

#include <lua.h>

#include <stdbool.h>

void l_sandbox_prepare(lua_State *L);
/* The environment table is on top and stays there. share: it is certain that the scripts of this
 * life only read the libraries (library_tables.h). */
void l_sandbox_open(lua_State *L, bool share);
void l_sandbox_close(lua_State *L);
/* Name of the i-th table that holds functions, NULL after the last. */
const char *sandbox_library(size_t i);
/* Name of the i-th function or value that stands in no table, NULL after the last. */
const char *sandbox_base(size_t i);

/* Raise when os.setsafety() is in force. function is what the script called, for the message. */
void l_refuse_in_safety_mode(lua_State *L, const char *function);

/* Safety mode until the end of the life: no key ends it. */
void l_sandbox_restrict(lua_State *L);

/* Push a table that names everything a script finds at the start of a life: "string.find" and so
 * on, with the methods of file handles as "file:read". For tests and the function reference. */
void l_sandbox_list(lua_State *L);
