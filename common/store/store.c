/* store.c - see store.h: opening, send attempts, rate limits and upkeep.
 *
 * Checks and normalises what callers bring, so that both engines see the same and a caller's
 * mistake is an answer, never a fault. store_records.c does the same for the other subjects. */
#include "common/store.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/store/store_attempt.h"
#include "common/store/store_internal.h"
#include "common/store/store_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DAY_MS ((int64_t)86400000)

static const char *const dimension_names[STORE_DIMENSIONS] = {
    [STORE_ALL] = "all",
    [STORE_SERVER] = "server",
    [STORE_ADDRESS] = "address",
    [STORE_DOMAIN] = "domain",
    [STORE_PROVIDER] = "provider",
};

const char *store_dimension_name(enum store_dimension d)
{
	return (unsigned)d < STORE_DIMENSIONS ? dimension_names[d] : "";
}

bool store_dimension_parse(const char *name, enum store_dimension *d)
{
	for (unsigned i = 0; i < STORE_DIMENSIONS; i++)
		if (strcmp(name, dimension_names[i]) == 0) {
			*d = (enum store_dimension)i;
			return true;
		}
	return false;
}

bool store_dimension_ok(enum store_dimension d, const char *key)
{
	bool keyed = key != NULL && key[0] != '\0';

	if ((unsigned)d < STORE_DIMENSIONS && keyed == (d != STORE_ALL))
		return true;
	log_bug(NULL, "store: dimension %u %s a key", (unsigned)d, keyed ? "with" : "without");
	return false;
}

int64_t store_until(int ms)
{
	return clock_ms() + (ms > 0 ? ms : 0);
}

/* ---- opening ---- */

void store_options_default(struct store_options *o)
{
	*o = (struct store_options){
	    .prefix = "mailhooks:",
	    .connections = 8,
	    .open_ms = 10000,
	    .attempts_keep_ms = 30 * DAY_MS,
	    .attempts_keep_count = 1000000,
	    .facts_keep_ms = 30 * DAY_MS,
	    .breaker_failures = 3,
	    .breaker_ms = 1000,
	    .fallback_attempts = 10000,
	    .fallback_limits = 10000,
	};
}

static bool options_ok(const struct store_options *o, char *why, size_t size)
{
	const char *wrong = NULL;

	if (o->prefix == NULL || strlen(o->prefix) > 64 || strpbrk(o->prefix, "{}") != NULL)
		wrong = "prefix must be at most 64 bytes without braces";
	else if (o->connections < 1 || o->connections > LIMIT_STORE_CONNECTIONS)
		wrong = "connections must be 1 to 64";
	else if (o->attempts_keep_ms < 1 || o->attempts_keep_ms > LIMIT_STORE_PERIOD_MS ||
		 o->facts_keep_ms < 1 || o->facts_keep_ms > LIMIT_STORE_PERIOD_MS)
		wrong = "retention must be positive and at most ten years";
	else if (o->attempts_keep_count < 1 || o->attempts_keep_count > LIMIT_STORE_RATE_COUNT)
		wrong = "at least one attempt must be kept";
	if (wrong != NULL)
		snprintf(why, size, "store: %s", wrong);
	return wrong == NULL;
}

struct store *store_open(
    const char *url, const struct store_options *options, char *why, size_t size)
{
	struct store *s = xcalloc(1, sizeof *s);
	uint64_t random;
	bool sqlite;

	if (options != NULL)
		s->options = *options;
	else
		store_options_default(&s->options);
	if (!options_ok(&s->options, why, size))
		goto fail;
	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
		snprintf(why, size, "store: the kernel gave no random bytes");
		goto fail;
	}
	snprintf(s->nonce, sizeof s->nonce, "%016" PRIx64, random);
	s->prefix = xstrdup(s->options.prefix);
	s->options.prefix = s->prefix;
	sqlite = strncmp(url, "sqlite:", 7) == 0;
	if (sqlite)
		s->engine = store_sqlite_open(url + 7, &s->options, why, size);
	else
		s->engine = store_redis_open(url, &s->options, why, size);
	if (s->engine == NULL)
		goto fail;
	s->counters = s->engine;
	if (!sqlite && s->options.fallback_attempts > 0 && s->options.fallback_limits > 0)
		s->counters = store_fallback_open(s->engine, &s->options);
	return s;
fail:
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (s == NULL)
		return;
	if (s->counters != s->engine)
		s->counters->ops->close(s->counters);
	if (s->engine != NULL)
		s->engine->ops->close(s->engine);
	free(s->prefix);
	free(s);
}

/* ---- send attempts ---- */

enum store_answer store_attempt_add(
    struct store *s, const struct store_attempt *a, bool *fresh, int ms)
{
	int64_t until = store_until(ms);
	struct store_attempt_copy copy;
	enum store_answer answer;
	bool unused;

	if (a->event == NULL || a->event[0] == '\0' || a->time_ms < 0) {
		log_bug(NULL, "store: attempt without an event key or a time");
		return STORE_UNKNOWN;
	}
	store_attempt_copy(&copy, a);
	answer =
	    s->counters->ops->attempt_add(s->counters, &copy.a, fresh ? fresh : &unused, until);
	store_attempt_copy_clear(&copy);
	return answer;
}

/* The window with its key and result normalised, and nothing in it that is past retention. */
static bool window_ok(struct store *s, struct store_window *w, struct strlist *copies)
{
	int64_t oldest = store_now(&s->options) - s->options.attempts_keep_ms;

	if (!store_dimension_ok(w->dimension, w->key))
		return false;
	w->key = store_name(copies, w->key, LIMIT_STORE_KEY_BYTES);
	w->result = store_text(copies, w->result, LIMIT_STORE_TEXT_BYTES);
	if (w->since_ms < oldest)
		w->since_ms = oldest;
	if (w->since_ms < 0)
		w->since_ms = 0;
	if (w->before_ms <= 0)
		w->before_ms = INT64_MAX;
	return true;
}

enum store_answer store_attempt_count(
    struct store *s, const struct store_window *window, struct store_count *count, int ms)
{
	int64_t until = store_until(ms);
	struct strlist copies = STRLIST_INIT;
	struct store_window w = *window;
	enum store_answer answer = STORE_UNKNOWN;

	*count = (struct store_count){0};
	if (window_ok(s, &w, &copies))
		answer = w.since_ms >= w.before_ms
			     ? STORE_FOUND
			     : s->counters->ops->attempt_count(s->counters, &w, count, until);
	strlist_clear(&copies);
	return answer;
}

struct finding {
	bool (*visit)(const struct store_attempt *, void *);
	void *arg;
	size_t left;
	bool any, stopped;
};

static bool visit_found(const struct store_attempt *a, void *arg)
{
	struct finding *f = arg;

	f->any = true;
	f->left--;
	if (!f->visit(a, f->arg))
		f->stopped = true;
	return !f->stopped && f->left > 0;
}

enum store_answer store_attempt_find(struct store *s, const struct store_window *window,
    size_t most, bool (*visit)(const struct store_attempt *, void *), void *arg, int ms)
{
	int64_t until = store_until(ms);
	struct strlist copies = STRLIST_INIT;
	struct store_window w = *window;
	struct store_cursor cursor = {0};
	struct finding f = {.visit = visit, .arg = arg, .left = most};
	enum store_answer answer = STORE_FOUND;

	if (!window_ok(s, &w, &copies))
		answer = STORE_UNKNOWN;
	while (answer != STORE_UNKNOWN && !cursor.end && !f.stopped && f.left > 0)
		answer = s->engine->ops->attempt_page(
		    s->engine, &w, &cursor, f.left, visit_found, &f, until);
	strlist_clear(&copies);
	if (answer == STORE_UNKNOWN)
		return answer;
	return f.any ? STORE_FOUND : STORE_ABSENT;
}

_Static_assert(sizeof(((struct store_cursor *)0)->event) == LIMIT_STORE_EVENT_BYTES + 1,
    "a cursor holds any event");

enum store_answer store_attempt_page(struct store *s, const struct store_window *window,
    struct store_cursor *cursor, bool (*visit)(const struct store_attempt *, void *), void *arg,
    int ms)
{
	int64_t until = store_until(ms);
	struct strlist copies = STRLIST_INIT;
	struct store_window w = *window;
	enum store_answer answer = STORE_UNKNOWN;

	if (window_ok(s, &w, &copies))
		answer = s->engine->ops->attempt_page(
		    s->engine, &w, cursor, LIMIT_STORE_PAGE, visit, arg, until);
	strlist_clear(&copies);
	return answer;
}

int64_t store_attempt_oldest(struct store *s)
{
	return store_now(&s->options) - s->options.attempts_keep_ms;
}

int64_t store_time(struct store *s)
{
	return store_now(&s->options);
}

const char *store_sqlite_file(struct store *s)
{
	return s->engine->ops->file != NULL ? s->engine->ops->file(s->engine) : NULL;
}

/* ---- rate limits ---- */

static bool window_sane(const struct store_rate_window *w, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (w[k].period_ms == w[i].period_ms)
			return false;
	return w[i].count >= 1 && w[i].count <= LIMIT_STORE_RATE_COUNT && w[i].period_ms >= 1 &&
	       w[i].period_ms <= LIMIT_STORE_PERIOD_MS && w[i].burst <= LIMIT_STORE_RATE_COUNT;
}

/* The limit with its key fitted and its bursts filled in. */
static bool limit_ok(struct store_rate_limit *limit, struct store_rate_window *windows,
    uint64_t cost, struct strlist *copies)
{
	bool ok = limit->nwindows >= 1 && limit->nwindows <= LIMIT_STORE_RATE_WINDOWS &&
		  cost <= LIMIT_STORE_RATE_COUNT && limit->key != NULL;

	for (size_t i = 0; ok && i < limit->nwindows; i++) {
		windows[i] = limit->windows[i];
		ok = window_sane(windows, i);
		if (windows[i].burst == 0)
			windows[i].burst = windows[i].count;
	}
	if (!ok) {
		log_bug(NULL, "store: rate limit without key, or with wrong windows or cost");
		return false;
	}
	limit->windows = windows;
	limit->key = store_key(copies, limit->key, LIMIT_STORE_KEY_BYTES);
	return true;
}

static enum store_rate rate(struct store *s, const struct store_rate_limit *asked, uint64_t cost,
    bool take, struct store_rate_state *state, int ms)
{
	int64_t until = store_until(ms);
	struct store_rate_window windows[LIMIT_STORE_RATE_WINDOWS];
	struct store_rate_limit limit = *asked;
	struct store_rate_reply reply = {.answer = STORE_RATE_UNKNOWN};
	struct strlist copies = STRLIST_INIT;
	char id[40];

	snprintf(id, sizeof id, "%s-%" PRIx64, s->nonce, atomic_fetch_add(&s->calls, 1));
	if (limit_ok(&limit, windows, cost, &copies)) {
		struct store_rate_request request = {
		    .limit = &limit, .cost = cost, .take = take, .id = id};

		s->counters->ops->rate(s->counters, &request, &reply, until);
	}
	strlist_clear(&copies);
	if (state != NULL)
		*state = reply.state;
	return reply.answer;
}

enum store_rate store_rate_take(struct store *s, const struct store_rate_limit *limit,
    uint64_t cost, struct store_rate_state *state, int ms)
{
	return rate(s, limit, cost, true, state, ms);
}

enum store_rate store_rate_peek(struct store *s, const struct store_rate_limit *limit,
    uint64_t cost, struct store_rate_state *state, int ms)
{
	return rate(s, limit, cost, false, state, ms);
}

/* ---- upkeep ---- */

enum store_answer store_sync(struct store *s, int ms)
{
	if (s->engine->ops->sync == NULL)
		return STORE_FOUND;
	return s->engine->ops->sync(s->engine, store_until(ms));
}

enum store_answer store_expire(struct store *s, int ms)
{
	return s->engine->ops->expire(s->engine, store_until(ms));
}

enum store_answer store_merge(struct store *s, int ms)
{
	if (s->counters->ops->merge == NULL)
		return STORE_FOUND;
	return s->counters->ops->merge(s->counters, store_until(ms));
}

void store_status(struct store *s, struct store_status *status)
{
	*status = (struct store_status){.engine = s->engine->ops->name};
	if (s->counters->ops->status != NULL)
		s->counters->ops->status(s->counters, status);
}
