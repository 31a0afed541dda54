/* redis_conn.h - one connection to a Redis server: socket, TLS, log-in, one command at a time.
 *
 * A connection belongs to one thread at a time. Every call ends at `until` on the monotonic clock.
 * After a failure the connection is out of step with the server and must be closed. A reply is
 * hiredis's; it is refused, and the connection with it, above LIMIT_REDIS_REPLY_BYTES or with an
 * array above LIMIT_REDIS_REPLY_ELEMENTS (R13). */
#pragma once

#include "common/store/redis_command.h"

#include <stdbool.h>
#include <stdint.h>

struct redis_conn;
struct redis_tls;
struct redisReply;

struct redis_login { /* what every connection to the servers of one URL has in common; borrowed */
	const char *user, *password; /* NULL: none */
	unsigned db;
	struct redis_tls *tls; /* NULL: none */
	const char *tls_name;  /* to verify; NULL: the host connected to */
	bool master;	       /* refuse a server that is not a master now */
};

enum redis_fault {
	REDIS_FAULT_NONE,
	REDIS_FAULT_TIMEOUT,	 /* the deadline came: the command may have run, or may yet run */
	REDIS_FAULT_CLOSED,	 /* the server closed: the command may have run */
	REDIS_FAULT_UNREACHABLE, /* the command was not sent */
	REDIS_FAULT_PROTOCOL,	 /* not Redis, or beyond our bounds */
	REDIS_FAULT_BUSY,	 /* all our connections are in use; not sent */
};

struct redis_failure {
	enum redis_fault fault;
	char text[200];
};

/* host NULL: `socket` is the path of a unix socket. NULL with the failure set. */
struct redis_conn *redis_conn_open(const char *host, uint16_t port, const char *socket,
    const struct redis_login *, int64_t until, struct redis_failure *);
/* A connection over a socket that is there already, without log-in; owns fd. For tests. */
struct redis_conn *redis_conn_adopt(int fd);
void redis_conn_close(struct redis_conn *); /* NULL is fine */

/* Send a command and read its reply, to be freed with freeReplyObject(). An error reply is a reply.
 * NULL with the failure set. */
struct redisReply *redis_conn_call(
    struct redis_conn *, const struct redis_command *, int64_t until, struct redis_failure *);
/* False if the server has closed since the last call, or sent what nobody asked for. Does not wait.
 */
bool redis_conn_quiet(struct redis_conn *);

void redis_failure_set(struct redis_failure *, enum redis_fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
