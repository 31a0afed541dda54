/* agent_look.h - private to the queue agent: one message of the queue, asked about and acted on. */
#pragma once

#include "common/config.h"
#include "common/log.h"
#include "common/queue_list.h"
#include "common/queue_record.h"
#include "lua-bindings/checkfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct candidate { /* a message that may be ours */
	struct queue_entry entry;
	struct queue_record record;
	struct checkfile_actions actions;
	size_t place;
	bool release, requeue; /* requeue: for another sender than the queue file has */
	size_t turn;	       /* of those whose last question was late: 1, 2 ...; 0: it was not */
	bool late;	       /* the script had no answer in its time */
};

struct agent_run { /* one pass; borrowed */
	const struct config *config;
	struct checkfile_run *checkfile;
	struct script_set *set;
	int64_t now_ms;
};

struct log_id agent_id(const struct candidate *);
/* What the script said why, for the log. */
const char *agent_reason(const struct candidate *);
/* Have mailhooks-queue do it to the message. False: it was not done, which is logged. */
bool agent_act(const struct agent_run *, const struct candidate *, char letter);
/* Load the message's record and, if it is ours, ask the scripts and do all they say but for a
 * release: that is noted in the candidate, with its priority. */
void agent_look(const struct agent_run *, struct candidate *);
