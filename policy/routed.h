/* routed.h - which domains' mail goes by a server that a script has named, and what they want of
 * it.
 *
 * Postfix asks about the TLS of such a server by its name in brackets, and neither says which
 * domain the mail is for nor keeps the domains apart: one delivery may be for several. So what
 * ServerDetails() says of a domain is remembered for LIMIT_ROUTED_SECONDS when the map transport
 * sends it there, and the map tls puts the wishes of all of them together (routed_ask.h). A server
 * that is not known here is the administrator's own relay.
 *
 * What qmgr(8) has under way outlives this process, so the names are kept in state_dir too. Anybody
 * who may say RCPT TO adds domains; so the table is bounded (LIMIT_ROUTED, LIMIT_ROUTED_OF_SERVER),
 * and those that want nothing go first. What others want that must go stays with their server, but
 * for one that loses all its domains. Thread-safe; never waits but for a line to be written. */
#pragma once

#include "common/list.h"
#include "lua-bindings/tls_demand.h"

#include <stdbool.h>

struct routed_wish { /* what ServerDetails() says of a server; zero it before use */
	struct tls_demand tls;
	bool hide_dsn;
};

struct routed_scripts { /* whose wishes: another generation, another opinion */
	unsigned generation;
	int connection; /* ConnectionId */
};

/* Without state_dir nothing outlives this process. What cannot be read or written is logged. */
void routed_open(const char *state_dir);
void routed_close(void);

/* True: what the domain wants was told a moment ago, by the same scripts. It is routed now. */
bool routed_again(const char *server, const char *domain, const struct routed_scripts *);
/* The map transport is going to send the domain there. */
void routed_add(const char *server, const char *domain, const struct routed_scripts *,
    const struct routed_wish *);
bool routed_knows(const char *server, const char *domain);

/* False: no script has sent mail there. *sum is what is known of the wishes, all together, *ask are
 * the domains that have to be asked about, the server as its own domain among them: those that
 * these scripts have not told of, and, unless it is late, the server when it was told of some time
 * ago. NULL in *why, or what cannot be said. Clear both. */
bool routed_wishes(const char *server, const struct routed_scripts *, bool late,
    struct routed_wish *sum, struct strlist *ask, const char **why);
/* ServerDetails() has answered; NULL: it has not, so others are asked about first, and one that was
 * not routed for an hour is forgotten. True: mail must wait for the answer. */
bool routed_told(const char *server, const char *domain, const struct routed_scripts *,
    const struct routed_wish *);
/* Puts another wish to the sum. False: they cannot be said in one; *why is constant. */
bool routed_wish_add(struct routed_wish *sum, const struct routed_wish *, const char **why);
bool routed_wish_none(const struct routed_wish *);
void routed_wish_clear(struct routed_wish *);
