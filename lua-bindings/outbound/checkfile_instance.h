/* checkfile_instance.h - private to lua-bindings/: a run of CheckFile() in an instance of the
 * caller. */
#pragma once

#include "lua-bindings/checkfile.h"
#include "lua-bindings/instance.h"

/* An l_globals of instance_open(): ConnectionId and ConnectionName where no connection is known
 * yet. */
void l_checkfile_globals(lua_State *L, void *arg);
/* As checkfile_open(), for an instance of mxout.lua that the caller has opened, and closes. */
struct checkfile_run *checkfile_open_in(
    struct script_set *, struct instance *, enum instance_end opened);
