/* rbl_zones.h - how the block lists behave. Private to common/rbl.
 *
 * Lists close down, or stop serving a resolver: a zone that lets us wait in vain is skipped for a
 * while, and each trouble is warned of once. Scripts choose zones, so the table is bounded: beyond
 * LIMIT_RBL_ZONES a zone is asked without memory. The caller brings the clock and the lock. */
#pragma once

#include "common/breaker.h"

#include <stdbool.h>
#include <stdint.h>

struct rbl_zones;

enum rbl_trouble { RBL_TROUBLE_NAME, RBL_TROUBLE_FOREIGN, RBL_TROUBLE_REFUSING };

struct rbl_zones *rbl_zones_new(void);
void rbl_zones_free(struct rbl_zones *);

/* As breaker_allows() and breaker_report(), for one zone. */
bool rbl_zones_allows(struct rbl_zones *, const char *zone, int64_t now_ms);
enum breaker_event rbl_zones_report(
    struct rbl_zones *, const char *zone, enum breaker_outcome, int64_t now_ms);

/* True for the first such trouble of this zone: log it. */
bool rbl_zones_first(struct rbl_zones *, const char *zone, enum rbl_trouble);
