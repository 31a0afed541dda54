/* mxout.h - mxout.lua: ServerDetails() and ReturnCodeHandler(), and the latter of relayout.lua.
 *
 * Each call is one instance of the script, thrown away afterwards. No Lua type appears here. Any
 * thread. What an answer means for the MTA is decided elsewhere. */
#pragma once

#include "common/log.h"
#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stdint.h>

enum mxout_answer {
	MXOUT_NO_OPINION, /* no script, no hook, or nothing returned */
	MXOUT_DECIDED,
	MXOUT_FAILED, /* logged; lua.on_error as ever: see instance_must_fail() */
};

struct mxout_connection { /* what is known of it; NULL = not known */
	const char *server, *domain, *address, *sender;
	int64_t size;
	int id; /* ConnectionId: 0, or the number of the map */
	const char *name;
	bool again; /* the same reply as before, now that its command is known */
	const struct sender_config
	    *relay; /* relayout.lua is asked, as this sender; NULL: mxout.lua */
};

/* VPOP3's names. Zero it before use. */
struct server_actions {
	bool tryESMTP, tryTLS, useBATV, returnAddressModifier, allowDSN, forceTLS, verifyCert;
	char *HELOname, *defaultReturnAddress, *nullReturnAddress;
	char *checkCertName, *checkCertThumbprint;
	struct server_timeouts {
		int64_t connect, command, data;
	} timeouts; /* seconds, 0 = not changed; the names are ours [R] */
};

void server_actions_clear(struct server_actions *);
/* DECIDED: the hook was called, *out is what it wants. */
enum mxout_answer mxout_server_details(struct script_set *, const struct mxout_connection *,
    const struct log_id *, int64_t deadline_ms, struct server_actions *out);

/* A whole reply, CR LF between its lines. banner: it is the first one; relayout.lua is told of a
 * connection that was accepted, with ServerConnected(), before it is asked. DECIDED: *out is
 * another one, malloc'ed, as the script wrote it: not checked. */
enum mxout_answer mxout_return_code(struct script_set *, const struct mxout_connection *,
    const char *command, const char *reply, bool banner, const struct log_id *, int64_t deadline_ms,
    char **out);

/* Does lua.on_error say that a failed hook must not be taken for an absent one? */
bool mxout_must_fail(const struct script_set *);
