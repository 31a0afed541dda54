/* maillog_record.c - see maillog_record.h. */
#include "policy/maillog_record.h"

#include "common/limits.h"
#include "common/log.h"
#include "common/provider.h"
#include "common/store.h"
#include "common/store/store_shared.h"
#include "policy/maillog_events.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define STORE_MS 2000 /* for one call; nobody waits for us */
#define RETRY_MS 500  /* between two calls to a store that does not answer */

struct recorder {
	char *url;
	int stop;
	bool stopped, behind;
	uint64_t dropped; /* by the store's fallback, at the last look */
};

/* False: we stop. */
static bool wait_to_retry(struct recorder *r)
{
	struct pollfd p = {.fd = r->stop, .events = POLLIN};

	if (poll(&p, 1, RETRY_MS) != 0)
		r->stopped = true;
	return !r->stopped;
}

/* ---- attempts ---- */

/* The domain when the log does not name a recipient: known if all of them are of one. */
static char *only_domain(const struct store_facts *f)
{
	const char *domain = NULL;

	for (size_t i = 0; i < f->recipients.n; i++) {
		const char *at = strrchr(f->recipients.v[i], '@');

		if (at == NULL || (domain != NULL && strcasecmp(domain, at + 1) != 0))
			return NULL;
		domain = at + 1;
	}
	return domain != NULL ? xstrdup(domain) : NULL;
}

/* Fill in what the log did not say. */
static void ask_facts(struct store *store, const char *queue_id, char **sender, char **domain)
{
	struct store_facts facts = {0};

	if (queue_id[0] == '\0')
		return;
	if (store_facts_get(store, queue_id, &facts, STORE_MS) == STORE_FOUND) {
		if (*sender == NULL && facts.sender != NULL)
			*sender = xstrdup(facts.sender);
		if (*domain == NULL)
			*domain = only_domain(&facts);
	}
	store_facts_clear(&facts);
}

static enum store_answer add(
    struct store *store, const char *queue_id, const struct dialogue *d, const char *known_sender)
{
	char *sender = known_sender != NULL ? xstrdup(known_sender) : NULL;
	char *domain = d->domain != NULL ? xstrdup(d->domain) : NULL;
	struct store_recipient *list = xcalloc(d->recipients.n + 1, sizeof *list);
	char provider[LIMIT_DNS_NAME_BYTES + 1];
	enum store_answer answer;

	if (sender == NULL || domain == NULL)
		ask_facts(store, queue_id, &sender, &domain);
	provider_of(d->server, provider, sizeof provider);
	for (size_t i = 0; i < d->recipients.n; i++)
		list[i] = (struct store_recipient){d->recipients.v[i], d->results.v[i]};
	const struct store_attempt attempt = {.event = d->key,
	    .time_ms = d->time_ms,
	    .queue_id = queue_id,
	    .server = d->server,
	    .address = d->address,
	    .domain = domain,
	    .provider = provider,
	    .sender = sender,
	    .stage = d->stage,
	    .result = d->result,
	    .tls = d->tls,
	    .connection = d->connection,
	    .delay_ms = d->delay_ms < 0 ? 0 : d->delay_ms,
	    .recipients = list,
	    .nrecipients = d->recipients.n};
	answer = store_attempt_add(store, &attempt, NULL, STORE_MS);
	free(list);
	free(sender);
	free(domain);
	return answer;
}

static void on_tried(const char *queue_id, const struct dialogue *d, const char *sender, void *arg)
{
	struct recorder *r = arg;
	enum store_answer answer;

	while (!r->stopped) {
		struct store *store = store_shared_get(r->url);
		struct store_status status = {.away = true};

		answer = STORE_UNKNOWN;
		if (store != NULL) {
			answer = add(store, queue_id, d, sender);
			store_status(store, &status);
			store_shared_put(store);
		}
		store_shared_report(r->url, status.away ? STORE_UNKNOWN : answer);
		if (answer != STORE_UNKNOWN || !wait_to_retry(r))
			return;
	}
}

/* ---- facts ---- */

/* Run `change` on the store; one that does not answer leaves us behind. */
static void change_facts(struct recorder *r,
    enum store_answer (*change)(struct store *, const char *queue_id, void *), const char *queue_id,
    void *arg)
{
	struct store *store = r->stopped ? NULL : store_shared_get(r->url);

	if (store == NULL) {
		r->behind = true;
		return;
	}
	if (change(store, queue_id, arg) == STORE_UNKNOWN)
		r->behind = true;
	store_shared_put(store);
}

struct known {
	const char *sender;
	int64_t size, time_ms;
};

/* What a program that saw the message has noted is better than the log. */
static enum store_answer put_known(struct store *store, const char *queue_id, void *arg)
{
	const struct known *k = arg;
	struct store_facts facts = {0};
	enum store_answer answer = store_facts_get(store, queue_id, &facts, STORE_MS);

	store_facts_clear(&facts);
	if (answer != STORE_ABSENT)
		return answer;
	facts = (struct store_facts){
	    .sender = xstrdup(k->sender), .size = k->size, .arrival_ms = k->time_ms};
	answer = store_facts_put(store, queue_id, &facts,
	    STORE_FACT_SENDER | STORE_FACT_SIZE | STORE_FACT_ARRIVAL, STORE_MS);
	store_facts_clear(&facts);
	return answer;
}

static void on_known(
    const char *queue_id, const char *sender, int64_t size, int64_t time_ms, void *arg)
{
	struct known known = {sender, size, time_ms};

	change_facts(arg, put_known, queue_id, &known);
}

static enum store_answer put_tried(struct store *store, const char *queue_id, void *arg)
{
	return store_facts_tried(store, queue_id, *(int64_t *)arg, STORE_MS);
}

static void on_deferred(const char *queue_id, int64_t time_ms, void *arg)
{
	struct recorder *r = arg;

	change_facts(r, put_tried, queue_id, &time_ms);
	if (!r->stopped)
		maillog_events_tell(MAILLOG_EVENT_DEFERRED, queue_id, time_ms);
}

static enum store_answer delete_facts(struct store *store, const char *queue_id, void *arg)
{
	(void)arg;
	return store_facts_delete(store, queue_id, STORE_MS);
}

static void on_removed(const char *queue_id, int64_t time_ms, void *arg)
{
	struct recorder *r = arg;

	change_facts(r, delete_facts, queue_id, NULL);
	if (!r->stopped)
		maillog_events_tell(MAILLOG_EVENT_REMOVED, queue_id, time_ms);
}

struct dialogues_listener recorder_listener(struct recorder *r)
{
	return (struct dialogues_listener){on_tried, on_known, on_deferred, on_removed, r};
}

/* ---- is it safe to forget where we were? ---- */

/* Does it take changes of facts again? A full disk and a replica answer questions. */
static bool takes_changes(struct store *store)
{
	static const char nobody[] = "?"; /* no queue id */
	struct store_facts none = {.sender = NULL};

	return store_facts_put(store, nobody, &none, STORE_FACT_SIZE, STORE_MS) == STORE_FOUND &&
	       store_facts_delete(store, nobody, STORE_MS) != STORE_UNKNOWN;
}

static enum recorder_state look(struct recorder *r, struct store *store)
{
	struct store_status status;

	store_status(store, &status);
	if (status.pending > 0)
		store_merge(store, STORE_MS);
	store_status(store, &status);
	if (status.pending > 0)
		return RECORDER_WAIT;
	if (!r->behind && status.dropped <= r->dropped)
		return store_sync(store, STORE_MS) == STORE_FOUND ? RECORDER_SAFE : RECORDER_WAIT;
	if (!takes_changes(store))
		return RECORDER_WAIT;
	r->behind = false;
	r->dropped = status.dropped;
	return RECORDER_BEHIND;
}

enum recorder_state recorder_state(struct recorder *r)
{
	enum recorder_state state;
	struct store *store;

	if (r->stopped)
		return RECORDER_STOPPED;
	store = store_shared_get(r->url);
	if (store == NULL)
		return RECORDER_WAIT;
	state = look(r, store);
	store_shared_put(store);
	return state;
}

struct recorder *recorder_new(const char *store_url, int stop)
{
	struct recorder *r = xcalloc(1, sizeof *r);

	r->url = xstrdup(store_url);
	r->stop = stop;
	return r;
}

void recorder_free(struct recorder *r)
{
	if (r == NULL)
		return;
	free(r->url);
	free(r);
}
