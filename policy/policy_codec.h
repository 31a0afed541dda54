/* policy_codec.h - the policy delegation protocol of Postfix.
 *
 * Pure: no socket, no clock, no log. A request is lines "name=value" up to an empty line, a reply
 * is "action=TEXT" and an empty line. Source: SMTPD_POLICY_README of Postfix. Attributes nobody
 * knows are kept, for scripts; of one that comes twice the first stands, so that nothing at the
 * end of a request can replace what Postfix said at its beginning. */
#pragma once

#include "common/limits.h"
#include "policy/codec.h"

#include <stdbool.h>
#include <stddef.h>

struct policy_attribute {
	const char *name, *value;
};

struct policy_reader {
	char *text; /* the request so far */
	size_t n, cap;
	bool complete; /* handed out; the next byte begins another one */

	/* valid after CODEC_MESSAGE until the next call */
	struct policy_attribute attributes[LIMIT_POLICY_ATTRIBUTES];
	size_t nattributes, nduplicates;
	const char *why; /* after CODEC_BROKEN: a constant text */
};

/* Zero it before use. */
void policy_reader_clear(struct policy_reader *);
bool policy_reader_idle(const struct policy_reader *); /* nothing of a request yet? */
/* Takes bytes, *p and *n move on. After CODEC_BROKEN only clear is of use. */
enum codec policy_feed(struct policy_reader *, const char **p, size_t *n);

/* Value of an attribute, "" when it was not sent. */
const char *policy_attribute(const struct policy_attribute *, size_t n, const char *name);

/* The reply as bytes, malloc'ed, *size of them. NULL: the action cannot be sent: empty, longer
 * than LIMIT_POLICY_ACTION_BYTES, or with a control character in it (R10: CR, LF and NUL would
 * make a second attribute or end the reply). */
char *policy_reply(const char *action, size_t n, size_t *size);
