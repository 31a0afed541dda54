/* session.h - what the milter keeps of one MTA connection, and what all of them share.
 *
 * A struct session hangs on its SMFICTX (smfi_setpriv): libmilter runs the callbacks of one session
 * on different threads, one after the other, so nothing may hang on a thread. Created at
 * negotiation, freed at close. */
#pragma once

#include "common/dns.h"
#include "common/log.h"
#include "common/rbl.h"
#include "lua-bindings/script_set.h"
#include "lua-bindings/smtpsvr.h"

#include <libmilter/mfapi.h>

#include <stdbool.h>

enum mta { MTA_UNKNOWN, MTA_POSTFIX, MTA_SENDMAIL };

/* Points of the dialogue at which an answer may be due; order of steps[] in negotiate.c. */
enum stage {
	STAGE_CONNECT,
	STAGE_HELO,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_UNKNOWN,
	STAGE_HEADER,
	STAGE_END_OF_HEADER,
	STAGE_BODY,
	STAGE_END,
	STAGE_COUNT
};

/* Resolver and block list cache: replaced by a reload that changes the settings, pinned by
 * sessions. */
struct resolvers;
struct resolvers *resolvers_new(const struct config *, char *error, size_t size);
struct resolvers *resolvers_current(void); /* a new reference */
void resolvers_publish(struct resolvers *);
void resolvers_unref(struct resolvers *);
struct rbl *resolvers_rbl(struct resolvers *);

struct session {
	struct log_id id;
	struct script_set *set;
	struct resolvers *resolvers;
	struct smtpsvr *smtp; /* NULL: no script and nothing to enforce */
	enum mta mta;
	bool no_reply[STAGE_COUNT]; /* negotiated: the MTA waits for no answer there */
	bool leading_space;	    /* negotiated: header values carry their first blank */
	bool in_transaction;
	unsigned long actions; /* SMFIF_* that the MTA granted */
};

/* How many sessions and messages are in progress; for draining. Thread-safe. */
struct session *session_new(SMFICTX *, struct script_set *set);
void session_free(struct session *);
void session_begin_message(struct session *);
void session_end_message(struct session *);
int session_messages_in_progress(void);
int session_count(void);

/* ---- negotiate.c ---- */
sfsistat negotiate(SMFICTX *, unsigned long f0, unsigned long f1, unsigned long f2,
    unsigned long f3, unsigned long *pf0, unsigned long *pf1, unsigned long *pf2,
    unsigned long *pf3);
/* Which SMFIP_* bits switch off what these needs do not need; pure, for tests. */
unsigned long negotiate_steps(const struct smtpsvr_needs *);
unsigned long negotiate_actions(const struct smtpsvr_needs *);
void negotiate_refuse_new(void); /* from now on: the daemon is draining */

/* ---- apply.c ---- */
/* Turn a verdict into libmilter calls and the return value of the callback. */
sfsistat apply(SMFICTX *, struct session *, enum stage, const struct verdict *);

/* ---- callbacks.c ---- */
/* Describes us to libmilter. listen_address is the one this process serves. */
bool callbacks_register(const char *listen_address);
