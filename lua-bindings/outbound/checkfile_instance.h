/* checkfile_instance.h - private to lua-bindings/: a run of CheckFile() in an instance of the
 * caller. */
#pragma once

#include "lua-bindings/checkfile.h"
#include "lua-bindings/instance.h"

/* As checkfile_open(), for an instance of mxout.lua that the caller has opened, and closes. */
struct checkfile_run *checkfile_open_in(
    struct script_set *, struct instance *, enum instance_end opened);
