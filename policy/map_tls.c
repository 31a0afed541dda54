/* map_tls.c - see map_tls.h. */
#include "policy/map_tls.h"

#include "common/clock.h"
#include "common/dns_host.h"
#include "common/list.h"
#include "lua-bindings/mx_decision.h"
#include "lua-bindings/mx_lookup.h"
#include "lua-bindings/mxout.h"
#include "lua-bindings/tls_demand.h"
#include "policy/answers.h"
#include "policy/delivery.h"
#include "policy/next_hop.h"
#include "policy/routed_ask.h"
#include "policy/wish.h"

#include <stdlib.h>
#include <string.h>

/* Postfix asks once per mail server of a delivery, and gets the same answer. */
#define SAME_DELIVERY_MS 1000
#define ADDRESSES 32 /* of a host that may be the one that is talked to */

static struct map_answer not_found(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

static struct map_answer no_answer(void)
{
	return (struct map_answer){SOCKETMAP_TEMP, xstrdup("ServerDetails gave no answer")};
}

/* NULL: nothing is demanded. */
static struct map_answer answer_of(const struct tls_demand *sum)
{
	char *text = tls_demand_text(sum);

	return (struct map_answer){text != NULL ? SOCKETMAP_OK : SOCKETMAP_NOTFOUND, text};
}

/* False: it is no server of a script's. */
static bool routed_answer(
    const struct map_query *q, int number, const char *server, bool late, struct map_answer *out)
{
	struct routed_wish sum;
	bool known, routed = routed_ask_server(q, number, server, late, &sum, &known);

	if (routed && !known && !late) {
		routed_wish_clear(&sum);
		return routed_answer(q, number, server, true, out);
	}
	if (routed)
		*out = known ? answer_of(&sum.tls) : no_answer();
	routed_wish_clear(&sum);
	return routed;
}

struct map_answer map_tls_late(const struct map_query *q, int number)
{
	struct map_answer a;
	bool host, found;
	char *name;

	if (!wish_wanted(q) || q->key[0] == '.')
		return not_found();
	name = strlen(q->key) == q->key_n ? next_hop_name(q->key, &host) : NULL;
	found = (name != NULL && host && routed_answer(q, number, name, true, &a)) ||
		answers_recall(q, true, &a);
	free(name);
	return found ? a : no_answer();
}

/* ---- the servers of the next hop ---- */

/* Those that this delivery has seen. One that is not used now counts too: the answer is remembered,
 * and it may be back before the next one. False: they may not be all of them. */
static bool servers_of_delivery(
    const struct map_query *q, const char *domain, struct mx_servers *out, int64_t *size)
{
	struct delivery *d = delivery_enter_for(&q->peer, q->question);
	bool same = d != NULL && d->domain != NULL && strcmp(d->domain, domain) == 0;
	bool whole = same && d->whole;

	if (d != NULL && delivery_is_plain(d))
		whole = mx_servers_add(out, domain, 0, 0);
	for (size_t i = 0; same && i < d->nhosts; i++)
		mx_servers_add(out, d->hosts[i].host, d->hosts[i].preference, 0);
	if (same)
		*size = d->size;
	delivery_leave(d);
	return whole;
}

static bool has_server(const struct mx_servers *servers, const char *host)
{
	for (size_t i = 0; i < servers->n; i++)
		if (strcmp(servers->v[i].host, host) == 0)
			return true;
	return false;
}

/* Those of DNS besides. False: not known, or more than can be asked about. */
static bool add_servers_of_dns(const struct map_query *q, const char *name, struct mx_servers *out)
{
	struct mx_servers dns = {0};
	enum dns_status status = mx_lookup(
	    script_set_config(q->set), name, &dns, (int)(q->deadline_ms - clock_ms()) / 2);
	bool known = status == DNS_FOUND && dns.n < LIMIT_MX_SERVERS;

	/* Postfix has seen an address: it is the server itself, unless there are MX records */
	if (status == DNS_ABSENT && out->n == 0)
		known = mx_servers_add(out, name, 0, 0);
	for (size_t i = 0; i < dns.n && known; i++)
		known = has_server(out, dns.v[i].host) ||
			mx_servers_add(out, dns.v[i].host, dns.v[i].priority, 0);
	mx_servers_clear(&dns);
	return known;
}

static bool find_servers(
    const struct map_query *q, const char *name, bool host, struct mx_servers *out, int64_t *size)
{
	*size = 0;
	if (host)
		return mx_servers_add(out, name, 0, 0);
	return servers_of_delivery(q, name, out, size) || add_servers_of_dns(q, name, out);
}

/* ---- demands ---- */

static bool add_up(const struct map_query *q, const char *domain, const struct mx_servers *servers,
    int64_t size, int number, struct routed_wish *sum)
{
	for (size_t i = 0; i < servers->n; i++)
		if (!wish_ask(q, domain, servers->v[i].host, size, number, sum))
			return false;
	return true;
}

static struct map_answer decide(const struct map_query *q, int number, const char *name, bool host)
{
	struct mx_servers servers = {0};
	struct routed_wish sum = {0};
	struct map_answer a;
	int64_t size;
	bool known = find_servers(q, name, host, &servers, &size) &&
		     add_up(q, name, &servers, size, number, &sum);

	if (known) {
		a = answer_of(&sum.tls);
		answers_note(q, &a, SAME_DELIVERY_MS);
	} else {
		a = map_tls_late(q, number);
	}
	mx_servers_clear(&servers);
	routed_wish_clear(&sum);
	return a;
}

void map_tls_heard(const struct map_query *q, int number, struct delivery *d)
{
	bool host;
	char *name = strlen(q->key) == q->key_n ? next_hop_name(q->key, &host) : NULL;
	struct ip_address ip;

	(void)number;
	if (name != NULL && ip_address_parse(&ip, name))
		delivery_literal(d);
	else if (name != NULL)
		delivery_next_hop(d, name, host);
	if (q->key[0] != '.')
		delivery_connect(d);
	free(name);
}

struct map_answer map_tls_answer(const struct map_query *q, int number)
{
	struct map_answer a;
	bool host;
	char *name;

	/* the parent domain is asked about when nothing was found */
	if (q->key[0] == '.' || !wish_wanted(q))
		return not_found();
	if (!maps_need_peer(q))
		return (struct map_answer){SOCKETMAP_TEMP, xstrdup("not on a unix socket")};
	name = strlen(q->key) == q->key_n ? next_hop_name(q->key, &host) : NULL;
	if (name == NULL)
		return map_tls_late(q, number);
	if (!(host && routed_answer(q, number, name, false, &a)) && !answers_recall(q, false, &a))
		a = decide(q, number, name, host);
	free(name);
	return a;
}

/* ---- after EHLO ---- */

void map_ehlo_out_heard(const struct map_query *q, int number, struct delivery *d)
{
	struct ip_address remote;

	(void)number;
	if (ip_address_parse(&remote, q->key))
		delivery_remote(d, &remote);
}

static bool has_own_address(const struct delivery *d, const char *host)
{
	for (size_t i = 0; i < d->naddresses; i++)
		if (strcmp(d->addresses[i].owner, host) == 0)
			return true;
	return false;
}

/* Postfix tells the owner of the address; scripts know the name in the MX record. When that is an
 * alias of the owner, it is a host in use without an address of its own. */
static void find_aliases(const struct delivery *d, const char *owner, struct strlist *out)
{
	bool mx = false;

	for (size_t i = 0; i < d->nhosts && !mx; i++)
		mx = strcmp(d->hosts[i].host, owner) == 0;
	for (size_t i = 0; i < d->nhosts && !mx; i++)
		if (!d->hosts[i].dropped && !has_own_address(d, d->hosts[i].host) &&
		    !strlist_has(out, d->hosts[i].host))
			strlist_add(out, d->hosts[i].host);
}

static bool has_address(const struct map_query *q, const char *host, const struct ip_address *ip)
{
	const struct config *cfg = script_set_config(q->set);
	const struct dns_options options = {.servers = cfg->dns.servers,
	    .breaker_failures = (unsigned)cfg->dns.breaker_failures,
	    .breaker_ms = (unsigned)cfg->dns.breaker_ms};
	struct ip_address found[ADDRESSES];
	size_t n = 0;

	dns_host_find(&options, host, found, ADDRESSES, &n, (int)(q->deadline_ms - clock_ms()) / 4);
	for (size_t i = 0; i < n; i++)
		if (found[i].family == ip->family &&
		    memcmp(found[i].bytes, ip->bytes, sizeof ip->bytes) == 0)
			return true;
	return false;
}

/* Of those, the one with this address; NULL: not known. */
static const char *alias_with(
    const struct map_query *q, const struct strlist *aliases, const struct ip_address *ip)
{
	if (aliases->n == 1)
		return aliases->v[0];
	for (size_t i = 0; i < aliases->n; i++)
		if (has_address(q, aliases->v[i], ip))
			return aliases->v[i];
	return NULL;
}

/* *dsn: hidden; STARTTLS is the business of the map tls then. False: it is no server of a script's.
 */
static bool routed_hides(const struct map_query *q, int number, const char *server, bool *dsn)
{
	struct routed_wish sum;
	bool known, routed = routed_ask_server(q, number, server, true, &sum, &known);

	*dsn = sum.hide_dsn;
	routed_wish_clear(&sum);
	return routed;
}

struct map_answer map_ehlo_out_answer(const struct map_query *q, int number)
{
	struct server_actions a = {0};
	struct ip_address remote;
	struct strlist aliases = STRLIST_INIT;
	const char *known, *alias;
	struct mxout_connection c;
	struct delivery *d;
	bool no_mx, tls = false, dsn = false;
	char *server, *domain, *value = NULL;

	if (!ip_address_parse(&remote, q->key) || !maps_need_peer(q))
		return not_found();
	d = delivery_enter_for(&q->peer, q->question);
	if (d == NULL)
		return not_found();
	known = delivery_host(d);
	server = xstrdup(known != NULL ? known : q->key);
	domain = xstrdup(d->domain != NULL ? d->domain : server);
	find_aliases(d, server, &aliases);
	no_mx = d->domain == NULL;
	c = wish_connection(q, domain, server, d->size, number);
	delivery_leave(d);
	c.address = q->key;
	alias = wish_wanted(q) ? alias_with(q, &aliases, &remote) : NULL;
	if (alias != NULL)
		c.server = alias;
	if (wish_wanted(q) && !(no_mx && routed_hides(q, number, server, &dsn)) &&
	    mxout_server_details(q->set, &c, q->id, q->deadline_ms, &a) == MXOUT_DECIDED) {
		tls = tls_demand_without(&a);
		dsn = !a.allowDSN;
	}
	if (tls || dsn)
		value =
		    xasprintf("%s%ssilent-discard", tls ? "starttls, " : "", dsn ? "dsn, " : "");
	server_actions_clear(&a);
	strlist_clear(&aliases);
	free(server);
	free(domain);
	return (struct map_answer){value != NULL ? SOCKETMAP_OK : SOCKETMAP_NOTFOUND, value};
}
