/* redis_node.h - one Redis server: its connections and whether it is worth asking.
 *
 * Reference counted and thread-safe. A server that failed several times in a row is skipped for a
 * while (breaker.h): calls then fail at once, and one at a time tries whether it is back. */
#pragma once

#include "common/store/redis_conn.h"
#include "common/store/redis_url.h"

struct redis_node;
struct store_options;

/* login must outlive the node; its strings too. host NULL: socket is a path. */
struct redis_node *redis_node_new(const char *host, uint16_t port, const char *socket,
    const struct redis_login *login, const struct store_options *);
struct redis_node *redis_node_ref(struct redis_node *);
void redis_node_unref(struct redis_node *); /* NULL is fine */

const char *redis_node_name(const struct redis_node *); /* "host:port" or the path, for logs */
bool redis_node_is(const struct redis_node *, const char *host, uint16_t port);
const char *redis_node_host(const struct redis_node *);

/* Send a command and read its reply; asking: after ASKING (Redis Cluster). Free the reply with
 * freeReplyObject(). NULL with the failure set.
 *
 * A kept connection that the server closed meanwhile is replaced and the command sent once more, so
 * every command must be one that may run twice. */
struct redisReply *redis_node_call(struct redis_node *, const struct redis_command *, bool asking,
    int64_t until, struct redis_failure *);
/* Close the connections that are not in use: the server changed its role. */
void redis_node_forget(struct redis_node *);
/* Is it skipped now? */
bool redis_node_skipped(struct redis_node *);
/* Put a connection among the idle ones. For tests. */
void redis_node_adopt(struct redis_node *, struct redis_conn *);
