/* compat_help.h - private to lua-bindings/: old scripts while they run. compat/ has their texts. */
#pragma once

#include "lua-bindings/compat/compat.h"

#include <lua.h>

#include <stdbool.h>

/* The setting lua.compat of the set that L runs. */
enum compat_mode l_compat_mode(lua_State *L);
/* The same for runtimes without a set, auto at first. For tests that compare with stock Lua, before
 * they start threads. */
void compat_without_set(enum compat_mode);
/* Is the Lua function that called the running C function in a script found to be old? */
bool l_caller_is_old(lua_State *L);
/* The main function on top is that of an old text that is no file of the set. */
void l_note_old_chunk(lua_State *L);
/* Does the caller write numbers as before Lua 5.3? */
bool l_old_numbers(lua_State *L);
/* The wrapped chunk on top (struct compat_source) becomes the script. */
void l_compat_unwrap(lua_State *L);
/* Is that activation record a function of ours that a rewritten text calls? Messages do not show
 * it. */
bool l_compat_is_helper(lua_State *L, lua_Debug *ar);

/* The number at arg is about to be written as text: 5.0 becomes 5 where the caller is old. */
void l_old_number(lua_State *L, int arg);
/* The number at arg becomes a string, without ".0". */
void l_number_as_text(lua_State *L, int arg);
/* Integers are wanted at the arguments first...last: fractions are cut off, but in mode 5.4. */
void l_old_integers(lua_State *L, int first, int last);
