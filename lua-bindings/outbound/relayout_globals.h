/* relayout_globals.h - private to lua-bindings/: the global variables of relayout.lua, for its two
 * bindings (relayout.c before a message is sent, mxout.c during the dialogue). */
#pragma once

#include "lua-bindings/relayout.h"

#include <lua.h>

/* connected: ConnectedServer, NULL = not connected yet. */
void l_relayout_globals(lua_State *L, const struct sender_config *,
    const struct relayout_properties *, const char *connected);
/* What stands in the configuration. */
struct relayout_properties relayout_configured(const struct config *, const struct sender_config *);
