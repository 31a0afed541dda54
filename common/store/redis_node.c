/* redis_node.c - see redis_node.h. */
#include "common/store/redis_node.h"

#include "common/breaker.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/store.h"
#include "common/turn.h"

#include <hiredis/hiredis.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct idle {
	struct idle *next;
	struct redis_conn *conn;
};

struct redis_node {
	_Atomic unsigned refs;
	char *host, *socket, *name;
	uint16_t port;
	const struct redis_login *login;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t returned;
	struct idle *idle; /* used last first, so that a burst's extra ones grow old */
	unsigned open, most;
	struct breaker breaker;
};

struct redis_node *redis_node_new(const char *host, uint16_t port, const char *socket,
    const struct redis_login *login, const struct store_options *o)
{
	struct redis_node *n = xcalloc(1, sizeof *n);

	atomic_store(&n->refs, 1);
	n->port = port;
	n->login = login;
	n->most = o->connections;
	n->breaker = (struct breaker){.limit = o->breaker_failures, .open_ms = o->breaker_ms};
	if (host != NULL) {
		n->host = xstrdup(host);
		n->name = xasprintf("%.255s:%u", host, (unsigned)port);
	} else {
		n->socket = xstrdup(socket);
		n->name = xstrdup(socket);
	}
	pthread_mutex_init(&n->lock, NULL);
	turn_condition(&n->returned);
	return n;
}

struct redis_node *redis_node_ref(struct redis_node *n)
{
	atomic_fetch_add(&n->refs, 1);
	return n;
}

void redis_node_forget(struct redis_node *n)
{
	struct idle *all;

	pthread_mutex_lock(&n->lock);
	all = n->idle;
	n->idle = NULL;
	for (struct idle *i = all; i != NULL; i = i->next)
		n->open--;
	pthread_cond_broadcast(&n->returned);
	pthread_mutex_unlock(&n->lock);
	while (all != NULL) {
		struct idle *i = all;

		all = i->next;
		redis_conn_close(i->conn);
		free(i);
	}
}

void redis_node_unref(struct redis_node *n)
{
	if (n == NULL || atomic_fetch_sub(&n->refs, 1) > 1)
		return;
	redis_node_forget(n);
	pthread_cond_destroy(&n->returned);
	pthread_mutex_destroy(&n->lock);
	free(n->host);
	free(n->socket);
	free(n->name);
	free(n);
}

const char *redis_node_name(const struct redis_node *n)
{
	return n->name;
}

const char *redis_node_host(const struct redis_node *n)
{
	return n->host != NULL ? n->host : "";
}

bool redis_node_is(const struct redis_node *n, const char *host, uint16_t port)
{
	return n->host != NULL && n->port == port && strcmp(n->host, host) == 0;
}

/* ---- connections ---- */

/* An idle connection, or leave to open one (NULL, *leave), before `until`. */
static struct redis_conn *take(struct redis_node *n, int64_t until, bool *leave)
{
	struct redis_conn *conn = NULL;
	bool time_left = true;
	struct idle *i;

	*leave = false;
	pthread_mutex_lock(&n->lock);
	while (n->idle == NULL && n->open == n->most && time_left)
		time_left = turn_wait(&n->returned, &n->lock, until);
	i = n->idle;
	if (i != NULL) {
		n->idle = i->next;
		conn = i->conn;
	} else if (n->open < n->most) {
		n->open++;
		*leave = true;
	}
	pthread_mutex_unlock(&n->lock);
	free(i);
	return conn;
}

/* Give a connection back, or (NULL) the leave to have one. */
static void give(struct redis_node *n, struct redis_conn *conn)
{
	struct idle *i = conn != NULL ? xcalloc(1, sizeof *i) : NULL;

	pthread_mutex_lock(&n->lock);
	if (i != NULL) {
		i->conn = conn;
		i->next = n->idle;
		n->idle = i;
	} else {
		n->open--;
	}
	pthread_cond_signal(&n->returned);
	pthread_mutex_unlock(&n->lock);
}

void redis_node_adopt(struct redis_node *n, struct redis_conn *conn)
{
	pthread_mutex_lock(&n->lock);
	n->open++;
	pthread_mutex_unlock(&n->lock);
	give(n, conn);
}

static struct redis_conn *get(
    struct redis_node *n, int64_t until, bool *used, struct redis_failure *f)
{
	struct redis_conn *conn;
	bool leave;

	for (;;) {
		conn = take(n, until, &leave);
		if (conn == NULL || redis_conn_quiet(conn))
			break;
		redis_conn_close(conn);
		give(n, NULL);
	}
	*used = conn != NULL;
	if (conn != NULL)
		return conn;
	if (!leave) {
		redis_failure_set(f, REDIS_FAULT_BUSY, "all connections are busy");
		return NULL;
	}
	conn = redis_conn_open(n->host, n->port, n->socket, n->login, until, f);
	if (conn == NULL)
		give(n, NULL);
	return conn;
}

/* ---- calls ---- */

static redisReply *call(struct redis_conn *conn, const struct redis_command *command, bool asking,
    int64_t until, struct redis_failure *f)
{
	if (asking) {
		struct redis_command ask = {0};
		redisReply *reply;

		redis_command_text(&ask, "ASKING");
		reply = redis_conn_call(conn, &ask, until, f);
		redis_command_clear(&ask);
		if (reply == NULL)
			return NULL;
		freeReplyObject(reply); /* an error here shows in the next reply */
	}
	return redis_conn_call(conn, command, until, f);
}

static void report(struct redis_node *n, enum breaker_outcome outcome, const char *why)
{
	enum breaker_event event;

	pthread_mutex_lock(&n->lock);
	event = breaker_report(&n->breaker, outcome, clock_ms());
	pthread_mutex_unlock(&n->lock);
	if (event == BREAKER_OPENED)
		log_error(NULL, "store: Redis %s is away: %s", n->name, why);
	else if (event == BREAKER_CLOSED)
		log_warn(NULL, "store: Redis %s is back", n->name);
}

static bool allowed(struct redis_node *n)
{
	bool yes;

	pthread_mutex_lock(&n->lock);
	yes = breaker_allows(&n->breaker, clock_ms());
	pthread_mutex_unlock(&n->lock);
	return yes;
}

bool redis_node_skipped(struct redis_node *n)
{
	bool yes;

	pthread_mutex_lock(&n->lock);
	yes = n->breaker.open && clock_ms() < n->breaker.until;
	pthread_mutex_unlock(&n->lock);
	return yes;
}

struct redisReply *redis_node_call(struct redis_node *n, const struct redis_command *command,
    bool asking, int64_t until, struct redis_failure *f)
{
	int64_t began = clock_ms();
	redisReply *reply = NULL;
	bool used = true;

	if (!allowed(n)) {
		redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "skipped after failures");
		return NULL;
	}
	for (int tries = 0; tries < 2 && used && reply == NULL; tries++) {
		struct redis_conn *conn = get(n, until, &used, f);

		if (conn == NULL)
			break;
		reply = call(conn, command, asking, until, f);
		if (reply != NULL) {
			give(n, conn);
			break;
		}
		redis_conn_close(conn);
		give(n, NULL);
		if (f->fault != REDIS_FAULT_CLOSED)
			break;
		redis_node_forget(n); /* those are as old as the one that was closed */
	}
	if (reply != NULL)
		report(n, BREAKER_OK, "");
	else if (f->fault == REDIS_FAULT_BUSY ||
		 (f->fault == REDIS_FAULT_TIMEOUT && clock_ms() - began < BREAKER_EVIDENCE_MS))
		report(n, BREAKER_NO_EVIDENCE, "");
	else
		report(n, BREAKER_FAILED, f->text);
	return reply;
}
