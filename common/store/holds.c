/* holds.c - see holds.h. */
#include "common/store/holds.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/store/store_shared.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct known {
	struct held *v;
	size_t n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct known list;
static char *list_url;	 /* the store it came from */
static int64_t read_ms;	 /* monotonic, 0 = never */
static uint64_t changes; /* by holds_set() */
static bool reading;

int64_t holds_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct held copy_of(const struct store_hold *h)
{
	struct held out = {.dimension = h->dimension, .until_ms = h->until_ms};

	snprintf(out.key, sizeof out.key, "%s", h->key != NULL ? h->key : "");
	snprintf(out.who, sizeof out.who, "%s", h->who != NULL ? h->who : "");
	snprintf(out.reason, sizeof out.reason, "%s", h->reason != NULL ? h->reason : "");
	return out;
}

static size_t find(const struct known *k, const struct held *h)
{
	size_t i = 0;

	while (
	    i < k->n && (k->v[i].dimension != h->dimension || strcasecmp(k->v[i].key, h->key) != 0))
		i++;
	return i;
}

static void add(struct known *k, const struct held *h)
{
	k->v = xgrow(k->v, k->n, sizeof *k->v);
	k->v[k->n++] = *h;
}

static bool collect(const struct store_hold *h, void *arg)
{
	struct held one = copy_of(h);

	add(arg, &one);
	return true;
}

/* ---- reading the list ---- */

/* Whoever gets true reads; as long as nothing is known everybody does. A list of another store is
 * of no use. */
static bool take_turn(const char *url, int age_ms)
{
	bool mine;

	pthread_mutex_lock(&lock);
	if (list_url == NULL || strcmp(list_url, url) != 0) {
		xreplace(&list_url, url);
		list.n = 0;
		read_ms = 0;
	}
	mine = read_ms == 0 || (!reading && clock_ms() - read_ms >= age_ms);
	reading |= mine;
	pthread_mutex_unlock(&lock);
	return mine;
}

static uint64_t changes_now(void)
{
	uint64_t n;

	pthread_mutex_lock(&lock);
	n = changes;
	pthread_mutex_unlock(&lock);
	return n;
}

/* What the store did not take goes on in this process. */
static void take_over(const struct known *old, struct known *fresh)
{
	int64_t now = holds_now_ms();

	for (size_t i = 0; i < old->n; i++)
		if (old->v[i].ours && old->v[i].until_ms > now && fresh->n < LIMIT_STORE_HOLDS &&
		    find(fresh, &old->v[i]) == fresh->n)
			add(fresh, &old->v[i]);
}

/* What was set meanwhile is not in a list that was read before: it is then read once more, by the
 * next caller. */
static void put_list(
    const char *url, struct known *fresh, enum store_answer answer, uint64_t changes_before)
{
	pthread_mutex_lock(&lock);
	reading = false;
	if (answer != STORE_UNKNOWN && changes == changes_before && list_url != NULL &&
	    strcmp(list_url, url) == 0) {
		struct known old = list;

		take_over(&old, fresh);
		list = *fresh;
		*fresh = old;
		read_ms = clock_ms();
	} else if (answer == STORE_UNKNOWN) {
		read_ms = clock_ms(); /* ask again after a while, not for each decision */
	}
	pthread_mutex_unlock(&lock);
	free(fresh->v);
}

static void refresh(const char *url, int age_ms, int ms)
{
	struct known fresh = {0};
	enum store_answer answer = STORE_UNKNOWN;
	uint64_t before;
	struct store *store;

	if (!take_turn(url, age_ms))
		return;
	before = changes_now();
	store = store_shared_get(url);
	if (store != NULL) {
		answer = store_hold_list(store, collect, &fresh, ms);
		store_shared_put(store);
		store_shared_report(url, answer);
	}
	put_list(url, &fresh, answer, before);
}

/* ---- looking in it ---- */

static bool is_exempt(const struct held *h)
{
	return h->key[0] == HOLDS_EXEMPT;
}

static bool covers(const struct held *h, const struct hold_target *t)
{
	const char *name = is_exempt(h) ? h->key + 1 : h->key;
	const char *const keys[STORE_DIMENSIONS] = {
	    [STORE_SERVER] = t->server,
	    [STORE_ADDRESS] = t->address,
	    [STORE_DOMAIN] = t->domain,
	    [STORE_PROVIDER] = t->provider,
	};
	const char *key = keys[h->dimension];

	return h->dimension == STORE_ALL ||
	       (key != NULL && key[0] != '\0' && strcasecmp(key, name) == 0);
}

/* The lock is held. */
static bool is_released(const struct held *h, int64_t now)
{
	for (size_t i = 0; i < list.n; i++) {
		const struct held *e = &list.v[i];

		if (is_exempt(e) && e->until_ms > now && e->dimension == h->dimension &&
		    strcasecmp(e->key + 1, h->key) == 0)
			return true;
	}
	return false;
}

/* The one that ends last, of the holds or of what is released. The lock is held. */
static bool last_of(const struct hold_target *target, bool exempt, struct held *out)
{
	int64_t now = holds_now_ms();
	bool found = false;

	for (size_t i = 0; i < list.n; i++) {
		const struct held *h = &list.v[i];

		if (is_exempt(h) != exempt || h->until_ms <= now || !covers(h, target) ||
		    (found && h->until_ms <= out->until_ms) || (!exempt && is_released(h, now)))
			continue;
		*out = *h;
		found = true;
	}
	return found;
}

enum store_answer holds_find(
    const char *url, const struct hold_target *target, int age_ms, struct held *out, int ms)
{
	bool found;

	refresh(url, age_ms, ms);
	pthread_mutex_lock(&lock);
	found = last_of(target, false, out);
	pthread_mutex_unlock(&lock);
	return found ? STORE_FOUND : STORE_ABSENT;
}

enum store_answer holds_exempt(const char *url, const struct hold_target *target, struct held *out)
{
	bool found;

	pthread_mutex_lock(&lock);
	found = list_url != NULL && strcmp(list_url, url) == 0 && last_of(target, true, out);
	pthread_mutex_unlock(&lock);
	return found ? STORE_FOUND : STORE_ABSENT;
}

/* ---- changing it ---- */

static void note(const char *url, const struct store_hold *h, bool ours)
{
	struct held mine = copy_of(h);
	size_t i;

	mine.ours = ours;
	pthread_mutex_lock(&lock);
	if (list_url != NULL && strcmp(list_url, url) == 0) {
		i = find(&list, &mine);
		if (i < list.n)
			list.v[i] = mine;
		else if (list.n < LIMIT_STORE_HOLDS)
			add(&list, &mine);
		changes++;
	}
	pthread_mutex_unlock(&lock);
}

enum store_answer holds_set(const char *url, const struct store_hold *h, int ms)
{
	struct store *store = store_shared_get(url);
	enum store_answer answer = STORE_UNKNOWN;

	if (store != NULL) {
		answer = store_hold_set(store, h, ms);
		store_shared_put(store);
		store_shared_report(url, answer);
	}
	note(url, h, answer == STORE_UNKNOWN);
	return answer;
}

/* True: it was in the list. A list that is being read now is not taken. */
static bool drop(const char *url, const struct held *h)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	if (list_url != NULL && strcmp(list_url, url) == 0) {
		size_t i = find(&list, h);

		found = i < list.n && list.v[i].until_ms > holds_now_ms();
		if (i < list.n)
			list.v[i] = list.v[--list.n];
		changes++;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

enum store_answer holds_release(
    const char *url, enum store_dimension dimension, const char *key, int ms)
{
	const struct store_hold wanted = {.dimension = dimension, .key = key};
	const struct held h = copy_of(&wanted);
	struct store *store = store_shared_get(url);
	enum store_answer answer = STORE_UNKNOWN;

	if (store != NULL) {
		answer = store_hold_release(store, dimension, key, ms);
		store_shared_put(store);
		store_shared_report(url, answer);
	}
	if (drop(url, &h) && answer == STORE_ABSENT)
		answer = STORE_FOUND; /* one that the store had not taken */
	return answer;
}

void holds_forget(void)
{
	pthread_mutex_lock(&lock);
	free(list.v);
	list = (struct known){0};
	xreplace(&list_url, NULL);
	read_ms = 0;
	pthread_mutex_unlock(&lock);
}
