/* tls_demand.h - what ServerDetails() demands of TLS, for the mail servers of one next hop.
 *
 * Pure. Postfix decides by next hop, before it knows the host: so the demands of all hosts are put
 * together and the strictest counts. What its policy table cannot say is refused, never weakened.
 */
#pragma once

#include "common/list.h"
#include "lua-bindings/mxout.h"

#include <stdbool.h>
#include <stddef.h>

enum tls_level { TLS_DEFAULT, TLS_ENCRYPT, TLS_SECURE, TLS_FINGERPRINT };

struct tls_demand {	       /* zero it before use */
	size_t hosts, without; /* how many were asked, and of them shall be tried without TLS */
	enum tls_level level;
	struct strlist match; /* names or fingerprints */
};

/* Put the demand for one host to the others. False: the sum cannot be said; *why is constant. */
bool tls_demand_add(struct tls_demand *, const char *server, const struct server_actions *,
    int fingerprint_bytes, const char **why);
/* Put the demands of two domains for the same host together: both count. False: they cannot be said
 * in one; *why is constant. */
bool tls_demand_both(struct tls_demand *, const struct tls_demand *other, const char **why);
/* A line of smtp_tls_policy_maps, malloc'ed; NULL: nothing is demanded. */
char *tls_demand_text(const struct tls_demand *);
void tls_demand_clear(struct tls_demand *);
/* Shall this host be tried without TLS? */
bool tls_demand_without(const struct server_actions *);
