/* script_out.h - private to lua-bindings/: print() and io.write() without a file, to LUA.OUT. */
#pragma once

#include <lua.h>

/* Pop the string on top and send its whole lines; what follows the last line end waits for the rest
 * of its line, or for the end of the life. */
void l_script_out(lua_State *L);
