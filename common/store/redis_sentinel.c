/* redis_sentinel.c - the topology of one master that Sentinels watch over.
 *
 * The Sentinels are asked who the master is before the first call, and again whenever the master
 * fails or says that it is none. Each connection proves by ROLE that it leads to a master: a master
 * that was demoted would answer readers with old data. Thread-safe. */
#include "common/breaker.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/store/redis_node.h"
#include "common/store/redis_router.h"
#include "common/store.h"
#include "common/turn.h"

#include <hiredis/hiredis.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ASK_EVERY_MS                                                                \
	100 /* a failover takes seconds; asking more often only loads the Sentinels \
	     */

struct sentinel {
	struct redis_topology topology;
	const struct redis_url *url;
	const struct redis_login *master_login;
	struct redis_login login; /* to the Sentinels */
	struct store_options options;
	struct turn asking;   /* one thread asks, the others wait for its answer */
	size_t first;	      /* Sentinel that answered last; of the asking thread */
	pthread_mutex_t lock; /* of what follows */
	struct redis_node *master;
	bool suspect; /* ask before the next call */
	int64_t asked;
	struct breaker breaker; /* of the Sentinels as a whole */
};

/* ---- asking ---- */

/* Who is the master? host is to be freed. */
static bool read_answer(
    const redisReply *reply, char **host, uint16_t *port, struct redis_failure *f)
{
	unsigned long number;

	if (reply->type == REDIS_REPLY_NIL) {
		redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "Sentinel knows no such master");
		return false;
	}
	if (reply->type == REDIS_REPLY_ERROR) {
		redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "Sentinel: %.120s", reply->str);
		return false;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_STRING) {
		redis_failure_set(f, REDIS_FAULT_PROTOCOL, "Sentinel's answer is not an address");
		return false;
	}
	number = strtoul(reply->element[1]->str, NULL, 10);
	if (number == 0 || number > UINT16_MAX) {
		redis_failure_set(f, REDIS_FAULT_PROTOCOL, "Sentinel's answer has no port");
		return false;
	}
	*host = xstrdup(reply->element[0]->str);
	*port = (uint16_t)number;
	return true;
}

static bool ask_one(struct sentinel *s, const struct redis_host *at, int64_t until, char **host,
    uint16_t *port, struct redis_failure *f)
{
	struct redis_conn *conn = redis_conn_open(at->name, at->port, NULL, &s->login, until, f);
	struct redis_command command = {0};
	redisReply *reply;
	bool ok = false;

	if (conn == NULL)
		return false;
	redis_command_text(&command, "SENTINEL");
	redis_command_text(&command, "get-master-addr-by-name");
	redis_command_text(&command, s->url->master);
	reply = redis_conn_call(conn, &command, until, f);
	if (reply != NULL) {
		ok = read_answer(reply, host, port, f);
		freeReplyObject(reply);
	}
	redis_command_clear(&command);
	redis_conn_close(conn);
	return ok;
}

static bool ask_all(
    struct sentinel *s, int64_t until, char **host, uint16_t *port, struct redis_failure *f)
{
	size_t n = s->url->nhosts;

	for (size_t i = 0; i < n; i++) {
		size_t at = (s->first + i) % n;
		int64_t now = clock_ms();
		/* One that hangs must leave time for the others and for the call itself. */
		int64_t share = (until - now) / (int64_t)(n - i + 1);

		if (ask_one(s, &s->url->hosts[at], now + share, host, port, f)) {
			s->first = at;
			return true;
		}
	}
	return false;
}

/* ---- the master ---- */

static bool must_ask(struct sentinel *s)
{
	bool must;

	pthread_mutex_lock(&s->lock);
	must = s->master == NULL || (s->suspect && clock_ms() - s->asked >= ASK_EVERY_MS);
	pthread_mutex_unlock(&s->lock);
	return must;
}

static void keep_master(struct sentinel *s, const char *host, uint16_t port)
{
	struct redis_node *old = NULL;

	pthread_mutex_lock(&s->lock);
	s->suspect = false;
	if (s->master == NULL || !redis_node_is(s->master, host, port)) {
		old = s->master;
		s->master = redis_node_new(host, port, NULL, s->master_login, &s->options);
		log_info(NULL, "store: Redis master %s is %s", s->url->master,
		    redis_node_name(s->master));
	}
	pthread_mutex_unlock(&s->lock);
	redis_node_unref(old);
}

static void ask(struct sentinel *s, int64_t until, struct redis_failure *f)
{
	int64_t began = clock_ms();
	enum breaker_outcome outcome;
	char *host = NULL;
	uint16_t port = 0;
	bool allowed;

	pthread_mutex_lock(&s->lock);
	allowed = breaker_allows(&s->breaker, began);
	s->asked = began;
	pthread_mutex_unlock(&s->lock);
	if (!allowed) {
		redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "Sentinels skipped after failures");
		return;
	}
	if (ask_all(s, until, &host, &port, f)) {
		keep_master(s, host, port);
		free(host);
		outcome = BREAKER_OK;
	} else {
		bool hasty =
		    f->fault == REDIS_FAULT_TIMEOUT && clock_ms() - began < BREAKER_EVIDENCE_MS;

		outcome = hasty ? BREAKER_NO_EVIDENCE : BREAKER_FAILED;
	}
	pthread_mutex_lock(&s->lock);
	if (breaker_report(&s->breaker, outcome, clock_ms()) == BREAKER_OPENED)
		log_error(NULL, "store: no Redis Sentinel answers: %s", f->text);
	pthread_mutex_unlock(&s->lock);
}

static struct redis_node *sentinel_pick(
    struct redis_topology *t, unsigned slot, int64_t until, struct redis_failure *f)
{
	struct sentinel *s = (struct sentinel *)t;
	struct redis_node *master = NULL;

	(void)slot;
	if (must_ask(s) && turn_take(&s->asking, until)) {
		if (must_ask(s)) /* nobody did while we waited */
			ask(s, until, f);
		turn_give(&s->asking);
	}
	/* No Sentinel answers, but a master was known: ROLE will tell whether it still is one. */
	pthread_mutex_lock(&s->lock);
	if (s->master != NULL)
		master = redis_node_ref(s->master);
	pthread_mutex_unlock(&s->lock);
	return master;
}

static bool sentinel_failed(
    struct redis_topology *t, struct redis_node *node, unsigned slot, int64_t until)
{
	struct sentinel *s = (struct sentinel *)t;

	(void)slot;
	(void)until;
	redis_node_forget(node);
	pthread_mutex_lock(&s->lock);
	if (s->master == node)
		s->suspect = true;
	pthread_mutex_unlock(&s->lock);
	return true;
}

static void sentinel_close(struct redis_topology *t)
{
	struct sentinel *s = (struct sentinel *)t;

	redis_node_unref(s->master);
	pthread_mutex_destroy(&s->lock);
	turn_destroy(&s->asking);
	free(s);
}

static const struct redis_topology_ops sentinel_ops = {
    .name = "redis-sentinel",
    .pick = sentinel_pick,
    .failed = sentinel_failed,
    .close = sentinel_close,
};

struct redis_topology *redis_sentinel_new(
    const struct redis_url *u, const struct redis_login *login, const struct store_options *o)
{
	struct sentinel *s = xcalloc(1, sizeof *s);

	s->topology.ops = &sentinel_ops;
	s->url = u;
	s->master_login = login;
	s->login = (struct redis_login){
	    .user = u->sentinel_user,
	    .password = u->sentinel_password,
	    .tls = login->tls,
	    .tls_name = login->tls_name,
	};
	s->options = *o;
	s->breaker = (struct breaker){.limit = o->breaker_failures, .open_ms = o->breaker_ms};
	turn_init(&s->asking);
	pthread_mutex_init(&s->lock, NULL);
	return &s->topology;
}
