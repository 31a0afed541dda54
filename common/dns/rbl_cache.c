/* rbl_cache.c - see rbl_cache.h. A uthash table: it also keeps its entries in the order in which
 * they were added, so "used again" is taken out and added again, and the oldest is the head. */
#include "common/dns/rbl_cache.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define uthash_malloc(size) xmalloc(size)
#include <uthash.h>

#define SEED_BYTES 8

struct entry {
	UT_hash_handle hh;
	int64_t expires_ms;
	struct rbl_verdict verdict;
	size_t key_len;
	char key[]; /* seed and name */
};

struct rbl_cache {
	struct entry *entries;
	size_t max;
	/* In front of every key: who chooses addresses must not choose hash chains as well. */
	char seed[SEED_BYTES];
};

struct rbl_cache *rbl_cache_new(size_t max)
{
	struct rbl_cache *cache = xcalloc(1, sizeof *cache);

	cache->max = max;
	/* Does not fail for so few bytes; if it did, the table would work with a known seed. */
	if (getrandom(cache->seed, sizeof cache->seed, 0) < 0)
		memset(cache->seed, 0, sizeof cache->seed);
	return cache;
}

static void drop(struct rbl_cache *cache, struct entry *entry)
{
	HASH_DEL(cache->entries, entry);
	free(entry);
}

void rbl_cache_free(struct rbl_cache *cache)
{
	struct entry *entry, *next;

	if (cache == NULL)
		return;
	HASH_ITER (hh, cache->entries, entry, next)
		drop(cache, entry);
	free(cache);
}

static size_t make_key(const struct rbl_cache *cache, const char *name, char *key)
{
	size_t len = strnlen(name, LIMIT_DNS_NAME_BYTES);

	memcpy(key, cache->seed, SEED_BYTES);
	memcpy(key + SEED_BYTES, name, len);
	return SEED_BYTES + len;
}

static struct entry *find(const struct rbl_cache *cache, const char *name)
{
	char key[SEED_BYTES + LIMIT_DNS_NAME_BYTES];
	size_t len = make_key(cache, name, key);
	struct entry *entry;

	HASH_FIND(hh, cache->entries, key, len, entry);
	return entry;
}

static void add(struct rbl_cache *cache, struct entry *entry)
{
	HASH_ADD_KEYPTR(hh, cache->entries, entry->key, entry->key_len, entry);
}

bool rbl_cache_get(
    struct rbl_cache *cache, const char *name, int64_t now_ms, struct rbl_verdict *verdict)
{
	struct entry *entry = find(cache, name);

	if (entry == NULL)
		return false;
	if (now_ms >= entry->expires_ms) {
		drop(cache, entry);
		return false;
	}
	HASH_DEL(cache->entries, entry);
	add(cache, entry);
	*verdict = entry->verdict;
	return true;
}

void rbl_cache_put(struct rbl_cache *cache, const char *name, int64_t now_ms, uint32_t ttl,
    const struct rbl_verdict *verdict)
{
	struct entry *entry = find(cache, name);
	char key[SEED_BYTES + LIMIT_DNS_NAME_BYTES];
	size_t len = make_key(cache, name, key);

	if (entry != NULL)
		drop(cache, entry);
	if (ttl == 0 || cache->max == 0)
		return;
	while (HASH_COUNT(cache->entries) >= cache->max)
		drop(cache, cache->entries);
	entry = xcalloc(1, sizeof *entry + len);
	memcpy(entry->key, key, len);
	entry->key_len = len;
	entry->verdict = *verdict;
	if (ttl > LIMIT_RBL_TTL_SECONDS)
		ttl = LIMIT_RBL_TTL_SECONDS;
	entry->expires_ms = now_ms + (int64_t)ttl * 1000;
	add(cache, entry);
}

size_t rbl_cache_count(const struct rbl_cache *cache)
{
	return HASH_COUNT(cache->entries);
}
