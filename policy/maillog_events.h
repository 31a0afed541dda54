/* maillog_events.h - who wants to know what the mail log says of a message.
 *
 * The follower of the log calls every listener in its own thread, after the attempts of the message
 * have been stored. A listener must not wait: what takes time it hands to a thread of its own.
 * After a restart, or when the store was away, an event may come a second time; listeners take
 * that. */
#pragma once

#include <stdint.h>

enum maillog_event {
	MAILLOG_EVENT_DEFERRED, /* a run of the queue tried it, and some recipient was put off */
	MAILLOG_EVENT_REMOVED	/* it has left the queue */
};

typedef void maillog_listener(enum maillog_event, const char *queue_id, int64_t time_ms, void *arg);

#define MAILLOG_LISTENERS 8 /* parts of the program, not users */

/* Before the follower starts; there is no end to it. */
void maillog_events_listen(maillog_listener *, void *arg);
void maillog_events_tell(enum maillog_event, const char *queue_id, int64_t time_ms);
