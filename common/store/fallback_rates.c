/* fallback_rates.c - see fallback_rates.h. */
#include "common/store/fallback_rates.h"

#include "common/store/gcra.h"

#include <uthash.h>
#include <utlist.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_FOR_ROOM 32 /* limits looked at for one without a debt to make room */

struct part { /* the windows of a limit, and what was taken from them here */
	struct store_rate_window windows[LIMIT_STORE_RATE_WINDOWS];
	size_t nwindows;
	double base[LIMIT_STORE_RATE_WINDOWS]; /* without what was taken here */
	double tats[LIMIT_STORE_RATE_WINDOWS]; /* with it */
	struct store_rate_doubt doubts[STORE_RATE_DOUBTS];
	size_t ndoubts;
	bool taken;
};

struct entry {
	char *key;
	struct part now;
	struct part *frozen; /* being merged, or NULL */
	char id[40];	     /* of the frozen debt */
	bool queued;
	struct entry *prev, *next; /* in the queue of those with a debt */
	UT_hash_handle hh;	   /* by key; the longest unused first */
};

struct fallback_rates {
	struct entry *entries;
	struct entry *queue;
	size_t most;
	const char *nonce;
	uint64_t ids, waiting, dropped;
	int64_t ahead; /* of Redis's clock */
};

struct fallback_rates *fallback_rates_new(size_t most, const char *nonce)
{
	struct fallback_rates *f = xcalloc(1, sizeof *f);

	f->most = most;
	f->nonce = nonce;
	return f;
}

/* ---- entries ---- */

static void enqueue(struct fallback_rates *f, struct entry *e)
{
	if (e->queued)
		return;
	e->queued = true;
	DL_APPEND(f->queue, e);
	f->waiting++;
}

static void dequeue(struct fallback_rates *f, struct entry *e)
{
	if (!e->queued)
		return;
	e->queued = false;
	DL_DELETE(f->queue, e);
	f->waiting--;
}

static void forget(struct fallback_rates *f, struct entry *e)
{
	dequeue(f, e);
	HASH_DEL(f->entries, e);
	free(e->frozen);
	free(e->key);
	free(e);
}

void fallback_rates_free(struct fallback_rates *f)
{
	while (f->entries != NULL)
		forget(f, f->entries);
	free(f);
}

static void make_room(struct fallback_rates *f)
{
	struct entry *e = f->entries;

	if (HASH_COUNT(f->entries) < f->most)
		return;
	for (int i = 0; i < LOOK_FOR_ROOM && e != NULL && e->queued; i++)
		e = e->hh.next;
	if (e == NULL || e->queued) {
		e = f->entries;
		f->dropped++;
	}
	forget(f, e);
}

/* Windows of a period that was there before keep their state. */
static void set_windows(struct part *p, const struct store_rate_limit *limit)
{
	struct part old = *p;

	p->nwindows = limit->nwindows;
	for (size_t i = 0; i < limit->nwindows; i++) {
		p->windows[i] = limit->windows[i];
		p->base[i] = p->tats[i] = 0;
		for (size_t k = 0; k < old.nwindows; k++)
			if (old.windows[k].period_ms == limit->windows[i].period_ms) {
				p->base[i] = old.base[k];
				p->tats[i] = old.tats[k];
			}
	}
}

/* The entry of a limit, made if new, and now the one that was used last. */
static struct entry *entry_of(struct fallback_rates *f, const struct store_rate_limit *limit)
{
	struct entry *e;

	HASH_FIND_STR(f->entries, limit->key, e);
	if (e != NULL) {
		HASH_DEL(f->entries, e);
	} else {
		make_room(f);
		e = xcalloc(1, sizeof *e);
		e->key = xstrdup(limit->key);
	}
	HASH_ADD_KEYPTR(hh, f->entries, e->key, strlen(e->key), e);
	set_windows(&e->now, limit);
	return e;
}

/* ---- deciding ---- */

void fallback_rates_learn(struct fallback_rates *f, const struct store_rate_limit *limit,
    const struct store_rate_reply *reply, int64_t local_now)
{
	struct entry *e = entry_of(f, limit);

	f->ahead = reply->now_ms - local_now;
	if (e->queued) /* Redis's state is without what is owed */
		return;
	for (size_t i = 0; i < limit->nwindows; i++)
		e->now.base[i] = e->now.tats[i] = reply->tats[i];
}

/* Remember that Redis may have charged this one. When there is no room it is taken as charged:
 * never counted twice, at worst not at all. */
static void doubt(struct part *p, const struct store_rate_request *r, uint64_t charged, int64_t now)
{
	struct store_rate_doubt *d;

	if (p->ndoubts == STORE_RATE_DOUBTS) {
		for (size_t i = 0; i < p->nwindows; i++)
			p->base[i] = fmax(p->base[i], (double)now) +
				     (double)charged * gcra_interval(&p->windows[i]);
		return;
	}
	d = &p->doubts[p->ndoubts++];
	*d = (struct store_rate_doubt){.cost = charged, .now_ms = now};
	snprintf(d->id, sizeof d->id, "%s", r->id);
}

void fallback_rates_decide(struct fallback_rates *f, const struct store_rate_request *r, bool sent,
    int64_t local_now, struct store_rate_reply *reply)
{
	struct entry *e = entry_of(f, r->limit);
	int64_t now = local_now + f->ahead;
	bool charged;

	*reply = (struct store_rate_reply){.now_ms = now};
	reply->answer = gcra_take(
	    e->now.windows, e->now.nwindows, e->now.tats, now, r->cost, r->take, &reply->state);
	reply->state.local = true;
	charged = r->take && reply->answer == STORE_RATE_PASS;
	if (r->take && sent)
		doubt(&e->now, r, charged ? r->cost : 0, now);
	if (charged)
		e->now.taken = true;
	if (e->now.taken || e->now.ndoubts > 0)
		enqueue(f, e);
}

/* ---- merging ---- */

static void freeze(struct fallback_rates *f, struct entry *e)
{
	if (e->frozen != NULL)
		return;
	e->frozen = xmalloc(sizeof *e->frozen);
	*e->frozen = e->now;
	snprintf(e->id, sizeof e->id, "%s-m%" PRIx64, f->nonce, f->ids++);
	e->now.taken = false;
	e->now.ndoubts = 0;
	memcpy(e->now.base, e->now.tats, sizeof e->now.base);
}

bool fallback_rates_pending(struct fallback_rates *f, int64_t local_now, struct fallback_debt *d)
{
	double now = (double)(local_now + f->ahead);
	struct entry *e = f->queue;
	const struct part *p;

	if (e == NULL)
		return false;
	freeze(f, e);
	p = e->frozen;
	*d = (struct fallback_debt){.key = xstrdup(e->key)};
	memcpy(d->id, e->id, sizeof d->id);
	memcpy(d->windows, p->windows, sizeof d->windows);
	memcpy(d->doubts, p->doubts, sizeof d->doubts);
	d->limit = (struct store_rate_limit){d->key, d->windows, p->nwindows};
	d->debt = (struct store_rate_debt){
	    .limit = &d->limit, .id = d->id, .doubts = d->doubts, .ndoubts = p->ndoubts};
	for (size_t i = 0; i < p->nwindows; i++)
		d->debt.owed[i] = fmax(0, p->tats[i] - fmax(p->base[i], now));
	return true;
}

void fallback_debt_clear(struct fallback_debt *d)
{
	free(d->key);
	*d = (struct fallback_debt){0};
}

void fallback_rates_merged(struct fallback_rates *f, const struct fallback_debt *d,
    const struct store_rate_reply *reply, int64_t local_now)
{
	struct entry *e;

	f->ahead = reply->now_ms - local_now;
	HASH_FIND_STR(f->entries, d->key, e);
	if (e == NULL || e->frozen == NULL || strcmp(e->id, d->id) != 0)
		return;
	free(e->frozen);
	e->frozen = NULL;
	dequeue(f, e);
	if (e->now.taken || e->now.ndoubts > 0) { /* meanwhile: the next debt, after the others */
		enqueue(f, e);
		return;
	}
	for (size_t i = 0; i < d->limit.nwindows && i < e->now.nwindows; i++)
		if (e->now.windows[i].period_ms == d->windows[i].period_ms)
			e->now.base[i] = e->now.tats[i] = reply->tats[i];
}

uint64_t fallback_rates_waiting(const struct fallback_rates *f)
{
	return f->waiting;
}

uint64_t fallback_rates_dropped(const struct fallback_rates *f)
{
	return f->dropped;
}
