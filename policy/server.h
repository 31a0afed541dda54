/* server.h - the clients of both protocols: connections, requests, answers.
 *
 * A connection asks one question at a time; what it sends meanwhile waits in a bounded buffer. A
 * client that is idle too long, slow with a request or with taking its answer, or that breaks the
 * protocol loses its connection and nothing else happens. When there are too many, a new one takes
 * the place of the one that has asked nothing for the longest time. Everything here runs in the
 * loop's thread; requests are answered by workers (dispatch.h). */
#pragma once

#include "common/config.h"
#include "policy/dispatch.h"
#include "policy/listen.h"

#include <stddef.h>

struct event_base;
struct server;

/* The sockets stay the caller's. NULL: error says why. */
struct server *server_new(struct event_base *, struct dispatch *, struct listening_sockets *,
    const struct config *, char *error, size_t size);
void server_free(struct server *);
/* Take no new clients, answer what has been asked, then leave the loop (event_base_loopbreak). */
void server_drain(struct server *);
