/* turn.h - one thread at a time, and nobody waits past a deadline.
 *
 * By hand although pthread_mutex_clocklock() exists: ThreadSanitizer does not know that one.
 * Thread-safe. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct turn {
	pthread_mutex_t lock;
	pthread_cond_t free;
	bool taken;
};

/* A condition whose timed waits end by the monotonic clock (clock.h). */
void turn_condition(pthread_cond_t *);
/* Wait for it until then, as pthread_cond_timedwait(). False: the time has come. */
bool turn_wait(pthread_cond_t *, pthread_mutex_t *, int64_t until);

void turn_init(struct turn *);
void turn_destroy(struct turn *); /* nobody has it */
/* True: it is the caller's until turn_give(). False: `until` came. */
bool turn_take(struct turn *, int64_t until);
void turn_give(struct turn *);
