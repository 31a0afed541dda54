/* rbl_query.h - what is asked of a block list, and what its answer means (RFC 5782). Private to
 * common/rbl. Pure. */
#pragma once

#include "common/dns.h"
#include "common/limits.h"
#include "common/network.h"

#include <stdbool.h>
#include <stddef.h>

#define RBL_NAME_BYTES (LIMIT_DNS_NAME_BYTES + 1) /* with its NUL */

enum rbl_meaning {
	RBL_UNKNOWN, /* no answer */
	RBL_NOT_LISTED,
	RBL_LISTED,
	RBL_FOREIGN,  /* only addresses outside 127.0.0.0/8: no list speaks so, it has gone */
	RBL_REFUSING, /* 127.255.255.0/24: the list does not serve us */
};

/* Only global unicast addresses can be on a list. */
bool rbl_query_wanted(const struct ip_address *);

/* "2.0.0.127.zone", nibbles for IPv6. Returns where the zone begins in out; 0: zone is no domain
 * name, or too long for the address. A dot at the end of zone is dropped, its letters are lowered.
 */
size_t rbl_query_name(const struct ip_address *, const char *zone, char out[static RBL_NAME_BYTES]);

/* For RBL_LISTED, code is the list's answer: the first one that is a listing. */
enum rbl_meaning rbl_query_judge(const struct dns_answer *, unsigned char code[static 4]);
