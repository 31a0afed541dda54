/* dns_host.h - the addresses of a host, by /etc/hosts and DNS, within a deadline.
 *
 * Thread-safe; servers that do not answer are skipped for a while (breaker). */
#pragma once

#include "common/dns.h"
#include "common/network.h"

/* Servers and breaker as in dns_options. An IP address is its own. At most `most` addresses go to
 * out, *n is their number; both families. */
enum dns_status dns_host_find(const struct dns_options *, const char *host, struct ip_address *out,
    size_t most, size_t *n, int ms);
