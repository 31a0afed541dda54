/* route.h - where mail for a domain goes: GetOverrides(), DNS, CheckServer(), FinalOverrides().
 *
 * For the map `transport` and for `mailhooks route`. Thread-safe; ends at the deadline. */
#pragma once

#include "common/list.h"
#include "lua-bindings/mx_decision.h"
#include "lua-bindings/mx_servers.h"

#include <stdbool.h>

enum route_answer {
	ROUTE_MTA,     /* as the MTA does it: no script, no other opinion, or all servers held */
	ROUTE_SERVERS, /* by these servers, in this order */
	ROUTE_NONE,    /* continue = false: as if the domain had no servers */
	ROUTE_HELD,    /* no server may be used now; only with .alone */
	ROUTE_UNKNOWN, /* the script failed, or DNS does not answer */
};

struct route {
	struct mx_servers servers;
	bool may_cache; /* GetCheckCache() */
	bool waits;	/* ROUTE_SERVERS: none of them may be used now; and with ROUTE_NONE */
	bool no_mx;	/* DNS was asked, and the domain is its own server */
	/* Set by the caller: the MTA asks nobody about single servers afterwards (Sendmail), so
	 * holds and CheckServer() decide here, also without a script that routes, and the caller
	 * has filled in retries and size. */
	bool alone;
	struct strlist *story; /* NULL, or what happened, line by line, for people */
};

/* Do scripts route at all? */
bool route_wanted(const struct script_set *);
/* c->delivery.domain, in lower case; its facts are filled in. Free *r with route_clear(). */
enum route_answer route_find(struct mx_case *c, struct route *r);
void route_clear(struct route *);
/* The next hop of mail that waits: an address, so that DNS is not asked about a domain or a server,
 * which it may not have, and the mail would be returned. The service that gets it connects to
 * nothing; and this one (RFC 7600) is nobody's. */
#define ROUTE_NOWHERE "[192.0.0.8]"
/* "mailhooks-wait:[192.0.0.8]", malloc'ed. */
char *route_wait(const struct script_set *);
/* "smtp:[a.test]:25, [b.test]", malloc'ed; no servers: "smtp:", by DNS. */
char *route_transport(const char *transport, const struct mx_servers *);
