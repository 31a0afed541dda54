/* map_sendmail.h - where Sendmail sends mail: the maps `local_rule` and `mailertable`.
 *
 * Sendmail asks once for each recipient, in LOCAL_RULE_0 when the recipient comes in and at the
 * beginning of every queue run, and nobody about single servers. So the answer is the whole
 * decision: the servers that may be used, "[a.test]:[b.test]", when they are others than in DNS or
 * some are held; not found, Sendmail sends by DNS; TEMP, the message stays in the queue without an
 * error (at submission the recipient is accepted). Nothing else makes it wait: PERM counts as not
 * found there, and an error would refuse recipients.
 *
 *   local_rule   key "queue id | tries | sender | recipient"; contrib/sendmail-outbound.m4
 *   mailertable  key the domain, answer "esmtp:[a.test]:[b.test]"; tries and size as `transport`
 * has them
 *
 * Late: not found, as the map mx; with a script that routes the last route of the domain, else
 * TEMP. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_local_rule_answer(const struct map_query *, int number);
struct map_answer map_local_rule_late(const struct map_query *, int number);
struct map_answer map_mailertable_answer(const struct map_query *, int number);
struct map_answer map_mailertable_late(const struct map_query *, int number);
