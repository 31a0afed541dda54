/* store_shared.c - see store_shared.h. */
#include "common/store/store_shared.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RETRY_MS 5000 /* between two attempts to open it */
#define OPEN_MS 1000  /* hooks wait for it */
#define BACK_MS 3000  /* without a failure, before it is said to be back */

struct shared {
	char *url;
	struct store *store;
	unsigned users;
	pid_t pid;
	struct shared *next; /* older ones that are still in use */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct shared *newest;
static char *failed_url;
static int64_t retry_at;

static atomic_int_least64_t failed_ms; /* when it did not answer last; 0: it does */

/* Close what nobody uses but for the newest one. */
static void close_unused(bool all)
{
	struct shared **p = &newest;

	while (*p != NULL) {
		struct shared *s = *p;

		if (s->users > 0 || (s == newest && !all)) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		store_close(s->store);
		free(s->url);
		free(s);
	}
}

/* What a parent process opened must not be touched. */
static void forget_parents(void)
{
	if (newest != NULL && newest->pid != getpid())
		newest = NULL;
}

static struct shared *open_one(const char *url)
{
	struct store_options options;
	struct shared *s;
	struct store *store;
	char why[512];

	if (failed_url != NULL && strcmp(failed_url, url) == 0 && clock_ms() < retry_at)
		return NULL;
	store_options_default(&options);
	options.open_ms = OPEN_MS;
	store = store_open(url, &options, why, sizeof why);
	if (store == NULL) {
		log_error(NULL, "%s; tried again in %d s", why, RETRY_MS / 1000);
		xreplace(&failed_url, url);
		retry_at = clock_ms() + RETRY_MS;
		return NULL;
	}
	xreplace(&failed_url, NULL);
	s = xcalloc(1, sizeof *s);
	s->url = xstrdup(url);
	s->store = store;
	s->pid = getpid();
	return s;
}

struct store *store_shared_get(const char *url)
{
	struct shared *s;

	pthread_mutex_lock(&lock);
	forget_parents();
	for (s = newest; s != NULL && strcmp(s->url, url) != 0;)
		s = s->next;
	if (s == NULL) {
		s = open_one(url);
		if (s != NULL) {
			s->next = newest;
			newest = s;
			close_unused(false);
		}
	}
	if (s != NULL)
		s->users++;
	pthread_mutex_unlock(&lock);
	return s != NULL ? s->store : NULL;
}

void store_shared_put(struct store *store)
{
	pthread_mutex_lock(&lock);
	for (struct shared *s = newest; s != NULL; s = s->next)
		if (s->store == store)
			s->users--;
	close_unused(false);
	pthread_mutex_unlock(&lock);
}

/* The URL may hold a password: what is before the host is not logged. */
static const char *place(const char *url)
{
	const char *at = strrchr(url, '@'), *slashes = strstr(url, "//");

	return at != NULL && slashes != NULL ? at + 1 : url;
}

void store_shared_report(const char *url, enum store_answer answer)
{
	int_least64_t failed = atomic_load(&failed_ms);

	if (answer == STORE_UNKNOWN) {
		if (atomic_exchange(&failed_ms, clock_ms()) == 0)
			log_error(NULL,
			    "store: no answer from %s: scripts go on without it until it is back",
			    place(url));
	} else if (failed != 0 && clock_ms() - failed >= BACK_MS &&
		   atomic_compare_exchange_strong(&failed_ms, &failed, 0)) {
		log_info(NULL, "store: answers again from %s", place(url));
	}
}

void store_shared_close(void)
{
	pthread_mutex_lock(&lock);
	forget_parents();
	close_unused(true);
	xreplace(&failed_url, NULL);
	pthread_mutex_unlock(&lock);
}
