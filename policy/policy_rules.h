/* policy_rules.h - a request of Postfix's policy protocol, answered by smtprules_N.lua.
 *
 * The SMTP service, and with it N, is the one that names the listen address, else the one that
 * names the attribute policy_context among its daemon_names, else the first. Called in worker
 * threads. */
#pragma once

#include "common/log.h"
#include "lua-bindings/script_set.h"
#include "policy/policy_codec.h"

#include <stdint.h>

#define POLICY_DEFAULT_ACTION "DUNNO" /* no opinion: Postfix goes on with its next restriction */

struct policy_query {
	struct script_set *set;
	const char *listen; /* address the request came in on */
	const struct policy_attribute *attributes;
	size_t nattributes;
	int64_t deadline_ms;
	const struct log_id *id;
};

/* The reply, encoded, malloc'ed, *size of bytes. Never NULL: what cannot be sent becomes DUNNO and
 * a line in the log, once for each loading of the scripts. */
char *policy_rules_answer(const struct policy_query *, size_t *size);
