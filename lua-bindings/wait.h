/* wait.h - private to lua-bindings/: helpers that wait for the network.
 *
 * Such a helper may use what is left of the hook's time but for an eighth, which stays for the
 * script to act on "no answer". Between waiting_enter() and waiting_leave() nothing may raise. */
#pragma once

#include "lua-bindings/runtime.h"

static inline int wait_ms(lua_State *L)
{
	int left = runtime_left_ms(runtime_of(L));

	return left - left / 8;
}

/* The configuration of the life; NULL in a state without scripts. */
static inline const struct config *wait_config(lua_State *L)
{
	const struct script_set *set = runtime_set(runtime_of(L));

	return set != NULL ? script_set_config(set) : NULL;
}
