/* fallback_attempts.h - the send attempts that a process remembers for when Redis is away.
 *
 * The newest `most` that this process recorded, whether Redis has them or not. Not synchronised:
 * the caller has the lock. */
#pragma once

#include "common/store.h"

struct fallback_attempts;
struct store_attempt_copy;

struct fallback_attempts *fallback_attempts_new(size_t most);
void fallback_attempts_free(struct fallback_attempts *);

/* Remember one; pending: Redis does not have it yet. False: that event was known, and is pending no
 * more if it is not now. The oldest makes room. */
bool fallback_attempts_add(struct fallback_attempts *, const struct store_attempt *, bool pending);
/* As store_attempt_count() would, over those remembered. The window is normalised. */
uint64_t fallback_attempts_count(const struct fallback_attempts *, const struct store_window *);

/* A copy of the attempt that has been pending longest. False: none is. */
bool fallback_attempts_pending(const struct fallback_attempts *, struct store_attempt_copy *);
/* Redis has it. */
void fallback_attempts_merged(struct fallback_attempts *, const char *event);
uint64_t fallback_attempts_waiting(const struct fallback_attempts *); /* how many are pending */
uint64_t fallback_attempts_dropped(const struct fallback_attempts *); /* pending ones forgotten */
