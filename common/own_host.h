/* own_host.h - is this we? Host names and addresses under which other hosts know this one.
 *
 * The name of the host, the addresses of its interfaces (read again once a minute), and
 * outbound.own_names. Thread-safe. */
#pragma once

#include "common/config.h"
#include "common/network.h"

#include <stdbool.h>

bool own_host_name(const struct config *, const char *name);
/* The host name, or one of local_domains and outbound.local_domains. */
bool own_host_domain(const struct config *, const char *domain);
bool own_host_address(const struct config *, const struct ip_address *);

enum own_host { OWN_HOST_NO, OWN_HOST_YES, OWN_HOST_UNKNOWN };

/* One of our names, or a name of one of our addresses: asks DNS, for at most ms. Without an answer
 * it is UNKNOWN. */
enum own_host own_host_is(const struct config *, const char *name, int ms);
