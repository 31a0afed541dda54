/* queue_command.h - what mailhooks-queue may do to Postfix's queue, and nothing else.
 *
 * A request is one packet: a letter, and for all but `l` a queue id behind it. No shell, no
 * argument of the client's but the checked id. One thread. */
#pragma once

#include "common/config.h"

#include <stdbool.h>
#include <stddef.h>

#define QUEUE_LIST 'l'	  /* postqueue -j */
#define QUEUE_HOLD 'h'	  /* postsuper -h ID */
#define QUEUE_RELEASE 'H' /* postsuper -H ID */
#define QUEUE_EXPIRE 'e'  /* postsuper -e ID: returned to the sender instead of the next try */
#define QUEUE_TRY 'i'	  /* postqueue -i ID: the next try is now */

#define QUEUE_PACKET_BYTES 16384 /* of an answer */
#define QUEUE_COMMAND_MS 30000	 /* after which a command is killed */

/* NULL: it may be run. Else why not. */
const char *queue_command_refused(const char *request, size_t n);
/* Run it and wait; for QUEUE_LIST, output gets what it prints, until it returns false. False: *why
 * (size bytes) says what went wrong. */
bool queue_command_run(const struct config *, const char *request, size_t n,
    bool (*output)(const char *bytes, size_t n, void *arg), void *arg, char *why, size_t size);
