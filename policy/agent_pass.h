/* agent_pass.h - one sending run of the queue agent: look at the MTA's queue, ask the scripts, act.
 *
 * CheckFile() of mxout.lua is asked about the messages that we hold, and about deferred ones that
 * have been tried since they were asked about last; relayout.lua about those that every sender
 * skipped. All of one pass share one instance of mxout.lua. A message is ours if the
 * milter has left a record of it (queue_record.h) whose arrival time and sender match the queue;
 * nothing else is ever touched, so holds of the administrator stay. What a crash interrupts the
 * next pass sees in the queue and takes up again.
 *
 * A pass does first what needs no script, asks, and then acts, so that Priority counts. A script
 * that hangs about some messages must not make the others wait for that: after every few late
 * answers a pass acts before it goes on, and in the next one those it hung about come last, a few
 * in each pass, after all else was released. No message is asked about twice in a pass.
 * One thread. */
#pragma once

#include "common/config.h"
#include "common/list.h"

#include <stdbool.h>
#include <stdint.h>

struct agent_memory {		/* from one pass to the next; zero it before the first */
	struct strlist missing; /* ids of records that were not in the queue, sorted */
	int64_t *since_ms;	/* of each: the pass that missed it first */
	bool away;		/* mailhooks-queue did not answer, which was logged */
	struct strlist late;	/* ids about which the scripts had no answer in time, by turn */
};

/* stopped (may be NULL) is asked between two messages, and while the queue is read. */
void agent_pass(const struct config *, struct agent_memory *, bool (*stopped)(void *), void *arg);
void agent_memory_clear(struct agent_memory *);
