/* rbl_zones.c - see rbl_zones.h. */
#include "common/dns/rbl_zones.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdlib.h>
#include <string.h>

#define uthash_malloc(size) xmalloc(size)
#include <uthash.h>

struct zone {
	UT_hash_handle hh;
	struct breaker breaker;
	unsigned warned; /* bit per enum rbl_trouble */
	char name[LIMIT_DNS_NAME_BYTES + 1];
};

struct rbl_zones {
	struct zone *zones;
};

struct rbl_zones *rbl_zones_new(void)
{
	return xcalloc(1, sizeof(struct rbl_zones));
}

void rbl_zones_free(struct rbl_zones *z)
{
	struct zone *zone, *next;

	if (z == NULL)
		return;
	HASH_ITER (hh, z->zones, zone, next) {
		HASH_DEL(z->zones, zone);
		free(zone);
	}
	free(z);
}

/* Found or made; NULL when the table is full. */
static struct zone *get(struct rbl_zones *z, const char *name)
{
	size_t len = strnlen(name, LIMIT_DNS_NAME_BYTES); /* a script's name may be anything */
	struct zone *zone;

	HASH_FIND(hh, z->zones, name, len, zone);
	if (zone != NULL || HASH_COUNT(z->zones) >= LIMIT_RBL_ZONES)
		return zone;
	zone = xcalloc(1, sizeof *zone);
	memcpy(zone->name, name, len);
	zone->breaker.limit = LIMIT_RBL_ZONE_FAILURES;
	zone->breaker.open_ms = LIMIT_RBL_ZONE_SKIP_MS;
	HASH_ADD(hh, z->zones, name, len, zone);
	return zone;
}

bool rbl_zones_allows(struct rbl_zones *z, const char *name, int64_t now_ms)
{
	struct zone *zone = get(z, name);

	return zone == NULL || breaker_allows(&zone->breaker, now_ms);
}

enum breaker_event rbl_zones_report(
    struct rbl_zones *z, const char *name, enum breaker_outcome outcome, int64_t now_ms)
{
	struct zone *zone = get(z, name);

	return zone == NULL ? BREAKER_UNCHANGED : breaker_report(&zone->breaker, outcome, now_ms);
}

bool rbl_zones_first(struct rbl_zones *z, const char *name, enum rbl_trouble trouble)
{
	struct zone *zone = get(z, name);
	unsigned bit = 1u << trouble;

	if (zone == NULL || (zone->warned & bit))
		return false;
	zone->warned |= bit;
	return true;
}
