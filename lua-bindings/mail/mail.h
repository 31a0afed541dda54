/* mail.h - private to lua-bindings/: what happens to a whole message after smtpsvr.lua.
 *
 * At the end of the data, when ProcessMessage() let the message through, stages run one after the
 * other: each belongs to one script (signature.lua, user_redirect.lua ...) or to the outbound side,
 * looks at the message and edits the verdict. A stage that refuses or discards ends the row. Adding
 * a stage: a file mail_<name>.c with a const struct mail_stage, and a line in mail.c.
 *
 * A struct mail lives for the one call of mail_apply(). One thread. */
#pragma once

#include "common/config.h"
#include "common/log.h"
#include "common/message.h"
#include "common/mime.h"
#include "common/verdict.h"
#include "lua-bindings/script_set.h"
#include "lua-bindings/smtpsvr.h"

#include <stdbool.h>
#include <stdint.h>

struct mail {
	/* set by the session; borrowed */
	struct script_set *set;
	const struct config *config;
	const struct service_config *service;
	const struct log_id *id; /* the queue id is known */
	int64_t deadline_ms;	 /* monotonic: of all stages together */
	const struct message *message;
	const struct strlist *recipients; /* accepted, in order, as the client gave them */
	const struct strlist *remote;	  /* those that the MTA is going to send to another host */
	const char *client;		  /* IP address as text */
	bool local_client;		  /* LocalClientAddress as smtpsvr.lua left it */
	bool local_submission;		  /* sendmail(1), or the MTA's own mail (bounces) */
	const char *auth_user;		  /* "" = not authenticated */
	struct verdict *verdict;

	const struct sender_config
	    *relay;	 /* mail_relay.c: it goes through this one; NULL: direct */
	bool relay_batv; /* then: UseBATV */

	struct mail_mxout *mxout; /* mail_mxout.c only */
	struct mime *mime;	  /* mail.c only */
	bool mime_tried;
};

struct mail_stage {
	const char *name; /* for the log */
	/* Does anything in the set want this stage? Then set what the MTA must be asked for. */
	bool (*needs)(const struct script_set *, struct smtpsvr_needs *);
	void (*apply)(struct mail *);
};

/* ---- for the session ---- */

void mail_needs(const struct script_set *, struct smtpsvr_needs *);
void mail_apply(struct mail *);

/* ---- for stages ---- */

/* The structure, parsed once; NULL: it cannot be (out of memory or unreadable), go on without. A
 * stage that calls this sets needs->body_stored. */
const struct mime *mail_mime(struct mail *);
/* The envelope sender as it stands after the changes so far, "" = null sender. */
const char *mail_sender(const struct mail *);
/* The recipients as they stand after the changes so far; added to out. */
void mail_recipients(const struct mail *, struct strlist *out);
bool mail_is_remote(const struct mail *, const char *recipient); /* ASCII case ignored */
/* The same for those that scripts have added, of which the MTA has said nothing: they are local
 * when their domain is one of local_domains or that of another local one. */
bool mail_goes_out(const struct mail *, const char *recipient);
/* lua.on_error for a stage whose script failed: refuses with 451 or 554, or does nothing; nothing
 * for the MTA's own bounces, too. */
void mail_script_failed(struct mail *);

extern const struct mail_stage mail_checkfile;
extern const struct mail_stage mail_errors;
extern const struct mail_stage mail_facts;
extern const struct mail_stage mail_relay;
extern const struct mail_stage mail_return_path;
extern const struct mail_stage mail_signature;
extern const struct mail_stage mail_redirect;
extern const struct mail_stage mail_rules;
extern const struct mail_stage mail_delivery;
