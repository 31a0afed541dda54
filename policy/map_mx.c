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

/* ---- MX records ---- */

/* What the delivery knows of the messages; the first record asks the store. */
static bool recall_facts(const struct map_query *q, struct mx_delivery *out, bool *stop)
{
	struct delivery *d = delivery_enter_for(&q->peer, q->question);
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
	struct delivery *d = delivery_enter_for(&q->peer, q->question);

	if (d != NULL) {
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

static void note_use(const struct map_query *q, const char *host, bool drop)
{
	struct delivery *d = delivery_enter_for(&q->peer, q->question);

	if (d != NULL && drop)
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
	note_use(q, host, reason.use == MX_DROP);
	if (reason.use == MX_LATER)
		return (struct map_answer){SOCKETMAP_TEMP, xstrdup("script failed")};
	return reason.use == MX_DROP ? drop() : keep();
}

static struct map_answer answer_mx(const struct map_query *q, int number, const struct dns_key *k)
{
	struct mx_case c = {.set = q->set,
	    .id = q->id,
	    .deadline_ms = q->deadline_ms,
	    .delivery = {.domain = k->owner,
		.connection = number,
		.connection_name = maps_connection_name(q, number)}};
	struct delivery *d = delivery_enter_for(&q->peer, q->question);
	bool way_round = d != NULL && is_way_round(d, script_set_config(q->set), k);

	delivery_leave(d);
	return way_round ? drop() : decide(q, &c, k->value);
}

static struct map_answer late_mx(const struct map_query *q, const struct dns_key *k)
{
	struct delivery *d = delivery_enter(&q->peer);
	bool way_round = is_way_round(d, script_set_config(q->set), k);

	if (!way_round)
		delivery_keep(d, k->value); /* whatever a worker has noted at the last moment */
	delivery_leave(d);
	return way_round ? drop() : keep();
}

static void hear_mx(const struct map_query *q, struct delivery *d, const struct dns_key *k)
{
	delivery_asks(d, k->owner, k->value);
	if (!is_way_round(d, script_set_config(q->set), k))
		delivery_mx(d, k->owner, k->value, k->preference);
}

/* ---- addresses ---- */

/* An address record, seen from its delivery. */
struct left {
	char *domain; /* NULL: without MX records */
	bool mx;      /* one of them names the owner */
	bool ours;    /* an address of this host */
	bool drop;    /* this host is the best one left, or it is a way round to it */
	bool begun;   /* ... and this is the first record since that is known */
	bool open;    /* that is not known */
	/* only when it is open: */
	struct strlist best; /* the hosts of the best preference that is left */
	bool reached;	     /* one of the best has an address, as far as its own name tells */
};

static void find_best(const struct delivery *d, struct strlist *out)
{
	unsigned best = UINT32_MAX;

	for (size_t i = 0; i < d->nhosts; i++)
		if (!d->hosts[i].dropped && d->hosts[i].preference < best)
			best = d->hosts[i].preference;
	for (size_t i = 0; i < d->nhosts; i++)
		if (!d->hosts[i].dropped && d->hosts[i].preference == best)
			strlist_add(out, d->hosts[i].host);
}

static bool is_mx_host(const struct delivery *d, const char *name)
{
	for (size_t i = 0; i < d->nhosts; i++)
		if (strcmp(d->hosts[i].host, name) == 0)
			return true;
	return false;
}

static bool is_shown(const struct delivery *d, const char *host)
{
	for (size_t i = 0; i < d->naddresses; i++)
		if (strcmp(d->addresses[i].owner, host) == 0)
			return true;
	return false;
}

/* How many names besides the MX hosts and this one have shown an address? */
static size_t count_others(const struct delivery *d, const char *owner)
{
	struct strlist others = STRLIST_INIT;
	size_t n;

	for (size_t i = 0; i < d->naddresses; i++) {
		const char *name = d->addresses[i].owner;

		if (strcmp(name, owner) != 0 && !is_mx_host(d, name) && !strlist_has(&others, name))
			strlist_add(&others, name);
	}
	n = others.n;
	strlist_clear(&others);
	return n;
}

/* May a name that is no MX host's be the true name of one that is an alias? Of one, then, that has
 * shown no address of its own, nor has one that is asked about after it: Postfix goes by their
 * preferences. As many as there are other names have had their turn. */
static bool may_be_alias(const struct delivery *d, const char *owner)
{
	unsigned reached = 0;
	size_t silent = 0;
	bool ahead = false;

	for (size_t i = 0; i < d->nhosts; i++)
		if (d->hosts[i].preference > reached && is_shown(d, d->hosts[i].host))
			reached = d->hosts[i].preference;
	for (size_t i = 0; i < d->nhosts; i++)
		if (!d->hosts[i].dropped && !is_shown(d, d->hosts[i].host)) {
			silent++;
			ahead = ahead || d->hosts[i].preference >= reached;
		}
	return ahead && silent > count_others(d, owner);
}

/* The name of an MX record may be an alias (RFC 2181 10.3 forbids it, but Postfix follows it), so
 * that the record of this host's address has another owner: its address tells. A delivery that is
 * not whole may have lost a server without our knowing. */
static void look(
    const struct map_query *q, const struct delivery *d, const struct dns_key *k, struct left *l)
{
	const struct config *cfg = script_set_config(q->set);
	struct ip_address ip = {0};

	*l = (struct left){.mx = is_mx_host(d, k->owner), .drop = is_way_round(d, cfg, k)};
	if (d->domain == NULL)
		return;
	l->domain = xstrdup(d->domain);
	if (d->self == SELF_NOT || (d->self == SELF_UNKNOWN && d->ndropped == 0 && d->whole))
		return;
	ip_address_parse(&ip, k->value);
	l->ours = own_host_address(cfg, &ip);
	if (!l->mx && !l->ours && !(d->self == SELF_BEST && may_be_alias(d, k->owner)))
		return; /* of the next delivery, or of a better host */
	l->drop = d->self == SELF_BEST;
	l->begun = l->drop && d->asked.n == 1;
	l->open = !l->drop;
	if (!l->open)
		return;
	find_best(d, &l->best);
	for (size_t i = 0; i < d->naddresses; i++)
		l->reached = l->reached || strlist_has(&l->best, d->addresses[i].owner);
}

static void left_clear(struct left *l)
{
	free(l->domain);
	strlist_clear(&l->best);
}

static enum delivery_self ask_dns(const struct map_query *q, const struct left *l)
{
	enum delivery_self self = SELF_NOT;

	for (size_t i = 0; i < l->best.n; i++)
		switch (own_host_is(script_set_config(q->set), l->best.v[i],
		    (int)(q->deadline_ms - clock_ms()) / 2)) {
		case OWN_HOST_YES:
			return SELF_BEST;
		case OWN_HOST_UNKNOWN:
			self = SELF_UNKNOWN;
			break;
		case OWN_HOST_NO:
			break;
		}
	return self;
}

/* Without an answer of DNS: what might be this host, or come behind it, is not used. The former is
 * an address of ours whose owner may be one of the best under another name; the latter one that
 * comes when none of the best has shown an address of others. */
static bool may_be_we(const struct left *l)
{
	return (l->ours && !l->mx) || !l->reached;
}

static void note_self(
    struct delivery *d, const struct dns_key *k, struct left *l, enum delivery_self self)
{
	l->drop = self == SELF_BEST;
	if (d == NULL || self == SELF_UNKNOWN)
		return;
	d->self = self;
	delivery_asks(d, k->owner, k->value);
	l->begun = l->drop;
}

static struct map_answer wait_here(const struct map_query *q, const struct left *l)
{
	if (l->begun)
		log_info(q->id,
		    "%s: its better mail servers are held and the next one is this host: the mail "
		    "waits",
		    l->domain);
	return drop();
}

static struct map_answer answer_address(
    const struct map_query *q, int number, const struct dns_key *k)
{
	struct mx_case c = {.set = q->set, .id = q->id, .deadline_ms = q->deadline_ms};
	struct delivery *d = delivery_enter_for(&q->peer, q->question);
	enum delivery_self self;
	struct mx_reason reason;
	struct map_answer a;
	struct left l;

	(void)number;
	if (d == NULL)
		return keep();
	look(q, d, k, &l);
	delivery_leave(d);
	if (l.open) {
		self = ask_dns(q, &l);
		if (self == SELF_UNKNOWN && may_be_we(&l))
			self = SELF_BEST;
		d = delivery_enter_for(&q->peer, q->question);
		note_self(d, k, &l, self);
		delivery_leave(d);
	}
	c.delivery.domain = l.mx ? l.domain : k->owner;
	if (l.drop)
		a = wait_here(q, &l);
	else
		a = mx_decision_held(&c, k->owner, k->value, &reason) ? drop() : keep();
	left_clear(&l);
	return a;
}

static struct map_answer late_address(const struct map_query *q, const struct dns_key *k)
{
	struct delivery *d = delivery_enter(&q->peer);
	struct map_answer a;
	struct left l;

	look(q, d, k, &l);
	if (l.open && may_be_we(&l))
		note_self(d, k, &l, SELF_BEST);
	delivery_leave(d);
	a = l.drop ? wait_here(q, &l) : keep();
	left_clear(&l);
	return a;
}

static void hear_address(const struct map_query *q, struct delivery *d, const struct dns_key *k)
{
	struct ip_address ip = {0};
	struct left l;

	ip_address_parse(&ip, k->value);
	delivery_asks(d, k->owner, k->value);
	if (is_way_round(d, script_set_config(q->set), k))
		return;
	delivery_address(d, k->owner, &ip);
	look(q, d, k, &l);
	if (l.open && l.ours && strlist_has(&l.best, k->owner))
		note_self(d, k, &l, SELF_BEST);
	left_clear(&l);
}

/* ---- the map ---- */

static const struct by_type {
	struct map_answer (*answer)(const struct map_query *, int number, const struct dns_key *);
	struct map_answer (*late)(const struct map_query *, const struct dns_key *);
	void (*heard)(const struct map_query *, struct delivery *, const struct dns_key *);
} by_type[] = {
    [DNS_KEY_MX] = {answer_mx, late_mx, hear_mx},
    [DNS_KEY_ADDRESS] = {answer_address, late_address, hear_address},
};

/* NULL: a record that is left alone. */
static const struct by_type *find_type(const struct map_query *q, struct dns_key *k)
{
	bool known = dns_key_parse(q->key, q->key_n, k) && k->type != DNS_KEY_OTHER;

	return known ? &by_type[k->type] : NULL;
}

struct map_answer map_mx_answer(const struct map_query *q, int number)
{
	struct dns_key k;
	const struct by_type *t = maps_need_peer(q) ? find_type(q, &k) : NULL;

	return t != NULL ? t->answer(q, number, &k) : keep();
}

struct map_answer map_mx_late(const struct map_query *q, int number)
{
	struct dns_key k;
	const struct by_type *t = q->peer.pid != 0 ? find_type(q, &k) : NULL;

	(void)number;
	return t != NULL ? t->late(q, &k) : keep();
}

void map_mx_heard(const struct map_query *q, int number, struct delivery *d)
{
	struct dns_key k;
	const struct by_type *t = find_type(q, &k);

	(void)number;
	if (t != NULL)
		t->heard(q, d, &k);
}
