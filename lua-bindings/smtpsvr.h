/* smtpsvr.h - one SMTP session as smtpsvr.lua sees it.
 *
 * Events go in (connect, HELO, MAIL ...), a struct verdict comes out. Which hooks run at which
 * event, what their results mean, and what our own decisions on the script's global variables are
 * (AuthenticationRequired, AllowedUsers, RBL, message size ...) is decided here and nowhere else,
 * so it is the same for the milter, for `mailhooks replay` and for tests. Source: VPOP3 manual,
 * SMTP server script; readings of its gaps are marked [R] in doc/hooks-smtpsvr.md.
 *
 * A session belongs to one caller at a time (callbacks of one session may come on different
 * threads, never at once). Every call is bounded in time by lua.command_ms. */
#pragma once

#include "common/dns.h"
#include "common/log.h"
#include "common/message.h"
#include "common/network.h"
#include "common/rbl.h"
#include "common/verdict.h"
#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stddef.h>

struct smtpsvr;

/* What the loaded set can need of a session; milter/negotiate.c asks the MTA for this only. */
struct smtpsvr_needs {
	bool session; /* anything at all: without it the milter stays out of the way */
	bool connect_reply, helo, helo_reply, mail, mail_reply, rcpt, rcpt_reply, data, data_reply;
	bool unknown, headers, body, body_stored, mime, end_reply;
	bool header_changes, recipient_changes, sender_changes, body_changes, quarantine;
	unsigned stages;  /* a bit for each stage of mail/mail.c that runs */
	unsigned globals; /* a bit for each variable of smtpsvr_globals.c that a script names */
};
/* Worked out when the set was loaded; belongs to the set. */
const struct smtpsvr_needs *smtpsvr_needs(const struct script_set *);

struct smtpsvr_client {
	struct ip_address address;
	const char *hostname;	 /* as the MTA resolved it, or NULL */
	const char *daemon_name; /* {daemon_name} or NULL */
	const char *listen;	 /* milter address the session came in on */
	/* Not SMTP (sendmail(1) into Postfix): refusals wait for the end of the message; a
	 * recipient refused earlier would leave the message in maildrop for ever (observed). */
	bool local_submission;
};

struct smtpsvr_tls {
	bool on;
	const char *version, *cipher; /* NULL when off */
};

/* set and rbl are pinned/borrowed for the life of the session. id is the log id to use and must
 * outlive the session; the caller updates id->queue. */
struct smtpsvr *smtpsvr_open(struct script_set *set, struct rbl *rbl, const struct log_id *id);
void smtpsvr_close(struct smtpsvr *); /* runs End(), frees; NULL is fine */

/* Each event fills *v, which the caller has initialised and resets afterwards. */
void smtpsvr_connect(struct smtpsvr *, const struct smtpsvr_client *, struct verdict *v);
void smtpsvr_helo(
    struct smtpsvr *, const char *name, bool esmtp, const struct smtpsvr_tls *, struct verdict *v);
/* argv as libmilter gives it: the address with or without <>, then ESMTP parameters. */
void smtpsvr_mail(struct smtpsvr *, char **argv, const char *auth_user, struct verdict *v);
/* remote: the MTA is going to send this recipient's mail to another host. */
void smtpsvr_rcpt(struct smtpsvr *, char **argv, bool remote, struct verdict *v);
void smtpsvr_data(struct smtpsvr *, struct verdict *v);
void smtpsvr_header(struct smtpsvr *, const char *name, const char *value, struct verdict *v);
void smtpsvr_body(struct smtpsvr *, const void *bytes, size_t n, struct verdict *v);
void smtpsvr_end_of_message(struct smtpsvr *, struct verdict *v);
void smtpsvr_abort(
    struct smtpsvr *); /* the message in progress is gone; runs DoRSET() if one was */
void smtpsvr_unknown(struct smtpsvr *, const char *line, struct verdict *v);

/* What GetEHLOCapabilities() makes of the offered keywords ("PIPELINING\r\nSIZE ...") for a client
 * that has just connected, in an instance that only this hook sees. NULL: no such hook, it failed
 * or has no opinion. malloc'ed. */
char *smtpsvr_capabilities(struct script_set *, const struct service_config *,
    const struct ip_address *client, const char *offered, int64_t deadline_ms,
    const struct log_id *);

/* The reply that refuses this whole session, or NULL. For MTAs that lose a reply given at connect.
 */
const struct reply *smtpsvr_refusal(const struct smtpsvr *);
