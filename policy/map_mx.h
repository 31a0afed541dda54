/* map_mx.h - the map for smtp_dns_reply_filter: CheckServer(), and holds.
 *
 * The key is one DNS record; the answer IGNORE drops it, not found keeps it. Dropped are MX records
 * of hosts that are held or that CheckServer() refuses, and address records of hosts and addresses
 * that are held. When servers were dropped and the best one left is this host, its addresses are
 * dropped too: Postfix would bounce the mail as a loop. Whether it is this host may remain unknown,
 * or be wanted at once: then a record of an address of ours is dropped, and one of a server that
 * comes behind one without any address; others are kept. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_mx_answer(const struct map_query *, int number);
struct map_answer map_mx_late(const struct map_query *, int number);
void map_mx_heard(const struct map_query *, int number, struct delivery *);
