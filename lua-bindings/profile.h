/* profile.h - the prepared transport for what ServerDetails() says of a session besides TLS.
 *
 * The HELO name, whether EHLO is said, and timeouts belong to a service of master.cf. Each section
 * `profile` of the configuration is one, which `mailhooks setup` writes; mail for a domain goes by
 * the one that has just the values that the hook wants for its best server. Thread-safe. */
#pragma once

#include "lua-bindings/mx_decision.h"
#include "lua-bindings/mx_servers.h"
#include "lua-bindings/mxout.h"

#include <stdbool.h>

/* False: it is as the MTA is anyway, so nobody chooses it (as in the sample configuration). */
bool profile_has_values(const struct profile_config *);
/* Are there profiles, and a hook that may choose? */
bool profile_wanted(const struct script_set *);
/* Is there anything in it that only a profile can do? */
bool profile_needed(const struct server_actions *);
/* NULL: none has just these values. */
const struct profile_config *profile_matching(const struct config *, const struct server_actions *);
/* For mail to c->delivery.domain by these servers, or with none by those of DNS; *out NULL: the
 * MTA's own transport. False: not known before c->deadline_ms. */
bool profile_find(
    const struct mx_case *c, const struct mx_servers *servers, const struct profile_config **out);
