/* map_mx.c - see map_mx.h. */
#include "policy/map_mx.h"

#include "common/clock.h"
#include "common/dns/dns_name.h"
#include "common/list.h"
#include "common/own_host.h"
#include "lua-bindings/mx_decision.h"
#include "policy/delivery.h"
#include "policy/dns_key.h"

#include <stdlib.h>
#include <string.h>

static struct map_answer keep(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

static struct map_answer drop(void)
{
	return (struct map_answer){SOCKETMAP_OK, xstrdup("IGNORE")};
}

/* ---- MX records ---- */

/* What the delivery knows of the messages; the first record asks the store. */
static bool recall_facts(const struct map_query *q, struct mx_delivery *out, bool *stop)
{
	struct delivery *d = delivery_enter(&q->peer);
	bool known = d != NULL && d->facts_known;

	if (known) {
		out->retries = d->retries;
		out->size = d->size;
		*stop = d->stop;
	}
	delivery_leave(d);
	return known;
}

static void note_facts(const struct map_query *q, const struct mx_delivery *in, bool stop)
{
	struct delivery *d = delivery_enter(&q->peer);

	if (d != NULL && d->domain != NULL && strcmp(d->domain, in->domain) == 0) {
		d->facts_known = true;
		d->retries = in->retries;
		d->size = in->size;
		d->stop = stop;
	}
	delivery_leave(d);
}

/* GetOverrides() may say that the domain is to be treated as if it had no servers. Its servers are
 * the business of the map transport. */
static bool says_stop(struct mx_case *c)
{
	struct mx_servers servers = {0};
	bool go_on = true;

	if (c->rules != NULL)
		mxserverrules_overrides(c->rules, &servers, &go_on);
	mx_servers_clear(&servers);
	return !go_on;
}

static void find_facts(const struct map_query *q, struct mx_case *c, bool *stop)
{
	bool overrides = script_set_has_hook(c->set, SCRIPT_MXSERVERRULES, "GetOverrides");

	if (recall_facts(q, &c->delivery, stop))
		return;
	if (script_set_has(c->set, SCRIPT_MXSERVERRULES))
		mx_decision_facts(c, &c->delivery.retries, &c->delivery.size);
	if (overrides)
		mxserverrules_open(c->set, &c->delivery, c->id, c->deadline_ms, &c->rules);
	*stop = overrides && says_stop(c);
	note_facts(q, &c->delivery, *stop);
}

static void note_drop(const struct map_query *q, const char *domain, const char *host)
{
	struct delivery *d = delivery_enter(&q->peer);

	if (d != NULL && d->domain != NULL && strcmp(d->domain, domain) == 0)
		delivery_drop(d, host);
	delivery_leave(d);
}

static struct map_answer decide(const struct map_query *q, struct mx_case *c, const char *host)
{
	struct mx_reason reason;
	bool stop = false;

	find_facts(q, c, &stop);
	if (stop)
		reason = (struct mx_reason){MX_DROP, 0, "GetOverrides returned continue = false"};
	else
		mx_decide(c, host, &reason);
	mxserverrules_close(c->rules);
	log_debug(q->id, "%s, %s: %s: %s", c->delivery.domain, host,
	    reason.use == MX_USE ? "used" : "not used", reason.why);
	switch (reason.use) {
	case MX_USE:
		return keep();
	case MX_LATER:
		return (struct map_answer){SOCKETMAP_TEMP, xstrdup("script failed")};
	case MX_DROP:
		break;
	}
	note_drop(q, c->delivery.domain, host);
	return drop();
}

/* While mail waits because the only server left is this one, the fallback relay is no way out: it
 * would bring the mail back to us. */
static bool is_way_round(
    const struct delivery *d, const struct config *cfg, const struct dns_key *k)
{
	if (d->self != SELF_BEST)
		return false;
	for (size_t i = 0; i < cfg->outbound.fallback_relays.n; i++)
		if (dns_name_same(cfg->outbound.fallback_relays.v[i], k->owner))
			return true;
	return false;
}

static struct map_answer answer_mx(const struct map_query *q, int number, const struct dns_key *k)
{
	struct mx_case c = {.set = q->set,
	    .id = q->id,
	    .deadline_ms = q->deadline_ms,
	    .delivery = {.domain = k->owner,
		.connection = number,
		.connection_name = maps_connection_name(q, number)}};
	struct delivery *d = delivery_enter(&q->peer);
	bool way_round;

	delivery_asks(d, k->owner, k->value);
	way_round = is_way_round(d, script_set_config(q->set), k);
	if (!way_round)
		delivery_mx(d, k->owner, k->value, k->preference);
	delivery_leave(d);
	if (way_round)
		return drop();
	return decide(q, &c, k->value);
}

/* ---- addresses ---- */

/* The hosts of the best preference that is left; none when nothing was dropped. */
static void best_left(const struct delivery *d, struct strlist *out)
{
	unsigned best = UINT32_MAX;

	for (size_t i = 0; i < d->nhosts && d->ndropped > 0; i++)
		if (!d->hosts[i].dropped && d->hosts[i].preference < best)
			best = d->hosts[i].preference;
	for (size_t i = 0; i < d->nhosts && d->ndropped > 0; i++)
		if (!d->hosts[i].dropped && d->hosts[i].preference == best)
			strlist_add(out, d->hosts[i].host);
}

static enum delivery_self find_self(const struct map_query *q, const struct strlist *best)
{
	for (size_t i = 0; i < best->n; i++)
		if (own_host_is(script_set_config(q->set), best->v[i],
			(int)(q->deadline_ms - clock_ms()) / 2))
			return SELF_BEST;
	return SELF_NOT;
}

static void note_self(
    const struct map_query *q, const struct dns_key *k, const char *domain, enum delivery_self self)
{
	struct delivery *d = delivery_enter(&q->peer);

	if (d != NULL && d->domain != NULL && strcmp(d->domain, domain) == 0) {
		d->self = self;
		delivery_asks(d, k->owner, k->value);
	}
	delivery_leave(d);
	if (self == SELF_BEST)
		log_info(q->id,
		    "%s: its better mail servers are held and the next one is this host: the mail "
		    "waits",
		    domain);
}

/* The name of an MX record may be an alias (RFC 2181 10.3 forbids it, but Postfix follows it), so
 * that the record of this host's address has another owner: its address tells. */
static struct map_answer answer_address(const struct map_query *q, const struct dns_key *k)
{
	struct mx_case c = {.set = q->set, .id = q->id, .deadline_ms = q->deadline_ms};
	struct delivery *d = delivery_enter(&q->peer);
	enum delivery_self self = SELF_NOT;
	struct strlist best = STRLIST_INIT;
	struct mx_reason reason;
	struct ip_address ip = {0};
	bool way_round, held;
	char *domain = NULL;

	ip_address_parse(&ip, k->value);
	delivery_asks(d, k->owner, k->value);
	way_round = is_way_round(d, script_set_config(q->set), k);
	if (!way_round &&
	    (delivery_address(d, k->owner, &ip) != NULL ||
		(d->ndropped > 0 && own_host_address(script_set_config(q->set), &ip)))) {
		domain = xstrdup(d->domain);
		self = d->self;
		if (self == SELF_UNKNOWN)
			best_left(d, &best);
	}
	delivery_leave(d);
	if (self == SELF_UNKNOWN) {
		self = find_self(q, &best);
		note_self(q, k, domain, self);
	}
	c.delivery.domain = domain != NULL ? domain : k->owner;
	held = way_round || self == SELF_BEST || mx_decision_held(&c, k->owner, k->value, &reason);
	strlist_clear(&best);
	free(domain);
	return held ? drop() : keep();
}

struct map_answer map_mx_answer(const struct map_query *q, int number)
{
	struct dns_key k;

	if (!maps_need_peer(q) || !dns_key_parse(q->key, q->key_n, &k))
		return keep();
	if (k.type == DNS_KEY_MX)
		return answer_mx(q, number, &k);
	return k.type == DNS_KEY_ADDRESS ? answer_address(q, &k) : keep();
}
