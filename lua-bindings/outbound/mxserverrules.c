/* mxserverrules.c - see mxserverrules.h. */
#include "lua-bindings/mxserverrules.h"

#include "common/limits.h"
#include "common/list.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/outbound/server_map.h"
#include "lua-bindings/outbound/where.h"

#include <math.h>
#include <stdlib.h>

struct mxserverrules {
	struct instance instance;
	const struct mx_delivery *delivery;
	struct log_id id;

	/* of the call in progress */
	const char *host;
	bool usable;
	struct mx_servers servers;
	bool given; /* a result that is an opinion */
	bool go_on;
	int64_t hold_ms;
};

static void l_globals(lua_State *L, void *arg)
{
	const struct mxserverrules *r = arg;

	l_push_env(L);
	lua_pushinteger(L, r->delivery->connection);
	lua_setfield(L, -2, "ConnectionId");
	lua_pushstring(L, r->delivery->connection_name);
	lua_setfield(L, -2, "ConnectionName");
	lua_pop(L, 1);
}

enum mx_answer mxserverrules_open(struct script_set *set, const struct mx_delivery *delivery,
    const struct log_id *id, int64_t deadline_ms, struct mxserverrules **out)
{
	struct mxserverrules *r = xcalloc(1, sizeof *r);

	*out = NULL;
	r->delivery = delivery;
	if (id != NULL)
		r->id = *id;
	switch (instance_open(
	    &r->instance, set, SCRIPT_MXSERVERRULES, &r->id, deadline_ms, l_globals, r)) {
	case INSTANCE_ABSENT:
		free(r);
		return MX_NO_OPINION;
	case INSTANCE_FAILED:
		free(r);
		return MX_FAILED;
	case INSTANCE_DONE:
		break;
	}
	*out = r;
	return MX_DECIDED;
}

void mxserverrules_close(struct mxserverrules *r)
{
	if (r == NULL)
		return;
	instance_close(&r->instance);
	mx_servers_clear(&r->servers);
	free(r);
}

bool mxserverrules_must_fail(const struct script_set *set)
{
	return instance_must_fail(set);
}

/* ---- arguments and results ---- */

static void l_push_message(lua_State *L, const struct mx_delivery *d)
{
	lua_pushinteger(L, d->retries);
	lua_pushinteger(L, d->size);
}

static int l_domain_args(lua_State *L, void *arg)
{
	const struct mxserverrules *r = arg;

	lua_pushstring(L, r->delivery->domain);
	l_push_message(L, r->delivery);
	return 3;
}

static int l_check_args(lua_State *L, void *arg)
{
	const struct mxserverrules *r = arg;

	lua_pushstring(L, r->delivery->domain);
	lua_pushstring(L, r->host);
	l_push_message(L, r->delivery);
	lua_pushboolean(L, r->usable);
	return 5;
}

static int l_final_args(lua_State *L, void *arg)
{
	const struct mxserverrules *r = arg;

	lua_pushstring(L, r->delivery->domain);
	l_push_server_map(L, &r->servers);
	l_push_message(L, r->delivery);
	return 4;
}

static void l_take_bool(
    lua_State *L, int index, struct instance *in, struct mxserverrules *r, bool *out)
{
	switch (l_to_bool(L, index, out)) {
	case NOT_GIVEN:
		break;
	case GIVEN_WRONG:
		in->wanted = "true or false";
		break;
	case GIVEN:
		r->given = true;
		break;
	}
}

/* Minutes, also parts of one; what is no number, or nothing to wait for, is none. */
static void l_take_minutes(lua_State *L, int index, struct instance *in, struct mxserverrules *r)
{
	int minute_ms = script_set_config(in->set)->outbound.minute_ms;
	double minutes;
	int is_number;

	if (lua_isnil(L, index))
		return;
	minutes = lua_tonumberx(L, index, &is_number);
	if (!is_number || isnan(minutes)) {
		in->wanted = "a number of minutes";
		return;
	}
	if (minutes > LIMIT_HOLD_MINUTES)
		minutes = LIMIT_HOLD_MINUTES;
	r->hold_ms = minutes > 0 ? (int64_t)ceil(minutes * minute_ms) : 0;
}

static void l_cache_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	(void)n;
	lua_settop(L, first);
	l_take_bool(L, first, in, arg, &((struct mxserverrules *)arg)->usable);
}

static void l_check_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct mxserverrules *r = arg;

	(void)n;
	lua_settop(L, first + 1); /* what is missing is nil */
	l_take_bool(L, first, in, r, &r->usable);
	l_take_minutes(L, first + 1, in, r);
}

static void l_map_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct mxserverrules *r = arg;

	(void)n;
	lua_settop(L, first + 1);
	mx_servers_clear(&r->servers);
	if (!l_read_server_map(L, first, &r->servers))
		in->wanted = "a list of servers";
	r->given = r->servers.n > 0;
	if (l_to_bool(L, first + 1, &r->go_on) == GIVEN_WRONG)
		in->wanted = "a list of servers, and true or false";
}

static enum mx_answer call(struct mxserverrules *r, const struct instance_call *c)
{
	r->given = false;
	r->hold_ms = 0;
	r->go_on = true;
	switch (instance_call(&r->instance, c)) {
	case INSTANCE_ABSENT:
		return MX_NO_OPINION;
	case INSTANCE_FAILED:
		return MX_FAILED;
	case INSTANCE_DONE:
		break;
	}
	return r->given ? MX_DECIDED : MX_NO_OPINION;
}

/* ---- the hooks ---- */

bool mxserverrules_may_cache(struct mxserverrules *r)
{
	const struct instance_call c = {"GetCheckCache", l_domain_args, l_cache_results, r};

	r->usable = true;
	return call(r, &c) != MX_DECIDED || r->usable;
}

enum mx_answer mxserverrules_overrides(struct mxserverrules *r, struct mx_servers *out, bool *go_on)
{
	const struct instance_call c = {"GetOverrides", l_domain_args, l_map_results, r};
	enum mx_answer answer;

	mx_servers_clear(&r->servers);
	answer = call(r, &c);
	*go_on = r->go_on;
	if (answer == MX_DECIDED)
		mx_servers_copy(out, &r->servers);
	return answer == MX_NO_OPINION && !r->go_on ? MX_DECIDED : answer;
}

enum mx_answer mxserverrules_check_server(
    struct mxserverrules *r, const char *host, bool usable, struct mx_usable *out)
{
	const struct instance_call c = {"CheckServer", l_check_args, l_check_results, r};
	enum mx_answer answer;

	r->host = host;
	r->usable = usable;
	answer = call(r, &c);
	*out = (struct mx_usable){usable, 0};
	if (answer == MX_DECIDED)
		*out = (struct mx_usable){r->usable, r->usable ? 0 : r->hold_ms};
	return answer;
}

enum mx_answer mxserverrules_final(struct mxserverrules *r, struct mx_servers *servers)
{
	const struct instance_call c = {"FinalOverrides", l_final_args, l_map_results, r};
	enum mx_answer answer;

	mx_servers_copy(&r->servers, servers);
	answer = call(r, &c);
	if (answer == MX_DECIDED)
		mx_servers_copy(servers, &r->servers);
	return answer;
}

char *mxserverrules_where(struct mxserverrules *r, const char *hook)
{
	return instance_where(&r->instance, hook);
}
