/* mx_lookup.h - the mail servers of a domain, by DNS. Thread-safe. */
#pragma once

#include "common/config.h"
#include "common/dns.h"
#include "lua-bindings/mx_servers.h"

#include <stdbool.h>

/* By preference; a domain without MX records is its own server. ABSENT: it takes no mail (null MX),
 * or there is no such domain. *servers is set. */
enum dns_status mx_lookup(
    const struct config *, const char *domain, struct mx_servers *servers, int ms);
/* The same; *own_address: FOUND, and the domain has no MX records. */
enum dns_status mx_lookup_records(const struct config *, const char *domain,
    struct mx_servers *servers, int ms, bool *own_address);
