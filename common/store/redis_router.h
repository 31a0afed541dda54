/* redis_router.h - from a request to the server that holds its keys, and its reply.
 *
 * Knows what Redis's error replies mean: a script that must be loaded, a key that lives elsewhere,
 * a server that is not a master any more. The topologies (one server, Sentinel, Cluster) answer
 * "which server?". Thread-safe. */
#pragma once

#include "common/store/redis_command.h"
#include "common/store/redis_conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_node;
struct redis_script;
struct redis_url;
struct store_options;

/* ---- what a topology offers ---- */

struct redis_topology {
	const struct redis_topology_ops *ops;
};

struct redis_topology_ops {
	const char *name; /* as in struct store_status */
	/* A reference to the server for a slot; NULL with the failure set. */
	struct redis_node *(*pick)(
	    struct redis_topology *, unsigned slot, int64_t until, struct redis_failure *);
	/* The server failed, or cannot serve in its role. True if another may serve now. */
	bool (*failed)(struct redis_topology *, struct redis_node *, unsigned slot, int64_t until);
	/* The server said that a slot lives at host:port. moved: for good, else for this once.
	 * NULL: this topology has no such thing. */
	struct redis_node *(*redirect)(
	    struct redis_topology *, unsigned slot, const char *host, uint16_t port, bool moved);
	void (*close)(struct redis_topology *);
};

struct redis_topology *redis_single_new(
    const struct redis_url *, const struct redis_login *, const struct store_options *);
struct redis_topology *redis_sentinel_new(
    const struct redis_url *, const struct redis_login *, const struct store_options *);
struct redis_topology *redis_cluster_new(
    const struct redis_url *, const struct redis_login *, const struct store_options *);

/* ---- what the store's Redis engine uses ---- */

struct redis_router;

/* Nothing is connected yet. NULL: why is set. */
struct redis_router *redis_router_new(
    const char *url, const struct store_options *, char *why, size_t size);
/* A router with n connections that are there already, to be used in this order; owns them. For
 * tests. */
struct redis_router *redis_router_adopt(const int *fds, size_t n, const struct store_options *);
void redis_router_free(struct redis_router *); /* NULL is fine */
const char *redis_router_name(const struct redis_router *);

struct redis_request {
	const struct redis_script *script; /* NULL: a plain command */
	const char *key;		   /* decides the slot */
	struct redis_command command;
};

/* Begin a script's call with its keys; arguments are added to r->command. Clear that in the end. */
void redis_request_script(
    struct redis_request *, const struct redis_script *, size_t nkeys, const char *const *keys);
/* Begin a plain command on one key. */
void redis_request_plain(struct redis_request *, const char *name, const char *key);

/* The reply, never an error reply; freeReplyObject() it. NULL: the log was told, answer UNKNOWN;
 * *sent (may be NULL) says whether the command may have run, or may yet run. */
struct redisReply *redis_router_run(
    struct redis_router *, const struct redis_request *, int64_t until, bool *sent);
