/* store_call.h - private to lua-bindings/: one call of the store on behalf of a script.
 *
 *   if (store_call_begin(L, &call)) {             from here on nothing may raise
 *           answer = store_..(call.store, .., store_call_ms(&call));
 *           store_call_end(&call, answer, false);
 *   }
 *
 * It waits no longer than wait_ms() allows, and is one of the bounded number of callbacks that
 * wait. */
#pragma once

#include "common/store.h"

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>

struct store_call {
	struct store *store;
	const char *url;
	int64_t until;
};

/* False: there is no store, no time, or too many wait. Accounts for the work first. */
bool store_call_begin(lua_State *L, struct store_call *);
int store_call_ms(const struct store_call *); /* what is left, at least 0 */
/* The same for what goes on in memory without Redis: a third, so that a script that asks for
 * several limits in a row has its answers in time before the breaker opens. */
int store_call_counter_ms(const struct store_call *);
/* local: the answer is not the store's but the fallback's. */
void store_call_end(struct store_call *, enum store_answer, bool local);
void store_call_drop(struct store_call *); /* it was not asked, or that is not known */

/* What a function gives when the store has no answer: nil and why. */
int l_no_store(lua_State *L, const char *function);
