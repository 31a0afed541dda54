/* smtpsvr_private.h - private to lua-bindings/: the parts of one smtpsvr.lua session.
 *
 *   smtpsvr.c          the session: connect, HELO, unknown commands, end
 *   smtpsvr_message.c  one message: MAIL ... end of data
 *   smtpsvr_outcome.c  what ProcessMessage() and the header lines of DoDATAStart() do to the mail
 *   smtpsvr_hooks.c    calling a hook: arguments, results, failures
 *   smtpsvr_ehlo.c     GetEHLOCapabilities() without a session, for the map ehlo_in
 *   smtpsvr_globals.c  the global variables of the script
 *   smtpsvr_needs.c    what the MTA must be asked for
 */
#pragma once

#include "common/message.h"
#include "common/reply.h"
#include "common/verdict.h"
#include "lua-bindings/script_set.h"
#include "lua-bindings/smtpsvr.h"

#include <stdbool.h>
#include <stdint.h>

struct lua_State;
struct runtime;

/* Values behind VPOP3's global variables; names and types in smtpsvr_globals.c. */
struct smtpsvr_globals {
	char *ip_address;
	bool valid_client, local_client, auth_required;
	char *allowed_users;
	bool check_rbl, rbl_found, rbl_blackhole, rbl_accept;
	char *rbl_redirect, *rbl_reject_message, *rbl_header;
	struct strlist rbl_servers, rbl_whitelist;
	bool rbl_check_all;
	struct rbl_result rbl_result;
	int64_t max_line_length;
	bool add_user_addresses;
	int64_t server_id;
	char *server_name;
	bool encryption;
	char *encryption_details;
};

struct smtpsvr {
	struct script_set *set;
	const struct config *config;
	const struct service_config *service;
	struct rbl *rbl;
	const struct log_id *id;
	struct runtime *rt;  /* NULL: no script, or it cannot run */
	int64_t deadline_ms; /* of the SMTP command in progress */

	struct smtpsvr_globals globals;
	unsigned named; /* a bit for each variable that a script can name */
	unsigned stale; /* GLOBALS_* groups that the host changed and the script has not got yet */
	bool was_local; /* LocalClientAddress as the configuration says */
	bool local_submission;
	struct reply refusal; /* of the session: every MAIL is answered with it */
	uint64_t max_message; /* bytes, 0 = unlimited */
	char *auth_user;      /* of the message in progress, "" = none */

	/* the message in progress */
	struct message *message;
	struct strlist recipients;	    /* addresses accepted so far */
	struct strlist remote;		    /* those the MTA sends to another host */
	struct strlist header_lines;	    /* from DoDATAStart */
	struct reply pending;		    /* refusal found where no reply is possible */
	bool recipients_blocked;	    /* at least one was refused */
	bool line_hooks_off;		    /* they used up their time in this message */
	int line_hooks_ms;		    /* what they used so far */
	bool not_kept;			    /* a part of the message could not be stored */
	struct changed_parameters *changed; /* ESMTP parameters the script replaced */
	size_t nchanged;
	char *line; /* body line being put together for MessageLine() */
	size_t line_n;
};

/* New parameters of MAIL (recipient NULL) or of one RCPT, "KEY=value KEY" */
struct changed_parameters {
	char *recipient;
	char *parameters;
};

/* ---- smtpsvr_globals.c ---- */
enum {
	GLOBALS_SESSION = 1 << 0, /* everything that is set when the session starts */
	GLOBALS_TLS = 1 << 1,
	GLOBALS_RBL = 1 << 2, /* the outcome of the look-ups */
};
void globals_init(struct smtpsvr *, const struct smtpsvr_client *);
void globals_free(struct smtpsvr_globals *);
unsigned globals_mentioned(const struct script_set *);	   /* see struct smtpsvr_needs */
unsigned globals_bit(const char *name);			   /* of a variable in that mask */
void l_globals_push(struct lua_State *, struct smtpsvr *); /* groups in s->stale */
void l_globals_read(struct lua_State *, struct smtpsvr *, bool lists);

/* ---- smtpsvr_hooks.c ---- */
extern const struct script_definition smtpsvr_definition;

/* Result string of a hook, already parsed. */
struct hook_reply {
	enum reply_parsed parsed;
	struct reply reply; /* free with reply_free() */
	unsigned problems;
	bool refused;	/* the script said false where a result string is expected */
	char text[200]; /* the beginning of the result, for logs */
};

/* Start the time of one SMTP command; all its hooks together get lua.command_ms. */
void hooks_command(struct smtpsvr *);
/* Run the top-level code. */
void hooks_script(struct smtpsvr *, struct verdict *);
/* A script could not do its work: what lua.on_error says; accept means "as if it were absent". */
void hooks_failed(struct smtpsvr *, struct verdict *);
/* Every call: false when the hook is absent or failed (a failure has been applied to *v). */
bool hook_plain(struct smtpsvr *, const char *hook, struct verdict *v);
bool hook_string(struct smtpsvr *, const char *hook, const char *argument, struct hook_reply *,
    struct verdict *v);
bool hook_line(struct smtpsvr *, const char *hook, const char *line, size_t n, struct verdict *v);
bool hook_max_message_size(struct smtpsvr *, const char *hostname, struct verdict *v);
/* offered "": the MTA does not tell. *capabilities: what the script gave, malloc'ed, or NULL. */
bool hook_capabilities(struct smtpsvr *, const char *hostname, const char *offered,
    char **capabilities, struct verdict *v);
bool hook_helo(struct smtpsvr *, const char *hostname, bool *refuse, bool esmtp,
    struct hook_reply *, struct verdict *v);
bool hook_mail(struct smtpsvr *, const struct envelope_address *, struct hook_reply *,
    char **parameters, struct verdict *v);
bool hook_rcpt(struct smtpsvr *, const struct envelope_address *, struct hook_reply *,
    char **parameters, struct verdict *v);
bool hook_data_start(struct smtpsvr *, struct hook_reply *, struct verdict *v);

struct actions { /* the table of ProcessMessage() */
	bool original, delete, ignore;
	char *reason;
	struct strlist recipients, header_modifiers;
	bool *removed; /* header fields to remove, by their number in the message */
};
bool hook_process_message(struct smtpsvr *, const char *subject, struct actions *,
    struct hook_reply *, struct verdict *v);

/* Make a result string a verdict: 4xx and 5xx refuse; everything else cannot be sent through a
 * milter and is logged once per script. True when it refused. */
bool hooks_apply_reply(struct smtpsvr *, const char *hook, struct hook_reply *, struct verdict *v);
/* Log once per script generation and hook. */
void hooks_notice(struct smtpsvr *, const char *hook, const char *what);

/* ---- smtpsvr_outcome.c ---- */
void outcome_header_lines(struct smtpsvr *, struct verdict *); /* of DoDATAStart */
void outcome_parameters(struct smtpsvr *, struct verdict *);
void outcome_actions(struct smtpsvr *, struct actions *, struct hook_reply *, struct verdict *);
enum rbl_action outcome_rbl_action(const struct smtpsvr *); /* if the client is listed */
void outcome_rbl(struct smtpsvr *, struct verdict *);

/* ---- smtpsvr_needs.c ---- */
void needs_from_set(const struct script_set *, struct smtpsvr_needs *);

/* ---- smtpsvr_message.c ---- */
void message_end(struct smtpsvr *); /* forget the message in progress */
