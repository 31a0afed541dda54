/* routed_ask.c - see routed_ask.h. */
#include "policy/routed_ask.h"

#include "common/list.h"
#include "policy/next_hop.h"
#include "policy/wish.h"

#include <stdlib.h>
#include <string.h>

static struct routed_scripts scripts_of(const struct map_query *q, int number)
{
	return (struct routed_scripts){script_set_generation(q->set), number};
}

/* ---- the map transport ---- */

/* The hosts of "smtp:[a.test]:26, b.test": those in brackets. */
static void hosts_of(const char *answer, struct strlist *out)
{
	const char *p = answer + strcspn(answer, ":");

	for (p += *p == ':'; *p != '\0'; p += strspn(p, ", ")) {
		size_t n = strcspn(p, ",");
		char *element = xstrndup(p, n), *server;
		bool host;

		server = next_hop_name(element, &host);
		if (server != NULL && host)
			strlist_add(out, server);
		free(server);
		free(element);
		p += n;
	}
}

static bool ask_route(const struct map_query *q, int number, const char *domain, const char *server)
{
	const struct routed_scripts scripts = scripts_of(q, number);
	struct routed_wish w = {0};
	bool fine;

	if (routed_again(server, domain, &scripts))
		return true;
	/* remembered without a ServerDetails(), too: there may be one soon */
	fine = !wish_wanted(q) || wish_ask(q, domain, server, 0, number, &w);
	if (fine)
		routed_add(server, domain, &scripts, &w);
	routed_wish_clear(&w);
	return fine;
}

bool routed_ask_route(
    const struct map_query *q, int number, const char *domain, const char *answer, bool late)
{
	struct strlist hosts = STRLIST_INIT;
	bool fine = true;

	hosts_of(answer, &hosts);
	for (size_t i = 0; i < hosts.n && fine; i++)
		fine = late ? routed_knows(hosts.v[i], domain)
			    : ask_route(q, number, domain, hosts.v[i]);
	strlist_clear(&hosts);
	return fine;
}

/* ---- the map tls ---- */

/* False: one has no answer that mail must wait for. */
static bool ask_for(const struct map_query *q, int number, const char *server,
    const struct strlist *domains, struct routed_wish *sum, const char **why)
{
	const struct routed_scripts scripts = scripts_of(q, number);
	bool all = true;

	for (size_t i = 0; i < domains->n; i++) {
		struct routed_wish w = {0};
		bool fine = wish_ask(q, domains->v[i], server, 0, number, &w);

		if (routed_told(server, domains->v[i], &scripts, fine ? &w : NULL))
			all = false;
		if (fine && *why == NULL &&
		    !(routed_wish_none(&w) && strcmp(domains->v[i], server) == 0))
			routed_wish_add(sum, &w, why);
		routed_wish_clear(&w);
	}
	return all;
}

bool routed_ask_server(const struct map_query *q, int number, const char *server, bool late,
    struct routed_wish *sum, bool *known)
{
	const struct routed_scripts scripts = scripts_of(q, number);
	struct strlist ask = STRLIST_INIT;
	const char *why;
	bool routed = routed_wishes(server, &scripts, late, sum, &ask, &why);

	*known = routed && (late ? ask.n == 0 : ask_for(q, number, server, &ask, sum, &why)) &&
		 why == NULL;
	if (why != NULL && !late)
		log_error(q->id,
		    "ServerDetails for %s, a server of several domains: %s; their mail waits until "
		    "a script is corrected",
		    server, why);
	strlist_clear(&ask);
	return routed;
}
