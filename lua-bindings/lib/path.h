/* path.h - private to lua-bindings/: file names as scripts write them.
 *
 * A relative name means the script directory (in VPOP3 scripts and their files share the program
 * folder), whatever the working directory of the process is. A name with backslashes and without
 * slashes is taken as Windows wrote it: lists\blocked.txt is lists/blocked.txt. */
#pragma once

#include <lua.h>

/* Push the name at argument arg as a path and return it. Raises when it holds a zero byte. */
const char *l_path(lua_State *L, int arg);
