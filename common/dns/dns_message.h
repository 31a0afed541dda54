/* dns_message.h - what a raw DNS answer says. Private to common/dns. Pure: no socket, clock or log.
 *
 * The bytes come from the network: whatever they are, the reading is bounded (limits.h) and ends in
 * one of the three states. What cannot be read is DNS_UNKNOWN, never DNS_ABSENT. */
#pragma once

#include "common/dns.h"

#include <stddef.h>

/* Read the answer to (name, type) into *out, which it sets completely; dns_answer_clear() it.
 * CNAMEs are followed as far as the answer holds them, in any order. The TTL is the smallest of
 * all records used; for DNS_ABSENT that of RFC 2308, 0 when there is no SOA record. */
void dns_message_read(
    const unsigned char *message, size_t len, const char *name, int type, struct dns_answer *out);
