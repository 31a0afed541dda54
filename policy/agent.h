/* agent.h - the queue agent: CheckFile() of mxout.lua for messages that are in the MTA's queue, and
 * relayout.lua for those that every sender skips.
 *
 * A thread of its own makes a pass (agent_pass.h) every agent.interval_seconds, and soon after the
 * mail log tells of a deferral. It waits for mailhooks-queue and for scripts; nobody waits for it.
 */
#pragma once

#include "common/config.h"

struct agent;

/* NULL: agent.mta is "none", or there is no thread for it, which is logged. Before the
 * follower of the mail log starts. */
struct agent *agent_start(struct config *);
void agent_stop(
    struct agent *); /* after the follower; waits for the message in hand. NULL is fine */
