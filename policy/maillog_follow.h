/* maillog_follow.h - follows the mail log in a thread of its own and records send attempts.
 *
 * Each attempt is recorded exactly once, also when the process is killed at any moment: the place
 * in the log is kept in state_dir together with the dialogues that are not over, and written only
 * when the store has everything from before it; what is read again after that has the same keys.
 * Lines that a rotator destroyed are the only ones lost, and that is logged. */
#pragma once

#include "common/config.h"

struct follower;

/* NULL: maillog.source is "", or no thread could be made (which was logged). Listeners of
 * maillog_events.h must be known by now. */
struct follower *follower_start(struct config *);
/* Waits for the thread; NULL is fine. */
void follower_stop(struct follower *);
