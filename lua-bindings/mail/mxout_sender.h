/* mxout_sender.h - private to lua-bindings/: what mxout.lua says about the sender of one message.
 *
 * ServerDetails() for useBATV and returnAddressModifier, and ModifyReturnPath(), in the message's
 * instance of the script (mail_mxout.h). One thread. */
#pragma once

#include "lua-bindings/mail/mail.h"

#include <stdbool.h>

struct mxout_sender {
	struct mail *mail;	    /* borrowed */
	struct strlist all, remote; /* recipients; remote: on other hosts */
	char *subject;		    /* during the call */
};

struct mxout_details { /* preset to what holds without the hook */
	bool use_batv, modify;
	char *default_address; /* malloc'ed, or NULL */
};

/* Does mxout.lua define one of the hooks? */
bool mxout_sender_wanted(const struct script_set *);
/* ServerDetails() for each domain of the remote recipients: BATV is used when none says no, and the
 * first address modifier counts. False: the hook failed and mail must not go on. */
bool mxout_sender_details(struct mxout_sender *, struct mxout_details *);
/* ModifyReturnPath() with the computed address, which it replaces ("" = null sender). */
bool mxout_sender_modify(struct mxout_sender *, char **address);
