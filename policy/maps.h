/* maps.h - the socketmap names and who answers them.
 *
 * A name is one of the table in maps.c, and may carry the number of an SMTP service or sender:
 * "ehlo_in.2". Unknown names are not found. */
#pragma once

#include "common/log.h"
#include "lua-bindings/script_set.h"
#include "policy/peer.h"
#include "policy/socketmap_codec.h"

#include <stdint.h>

struct delivery;

struct map_query {
	struct script_set *set;
	const char *name; /* as it was sent */
	const char *key;
	size_t key_n;
	int64_t deadline_ms;
	const struct log_id *id;
	struct peer peer;  /* pid 0: not known */
	uint64_t question; /* number of it in the delivery (delivery.h), by maps_heard() */
};

struct map_answer {
	enum socketmap_status status;
	char *value; /* malloc'ed, or NULL */
};

/* First of all, at once when it comes in, in the loop: moves its delivery on. */
void maps_heard(struct map_query *);
/* What to answer, encoded, malloc'ed, *size of bytes. Never NULL. In worker threads. */
char *maps_answer(const struct map_query *, size_t *size);
/* The same for a query that got no answer in time: at once, in the loop. */
char *maps_default(const struct map_query *, size_t *size);
/* Milliseconds that a query may take. */
int maps_deadline_ms(const struct config *, const char *name);

/* ---- for the maps ---- */

/* False: the client came over the network, so nobody knows which delivery this is; logged once. */
bool maps_need_peer(const struct map_query *);
/* Log once for each loading of the scripts. */
void maps_notice(const struct map_query *, const char *what);
/* ConnectionName of the connection with this number: "direct", or the name of the sender. Lives as
 * long as the query's scripts. */
const char *maps_connection_name(const struct map_query *, int number);
