/* dns_known.h - DNS servers that the process remembers: their channels and whether they answer.
 * Private to common/dns.
 *
 * For callers without a resolver of their own (struct dns): scripts name servers as they like.
 * The LIMIT_DNS_KNOWN_SERVERS sets of servers that were wanted last are kept. Thread-safe. */
#pragma once

#include "common/breaker.h"
#include "common/dns.h"

struct dns_channels;
struct dns_known;

/* The set of servers with these options; no servers: resolv.conf. NULL: why is set. */
struct dns_known *dns_known_get(const struct dns_options *, char *why, size_t size);
void dns_known_put(struct dns_known *);
struct dns_channels *dns_known_channels(struct dns_known *);

/* May it be asked? Then dns_known_report() must follow. *probe: it did not answer lately, also ask
 * what every server knows. */
bool dns_known_allows(struct dns_known *, bool *probe);
void dns_known_report(struct dns_known *, enum breaker_outcome);
