/* fallback_attempts.c - see fallback_attempts.h. */
#include "common/store/fallback_attempts.h"

#include "common/store/store_attempt.h"
#include "common/store/store_text.h"

#include <uthash.h>
#include <utlist.h>

#include <stdlib.h>
#include <string.h>

struct entry {
	struct store_attempt_copy copy;
	char code[4];
	bool pending;
	struct entry *prev, *next; /* in the queue of pending ones */
	UT_hash_handle hh;	   /* by event; uthash keeps the order of insertion */
};

struct fallback_attempts {
	struct entry *entries; /* oldest first */
	struct entry *queue;   /* pending, oldest first */
	size_t most;
	uint64_t waiting, dropped;
};

struct fallback_attempts *fallback_attempts_new(size_t most)
{
	struct fallback_attempts *f = xcalloc(1, sizeof *f);

	f->most = most;
	return f;
}

static void settle(struct fallback_attempts *f, struct entry *e)
{
	if (!e->pending)
		return;
	e->pending = false;
	DL_DELETE(f->queue, e);
	f->waiting--;
}

static void forget(struct fallback_attempts *f, struct entry *e)
{
	settle(f, e);
	HASH_DEL(f->entries, e);
	store_attempt_copy_clear(&e->copy);
	free(e);
}

void fallback_attempts_free(struct fallback_attempts *f)
{
	while (f->entries != NULL)
		forget(f, f->entries);
	free(f);
}

static struct entry *find(const struct fallback_attempts *f, const char *event)
{
	struct entry *e;

	HASH_FIND_STR(f->entries, event, e);
	return e;
}

bool fallback_attempts_add(struct fallback_attempts *f, const struct store_attempt *a, bool pending)
{
	struct entry *e = find(f, a->event);

	if (e != NULL) {
		if (!pending)
			settle(f, e);
		return false;
	}
	if (HASH_COUNT(f->entries) >= f->most) {
		f->dropped += f->entries->pending;
		forget(f, f->entries);
	}
	e = xcalloc(1, sizeof *e);
	store_attempt_copy(&e->copy, a);
	store_code(e->copy.a.result, e->code);
	HASH_ADD_KEYPTR(hh, f->entries, e->copy.a.event, strlen(e->copy.a.event), e);
	if (pending) {
		e->pending = true;
		DL_APPEND(f->queue, e);
		f->waiting++;
	}
	return true;
}

static const char *key_of(const struct store_attempt *a, enum store_dimension d)
{
	switch (d) {
	case STORE_SERVER:
		return a->server;
	case STORE_ADDRESS:
		return a->address;
	case STORE_DOMAIN:
		return a->domain;
	case STORE_PROVIDER:
		return a->provider;
	case STORE_ALL:
	case STORE_DIMENSIONS:
		break;
	}
	return "";
}

uint64_t fallback_attempts_count(const struct fallback_attempts *f, const struct store_window *w)
{
	size_t text = strlen(w->result);
	struct store_code_range range;
	uint64_t n = 0;

	store_code_range(w->result, &range);
	for (const struct entry *e = f->entries; e != NULL; e = e->hh.next) {
		const struct store_attempt *a = &e->copy.a;

		n += a->time_ms >= w->since_ms && a->time_ms < w->before_ms &&
		     strncmp(e->code, range.low, strlen(range.low)) == 0 &&
		     (!range.compare || strncmp(a->result, w->result, text) == 0) &&
		     strcmp(key_of(a, w->dimension), w->key) == 0;
	}
	return n;
}

bool fallback_attempts_pending(const struct fallback_attempts *f, struct store_attempt_copy *copy)
{
	if (f->queue == NULL)
		return false;
	store_attempt_copy(copy, &f->queue->copy.a);
	return true;
}

void fallback_attempts_merged(struct fallback_attempts *f, const char *event)
{
	struct entry *e = find(f, event);

	if (e != NULL)
		settle(f, e);
}

uint64_t fallback_attempts_waiting(const struct fallback_attempts *f)
{
	return f->waiting;
}

uint64_t fallback_attempts_dropped(const struct fallback_attempts *f)
{
	return f->dropped;
}
