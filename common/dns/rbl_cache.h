/* rbl_cache.h - what block lists said, until their TTL. Private to common/rbl.
 *
 * Holds definite answers only: "unknown" is asked again. At most `max` entries, the one not used
 * for the longest time goes first. The caller brings the clock and the lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rbl_cache;

struct rbl_verdict {
	bool listed;
	unsigned char code[4]; /* of the listing */
};

struct rbl_cache *rbl_cache_new(size_t max);
void rbl_cache_free(struct rbl_cache *);

/* name: rbl_query_name(), which holds address and zone. */
bool rbl_cache_get(struct rbl_cache *, const char *name, int64_t now_ms, struct rbl_verdict *);
/* A ttl of 0 keeps nothing; one above LIMIT_RBL_TTL_SECONDS is cut. */
void rbl_cache_put(
    struct rbl_cache *, const char *name, int64_t now_ms, uint32_t ttl, const struct rbl_verdict *);
size_t rbl_cache_count(const struct rbl_cache *);
