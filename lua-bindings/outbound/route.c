/* route.c - see route.h. */
#include "lua-bindings/route.h"

#include "common/clock.h"
#include "common/own_host.h"
#include "lua-bindings/mx_lookup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(struct route *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct route *r, const char *fmt, ...)
{
	char line[2000];
	va_list ap;

	if (r->story == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	strlist_add(r->story, line);
}

bool route_wanted(const struct script_set *set)
{
	return script_set_has_hook(set, SCRIPT_MXSERVERRULES, "GetOverrides") ||
	       script_set_has_hook(set, SCRIPT_MXSERVERRULES, "FinalOverrides");
}

void route_clear(struct route *r)
{
	mx_servers_clear(&r->servers);
}

char *route_wait(const struct script_set *set)
{
	return xasprintf("%s:" ROUTE_NOWHERE, script_set_config(set)->outbound.wait_transport);
}

char *route_transport(const char *transport, const struct mx_servers *servers)
{
	char *out = xasprintf("%s:", transport);

	for (size_t i = 0; i < servers->n; i++) {
		const struct mx_server *s = &servers->v[i];
		char port[10] = "", *longer;

		if (s->port != 0)
			snprintf(port, sizeof port, ":%u", s->port);
		longer = xasprintf("%s%s[%s]%s", out, i > 0 ? ", " : "", s->host, port);
		free(out);
		out = longer;
	}
	return out;
}

static void tell_where(struct mx_case *c, struct route *r, const char *hook, const char *what)
{
	char *where = c->rules != NULL ? mxserverrules_where(c->rules, hook) : NULL;

	if (where != NULL)
		tell(r, "%s (%s): %s", hook, where, what);
	free(where);
}

static void tell_servers(struct mx_case *c, struct route *r, const char *hook)
{
	char *list = route_transport(script_set_config(c->set)->outbound.transport, &r->servers);

	tell_where(c, r, hook, list);
	free(list);
}

/* ---- the servers to begin with ---- */

static enum own_host is_ours(const struct mx_case *c, const char *host)
{
	return own_host_is(script_set_config(c->set), host, (int)(c->deadline_ms - clock_ms()) / 2);
}

/* A backup host sends to better servers only, or mail would go in a circle. By our names only: the
 * addresses count when a route differs from DNS (cut_route()). */
static void cut_at_ours(const struct config *cfg, struct mx_servers *servers)
{
	struct mx_servers better = {0};
	size_t ours = 0;

	while (ours < servers->n && !own_host_name(cfg, servers->v[ours].host))
		ours++;
	if (ours == servers->n)
		return;
	for (size_t i = 0; i < ours; i++) {
		const struct mx_server *s = &servers->v[i];

		if (s->priority < servers->v[ours].priority)
			mx_servers_add(&better, s->host, s->priority, s->port);
	}
	mx_servers_copy(servers, &better);
	mx_servers_clear(&better);
}

/* The answer, if there is one already; else ROUTE_SERVERS with the servers of DNS. */
static enum route_answer from_dns(struct mx_case *c, struct route *r)
{
	const struct config *cfg = script_set_config(c->set);
	int ms = (int)(c->deadline_ms - clock_ms()) / 2;

	switch (mx_lookup_records(cfg, c->delivery.domain, &r->servers, ms, &r->no_mx)) {
	case DNS_FOUND:
		break;
	case DNS_ABSENT:
		tell(r, "DNS: no server for this domain");
		return ROUTE_SERVERS; /* FinalOverrides() may know one */
	case DNS_UNKNOWN:
		tell(r, "DNS: no answer");
		return ROUTE_UNKNOWN;
	}
	cut_at_ours(cfg, &r->servers);
	if (r->servers.n > 0 && is_ours(c, r->servers.v[0].host) != OWN_HOST_YES)
		return ROUTE_SERVERS;
	tell(r, "DNS: this host is the best server");
	return ROUTE_MTA;
}

/* What a hook that did not answer leads to: one that failed counts as absent with lua.on_error =
 * accept, but of one that was late nobody knows what it would have said. */
static bool is_unknown(const struct mx_case *c)
{
	return mxserverrules_must_fail(c->set) || clock_ms() >= c->deadline_ms;
}

/* *own: they are the script's. */
static enum route_answer begin(struct mx_case *c, struct route *r, bool *own)
{
	bool go_on = true;
	enum mx_answer answer = MX_NO_OPINION;

	if (c->rules != NULL)
		answer = mxserverrules_overrides(c->rules, &r->servers, &go_on);
	*own = answer == MX_DECIDED && r->servers.n > 0;
	if (answer == MX_FAILED && is_unknown(c))
		return ROUTE_UNKNOWN;
	if (!go_on) {
		tell_where(c, r, "GetOverrides", "continue = false");
		if (*own)
			log_warn(c->id,
			    "GetOverrides: servers for %s, and continue = false: as if it had no "
			    "servers",
			    c->delivery.domain);
		mx_servers_clear(&r->servers);
		r->waits = true;
		return ROUTE_NONE;
	}
	if (*own) {
		tell_servers(c, r, "GetOverrides");
		return ROUTE_SERVERS;
	}
	/* the map mx will ask CheckServer() about each, so recipients need not wait for DNS here */
	if (!r->alone && !script_set_has_hook(c->set, SCRIPT_MXSERVERRULES, "FinalOverrides")) {
		tell(r, "GetOverrides: no servers of its own, so those of DNS");
		return ROUTE_MTA;
	}
	return from_dns(c, r);
}

/* ---- which of them may be used ---- */

/* False: not known. */
static bool keep_usable(const struct mx_case *c, struct route *r)
{
	struct mx_servers usable = {0};
	bool known = true;

	for (size_t i = 0; i < r->servers.n && known; i++) {
		const struct mx_server *s = &r->servers.v[i];
		struct mx_reason reason;

		mx_decide(c, s->host, &reason);
		tell(r, "%s: %s: %s", s->host, reason.use == MX_USE ? "used" : "not used",
		    reason.why);
		known = reason.use != MX_LATER;
		if (reason.use == MX_USE)
			mx_servers_add(&usable, s->host, s->priority, s->port);
	}
	mx_servers_copy(&r->servers, &usable);
	mx_servers_clear(&usable);
	return known;
}

/* FinalOverrides() has the last word about servers, but not about holds: on its servers, nor on the
 * domain, which nobody knows any more when Postfix asks about `[server]`. False: that left none. */
static bool keep_unheld(const struct mx_case *c, struct route *r)
{
	struct mx_servers usable = {0};
	bool any = r->servers.n == 0;

	for (size_t i = 0; i < r->servers.n; i++) {
		const struct mx_server *s = &r->servers.v[i];
		struct mx_reason reason;

		if (mx_decision_held(c, s->host, NULL, &reason))
			tell(r, "%s: not used: %s", s->host, reason.why);
		else
			mx_servers_add(&usable, s->host, s->priority, s->port);
	}
	any |= usable.n > 0;
	mx_servers_copy(&r->servers, &usable);
	mx_servers_clear(&usable);
	return any;
}

/* ---- the whole ---- */

/* The first that is this host; when none is for certain, the first that may be. */
static const struct mx_server *find_ours(const struct mx_case *c, const struct mx_servers *dns)
{
	const struct mx_server *maybe = NULL;

	for (size_t i = 0; i < dns->n; i++)
		switch (is_ours(c, dns->v[i].host)) {
		case OWN_HOST_YES:
			return &dns->v[i];
		case OWN_HOST_UNKNOWN:
			maybe = maybe != NULL ? maybe : &dns->v[i];
			break;
		case OWN_HOST_NO:
			break;
		}
	return maybe;
}

/* The MTA does not look for itself in a list that it is given. */
static void cut_route(const struct mx_case *c, struct route *r, const struct mx_servers *dns)
{
	const struct mx_server *ours = find_ours(c, dns);
	struct mx_servers better = {0};

	if (ours == NULL)
		return;
	for (size_t i = 0; i < r->servers.n; i++) {
		const struct mx_server *s = &r->servers.v[i];
		size_t k = 0;

		while (k < dns->n && strcmp(dns->v[k].host, s->host) != 0)
			k++;
		if (k == dns->n || dns->v[k].priority < ours->priority)
			mx_servers_add(&better, s->host, s->priority, s->port);
	}
	tell(r, "%s is this host, as far as is known: only better servers are used", ours->host);
	mx_servers_copy(&r->servers, &better);
	mx_servers_clear(&better);
}

/* None is left. The map mx sees to it that mail waits for the servers of MX records; own: named by
 * a script. */
static enum route_answer wait_for(struct route *r, const struct mx_servers *named, bool own)
{
	if (r->alone)
		return own || named->n > 0 ? ROUTE_HELD : ROUTE_MTA;
	if (!own && !r->no_mx)
		return ROUTE_MTA;
	tell(r, "none of them may be used now");
	mx_servers_copy(&r->servers, named);
	r->waits = true;
	return ROUTE_SERVERS;
}

/* named: what was there before some of them were left out; own: by a script. */
static enum route_answer finish(
    struct mx_case *c, struct route *r, const struct mx_servers *named, bool own)
{
	enum mx_answer answer = MX_NO_OPINION;

	if (c->rules != NULL)
		answer = mxserverrules_final(c->rules, &r->servers);
	if (answer == MX_FAILED && is_unknown(c))
		return ROUTE_UNKNOWN;
	if (answer == MX_DECIDED) {
		tell_servers(c, r, "FinalOverrides");
		own |= !keep_unheld(c, r);
	}
	if (!own && r->servers.n > 0) {
		if (mx_servers_same(&r->servers, named))
			return ROUTE_MTA;
		cut_route(c, r, named);
	}
	return r->servers.n > 0 ? ROUTE_SERVERS : wait_for(r, named, own);
}

static enum route_answer find(struct mx_case *c, struct route *r)
{
	struct mx_servers named = {0};
	bool own;
	enum route_answer answer;

	r->may_cache = c->rules == NULL || mxserverrules_may_cache(c->rules);
	answer = begin(c, r, &own);
	if (answer != ROUTE_SERVERS)
		return answer;
	mx_servers_copy(&named, &r->servers);
	answer = keep_usable(c, r) ? finish(c, r, &named, own) : ROUTE_UNKNOWN;
	mx_servers_clear(&named);
	return answer;
}

enum route_answer route_find(struct mx_case *c, struct route *r)
{
	enum route_answer answer;

	mx_servers_clear(&r->servers);
	r->may_cache = true;
	r->waits = r->no_mx = false;
	if (!r->alone && !route_wanted(c->set))
		return ROUTE_MTA;
	if (!r->alone)
		mx_decision_facts(c, &c->delivery.retries, &c->delivery.size);
	if (mxserverrules_open(c->set, &c->delivery, c->id, c->deadline_ms, &c->rules) == MX_FAILED)
		return is_unknown(c) ? ROUTE_UNKNOWN : ROUTE_MTA;
	answer = find(c, r);
	mxserverrules_close(c->rules);
	c->rules = NULL;
	return answer;
}
