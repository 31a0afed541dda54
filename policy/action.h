/* action.h - what Postfix may be told at which stage of the SMTP dialogue.
 *
 * Pure. Postfix answers an action it does not know with "451 4.3.5 Server configuration error",
 * skips some at stages where they have no effect, and takes a number without text for OK. So an
 * action is checked here before it is sent. Source: access(5); what happens at which stage was
 * observed on Postfix 3.7. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum stage { /* protocol_state; bits, for the table of actions */
	STAGE_CONNECT = 1 << 0,
	STAGE_HELO = 1 << 1, /* EHLO or HELO */
	STAGE_MAIL = 1 << 2,
	STAGE_RCPT = 1 << 3,
	STAGE_DATA = 1 << 4,
	STAGE_END = 1 << 5, /* END-OF-MESSAGE */
	STAGE_VRFY = 1 << 6,
	STAGE_ETRN = 1 << 7,
	STAGE_OTHER = 1 << 8, /* one that a later Postfix may have */
};

enum stage stage_of(const char *protocol_state);

/* What to send for an action that a script gave: a Postfix action ("REJECT text", "HOLD"), or an
 * SMTP reply ("550 5.7.1 text"), which is made fit to be sent. malloc'ed. NULL: not legal at this
 * stage, *why is then a constant text. */
char *action_check(const char *action, size_t n, enum stage, const char **why);
/* Does this checked action refuse? */
bool action_refuses(const char *action);
