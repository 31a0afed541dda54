/* map_requeue.h - the map `requeue`: the relay of a message that is requeued.
 *
 * For Postfix's header_checks: a message that every sender of relayout.lua skipped has the field
 * X-Mailhooks-Requeue while Postfix holds it. The queue agent writes the chosen sender into the
 * message's record (queue_record.h) and requeues it, which makes Postfix forget the sender of the
 * first time and look at the field; the answer is FILTER with the sender's transport and relay.
 * What the record cannot prove is not found; a record that cannot be read is a temporary error.
 *
 * A bounce or a warning of Postfix shows the field to the sender, who may put it into other mail of
 * his, and header_checks see what comes in before the milter removes it. So the token is good only
 * while the message is held, when nobody can have seen it, and for one answer: the next is a
 * temporary error until the agent has seen the message in the queue for so long that cleanup(8)
 * must have failed (it is pickup(8) that asks) or, when it has gone, has removed the record. This
 * is also why it is a map of its own: milter_header_checks see the field when the milter adds it.
 *
 * No script runs. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_requeue_answer(const struct map_query *, int number); /* number: not used */
/* Of a message whose sender is chosen; any other is not found. */
struct map_answer map_requeue_chosen(const struct map_query *);
struct map_answer map_requeue_late(const struct map_query *, int number); /* reads no record */
