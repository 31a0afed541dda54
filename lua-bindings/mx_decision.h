/* mx_decision.h - may this mail server be used now? Holds of the store first, then CheckServer().
 *
 * The one place that knows the order of the two and what an answer leads to, for the maps of
 * mailhooks-policy and for `mailhooks route`. Thread-safe; ends at the deadline. Scripts that only
 * look (script_set_load_to_look()) lead to no hold. */
#pragma once

#include "common/log.h"
#include "lua-bindings/mxserverrules.h"
#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stdint.h>

struct mx_case {
	struct script_set *set;
	const struct log_id *id;
	int64_t deadline_ms;
	struct mx_delivery delivery;
	struct mxserverrules *rules; /* an open instance to ask; NULL: opened when it is needed */
};

enum mx_use {
	MX_USE,	 /* nothing speaks against it */
	MX_DROP, /* held, or not wanted by the script */
	MX_LATER /* the script failed and lua.on_error forbids to go on */
};

struct mx_reason {
	enum mx_use use;
	int64_t until_ms; /* since 1970, while it is held; 0: asked again for the next message */
	char why[1000];	  /* for people */
};

/* retries and size of the messages for a domain, from the store; 0 when nothing is known. */
void mx_decision_facts(const struct mx_case *, int64_t *retries, int64_t *size);
/* host as mx_server_host() gives it. */
void mx_decide(const struct mx_case *, const char *host, struct mx_reason *);
/* The holds only, also those on an address. */
bool mx_decision_held(
    const struct mx_case *, const char *host, const char *address, struct mx_reason *);
