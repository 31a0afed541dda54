/* timedexecute.h - private to lua-bindings/: os.timedexecute(), running a program without a shell.
 */
#pragma once

#include <lua.h>

int l_timedexecute(lua_State *L);
