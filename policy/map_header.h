/* map_header.h - the map `header`: through which relay a message goes.
 *
 * For Postfix's milter_header_checks: the key is a header field that a filter adds. Found is that
 * of mailhooks-milter, X-Mailhooks-Sender with the number of a sender of the configuration; the
 * answer is FILTER with the sender's transport and relay. Every other field is not found. The
 * number of nobody is a temporary error: the message must not go the wrong way because one daemon
 * has loaded a newer configuration than the other.
 *
 * No script runs, nothing is waited for. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_header_answer(const struct map_query *, int number); /* number: not used */
