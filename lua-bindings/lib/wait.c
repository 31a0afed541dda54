/* wait.c - see wait.h. */
#include "lua-bindings/lib/wait.h"

/* for a state without a configuration */
#define BREAKER_FAILURES 5
#define BREAKER_MS 10000

int wait_ms(lua_State *L)
{
	int left = runtime_left_ms(runtime_of(L));

	return left - left / 8;
}

const struct config *wait_config(lua_State *L)
{
	const struct script_set *set = runtime_set(runtime_of(L));

	return set != NULL ? script_set_config(set) : NULL;
}

void wait_dns_options(lua_State *L, struct dns_options *options)
{
	const struct config *cfg = wait_config(L);

	options->breaker_failures =
	    cfg != NULL ? (unsigned)cfg->dns.breaker_failures : BREAKER_FAILURES;
	options->breaker_ms = cfg != NULL ? (unsigned)cfg->dns.breaker_ms : BREAKER_MS;
	if (cfg != NULL)
		strlist_copy(&options->servers, &cfg->dns.servers);
}
