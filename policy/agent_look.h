/* agent_look.h - private to the queue agent: one message of the queue, asked about and acted on.
 *
 * What needs no script is done for every message in every pass; the questions come after that, and
 * a pass may leave some to the next one (agent_pass.h). */
#pragma once

#include "common/config.h"
#include "common/log.h"
#include "common/queue_list.h"
#include "common/queue_record.h"
#include "lua-bindings/checkfile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent_run;

struct candidate { /* a message that may be ours */
	struct queue_entry entry;
	struct queue_record record; /* while it is looked at or asked about */
	void (*ask)(const struct agent_run *, struct candidate *); /* NULL: there is no question */
	int64_t retries, last_try_ms; /* as a question about a try has them */
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
/* All that needs no script, if the message is ours; what is to be asked is noted in the candidate,
 * and so is a release. */
void agent_look(const struct agent_run *, struct candidate *);
/* Ask what agent_look() noted and do all that the script says but for a release: that is noted,
 * with its priority. */
void agent_ask(const struct agent_run *, struct candidate *);
/* Release it, or requeue it, as was noted. False: that, or the try that follows, was not done. */
bool agent_release(const struct agent_run *, struct candidate *);
