/* maillog_state.h - where the follower of the log is, on disk: the place of its source and the
 * dialogues that are not over, always of the same moment. */
#pragma once

#include "policy/dialogues.h"

#include <stdbool.h>
#include <stddef.h>

/* Replaces the file as a whole. False: it could not, errno says why. */
bool maillog_state_save(
    const char *path, const char *source, const char *position, const struct dialogues *);

/* Fills `dialogues`, which is new, and position. False: there is nothing for this source (why is
 * "") or nothing that can be used; `dialogues` is then to be thrown away. */
bool maillog_state_load(const char *path, const char *source, char *position, size_t size,
    struct dialogues *dialogues, int64_t now_ms, const char **why);
