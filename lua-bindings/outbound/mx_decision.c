/* mx_decision.c - see mx_decision.h. */
#include "lua-bindings/mx_decision.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/local_time.h"
#include "common/provider.h"
#include "common/store/holds.h"
#include "common/store/store_shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The store is asked within half of what is left: the script is to have its turn. */
static int store_ms(const struct mx_case *c)
{
	int64_t left = (c->deadline_ms - clock_ms()) / 2;

	return left > LIMIT_FACTS_MS ? LIMIT_FACTS_MS : left > 0 ? (int)left : 0;
}

void mx_decision_facts(const struct mx_case *c, int64_t *retries, int64_t *size)
{
	const char *url = script_set_config(c->set)->store;
	struct store *store = store_shared_get(url);
	struct store_hop_facts facts = {0};
	enum store_answer answer;

	*retries = *size = 0;
	if (store == NULL)
		return;
	answer = store_facts_hop(store, c->delivery.domain, &facts, store_ms(c));
	store_shared_put(store);
	store_shared_report(url, answer);
	if (answer == STORE_FOUND) {
		*retries = facts.most_retries;
		*size = facts.largest_size;
	}
}

/* ---- holds ---- */

static struct hold_target target_of(
    const struct mx_case *c, const char *host, const char *address, char *provider, size_t size)
{
	return (struct hold_target){.server = host,
	    .address = address,
	    .domain = c->delivery.domain,
	    .provider = provider_of(host, provider, size) ? provider : NULL};
}

bool mx_decision_held(
    const struct mx_case *c, const char *host, const char *address, struct mx_reason *r)
{
	const struct config *cfg = script_set_config(c->set);
	char until[40], provider[LIMIT_DNS_NAME_BYTES + 1] = "";
	const struct hold_target target = target_of(c, host, address, provider, sizeof provider);
	struct held held;

	if (holds_find(cfg->store, &target, cfg->outbound.holds_ms, &held, store_ms(c)) !=
	    STORE_FOUND)
		return false;
	local_time_text(until, held.until_ms);
	r->use = MX_DROP;
	r->until_ms = held.until_ms;
	snprintf(r->why, sizeof r->why, "hold on %s%s%s until %s, by %s: %s",
	    store_dimension_name(held.dimension), held.key[0] != '\0' ? " " : "", held.key, until,
	    held.who, held.reason);
	return true;
}

/* Released by hand for some time: the script is not asked. */
static bool is_exempt(const struct mx_case *c, const char *host, struct mx_reason *r)
{
	char until[40], provider[LIMIT_DNS_NAME_BYTES + 1] = "";
	const struct hold_target target = target_of(c, host, NULL, provider, sizeof provider);
	struct held held;

	if (holds_exempt(script_set_config(c->set)->store, &target, &held) != STORE_FOUND)
		return false;
	local_time_text(until, held.until_ms);
	snprintf(r->why, sizeof r->why,
	    "%s%s%.255s released until %s, by %.255s: CheckServer is not asked",
	    store_dimension_name(held.dimension), held.key[1] != '\0' ? " " : "", held.key + 1,
	    until, held.who);
	return true;
}

static void hold(const struct mx_case *c, const char *host, int64_t hold_ms, struct mx_reason *r)
{
	const struct config *cfg = script_set_config(c->set);
	char until[40];
	struct store_hold h = {.dimension = STORE_SERVER,
	    .key = host,
	    .until_ms = holds_now_ms() + hold_ms,
	    .who = "CheckServer",
	    .reason = r->why};

	r->until_ms = h.until_ms;
	if (script_set_only_looks(c->set))
		return;
	local_time_text(until, h.until_ms);
	if (holds_set(cfg->store, &h, store_ms(c)) == STORE_UNKNOWN)
		log_error(c->id,
		    "%s is held until %s by this process only: the store did not take it", host,
		    until);
	else
		log_info(c->id, "%s is held until %s: %s", host, until, r->why);
}

/* ---- the script ---- */

static void explain(const struct mx_case *c, struct mxserverrules *rules, const char *host,
    const struct mx_usable *u, struct mx_reason *r)
{
	char *where = mxserverrules_where(rules, "CheckServer");

	snprintf(r->why, sizeof r->why, "CheckServer(%s, %s, %lld, %lld) of %s returned %s",
	    c->delivery.domain, host, (long long)c->delivery.retries, (long long)c->delivery.size,
	    where != NULL ? where : "mxserverrules.lua", u->usable ? "true" : "false");
	free(where);
}

static void failed(const struct mx_case *c, struct mx_reason *r)
{
	bool must = mxserverrules_must_fail(c->set);

	r->use = must ? MX_LATER : MX_USE;
	snprintf(r->why, sizeof r->why, "mxserverrules.lua failed, lua.on_error lets mail %s",
	    must ? "wait" : "pass");
}

static void ask(
    const struct mx_case *c, struct mxserverrules *rules, const char *host, struct mx_reason *r)
{
	struct mx_usable u;

	switch (mxserverrules_check_server(rules, host, true, &u)) {
	case MX_NO_OPINION:
		snprintf(r->why, sizeof r->why, "CheckServer has no opinion");
		return;
	case MX_FAILED:
		failed(c, r);
		return;
	case MX_DECIDED:
		break;
	}
	explain(c, rules, host, &u, r);
	if (u.usable)
		return;
	r->use = MX_DROP;
	if (u.hold_ms > 0)
		hold(c, host, u.hold_ms, r);
}

void mx_decide(const struct mx_case *c, const char *host, struct mx_reason *r)
{
	struct mxserverrules *mine = NULL;

	*r = (struct mx_reason){.use = MX_USE, .why = "no CheckServer in mxserverrules.lua"};
	if (mx_decision_held(c, host, NULL, r) || is_exempt(c, host, r) ||
	    !script_set_has_hook(c->set, SCRIPT_MXSERVERRULES, "CheckServer"))
		return;
	if (c->rules != NULL) {
		ask(c, c->rules, host, r);
		return;
	}
	if (mxserverrules_open(c->set, &c->delivery, c->id, c->deadline_ms, &mine) != MX_DECIDED)
		failed(c, r);
	else
		ask(c, mine, host, r);
	mxserverrules_close(mine);
}
