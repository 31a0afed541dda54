/* mail_notice.h - private to lua-bindings/mail/: what a bounce or notice of the MTA says, for
 * mail_errors.c.
 *
 * Reading never fails for what stands in the notice: what cannot be read is "" or absent. Texts are
 * UTF-8. A struct notice lives for one call of the stage and borrows the mail. */
#pragma once

#include "common/dsn.h"
#include "common/list.h"
#include "lua-bindings/mail/mail.h"

#include <stdbool.h>

/* The numbers that VPOP3's hooks get as type and ids [R]. */
enum notice_kind {
	NOTICE_FAILED = 1,
	NOTICE_DELAYED,
	NOTICE_DELIVERED,  /* a receipt: delivered, relayed, expanded */
	NOTICE_POSTMASTER, /* a copy for the postmaster */
	NOTICE_OTHER,	   /* without a report in it */
};

enum notice_text { TITLE, MESSAGE, TARGET, SENDER, TEXTS };

struct notice {
	struct mail *mail;
	enum notice_kind kind;
	struct dsn dsn;
	char *error;			 /* what the remote host or the MTA said */
	bool connect_error;		 /* no host answered */
	struct strlist parameters;	 /* for %1, %2 ... of ProcessError() */
	struct strlist targets;		 /* recipients of the notice as they stand */
	const struct mime_section *text; /* the part for people, NULL = none */
	char *old[TEXTS], *now[TEXTS];	 /* now: what the script made of it, NULL = unchanged */
	bool force;
};

/* Is this message one that the MTA itself wrote? */
bool notice_is_one(const struct mail *);
/* Fill *b, zeroed but for its mail. False, logged: the message was not kept whole. */
bool notice_read(struct notice *b);
void notice_clear(struct notice *b);
