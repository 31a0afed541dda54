/* convert.h - private to lua-bindings/: values between scripts and the host.
 *
 * Rules of spec: VPOP3's examples write 1 and 0 for booleans, and in Lua 0 is true, so the host
 * converts (nil = not given, numbers by value, "", "0", "false", "no", "off" = false). Numbers may
 * come as numeric strings or integral floats. All functions may raise (l_). */
#pragma once

#include "common/list.h"

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>

enum given { NOT_GIVEN, GIVEN, GIVEN_WRONG }; /* wrong: a type that cannot be converted */

enum given l_to_bool(lua_State *L, int index, bool *out);
enum given l_to_integer(lua_State *L, int index, int64_t *out);
/* The same for what hooks give back: a fraction is cut off, as a host of Lua 5.0 to 5.2 did. */
enum given l_to_whole(lua_State *L, int index, int64_t *out);
/* Strings stay owned by Lua; numbers are converted in place ("5.0" becomes "5"). */
enum given l_to_string(lua_State *L, int index, const char **out, size_t *n);
/* A sequence of strings, or one string (then split at line breaks). Entries of another type, with
 * a zero byte or longer than LIMIT_STRING_FROM_SCRIPT are skipped and make the answer GIVEN_WRONG;
 * so do more than LIMIT_LIST_FROM_SCRIPT entries. Entries are added to what out holds. */
enum given l_to_list(lua_State *L, int index, struct strlist *out);

/* Tables that the host makes can be used as in Lua 5.0: `for k, v in t do`. Their metatables are
 * locked; they are made once per state by l_convert_prepare() (called by l_sandbox_prepare()). */
void l_convert_prepare(lua_State *L);
void l_push_list(lua_State *L, const struct strlist *);
void l_iterable(lua_State *L, int index); /* give the table at index that metatable */
/* The same, and string keys are found, and assigned to, whatever their ASCII case. */
void l_ignore_key_case(lua_State *L, int index);
