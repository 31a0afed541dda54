/* library_tables.h - private to lua-bindings/: the tables string, os, VPOP3 ... of a state.
 *
 * Filling some 250 entries anew is most of what a fresh environment costs (measured: more than a
 * third of a whole SMTP session's Lua time). So one set of tables serves all lives of a state when
 * it is certain from the scripts' text that they only read them (compat_leaves_libraries()): they
 * then stand behind the environment, as the __index of its metatable, which such scripts cannot
 * see. Otherwise each life gets tables of its own, and what a script did to them dies with it
 * (R14). Looking at the tables would not do: a key that was set and removed again leaves a trace.
 * All functions may raise. */
#pragma once

#include <lua.h>

#include <stdbool.h>

/* Once per state. At the top is a table of library name -> its functions and values; "_G" are those
 * that stand in the environment itself. Light C functions, strings and numbers only. Pops it. */
void l_library_tables_prepare(lua_State *L);
/* Put everything into the environment at env, and each library into the table package.loaded on
 * top. */
void l_library_tables_open(lua_State *L, int env);
/* Put everything behind the environment at env. True: the tables are new ones. */
bool l_library_tables_share(lua_State *L, int env);
/* The next l_library_tables_share() makes new ones. */
void l_library_tables_unshare(lua_State *L);
/* Add the name of every entry ("string.find") to the list at index. */
void l_library_tables_list(lua_State *L, int list);
