/* answers.h - the last answer of a map to a key, for when there is no new one in time.
 *
 * A bounded table: a clash of two keys forgets the older answer, and whoever asks must have a safe
 * default. An answer belongs to the scripts that gave it: after a reload there is none.
 * Thread-safe, never waits. */
#pragma once

#include "policy/maps.h"

#include <stdbool.h>

/* At most age_ms old; -1: of any age. *out is the caller's to free. */
bool answers_recall(const struct map_query *, int age_ms, struct map_answer *out);
void answers_note(const struct map_query *, const struct map_answer *);
void answers_forget_all(void); /* at the end of the process */
