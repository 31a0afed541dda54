/* wish.h - asks ServerDetails() of mxout.lua what it wants of the mail by a server. In worker
 * threads; waits as long as the script takes, until the deadline of the question. */
#pragma once

#include "lua-bindings/mxout.h"
#include "policy/maps.h"
#include "policy/routed.h"

#include <stdbool.h>
#include <stdint.h>

/* Is there such a function? */
bool wish_wanted(const struct map_query *);
struct mxout_connection wish_connection(
    const struct map_query *, const char *domain, const char *server, int64_t size, int number);
/* Puts it to the sum. False: there is no answer, or it cannot be said, which is logged. */
bool wish_ask(const struct map_query *, const char *domain, const char *server, int64_t size,
    int number, struct routed_wish *sum);
