/* dns_known.c - see dns_known.h. */
#include "common/dns_known.h"

#include "common/clock.h"
#include "common/dns/dns_channels.h"
#include "common/limits.h"
#include "common/log.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct dns_known {
	char *key;
	struct dns_channels *channels;
	struct breaker breaker;
	unsigned users;
	uint64_t used;	/* when it was wanted last, counted in wishes */
	bool temporary; /* there was no room to remember it */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list and all breakers */
static struct dns_known *list[LIMIT_DNS_KNOWN_SERVERS];
static size_t n;
static uint64_t wishes;

static void known_free(struct dns_known *k)
{
	dns_channels_free(k->channels);
	free(k->key);
	free(k);
}

static char *key_of(const struct dns_options *o)
{
	char *key = xasprintf("%c %s", o->every_answer ? 'e' : 'f',
	    o->servers.n > 0 || o->resolv_conf == NULL ? "" : o->resolv_conf);

	for (size_t i = 0; i < o->servers.n; i++) {
		char *longer = xasprintf("%s;%s", key, o->servers.v[i]);

		free(key);
		key = longer;
	}
	return key;
}

static struct dns_known *find(const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i]->key, key) == 0)
			return list[i];
	return NULL;
}

/* Room for one more: what was not wanted for the longest time is forgotten. NULL: all are in use.
 */
static struct dns_known **find_room(void)
{
	struct dns_known **oldest = NULL;

	if (n < LIMIT_DNS_KNOWN_SERVERS)
		return &list[n++];
	for (size_t i = 0; i < n; i++)
		if (list[i]->users == 0 && (oldest == NULL || list[i]->used < (*oldest)->used))
			oldest = &list[i];
	if (oldest != NULL)
		known_free(*oldest);
	return oldest;
}

static struct dns_known *make(
    const struct dns_options *options, const char *key, char *why, size_t size)
{
	struct dns_channels *channels = dns_channels_new(options, why, size);
	struct dns_known *k, **room;

	if (channels == NULL)
		return NULL;
	k = xcalloc(1, sizeof *k);
	k->key = xstrdup(key);
	k->channels = channels;
	room = find_room();
	k->temporary = room == NULL;
	if (room != NULL)
		*room = k;
	return k;
}

struct dns_known *dns_known_get(const struct dns_options *options, char *why, size_t size)
{
	char *key = key_of(options);
	struct dns_known *k;

	pthread_mutex_lock(&lock);
	k = find(key);
	if (k == NULL)
		k = make(options, key, why, size); /* under the lock: it is quick, and rare */
	if (k != NULL) {			   /* as the configuration has them now */
		k->breaker.limit = options->breaker_failures;
		k->breaker.open_ms = options->breaker_ms;
		k->users++;
		k->used = ++wishes;
	}
	pthread_mutex_unlock(&lock);
	free(key);
	return k;
}

void dns_known_put(struct dns_known *k)
{
	bool temporary;

	pthread_mutex_lock(&lock);
	k->users--;
	temporary = k->temporary;
	pthread_mutex_unlock(&lock);
	if (temporary)
		known_free(k);
}

struct dns_channels *dns_known_channels(struct dns_known *k)
{
	return k->channels;
}

bool dns_known_allows(struct dns_known *k, bool *probe)
{
	bool allowed;

	pthread_mutex_lock(&lock);
	allowed = breaker_allows(&k->breaker, clock_ms());
	*probe = k->breaker.failures > 0;
	pthread_mutex_unlock(&lock);
	return allowed;
}

void dns_known_report(struct dns_known *k, enum breaker_outcome outcome)
{
	const char *servers = dns_channels_servers(k->channels);
	enum breaker_event event;

	pthread_mutex_lock(&lock);
	event = breaker_report(&k->breaker, outcome, clock_ms());
	pthread_mutex_unlock(&lock);
	if (event == BREAKER_OPENED)
		log_error(NULL,
		    "dns: no answer from %s, which scripts asked %u times: now asked once in %u s "
		    "only",
		    servers, k->breaker.limit, (k->breaker.open_ms + 999) / 1000);
	else if (event == BREAKER_CLOSED)
		log_info(NULL, "dns: answers again from %s", servers);
}
