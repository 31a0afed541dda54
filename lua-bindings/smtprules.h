/* smtprules.h - the rules at SMTP time: smtprules_N.lua, N being the number of the SMTP service.
 *
 * VPOP3 calls First() and Last() of it at MAIL, at each RCPT and after DATA; Policy() is ours,
 * called at every stage of the policy service with everything that the MTA tells. One instance
 * serves one request and is thrown away, so requests share nothing. What a result means for the MTA
 * is decided in policy/, after DATA in mail/mail_rules.c. No Lua type appears here. Any thread.
 * Sources: the vendor's wiki (SMTP rules script); doc/policy.md says what is our reading. */
#pragma once

#include "common/list.h"
#include "common/log.h"
#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smtprules_attribute {
	const char *name, *value;
};

enum smtprules_position { /* as First() and Last() get it */
	SMTPRULES_MAIL = 1,
	SMTPRULES_RCPT = 2,
	SMTPRULES_DATA = 3,
};

struct smtprules_request {
	const struct smtprules_attribute *attributes; /* for Policy(), as the MTA sent them */
	size_t nattributes;
	/* 0: another stage, First() and Last() are not called; at SMTPRULES_DATA Policy() is not */
	enum smtprules_position position;
	/* checkdata */
	const char *sender, *client, *user;
	const struct strlist *recipients; /* NULL at MAIL, one at RCPT, then all */
	/* NULL before the message has been sent: of its From field, its subject, the whole header
	 */
	const char *header_from, *header_from_name, *subject, *header;
	int64_t size;	     /* as the client announced it, 0 = it did not; at the end as it is */
	int64_t deadline_ms; /* monotonic; the script ends there */
};

enum smtprules_end {
	SMTPRULES_NONE,	   /* no script, no hook, or no opinion */
	SMTPRULES_DECIDED, /* see the result */
	SMTPRULES_FAILED,  /* a hook failed: lua.on_error says what that means */
};

struct smtprules_result {
	const char *hook; /* that decided or failed */
	char *action;	  /* as the script wrote it; NULL = none: hold or header_modifiers decide */
	int64_t rule;
	char *rule_name, *extra; /* NULL = none */
	struct strlist header_modifiers;
	bool block, disconnect, hold, temporary;
};

/* *r is zeroed first; free with smtprules_clear() whatever comes back. */
enum smtprules_end smtprules_run(struct script_set *, enum script_id,
    const struct smtprules_request *, const struct log_id *, struct smtprules_result *r);
void smtprules_clear(struct smtprules_result *);
