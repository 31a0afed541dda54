/* answers.h - the last answer of a map to a key, for when there is no new one in time.
 *
 * A bounded table: a clash of two keys forgets the older answer, and whoever asks must have a safe
 * default. An answer belongs to the scripts that gave it: after a reload there is none.
 * Thread-safe, never waits. */
#pragma once

#include "policy/maps.h"

#include <stdbool.h>

/* One that may still be used again; or, with any, the last one however old. *out is the caller's to
 * free. */
bool answers_recall(const struct map_query *, bool any, struct map_answer *out);
/* reuse_ms: how long it may be used again. */
void answers_note(const struct map_query *, const struct map_answer *, int reuse_ms);
void answers_forget_all(void); /* at the end of the process */
