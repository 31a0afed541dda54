/* wait.h - private to lua-bindings/: helpers that wait for the network.
 *
 * Such a helper may use what is left of the hook's time but for an eighth, which stays for the
 * script to act on "no answer". Between waiting_enter() and waiting_leave() nothing may raise. */
#pragma once

#include "common/dns.h"
#include "lua-bindings/runtime.h"

/* Milliseconds. */
int wait_ms(lua_State *L);
/* The configuration of the life; NULL in a state without scripts. */
const struct config *wait_config(lua_State *L);
/* Its servers and breaker, or the defaults. options->servers is a copy. */
void wait_dns_options(lua_State *L, struct dns_options *options);
