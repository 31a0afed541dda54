/* routed_ask.h - what ServerDetails() wants where scripts name the servers.
 *
 * The map transport asks about a domain before it sends it to a server, so that a domain about
 * which the script has no answer waits alone, and nobody can make the mail of others wait by
 * writing to it. The map tls asks about the server as its own domain, as about one that no script
 * has named; and after new scripts or a restart, about the domains that were sent there before. In
 * worker threads; what is named `late` waits for nothing. */
#pragma once

#include "policy/maps.h"
#include "policy/routed.h"

#include <stdbool.h>

/* The map transport is going to answer "smtp:[a.test], [b.test]:26". False: it must not, since what
 * the domain wants is not known. */
bool routed_ask_route(
    const struct map_query *, int number, const char *domain, const char *answer, bool late);
/* What all mail by the server wants. False: no script has named it; *sum is nothing then. *known:
 * it is the wish of all, and can be said. Clear *sum. */
bool routed_ask_server(const struct map_query *, int number, const char *server, bool late,
    struct routed_wish *sum, bool *known);
