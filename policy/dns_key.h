/* dns_key.h - the keys of smtp_dns_reply_filter: one DNS record each, as Postfix prints it.
 *
 * "example.com. 0 IN MX 10 mx1.example.com." Pure. Names are checked (R17): what could not be a
 * host's name is no record for us. */
#pragma once

#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>

enum dns_key_type { DNS_KEY_MX, DNS_KEY_ADDRESS, DNS_KEY_OTHER };

struct dns_key {
	enum dns_key_type type;
	char owner[LIMIT_DNS_NAME_BYTES + 1]; /* lower case, no dot at the end */
	char value[LIMIT_DNS_NAME_BYTES + 1]; /* MX: host, likewise; address: its usual text */
	unsigned preference;		      /* MX */
};

/* False: not such a key, or with a name that is none. A null MX (".") is DNS_KEY_OTHER. */
bool dns_key_parse(const char *key, size_t n, struct dns_key *);
