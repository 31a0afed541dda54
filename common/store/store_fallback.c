/* store_fallback.c - send attempts and rate limits go on in memory while Redis is away.
 *
 * Every call asks Redis first, within its deadline; while Redis is known to be away that costs
 * nothing (breaker.h). What Redis did not take is kept, bounded, and brought to it by a thread of
 * this file's once it is back: attempts by their event keys, limits as fallback_rates.h tells.
 * Nothing is counted twice. What is kept is lost if the process ends while Redis is away.
 *
 * Thread-safe: one lock for the memory, never held while Redis is asked. */
#include "common/clock.h"
#include "common/store/fallback_attempts.h"
#include "common/store/fallback_rates.h"
#include "common/log.h"
#include "common/store/store_attempt.h"
#include "common/store/store_engine.h"
#include "common/store/store_text.h"
#include "common/turn.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define RETRY_MS 1000	    /* how often the thread tries while Redis is away */
#define MERGE_PASS_MS 60000 /* of the thread at a time */
#define MERGE_CALL_MS 2000  /* for one call of the thread */
#define CLOSE_MERGE_MS 2000 /* what closing may spend on bringing the rest home */

struct fallback {
	struct store_engine engine;
	struct store_engine *inner;
	struct store_options options;
	char nonce[17];
	struct turn merging;  /* one merge at a time */
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct fallback_attempts *attempts;
	struct fallback_rates *rates;
	bool away, stop, running;
	pthread_t thread;
	uint64_t merged;
};

static struct fallback *fallback_of(struct store_engine *e)
{
	return (struct fallback *)e;
}

static uint64_t waiting(const struct fallback *f)
{
	return fallback_attempts_waiting(f->attempts) + fallback_rates_waiting(f->rates);
}

static uint64_t dropped(const struct fallback *f)
{
	return fallback_attempts_dropped(f->attempts) + fallback_rates_dropped(f->rates);
}

/* ---- merging ---- */

static bool merge_attempt(struct fallback *f, int64_t until)
{
	struct store_attempt_copy copy;
	bool fresh, any, ok;

	pthread_mutex_lock(&f->lock);
	any = fallback_attempts_pending(f->attempts, &copy);
	pthread_mutex_unlock(&f->lock);
	if (!any)
		return true;
	ok = f->inner->ops->attempt_add(f->inner, &copy.a, &fresh, until) == STORE_FOUND;
	pthread_mutex_lock(&f->lock);
	if (ok) {
		fallback_attempts_merged(f->attempts, copy.a.event);
		f->merged++;
	}
	pthread_mutex_unlock(&f->lock);
	store_attempt_copy_clear(&copy);
	return ok;
}

static bool merge_debt(struct fallback *f, int64_t until)
{
	struct store_rate_reply reply = {.answer = STORE_RATE_UNKNOWN};
	struct fallback_debt debt;
	bool any, ok;

	pthread_mutex_lock(&f->lock);
	any = fallback_rates_pending(f->rates, store_now(&f->options), &debt);
	pthread_mutex_unlock(&f->lock);
	if (!any)
		return true;
	f->inner->ops->rate_merge(f->inner, &debt.debt, &reply, until);
	ok = reply.answer == STORE_RATE_PASS;
	pthread_mutex_lock(&f->lock);
	if (ok) {
		fallback_rates_merged(f->rates, &debt, &reply, store_now(&f->options));
		f->merged++;
	}
	pthread_mutex_unlock(&f->lock);
	fallback_debt_clear(&debt);
	return ok;
}

static uint64_t waiting_now(struct fallback *f)
{
	uint64_t n;

	pthread_mutex_lock(&f->lock);
	n = waiting(f);
	pthread_mutex_unlock(&f->lock);
	return n;
}

/* Until nothing is pending, Redis is away again, or the time is over. */
static void merge_all(struct fallback *f, int64_t until)
{
	uint64_t before = waiting_now(f), after = before;
	bool ok = true;

	while (ok && after > 0 && clock_ms() < until) {
		int64_t end = clock_ms() + MERGE_CALL_MS;

		if (end > until)
			end = until;
		ok = merge_debt(f, end) && merge_attempt(f, end);
		after = waiting_now(f);
	}
	if (before > 0 && after == 0)
		log_info(
		    NULL, "store: merged what was kept while Redis was away (%" PRIu64 ")", before);
}

static void *merge_thread(void *arg)
{
	struct fallback *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		if (waiting(f) == 0)
			pthread_cond_wait(&f->wake, &f->lock);
		else
			turn_wait(&f->wake, &f->lock, clock_ms() + RETRY_MS);
		if (f->stop || waiting(f) == 0)
			continue;
		pthread_mutex_unlock(&f->lock);
		if (turn_take(&f->merging, clock_ms() + RETRY_MS)) {
			merge_all(f, clock_ms() + MERGE_PASS_MS);
			turn_give(&f->merging);
		}
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* With the lock. The program's signals stay with the program's threads. */
static void start_thread(struct fallback *f)
{
	sigset_t all, old;

	if (f->running)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	f->running = pthread_create(&f->thread, NULL, merge_thread, f) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!f->running)
		store_complain("no thread to merge with; what is kept waits for store_merge()");
}

/* ---- operations ---- */

/* With the lock: how the last call to Redis went. */
static void note(struct fallback *f, bool reached)
{
	f->away = !reached;
	if (waiting(f) == 0)
		return;
	start_thread(f);
	if (reached)
		pthread_cond_signal(&f->wake);
}

static enum store_answer fallback_attempt_add(
    struct store_engine *e, const struct store_attempt *a, bool *fresh, int64_t until)
{
	struct fallback *f = fallback_of(e);
	bool reached = f->inner->ops->attempt_add(f->inner, a, fresh, until) == STORE_FOUND, added;
	uint64_t lost;

	pthread_mutex_lock(&f->lock);
	lost = dropped(f);
	added = fallback_attempts_add(f->attempts, a, !reached);
	lost = dropped(f) - lost;
	note(f, reached);
	pthread_mutex_unlock(&f->lock);
	if (!reached)
		*fresh = added;
	if (lost > 0)
		store_complain("Redis is away too long: an attempt was forgotten");
	return STORE_FOUND;
}

static enum store_answer fallback_attempt_count(
    struct store_engine *e, const struct store_window *w, struct store_count *count, int64_t until)
{
	struct fallback *f = fallback_of(e);
	bool reached = f->inner->ops->attempt_count(f->inner, w, count, until) == STORE_FOUND;

	pthread_mutex_lock(&f->lock);
	if (!reached) {
		count->n = fallback_attempts_count(f->attempts, w);
		count->local = true;
	}
	note(f, reached);
	pthread_mutex_unlock(&f->lock);
	return STORE_FOUND;
}

static void fallback_rate(struct store_engine *e, const struct store_rate_request *r,
    struct store_rate_reply *reply, int64_t until)
{
	struct fallback *f = fallback_of(e);
	int64_t now;

	f->inner->ops->rate(f->inner, r, reply, until);
	now = store_now(&f->options);
	pthread_mutex_lock(&f->lock);
	if (reply->answer == STORE_RATE_UNKNOWN) {
		fallback_rates_decide(f->rates, r, reply->sent, now, reply);
		note(f, false);
	} else {
		fallback_rates_learn(f->rates, r->limit, reply, now);
		note(f, true);
	}
	pthread_mutex_unlock(&f->lock);
}

static enum store_answer fallback_merge(struct store_engine *e, int64_t until)
{
	struct fallback *f = fallback_of(e);

	if (waiting_now(f) == 0)
		return STORE_FOUND;
	if (turn_take(&f->merging, until)) {
		merge_all(f, until);
		turn_give(&f->merging);
	}
	return waiting_now(f) == 0 ? STORE_FOUND : STORE_ABSENT;
}

static void fallback_status(struct store_engine *e, struct store_status *status)
{
	struct fallback *f = fallback_of(e);

	pthread_mutex_lock(&f->lock);
	status->away = f->away;
	status->pending = waiting(f);
	status->merged = f->merged;
	status->dropped = dropped(f);
	pthread_mutex_unlock(&f->lock);
}

static void fallback_close(struct store_engine *e)
{
	struct fallback *f = fallback_of(e);
	uint64_t left;

	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	if (f->running)
		pthread_join(f->thread, NULL);
	merge_all(f, clock_ms() + CLOSE_MERGE_MS);
	left = waiting(f);
	if (left > 0)
		log_error(
		    NULL, "store: Redis is away: %" PRIu64 " attempts and limits are lost", left);
	fallback_attempts_free(f->attempts);
	fallback_rates_free(f->rates);
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->lock);
	turn_destroy(&f->merging);
	free(f);
}

static const struct store_engine_ops fallback_ops = {
    .name = "fallback",
    .close = fallback_close,
    .status = fallback_status,
    .attempt_add = fallback_attempt_add,
    .attempt_count = fallback_attempt_count,
    .rate = fallback_rate,
    .merge = fallback_merge,
};

struct store_engine *store_fallback_open(struct store_engine *inner, const struct store_options *o)
{
	struct fallback *f = xcalloc(1, sizeof *f);
	uint64_t random = (uint64_t)(uintptr_t)f ^ (uint64_t)clock_ms();

	/* store_open() has had random bytes from the kernel, so this does not fail either. */
	if (getrandom(&random, sizeof random, 0) < 0)
		log_warn(NULL, "store: the kernel gave no random bytes");
	snprintf(f->nonce, sizeof f->nonce, "%016" PRIx64, random);
	f->engine.ops = &fallback_ops;
	f->inner = inner;
	f->options = *o;
	f->attempts = fallback_attempts_new(o->fallback_attempts);
	f->rates = fallback_rates_new(o->fallback_limits, f->nonce);
	turn_init(&f->merging);
	pthread_mutex_init(&f->lock, NULL);
	turn_condition(&f->wake);
	return &f->engine;
}
