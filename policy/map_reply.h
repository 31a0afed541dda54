/* map_reply.h - the maps that see the dialogue: `reply` (smtp_reply_filter), `status`
 * (smtp_delivery_status_filter) and `generic` (smtp_generic_maps).
 *
 * reply: Postfix asks for each line; ReturnCodeHandler() is called once for a whole reply, when its
 * last line comes, and may change that line: its code is the one that counts. The answer keeps the
 * separator behind the code and never has a line break (both would hang the delivery).
 * status: Postfix asks for each recipient that is done with, or deferred; it names the command that
 * was refused, so the hook is called again where `reply` could not tell RCPT from DATA.
 * generic only listens. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_reply_answer(const struct map_query *, int number);
void map_reply_heard(const struct map_query *, int number, struct delivery *);
struct map_answer map_status_answer(const struct map_query *, int number);
void map_status_heard(const struct map_query *, int number, struct delivery *);
struct map_answer map_generic_answer(const struct map_query *, int number);
void map_generic_heard(const struct map_query *, int number, struct delivery *);
