/* routed.h - which domains' mail goes by a server that a script has named.
 *
 * Postfix asks about the TLS of such a server by its name in brackets, and neither says which
 * domain the mail is for nor keeps the domains apart: one delivery may be for several. So what the
 * map transport answers is remembered for LIMIT_ROUTED_SECONDS, and the map tls puts the wishes of
 * all these domains together. A server that is not known here is the administrator's own relay.
 *
 * What qmgr(8) has under way outlives this process, so it is kept in state_dir too. The table is
 * bounded (LIMIT_ROUTED, LIMIT_ROUTED_OF_SERVER): who was not asked about for the longest time
 * goes, and of one server those first for whom nothing is demanded. Thread-safe; never waits but
 * for a line to be written. */
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

/* The map transport gives this answer: "smtp:[a.test], [b.test]:26". To be called before it goes
 * out. */
void routed_note(const char *domain, const char *answer);

/* False: no script has sent mail there. *sum is what is known of the wishes, all together, *ask are
 * the domains that have to be asked about: those without an answer, and some whose answer is not
 * fresh; with any_age the former only. NULL in *why, or what cannot be said. Clear both. */
bool routed_wishes(const char *server, const struct routed_scripts *, bool any_age,
    struct routed_wish *sum, struct strlist *ask, const char **why);
/* ServerDetails() has answered. */
void routed_told(const char *server, const char *domain, const struct routed_scripts *,
    const struct routed_wish *);
/* Puts another wish to the sum. False: they cannot be said in one; *why is constant. */
bool routed_wish_add(struct routed_wish *sum, const struct routed_wish *, const char **why);
void routed_wish_clear(struct routed_wish *);
