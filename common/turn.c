/* turn.c - see turn.h. */
#include "common/turn.h"

#include <errno.h>
#include <time.h>

void turn_condition(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

bool turn_wait(pthread_cond_t *c, pthread_mutex_t *m, int64_t until)
{
	struct timespec end = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};

	return pthread_cond_timedwait(c, m, &end) != ETIMEDOUT;
}

void turn_init(struct turn *t)
{
	pthread_mutex_init(&t->lock, NULL);
	turn_condition(&t->free);
	t->taken = false;
}

void turn_destroy(struct turn *t)
{
	pthread_cond_destroy(&t->free);
	pthread_mutex_destroy(&t->lock);
}

bool turn_take(struct turn *t, int64_t until)
{
	bool mine, time_left = true;

	pthread_mutex_lock(&t->lock);
	while (t->taken && time_left)
		time_left = turn_wait(&t->free, &t->lock, until);
	mine = !t->taken;
	t->taken = true;
	pthread_mutex_unlock(&t->lock);
	return mine;
}

void turn_give(struct turn *t)
{
	pthread_mutex_lock(&t->lock);
	t->taken = false;
	pthread_cond_signal(&t->free);
	pthread_mutex_unlock(&t->lock);
}
