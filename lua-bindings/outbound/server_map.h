/* server_map.h - private to lua-bindings/: VPOP3's "DNS server map" as a Lua value.
 *
 * VPOP3 does not document its shape. Read are: a list of texts ("host", "host:port"), a list of
 * tables {server | Server | host | Value = ..., priority | MXPriority = ..., port = ...}, and a
 * table from host to priority. Written are tables {server = ..., priority = ..., port = ...}. */
#pragma once

#include "lua-bindings/mx_servers.h"

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

void l_push_server_map(lua_State *L, const struct mx_servers *);
/* nil and false add nothing. False: something that is no server was in it, and left out. */
bool l_read_server_map(lua_State *L, int index, struct mx_servers *);
