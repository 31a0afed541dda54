/* dns_lookup.h - one question to DNS servers in turn: what the first one that responds says, with
 * all its records.
 *
 * A server responds when it says what there is or that the name does not exist; SERVFAIL, REFUSED
 * and the like make the next one be asked. A server that keeps silent is skipped for a while
 * (breaker), whoever asks: what is known of the servers is remembered for the process. Thread-safe.
 */
#pragma once

#include "common/dns.h"
#include "common/dns_records.h"

/* May this be asked? Names as dns_name.h has them; every type of a record, and 255 for any. */
bool dns_lookup_valid(const char *name, int type);

/* Servers and breaker as in dns_options. Sets *out completely, within ms milliseconds. code: 0, 3,
 * or what became of the last server asked. False: a server is no address; why says so, and *out is
 * empty with DNS_CODE_NOT_ASKED. */
bool dns_lookup(const struct dns_options *, const char *name, int type, struct dns_records *out,
    int ms, char *why, size_t size);
