/* map_tls.h - ServerDetails(): the maps `tls` (smtp_tls_policy_maps, by next hop) and `ehlo_out`
 * (smtp_discard_ehlo_keyword_address_maps, by remote address).
 *
 * tls: the script is asked for each mail server of the next hop and the strictest demand is
 * answered. The servers are those that Postfix has asked the map mx about, whether or not that was
 * answered in time, and where some may be missing those of DNS as well. When that cannot be found
 * out (script or DNS failed, time was up) the last answer goes out again, else TEMP: mail that must
 * be encrypted never leaves in clear because we were slow. ehlo_out: STARTTLS and DSN are hidden
 * for a host that shall do without. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_tls_answer(const struct map_query *, int number);
struct map_answer map_tls_late(const struct map_query *, int number);
void map_tls_heard(const struct map_query *, int number, struct delivery *);
struct map_answer map_ehlo_out_answer(const struct map_query *, int number);
void map_ehlo_out_heard(const struct map_query *, int number, struct delivery *);
