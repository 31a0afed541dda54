/* rbl.c - see rbl.h. One mutex guards cache and zones; nothing waits or logs while holding it. */
#include "common/rbl.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/dns/rbl_cache.h"
#include "common/dns/rbl_query.h"
#include "common/dns/rbl_zones.h"

#include <ares.h>

#include <arpa/nameser.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NONE SIZE_MAX

struct rbl {
	struct dns *dns;
	pthread_mutex_t lock;
	struct rbl_cache *cache;
	struct rbl_zones *zones;
};

struct lookup {		  /* of the address in one zone */
	char *name;	  /* what is asked; NULL: the zone cannot be asked */
	const char *zone; /* the end of name */
	bool settled;
	enum rbl_meaning meaning;
	unsigned char code[4];
};

struct check { /* one rbl_check(), on its thread's stack */
	struct rbl *rbl;
	struct lookup *lookups; /* one for each zone, in their order */
	size_t n;
	bool all;
	size_t first; /* the hit that ended the check; NONE if all are wanted or nothing hit yet */
};

struct batch { /* zones asked together */
	struct check *check;
	size_t index[LIMIT_DNS_PARALLEL];
	size_t n;
};

static const char *const trouble_text[] = {
    [RBL_TROUBLE_NAME] = "is not a domain name, or too long: never asked",
    [RBL_TROUBLE_FOREIGN] =
	"answers with addresses outside of 127.0.0.0/8: ignored; it has probably "
	"closed down, remove it from rbl.zones",
    [RBL_TROUBLE_REFUSING] =
	"answers 127.255.255.x, it does not serve this resolver: counts as unknown; "
	"use a resolver of your own (dns.servers), or register with the list",
};

static void warn_once(struct rbl *rbl, const char *zone, enum rbl_trouble trouble)
{
	bool first;

	pthread_mutex_lock(&rbl->lock);
	first = rbl_zones_first(rbl->zones, zone, trouble);
	pthread_mutex_unlock(&rbl->lock);
	if (first)
		log_warn(NULL, "rbl: zone %s %s", zone, trouble_text[trouble]);
}

static void settle_lookup(struct check *check, size_t i, enum rbl_meaning meaning)
{
	check->lookups[i].settled = true;
	check->lookups[i].meaning = meaning;
	if (meaning == RBL_LISTED && !check->all && check->first == NONE)
		check->first = i;
}

static void prepare(struct check *check, const struct ip_address *addr, const struct strlist *zones)
{
	check->n = zones->n;
	check->lookups = xcalloc(zones->n, sizeof *check->lookups);
	for (size_t i = 0; i < zones->n; i++) {
		char name[RBL_NAME_BYTES];
		size_t front = rbl_query_name(addr, zones->v[i], name);

		if (front > 0) {
			check->lookups[i].name = xstrdup(name);
			check->lookups[i].zone = check->lookups[i].name + front;
		} else {
			warn_once(check->rbl, zones->v[i], RBL_TROUBLE_NAME);
			settle_lookup(check, i, RBL_UNKNOWN);
		}
	}
}

static void look_in_cache(struct check *check)
{
	struct rbl *rbl = check->rbl;
	int64_t now = clock_ms();

	pthread_mutex_lock(&rbl->lock);
	for (size_t i = 0; i < check->n; i++) {
		struct lookup *lookup = &check->lookups[i];
		struct rbl_verdict verdict;

		if (lookup->settled || !rbl_cache_get(rbl->cache, lookup->name, now, &verdict))
			continue;
		memcpy(lookup->code, verdict.code, sizeof lookup->code);
		settle_lookup(check, i, verdict.listed ? RBL_LISTED : RBL_NOT_LISTED);
	}
	pthread_mutex_unlock(&rbl->lock);
}

/* What this answer says about the zone, not about the address. */
static enum breaker_outcome zone_outcome(
    const struct dns_answer *answer, enum rbl_meaning meaning, bool evidence)
{
	switch (meaning) {
	case RBL_NOT_LISTED:
	case RBL_LISTED:
	case RBL_FOREIGN:
		return BREAKER_OK;
	case RBL_REFUSING:
		return BREAKER_FAILED;
	case RBL_UNKNOWN:
		break;
	}
	return answer->error == ARES_ETIMEOUT && evidence ? BREAKER_FAILED : BREAKER_NO_EVIDENCE;
}

/* Remember what was answered, and tell whom it concerns. */
static void learn(struct check *check, const struct lookup *lookup, const struct dns_answer *answer,
    bool evidence)
{
	struct rbl *rbl = check->rbl;
	enum breaker_outcome outcome = zone_outcome(answer, lookup->meaning, evidence);
	struct rbl_verdict verdict = {.listed = lookup->meaning == RBL_LISTED};
	enum breaker_event event;

	memcpy(verdict.code, lookup->code, sizeof verdict.code);
	pthread_mutex_lock(&rbl->lock);
	if (lookup->meaning != RBL_UNKNOWN && lookup->meaning != RBL_REFUSING)
		rbl_cache_put(rbl->cache, lookup->name, clock_ms(), answer->ttl, &verdict);
	event = rbl_zones_report(rbl->zones, lookup->zone, outcome, clock_ms());
	pthread_mutex_unlock(&rbl->lock);

	if (lookup->meaning == RBL_FOREIGN)
		warn_once(rbl, lookup->zone, RBL_TROUBLE_FOREIGN);
	else if (lookup->meaning == RBL_REFUSING)
		warn_once(rbl, lookup->zone, RBL_TROUBLE_REFUSING);
	if (event == BREAKER_OPENED)
		log_warn(NULL,
		    "rbl: zone %s gave no usable answer %d times in a row: now asked once in %d s "
		    "only, else it counts as unknown",
		    lookup->zone, LIMIT_RBL_ZONE_FAILURES, LIMIT_RBL_ZONE_SKIP_MS / 1000);
	else if (event == BREAKER_CLOSED)
		log_info(NULL, "rbl: zone %s answers again", lookup->zone);
}

static bool stop_at_hit(const struct dns_answer *answer, size_t i, void *arg)
{
	struct batch *batch = arg;
	struct lookup *lookup = &batch->check->lookups[batch->index[i]];

	settle_lookup(batch->check, batch->index[i], rbl_query_judge(answer, lookup->code));
	return batch->check->first != NONE;
}

static void ask_batch(struct batch *batch, int left_ms)
{
	struct check *check = batch->check;
	struct dns_question questions[LIMIT_DNS_PARALLEL];
	struct dns_answer answers[LIMIT_DNS_PARALLEL];
	bool evidence;

	for (size_t k = 0; k < batch->n; k++)
		questions[k] = (struct dns_question){check->lookups[batch->index[k]].name, ns_t_a};
	dns_ask(check->rbl->dns, questions, batch->n, answers, left_ms, stop_at_hit, batch);
	evidence = left_ms >= BREAKER_EVIDENCE_MS && dns_healthy(check->rbl->dns);
	for (size_t k = 0; k < batch->n; k++) {
		struct lookup *lookup = &check->lookups[batch->index[k]];

		if (!lookup->settled && check->first == NONE) /* cut off by the deadline */
			settle_lookup(
			    check, batch->index[k], rbl_query_judge(&answers[k], lookup->code));
		learn(check, lookup, &answers[k], evidence);
		dns_answer_clear(&answers[k]);
	}
}

/* Fill a batch with the next lookups from *next on that are not settled and may be asked. */
static void fill_batch(struct batch *batch, size_t *next)
{
	struct check *check = batch->check;
	struct rbl *rbl = check->rbl;
	int64_t now = clock_ms();

	batch->n = 0;
	pthread_mutex_lock(&rbl->lock);
	for (; *next < check->n && batch->n < LIMIT_DNS_PARALLEL; ++*next) {
		struct lookup *lookup = &check->lookups[*next];

		if (lookup->settled)
			continue;
		if (rbl_zones_allows(rbl->zones, lookup->zone, now))
			batch->index[batch->n++] = *next;
		else
			settle_lookup(check, *next, RBL_UNKNOWN);
	}
	pthread_mutex_unlock(&rbl->lock);
}

/* More zones than one batch holds are asked one batch after the other: what the first one leaves
 * of the time is for the next. Nobody uses so many lists, but a script may write them. */
static void ask(struct check *check, int64_t deadline)
{
	struct batch batch = {.check = check};
	size_t next = 0;

	while (check->first == NONE && next < check->n) {
		int64_t left = deadline - clock_ms();

		if (left <= 0)
			break;
		fill_batch(&batch, &next);
		if (batch.n > 0)
			ask_batch(&batch, (int)left);
	}
}

static void add_hit(struct rbl_result *result, const char *zone, const unsigned char code[4])
{
	struct rbl_hit *hit = &result->hits[result->nhits++];

	hit->zone = xstrdup(zone);
	memcpy(hit->answer, code, sizeof hit->answer);
}

static void report(
    const struct check *check, const struct strlist *zones, struct rbl_result *result)
{
	result->hits = xcalloc(check->n, sizeof *result->hits);
	for (size_t i = 0; i < check->n; i++) {
		const struct lookup *lookup = &check->lookups[i];

		if (!lookup->settled && check->first != NONE)
			continue; /* nobody waited for its answer */
		switch (lookup->meaning) {
		case RBL_LISTED:
			if (check->all || check->first == i)
				add_hit(result, zones->v[i], lookup->code);
			break;
		case RBL_UNKNOWN:
		case RBL_REFUSING:
			result->nunknown++;
			break;
		case RBL_NOT_LISTED:
		case RBL_FOREIGN:
			break;
		}
	}
}

void rbl_check(struct rbl *rbl, const struct ip_address *addr, const struct strlist *zones,
    bool check_all, int deadline_ms, struct rbl_result *result)
{
	struct check check = {.rbl = rbl, .all = check_all, .first = NONE};
	int64_t deadline = clock_ms() + deadline_ms;

	memset(result, 0, sizeof *result);
	if (zones->n == 0 || !rbl_query_wanted(addr))
		return;
	prepare(&check, addr, zones);
	look_in_cache(&check);
	ask(&check, deadline);
	report(&check, zones, result);
	for (size_t i = 0; i < check.n; i++)
		free(check.lookups[i].name);
	free(check.lookups);
}

void rbl_result_clear(struct rbl_result *result)
{
	for (size_t i = 0; i < result->nhits; i++)
		free(result->hits[i].zone);
	free(result->hits);
	memset(result, 0, sizeof *result);
}

struct rbl *rbl_new(struct dns *dns)
{
	struct rbl *rbl = xcalloc(1, sizeof *rbl);

	rbl->dns = dns;
	rbl->cache = rbl_cache_new(LIMIT_RBL_CACHE_ENTRIES);
	rbl->zones = rbl_zones_new();
	pthread_mutex_init(&rbl->lock, NULL);
	return rbl;
}

void rbl_free(struct rbl *rbl)
{
	if (rbl == NULL)
		return;
	rbl_cache_free(rbl->cache);
	rbl_zones_free(rbl->zones);
	pthread_mutex_destroy(&rbl->lock);
	free(rbl);
}
