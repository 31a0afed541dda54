/* map_transport.c - see map_transport.h. */
#include "policy/map_transport.h"

#include "common/list.h"
#include "common/own_host.h"
#include "lua-bindings/mx_servers.h"
#include "lua-bindings/profile.h"
#include "lua-bindings/route.h"
#include "policy/answers.h"
#include "policy/routed_ask.h"

#include <stdlib.h>
#include <string.h>

static struct map_answer not_found(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

/* The domain of an address that a script may route; malloc'ed. NULL: none ("*", a local address, an
 * address literal). */
static char *domain_of(const struct map_query *q)
{
	const char *at = strrchr(q->key, '@');
	char *domain;

	if (!(route_wanted(q->set) || profile_wanted(q->set)) || strlen(q->key) != q->key_n ||
	    at == NULL || at[1] == '[')
		return NULL;
	domain = mx_server_host(at + 1);
	if (domain != NULL && own_host_domain(script_set_config(q->set), domain)) {
		free(domain);
		domain = NULL;
	}
	return domain;
}

/* Answers are remembered by domain. */
static struct map_query query_of(const struct map_query *q, const char *domain)
{
	struct map_query by_domain = *q;

	by_domain.key = domain;
	by_domain.key_n = strlen(domain);
	return by_domain;
}

static struct map_answer last(const struct map_query *by_domain)
{
	struct map_answer a;

	if (answers_recall(by_domain, true, &a))
		return a;
	if (!route_wanted(by_domain->set))
		return not_found();
	return (struct map_answer){SOCKETMAP_TEMP, xstrdup("no route in time")};
}

/* The map tls will be asked about the servers only, so what the domain wants must be known first.
 * It waits when it is not; and goes nowhere when it waits. */
static void check_route(
    const struct map_query *q, int number, const char *domain, bool late, struct map_answer *a)
{
	if (a->status != SOCKETMAP_OK || strstr(a->value, ROUTE_NOWHERE) != NULL ||
	    routed_ask_route(q, number, domain, a->value, late))
		return;
	free(a->value);
	*a = (struct map_answer){SOCKETMAP_TEMP, xstrdup("ServerDetails gave no answer")};
}

struct map_answer map_transport_late(const struct map_query *q, int number)
{
	char *domain = domain_of(q);
	struct map_query by_domain;
	struct map_answer a = not_found();

	if (domain != NULL) {
		by_domain = query_of(q, domain);
		a = last(&by_domain);
		check_route(q, number, domain, true, &a);
	}
	free(domain);
	return a;
}

/* What a route comes to. False: the profile is not known, and the answer is without one. */
static bool say(struct mx_case *c, enum route_answer answer, struct route *r, struct map_answer *a)
{
	const struct profile_config *profile = NULL;
	bool known = true;

	*a = not_found();
	if (answer != ROUTE_SERVERS) /* by DNS */
		mx_servers_clear(&r->servers);
	if (r->waits) {
		*a = (struct map_answer){SOCKETMAP_OK, route_wait(c->set)};
		return true;
	}
	if (profile_wanted(c->set))
		known = profile_find(c, &r->servers, &profile);
	if (answer == ROUTE_SERVERS || profile != NULL)
		*a = (struct map_answer){SOCKETMAP_OK,
		    route_transport(profile != NULL ? profile->transport
						    : script_set_config(c->set)->outbound.transport,
			&r->servers)};
	return known;
}

static struct map_answer decide(const struct map_query *by_domain, int number)
{
	const struct config *cfg = script_set_config(by_domain->set);
	struct mx_case c = {.set = by_domain->set,
	    .id = by_domain->id,
	    .deadline_ms = by_domain->deadline_ms,
	    .delivery = {.domain = by_domain->key,
		.connection = number,
		.connection_name = maps_connection_name(by_domain, number)}};
	struct map_answer a;
	struct route r = {0};
	enum route_answer answer = route_find(&c, &r);
	bool routes = route_wanted(by_domain->set);
	bool known = answer != ROUTE_UNKNOWN && (say(&c, answer, &r, &a) || routes);

	if (!known)
		a = last(by_domain);
	/* qmgr(8) asks for each recipient and waits: not for dead name servers each time */
	if (known || !routes)
		answers_note(by_domain, &a, r.may_cache ? cfg->outbound.route_seconds * 1000 : 0);
	route_clear(&r);
	return a;
}

struct map_answer map_transport_answer(const struct map_query *q, int number)
{
	char *domain = domain_of(q);
	struct map_query by_domain;
	struct map_answer a = not_found();

	if (domain != NULL) {
		by_domain = query_of(q, domain);
		if (!answers_recall(&by_domain, false, &a))
			a = decide(&by_domain, number);
		check_route(q, number, domain, false, &a);
	}
	free(domain);
	return a;
}
