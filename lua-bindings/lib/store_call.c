/* store_call.c - see store_call.h. */
#include "lua-bindings/lib/store_call.h"

#include "common/clock.h"
#include "common/store/store_shared.h"
#include "common/waiting.h"
#include "lua-bindings/lib/wait.h"
#include "lua-bindings/lib/work.h"

bool store_call_begin(lua_State *L, struct store_call *c)
{
	const struct config *cfg = wait_config(L);

	l_charge(L, 10 * WORK_SYSCALL);
	*c = (struct store_call){.until = clock_ms() + wait_ms(L)};
	if (cfg == NULL || c->until <= clock_ms() || !waiting_enter())
		return false;
	c->url = cfg->store;
	c->store = store_shared_get(c->url);
	if (c->store == NULL)
		waiting_leave();
	return c->store != NULL;
}

int store_call_ms(const struct store_call *c)
{
	int64_t left = c->until - clock_ms();

	return left > 0 ? (int)left : 0;
}

int store_call_counter_ms(const struct store_call *c)
{
	int left = store_call_ms(c);

	return store_sqlite_file(c->store) != NULL ? left : left / 3;
}

void store_call_drop(struct store_call *c)
{
	store_shared_put(c->store);
	waiting_leave();
}

void store_call_end(struct store_call *c, enum store_answer answer, bool local)
{
	store_shared_report(c->url, local ? STORE_UNKNOWN : answer);
	store_call_drop(c);
}

int l_no_store(lua_State *L, const char *function)
{
	lua_pushnil(L);
	lua_pushfstring(L, "%s: the store does not answer", function);
	return 2;
}
