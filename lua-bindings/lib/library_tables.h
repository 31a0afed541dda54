/* library_tables.h - private to lua-bindings/: the tables string, os, VPOP3 ... of a state.
 *
 * Filling some 250 entries anew is most of what a fresh environment costs (measured: more than a
 * third of a whole SMTP session's Lua time). So the tables serve the next life too when it is
 * certain from the scripts' text that they were only read (compat_leaves_libraries()); otherwise
 * they are dropped, and what a script did to them dies with its life (R14). Looking at the tables
 * would not do: a key that was set and removed again leaves a trace. All functions may raise. */
#pragma once

#include <lua.h>

/* Once per state. At the top is a table of library name -> its functions and values; "_G" are those
 * that stand in the environment itself. Light C functions, strings and numbers only. Pops it. */
void l_library_tables_prepare(lua_State *L);
/* Put everything into the environment at env, and each library into the table package.loaded on
 * top. */
void l_library_tables_open(lua_State *L, int env);
/* The life that is over may have changed them. */
void l_library_tables_drop(lua_State *L);
/* Add the name of every entry ("string.find") to the list at index. */
void l_library_tables_list(lua_State *L, int list);
