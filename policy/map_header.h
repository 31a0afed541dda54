/* map_header.h - the map `header`: through which relay a message goes.
 *
 * For Postfix's milter_header_checks: the key is a header field that a filter adds. Found is that
 * of mailhooks-milter, X-Mailhooks-Sender with the number of a sender of the configuration; the
 * answer is FILTER with the sender's transport and relay. Every other field is not found. The
 * number of nobody is a temporary error: the message must not go the wrong way because one daemon
 * has loaded a newer configuration than the other.
 *
 * A main.cf that an earlier version wrote asks this map about requeued messages, too, instead of
 * `requeue` (map_requeue.h), whose answer they get. When the milter adds that field nothing is
 * chosen yet, and it is not found. Late, when nobody has looked, it is a temporary error for both.
 *
 * No script runs. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_header_answer(const struct map_query *, int number); /* number: not used */
struct map_answer map_header_late(const struct map_query *, int number);   /* reads no record */
