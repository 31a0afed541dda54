/* smtprules.h - the rules at SMTP time: smtprules_N.lua, N being the number of the SMTP service.
 *
 * VPOP3 calls First() and Last() of it at MAIL and at each RCPT; Policy() is ours, called at every
 * stage with everything that the MTA tells. One instance serves one request and is thrown away, so
 * requests share nothing. What a result means for the MTA is decided in policy/. No Lua type
 * appears here. Any thread. Sources: the vendor's wiki (SMTP rules script); doc/policy.md says what
 * is our reading. */
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

struct smtprules_request {
	const struct smtprules_attribute *attributes; /* for Policy(), as the MTA sent them */
	size_t nattributes;
	int position; /* 1 MAIL, 2 RCPT; 0: another stage, First() and Last() are not called */
	/* checkdata */
	const char *sender, *client, *user;
	const char *recipient; /* NULL at MAIL */
	int64_t size;	       /* as the client announced it, 0 = it did not */
	int64_t deadline_ms;   /* monotonic; the script ends there */
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
