/* agent_queue.h - what is in the MTA's queue, asked for from mailhooks-queue.
 *
 * Postfix says everything that a queue_entry has. Sendmail says the id and whether the message is
 * quarantined; the rest is what the milter noted (queue_record.h). Waits. Any thread. */
#pragma once

#include "common/config.h"
#include "common/queue_list.h"

/* entry gets each message that may be ours, and owns it then: "hold" are those held, "deferred"
 * those that wait for a try. False: stopped said so, or why (size bytes) says what went wrong. */
bool agent_queue_read(const struct config *, void (*entry)(struct queue_entry *, void *arg),
    bool (*stopped)(void *arg), void *arg, char *why, size_t size);
