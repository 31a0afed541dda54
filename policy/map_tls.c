/* map_tls.c - see map_tls.h. */
#include "policy/map_tls.h"

#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/mx_decision.h"
#include "lua-bindings/mx_lookup.h"
#include "lua-bindings/mxout.h"
#include "lua-bindings/profile.h"
#include "lua-bindings/tls_demand.h"
#include "policy/answers.h"
#include "policy/delivery.h"
#include "policy/next_hop.h"

#include <stdlib.h>
#include <string.h>

/* Postfix asks once per mail server of a delivery, and gets the same answer. */
#define SAME_DELIVERY_MS 1000

static struct map_answer not_found(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

static bool wanted(const struct map_query *q)
{
	return script_set_has_hook(q->set, SCRIPT_MXOUT, "ServerDetails");
}

struct map_answer map_tls_late(const struct map_query *q, int number)
{
	struct map_answer a;

	(void)number;
	if (!wanted(q) || q->key[0] == '.')
		return not_found();
	if (answers_recall(q, true, &a))
		return a;
	return (struct map_answer){SOCKETMAP_TEMP, xstrdup("ServerDetails gave no answer")};
}

/* ---- the servers of the next hop ---- */

/* Those that this delivery has seen. One that is not used now counts too: the answer is remembered,
 * and it may be back before the next one. False: it is about another domain. */
static bool servers_of_delivery(
    const struct map_query *q, const char *domain, struct mx_servers *out, int64_t *size)
{
	struct delivery *d = delivery_enter(&q->peer);
	bool same = d != NULL && d->domain != NULL && strcmp(d->domain, domain) == 0;

	for (size_t i = 0; same && i < d->nhosts; i++)
		mx_servers_add(out, d->hosts[i].host, d->hosts[i].preference, 0);
	if (same)
		*size = d->size;
	delivery_leave(d);
	return same && out->n > 0;
}

static bool find_servers(
    const struct map_query *q, const char *name, bool host, struct mx_servers *out, int64_t *size)
{
	*size = 0;
	if (servers_of_delivery(q, name, out, size) && !host)
		return true;
	mx_servers_clear(out);
	if (host)
		return mx_servers_add(out, name, 0, 0);
	switch (mx_lookup(
	    script_set_config(q->set), name, out, (int)(q->deadline_ms - clock_ms()) / 2)) {
	case DNS_FOUND:
		return true;
	case DNS_ABSENT: /* no server, so no connection: any answer will do */
		return mx_servers_add(out, name, 0, 0);
	case DNS_UNKNOWN:
		break;
	}
	return false;
}

/* ---- demands ---- */

static struct mxout_connection connection_of(
    const struct map_query *q, const char *domain, const char *server, int64_t size, int number)
{
	return (struct mxout_connection){.server = server,
	    .domain = domain,
	    .size = size,
	    .id = number,
	    .name = maps_connection_name(q, number)};
}

static void notice_rest(const struct map_query *q, const struct server_actions *a)
{
	if (profile_needed(a) && profile_matching(script_set_config(q->set), a) == NULL)
		maps_notice(q, "ServerDetails: tryESMTP, HELOname and timeouts take effect where a "
			       "section profile has just these values, and the map transport is "
			       "attached");
}

/* False: not known, or not to be said. */
static bool add_up(const struct map_query *q, const char *domain, const struct mx_servers *servers,
    int64_t size, int number, struct tls_demand *sum)
{
	int bytes = script_set_config(q->set)->outbound.fingerprint_bytes;
	const char *why;

	for (size_t i = 0; i < servers->n; i++) {
		const char *server = servers->v[i].host;
		const struct mxout_connection c = connection_of(q, domain, server, size, number);
		struct server_actions a = {0};
		bool fine =
		    mxout_server_details(q->set, &c, q->id, q->deadline_ms, &a) == MXOUT_DECIDED;

		if (fine)
			notice_rest(q, &a);
		if (fine && !tls_demand_add(sum, server, &a, bytes, &why)) {
			log_error(q->id,
			    "ServerDetails for %s of %s: %s; mail to %s waits until the script is "
			    "corrected",
			    server, domain, why, domain);
			fine = false;
		}
		server_actions_clear(&a);
		if (!fine)
			return false;
	}
	return true;
}

static struct map_answer decide(const struct map_query *q, int number, const char *name, bool host)
{
	struct mx_servers servers = {0};
	struct tls_demand sum = {0};
	struct map_answer a = not_found();
	int64_t size;
	bool known = find_servers(q, name, host, &servers, &size) &&
		     add_up(q, name, &servers, size, number, &sum);

	if (known) {
		a.value = tls_demand_text(&sum);
		a.status = a.value != NULL ? SOCKETMAP_OK : SOCKETMAP_NOTFOUND;
		answers_note(q, &a, SAME_DELIVERY_MS);
	} else {
		a = map_tls_late(q, number);
	}
	mx_servers_clear(&servers);
	tls_demand_clear(&sum);
	return a;
}

static void note_connection(const struct map_query *q, const char *name)
{
	struct delivery *d = delivery_enter(&q->peer);
	struct ip_address ip;

	if (d != NULL && name != NULL && ip_address_parse(&ip, name))
		delivery_literal(d);
	if (d != NULL)
		delivery_connect(d);
	delivery_leave(d);
}

struct map_answer map_tls_answer(const struct map_query *q, int number)
{
	struct map_answer a;
	bool host;
	char *name;

	if (q->key[0] == '.') /* the parent domain: asked when nothing was found */
		return not_found();
	name = strlen(q->key) == q->key_n ? next_hop_name(q->key, &host) : NULL;
	note_connection(q, name);
	if (!wanted(q))
		a = not_found();
	else if (!maps_need_peer(q))
		a = (struct map_answer){SOCKETMAP_TEMP, xstrdup("not on a unix socket")};
	else if (name == NULL)
		a = map_tls_late(q, number);
	else if (!answers_recall(q, false, &a))
		a = decide(q, number, name, host);
	free(name);
	return a;
}

/* ---- after EHLO ---- */

struct map_answer map_ehlo_out_answer(const struct map_query *q, int number)
{
	struct server_actions a = {0};
	struct ip_address remote;
	struct mxout_connection c;
	struct delivery *d;
	const char *known;
	char *server, *domain, *value = NULL;

	if (!ip_address_parse(&remote, q->key) || !maps_need_peer(q))
		return not_found();
	d = delivery_enter(&q->peer);
	known = delivery_remote(d, &remote);
	server = xstrdup(known != NULL ? known : q->key);
	domain = xstrdup(d->domain != NULL ? d->domain : server);
	c = connection_of(q, domain, server, d->size, number);
	delivery_leave(d);
	c.address = q->key;
	if (wanted(q) &&
	    mxout_server_details(q->set, &c, q->id, q->deadline_ms, &a) == MXOUT_DECIDED) {
		const char *tls = tls_demand_without(&a) ? "starttls, " : "";
		const char *dsn = a.allowDSN ? "" : "dsn, ";

		if (*tls != '\0' || *dsn != '\0')
			value = xasprintf("%s%ssilent-discard", tls, dsn);
	}
	server_actions_clear(&a);
	free(server);
	free(domain);
	return (struct map_answer){value != NULL ? SOCKETMAP_OK : SOCKETMAP_NOTFOUND, value};
}
