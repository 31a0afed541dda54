/* redis_cluster.c - the topology of Redis Cluster.
 *
 * Keeps the map from the 16384 hash slots to servers. It comes from CLUSTER SLOTS of any server
 * that answers; a MOVED reply corrects one slot at once and makes the map stale, and so does a
 * server that fails. A stale map is read anew before the next call, but not more often than every
 * REFRESH_EVERY_MS. Thread-safe. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/store/redis_node.h"
#include "common/store/redis_router.h"
#include "common/store/redis_slot.h"
#include "common/store.h"
#include "common/turn.h"

#include <hiredis/hiredis.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_EVERY_MS 100
#define NOBODY UINT16_MAX

struct map {
	struct redis_node **nodes; /* references */
	size_t n;
	uint16_t owner[REDIS_SLOTS]; /* index in nodes, or NOBODY */
};

struct cluster {
	struct redis_topology topology;
	const struct redis_url *url;
	const struct redis_login *login;
	struct store_options options;
	struct map *seeds;	/* the servers of the URL; never changes */
	struct turn refreshing; /* one thread reads the map, the others wait for it */
	pthread_mutex_t lock;	/* of what follows */
	struct map *map;
	bool stale;
	int64_t refreshed;
};

/* ---- maps ---- */

static struct map *map_new(void)
{
	struct map *m = xcalloc(1, sizeof *m);

	for (size_t i = 0; i < REDIS_SLOTS; i++)
		m->owner[i] = NOBODY;
	return m;
}

static void map_free(struct map *m)
{
	for (size_t i = 0; i < m->n; i++)
		redis_node_unref(m->nodes[i]);
	free(m->nodes);
	free(m);
}

static uint16_t map_find(const struct map *m, const char *host, uint16_t port)
{
	for (size_t i = 0; i < m->n; i++)
		if (redis_node_is(m->nodes[i], host, port))
			return (uint16_t)i;
	return NOBODY;
}

static uint16_t map_add(struct map *m, struct redis_node *node)
{
	m->nodes = xgrow(m->nodes, m->n, sizeof *m->nodes);
	m->nodes[m->n] = node;
	return (uint16_t)m->n++;
}

/* The index of a server in m: there already, taken over from `old` with its connections, or new. */
static uint16_t map_server(
    struct cluster *c, struct map *m, const struct map *old, const char *host, uint16_t port)
{
	uint16_t at = map_find(m, host, port);

	if (at != NOBODY || m->n == LIMIT_REDIS_NODES)
		return at;
	at = old != NULL ? map_find(old, host, port) : NOBODY;
	if (at != NOBODY)
		return map_add(m, redis_node_ref(old->nodes[at]));
	return map_add(m, redis_node_new(host, port, NULL, c->login, &c->options));
}

/* ---- reading the map ---- */

static bool read_range(struct cluster *c, struct map *m, const struct map *old,
    const redisReply *range, const char *asked)
{
	const redisReply *master;
	const char *host;
	uint16_t at;

	if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 ||
	    range->element[0]->type != REDIS_REPLY_INTEGER ||
	    range->element[1]->type != REDIS_REPLY_INTEGER)
		return false;
	master = range->element[2];
	if (master->type != REDIS_REPLY_ARRAY || master->elements < 2 ||
	    master->element[1]->type != REDIS_REPLY_INTEGER || master->element[1]->integer < 1 ||
	    master->element[1]->integer > UINT16_MAX)
		return false;
	host = master->element[0]->type == REDIS_REPLY_STRING ? master->element[0]->str : "";
	if (host[0] == '\0' || strcmp(host, "?") == 0) /* "the one that you asked" */
		host = asked;
	at = map_server(c, m, old, host, (uint16_t)master->element[1]->integer);
	if (at == NOBODY)
		return false;
	for (long long s = range->element[0]->integer; s <= range->element[1]->integer; s++) {
		if (s < 0 || s >= REDIS_SLOTS)
			return false;
		m->owner[s] = at;
	}
	return true;
}

static struct map *read_map(struct cluster *c, const struct map *old, const redisReply *reply,
    const char *asked, struct redis_failure *f)
{
	struct map *m = map_new();
	bool ok = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0;

	for (size_t i = 0; ok && i < reply->elements; i++)
		ok = read_range(c, m, old, reply->element[i], asked);
	if (ok)
		return m;
	if (reply->type == REDIS_REPLY_ERROR)
		redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "CLUSTER SLOTS: %.120s", reply->str);
	else
		redis_failure_set(f, REDIS_FAULT_PROTOCOL, "CLUSTER SLOTS: no map of the slots");
	map_free(m);
	return NULL;
}

static void publish(struct cluster *c, struct map *m)
{
	struct map *old;

	pthread_mutex_lock(&c->lock);
	old = c->map;
	c->map = m;
	c->stale = false;
	pthread_mutex_unlock(&c->lock);
	if (old != NULL)
		map_free(old);
}

/* Every server that may know the map: those of the present one, then those of the URL. */
static struct map *candidates(struct cluster *c)
{
	struct map *all = map_new();

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; c->map != NULL && i < c->map->n; i++)
		map_add(all, redis_node_ref(c->map->nodes[i]));
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < c->seeds->n; i++)
		if (map_find(all, redis_node_host(c->seeds->nodes[i]), c->url->hosts[i].port) ==
		    NOBODY)
			map_add(all, redis_node_ref(c->seeds->nodes[i]));
	return all;
}

static void refresh(struct cluster *c, int64_t until, struct redis_failure *f)
{
	struct map *all = candidates(c), *found = NULL;
	struct redis_command command = {0};

	redis_command_text(&command, "CLUSTER");
	redis_command_text(&command, "SLOTS");
	for (size_t i = 0; i < all->n && found == NULL && clock_ms() < until; i++) {
		int64_t now = clock_ms();
		/* One that hangs must leave time for the others and for the call itself. */
		int64_t share = (until - now) / (int64_t)(all->n - i + 1);
		redisReply *reply;

		if (redis_node_skipped(all->nodes[i])) {
			redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "skipped after failures");
			continue;
		}
		reply = redis_node_call(all->nodes[i], &command, false, now + share, f);
		if (reply == NULL)
			continue;
		found = read_map(c, all, reply, redis_node_host(all->nodes[i]), f);
		freeReplyObject(reply);
	}
	redis_command_clear(&command);
	if (found != NULL)
		publish(c, found);
	map_free(all);
}

/* ---- the topology ---- */

static bool must_refresh(struct cluster *c, bool claim)
{
	int64_t now = clock_ms();
	bool must;

	pthread_mutex_lock(&c->lock);
	must = (c->map == NULL || c->stale) && now - c->refreshed >= REFRESH_EVERY_MS;
	if (must && claim)
		c->refreshed = now;
	pthread_mutex_unlock(&c->lock);
	return must;
}

static void refresh_if_stale(struct cluster *c, int64_t until, struct redis_failure *f)
{
	if (!must_refresh(c, false) || !turn_take(&c->refreshing, until))
		return;
	if (must_refresh(c, true)) /* nobody did while we waited */
		refresh(c, until, f);
	turn_give(&c->refreshing);
}

static struct redis_node *owner(struct cluster *c, unsigned slot)
{
	struct redis_node *node = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->map != NULL && c->map->owner[slot] != NOBODY)
		node = redis_node_ref(c->map->nodes[c->map->owner[slot]]);
	pthread_mutex_unlock(&c->lock);
	return node;
}

static struct redis_node *cluster_pick(
    struct redis_topology *t, unsigned slot, int64_t until, struct redis_failure *f)
{
	struct cluster *c = (struct cluster *)t;

	redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "no server has slot %u", slot);
	refresh_if_stale(c, until, f);
	return owner(c, slot);
}

static bool cluster_failed(
    struct redis_topology *t, struct redis_node *node, unsigned slot, int64_t until)
{
	struct cluster *c = (struct cluster *)t;
	struct redis_failure ignored;
	struct redis_node *now;
	bool other;

	redis_node_forget(node);
	pthread_mutex_lock(&c->lock);
	c->stale = true;
	pthread_mutex_unlock(&c->lock);
	refresh_if_stale(c, until, &ignored);
	now = owner(c, slot);
	other = now != NULL && now != node;
	redis_node_unref(now);
	return other;
}

static struct redis_node *cluster_redirect(
    struct redis_topology *t, unsigned slot, const char *host, uint16_t port, bool moved)
{
	struct cluster *c = (struct cluster *)t;
	struct redis_node *node = NULL;
	uint16_t at;

	pthread_mutex_lock(&c->lock);
	if (c->map == NULL)
		c->map = map_new();
	at = map_server(c, c->map, NULL, host, port);
	if (at != NOBODY) {
		node = redis_node_ref(c->map->nodes[at]);
		if (moved) {
			c->map->owner[slot] = at;
			c->stale = true;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return node;
}

static void cluster_close(struct redis_topology *t)
{
	struct cluster *c = (struct cluster *)t;

	if (c->map != NULL)
		map_free(c->map);
	map_free(c->seeds);
	pthread_mutex_destroy(&c->lock);
	turn_destroy(&c->refreshing);
	free(c);
}

static const struct redis_topology_ops cluster_ops = {
    .name = "redis-cluster",
    .pick = cluster_pick,
    .failed = cluster_failed,
    .redirect = cluster_redirect,
    .close = cluster_close,
};

struct redis_topology *redis_cluster_new(
    const struct redis_url *u, const struct redis_login *login, const struct store_options *o)
{
	struct cluster *c = xcalloc(1, sizeof *c);

	c->topology.ops = &cluster_ops;
	c->url = u;
	c->login = login;
	c->options = *o;
	c->seeds = map_new();
	for (size_t i = 0; i < u->nhosts; i++)
		map_add(
		    c->seeds, redis_node_new(u->hosts[i].name, u->hosts[i].port, NULL, login, o));
	c->refreshed = clock_ms() - REFRESH_EVERY_MS;
	turn_init(&c->refreshing);
	pthread_mutex_init(&c->lock, NULL);
	return &c->topology;
}
