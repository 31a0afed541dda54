/* header_data.h - private to lua-bindings/: HeaderData of CheckFile(). */
#pragma once

#include "common/list.h"

#include <lua.h>

/* Push a table from field name to value, found in any case; unfolded; of repeated fields the last.
 * Linear in the number of lines, which the sender of the message chooses. */
void l_push_header_data(lua_State *L, const struct strlist *lines);
