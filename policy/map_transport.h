/* map_transport.h - the map `transport` (transport_maps): GetOverrides() and FinalOverrides(), and
 * the profile that ServerDetails() wants.
 *
 * The key is an address; the answer names a transport and a list of servers, "smtp:[a.test],
 * [b.test]", when a script wants other servers than DNS has, else not found. It never names the
 * transports error and retry, which would refuse recipients at submission: mail that has to wait is
 * the business of the map mx. DNS is asked for the sake of FinalOverrides() and profiles only.
 * Without an answer in time the last one for the domain goes out again, else TEMP if scripts route;
 * a profile alone is not worth waiting for. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_transport_answer(const struct map_query *, int number);
struct map_answer map_transport_late(const struct map_query *, int number);
