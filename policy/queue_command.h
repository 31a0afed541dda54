/* queue_command.h - what mailhooks-queue may do to the MTA's queue, and nothing else.
 *
 * A request is one packet: a letter, and for those that say ID a queue id behind it. No shell, no
 * argument of the client's but the checked id. One thread. */
#pragma once

#include "common/config.h"
#include "policy/queue_process.h"

#include <stdbool.h>
#include <stddef.h>

/* letter               Postfix                Sendmail */
#define QUEUE_LIST 'l'	    /* postqueue -j	  sendmail -bp */
#define QUEUE_LIST_HELD 'L' /* -			  sendmail -bp -qQ */
#define QUEUE_HOLD 'h'	    /* postsuper -h ID deferred	  sendmail -QCheckFile -qIID */
#define QUEUE_RELEASE 'H'   /* postsuper -H ID	  sendmail -Q -qQ -qIID */
#define QUEUE_EXPIRE 'e'    /* postsuper -e ID: returned to the sender instead of the next try */
#define QUEUE_REQUEUE 'r'   /* postsuper -r ID hold: passes cleanup(8), if that asks the map */
#define QUEUE_PICKUP 'p'    /* postkick public pickup W: what is requeued waits no longer */
#define QUEUE_TRY 'i'	    /* postqueue -i ID: the next try is now */

#define QUEUE_PACKET_BYTES 16384 /* of an answer */
#define QUEUE_COMMAND_MS 30000	 /* after which a command that says nothing is killed */
#define QUEUE_LIST_MS 600000	 /* a list that prints, and one of Sendmail */

/* NULL: it may be run. Else why not. */
const char *queue_command_refused(const struct config *, const char *request, size_t n);
/* Run it and wait; output is for a list. False: it was not done; why (size bytes) says why. */
bool queue_command_run(const struct config *, const char *request, size_t n,
    const struct queue_output *output, char *why, size_t size);
