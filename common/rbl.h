/* rbl.h - DNS block lists: all zones together under one deadline, cached by TTL.
 *
 * Semantics of VPOP3's RBL* globals: vpop3 manual (SMTP server script), and our reading of the
 * types. Thread-safe. */
#pragma once

#include "common/dns.h"
#include "common/network.h"

#include <stdbool.h>
#include <stddef.h>

struct rbl_hit {
	char *zone;
	unsigned char answer[4]; /* network order: 127.0.0.2 is {127, 0, 0, 2} */
};

struct rbl_result {
	struct rbl_hit *hits; /* in the order of the zones asked */
	size_t nhits;
	size_t nunknown; /* zones that gave no usable answer in time: neither hit nor miss. Those
			  * not waited for after a first hit are not counted */
};

struct rbl;

struct rbl *rbl_new(struct dns *); /* does not own the resolver */
void rbl_free(struct rbl *);

/* Look addr up in every zone. check_all false: stop at the first hit. Private, loopback and
 * unknown addresses are never looked up: no hits. Only answers inside 127.0.0.0/8 count, and of
 * them 127.255.255.0/24 is a list's way to refuse us: unknown. A zone that keeps refusing or
 * keeping us waiting is unknown without being asked, for a while. Waits deadline_ms at most. Free
 * the result with rbl_result_clear(). */
void rbl_check(struct rbl *, const struct ip_address *addr, const struct strlist *zones,
    bool check_all, int deadline_ms, struct rbl_result *);
void rbl_result_clear(struct rbl_result *);

/* Is addr, or the client's host name, matched by a whitelist entry? Entries: address, network
 * ("192.0.2.0/24"), address with wildcards ("192.0.2.*"), host name with wildcards
 * ("*.example.com"); ASCII case ignored; `*` any run, `?` one character. */
bool rbl_whitelisted(
    const struct strlist *whitelist, const struct ip_address *addr, const char *hostname);
