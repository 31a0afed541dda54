/* queue_settings.h - private to mailhooks-queue: what the configuration of Postfix says.
 *
 * Each question runs postconf(1) of agent.commands. One thread. */
#pragma once

#include "common/config.h"

#include <stdbool.h>
#include <stdint.h>

/* How old a message may be before Postfix returns it after a try that fails; -1: not known. */
int64_t queue_settings_lifetime_s(const struct config *);
/* NULL: a message that is requeued asks the map `requeue` for its sender, which Postfix forgets.
 * Else what is in the way. */
const char *queue_settings_no_requeue(const struct config *);
