/* session.c - see session.h. */
#include "milter/session.h"

#include "common/list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int sessions, messages;
static atomic_uint serial;

/* ---- resolvers ---- */

struct resolvers {
	atomic_int refs;
	struct dns *dns;
	struct rbl *rbl;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct resolvers *current;

struct resolvers *resolvers_new(const struct config *cfg, char *error, size_t size)
{
	struct dns_options o = {
	    .breaker_failures = (unsigned)cfg->dns.breaker_failures,
	    .breaker_ms = (unsigned)cfg->dns.breaker_ms,
	};
	struct resolvers *r = xcalloc(1, sizeof *r);

	strlist_copy(&o.servers, &cfg->dns.servers);
	atomic_init(&r->refs, 1);
	r->dns = dns_new(&o, error, size);
	strlist_clear(&o.servers);
	if (r->dns == NULL) {
		free(r);
		return NULL;
	}
	r->rbl = rbl_new(r->dns);
	return r;
}

void resolvers_unref(struct resolvers *r)
{
	if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	rbl_free(r->rbl);
	dns_free(r->dns);
	free(r);
}

struct resolvers *resolvers_current(void)
{
	struct resolvers *r;

	pthread_mutex_lock(&lock);
	r = current;
	if (r != NULL)
		atomic_fetch_add(&r->refs, 1);
	pthread_mutex_unlock(&lock);
	return r;
}

void resolvers_publish(struct resolvers *r)
{
	struct resolvers *before;

	pthread_mutex_lock(&lock);
	before = current;
	current = r;
	pthread_mutex_unlock(&lock);
	resolvers_unref(before);
}

struct rbl *resolvers_rbl(struct resolvers *r)
{
	return r != NULL ? r->rbl : NULL;
}

/* ---- sessions ---- */

/* Unique on this host for as long as anybody keeps logs: start of the second, process, counter. */
static void new_id(struct log_id *id)
{
	snprintf(id->session, sizeof id->session, "%lX-%X-%X", (unsigned long)time(NULL),
	    (unsigned)getpid(), atomic_fetch_add(&serial, 1) + 1);
	id->queue[0] = '\0';
}

struct session *session_new(SMFICTX *ctx, struct script_set *set)
{
	struct session *s = xcalloc(1, sizeof *s);

	new_id(&s->id);
	s->set = set; /* the caller's reference */
	s->resolvers = resolvers_current();
	atomic_fetch_add(&sessions, 1);
	smfi_setpriv(ctx, s);
	return s;
}

void session_free(struct session *s)
{
	if (s == NULL)
		return;
	session_end_message(s);
	smtpsvr_close(s->smtp);
	script_set_unref(s->set);
	resolvers_unref(s->resolvers);
	free(s);
	atomic_fetch_sub(&sessions, 1);
}

void session_begin_message(struct session *s)
{
	if (!s->in_transaction)
		atomic_fetch_add(&messages, 1);
	s->in_transaction = true;
}

void session_end_message(struct session *s)
{
	if (s->in_transaction)
		atomic_fetch_sub(&messages, 1);
	s->in_transaction = false;
	s->id.queue[0] = '\0';
}

int session_messages_in_progress(void)
{
	return atomic_load(&messages);
}

int session_count(void)
{
	return atomic_load(&sessions);
}
