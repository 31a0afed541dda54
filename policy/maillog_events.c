/* maillog_events.c - see maillog_events.h. */
#include "policy/maillog_events.h"

#include "common/log.h"

#include <stddef.h>

static struct {
	maillog_listener *hear;
	void *arg;
} listeners[MAILLOG_LISTENERS];

static size_t nlisteners;

void maillog_events_listen(maillog_listener *hear, void *arg)
{
	if (nlisteners == MAILLOG_LISTENERS) {
		log_bug(NULL, "more than %d listeners to the mail log", MAILLOG_LISTENERS);
		return;
	}
	listeners[nlisteners].hear = hear;
	listeners[nlisteners++].arg = arg;
}

void maillog_events_tell(enum maillog_event event, const char *queue_id, int64_t time_ms)
{
	for (size_t i = 0; i < nlisteners; i++)
		listeners[i].hear(event, queue_id, time_ms, listeners[i].arg);
}
