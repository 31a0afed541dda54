/* mxserverrules.h - mxserverrules.lua: which mail servers of a domain may be used.
 *
 * An open instance serves the decisions about one delivery, so its global variables live from
 * GetCheckCache() to FinalOverrides(), and then go. No Lua type appears here. One thread at a time.
 * What an answer means for the MTA is decided elsewhere (mx_decision.h, policy/). */
#pragma once

#include "common/log.h"
#include "lua-bindings/mx_servers.h"
#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stdint.h>

struct mxserverrules;

/* What every hook is told. The texts are borrowed until the instance is closed. */
struct mx_delivery {
	const char *domain;
	int64_t retries, size;	     /* numRetries, messageSize */
	int connection;		     /* ConnectionId: 0, or the number of the map ("mx.1") */
	const char *connection_name; /* ConnectionName */
};

enum mx_answer {
	MX_NO_OPINION, /* no script, no hook, or nothing returned */
	MX_DECIDED,
	MX_FAILED, /* logged; instance and lua.on_error as ever: see mxserverrules_must_fail() */
};

struct mx_usable {
	bool usable;
	int64_t hold_ms; /* 0: not held */
};

/* MX_DECIDED: *out is open. */
enum mx_answer mxserverrules_open(struct script_set *, const struct mx_delivery *,
    const struct log_id *, int64_t deadline_ms, struct mxserverrules **out);
void mxserverrules_close(struct mxserverrules *); /* NULL is fine */
/* Does lua.on_error say that a failed hook must not be taken for an absent one? */
bool mxserverrules_must_fail(const struct script_set *);

/* GetCheckCache(): may what was looked up before be used? */
bool mxserverrules_may_cache(struct mxserverrules *);
/* GetOverrides(): servers instead of those in DNS. *go_on false: as if there were none. out is
 * added to. */
enum mx_answer mxserverrules_overrides(struct mxserverrules *, struct mx_servers *out, bool *go_on);
enum mx_answer mxserverrules_check_server(
    struct mxserverrules *, const char *host, bool usable, struct mx_usable *);
/* FinalOverrides(): replaces *servers when it has another opinion. */
enum mx_answer mxserverrules_final(struct mxserverrules *, struct mx_servers *servers);
/* The file and line where a hook begins, "mxserverrules.lua:12", malloc'ed; NULL: there is none. */
char *mxserverrules_where(struct mxserverrules *, const char *hook);
