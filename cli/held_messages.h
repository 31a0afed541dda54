/* held_messages.h - messages that our scripts hold in the MTA's queue, for `mailhooks holds`. */
#pragma once

#include "common/config.h"

#include <stdbool.h>

/* On standard output, by queue id. False: there is none. */
bool held_messages_print(const struct config *);
