/* maillog_record.h - what the log said goes into the store: attempts, and facts of messages.
 *
 * Everything written is idempotent: a log that is read twice leaves the store as reading it once
 * did. A store that does not take an attempt is waited for. One that takes attempts for later
 * (Redis is away) but cannot change facts is gone on with, and the log must be read again from the
 * last place that was safe. One thread. */
#pragma once

#include "policy/dialogues.h"

#include <stdbool.h>

struct recorder;

/* stop: an eventfd that becomes readable when nothing is to be waited for any more; it stays the
 * caller's. */
struct recorder *recorder_new(const char *store_url, int stop);
void recorder_free(struct recorder *);

/* For dialogues_new(). */
struct dialogues_listener recorder_listener(struct recorder *);

enum recorder_state {
	RECORDER_SAFE,	 /* the store has everything it was told, on its disk */
	RECORDER_WAIT,	 /* ... not yet, but will by itself */
	RECORDER_BEHIND, /* ... not: read again from the last safe place */
	RECORDER_STOPPED /* it was not told everything, for we stop */
};

/* BEHIND is said once for what was missed until then. */
enum recorder_state recorder_state(struct recorder *);
