/* dispatch.c - see dispatch.h. */
#include "policy/dispatch.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"

#include <event2/event.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REPORT_SECONDS 60 /* requests answered by default are logged that often */

TAILQ_HEAD(task_list, task);

struct worker {
	struct dispatch *dispatch;
	pthread_t thread;
	pthread_cond_t wake;
	struct task *slot; /* given to the worker; it takes it out when it is done */
	struct worker *next_idle;
};

struct dispatch {
	struct event_base *base;
	struct worker *workers, *idle;
	int nworkers, nqueued, most_queued;
	struct task_list queue;
	struct event *wake, *report;
	int wake_fd;
	unsigned late, refused; /* since the last report */

	pthread_mutex_t lock; /* of the slots, done and stopping */
	struct task_list done;
	bool stopping;
};

/* ---- worker threads ---- */

static struct task *wait_for_task(struct worker *w)
{
	struct dispatch *d = w->dispatch;
	struct task *t;

	pthread_mutex_lock(&d->lock);
	while (w->slot == NULL && !d->stopping)
		pthread_cond_wait(&w->wake, &d->lock);
	t = w->slot;
	pthread_mutex_unlock(&d->lock);
	return t;
}

static void hand_back(struct worker *w, struct task *t)
{
	struct dispatch *d = w->dispatch;
	uint64_t one = 1;

	pthread_mutex_lock(&d->lock);
	w->slot = NULL;
	TAILQ_INSERT_TAIL(&d->done, t, entry);
	pthread_mutex_unlock(&d->lock);
	if (write(d->wake_fd, &one, sizeof one) != sizeof one)
		log_bug(NULL, "the loop cannot be woken: %s", strerror(errno));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct task *t;

	while ((t = wait_for_task(w)) != NULL) {
		t->work(t);
		hand_back(w, t);
	}
	return NULL;
}

/* ---- requests answered by default ---- */

static void log_misses(struct dispatch *d)
{
	if (d->late > 0)
		log_error(NULL,
		    "%u requests were answered by default: not done within policy.deadline_ms",
		    d->late);
	if (d->refused > 0)
		log_error(NULL,
		    "%u requests were answered by default: policy.queue was full; are the scripts "
		    "slow, or policy.workers too few?",
		    d->refused);
	d->late = d->refused = 0;
}

/* At once for the first one, then once a minute. */
static void count_miss(struct dispatch *d, enum task_end end)
{
	static const struct timeval interval = {REPORT_SECONDS, 0};

	if (end == TASK_LATE)
		d->late++;
	else
		d->refused++;
	if (event_pending(d->report, EV_TIMEOUT, NULL))
		return;
	log_misses(d);
	event_add(d->report, &interval);
}

static void on_report(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;
	static const struct timeval interval = {REPORT_SECONDS, 0};

	(void)fd, (void)what;
	if (d->late + d->refused > 0)
		event_add(d->report, &interval);
	log_misses(d);
}

/* ---- tasks ---- */

static void end_task(struct task *t, enum task_end end)
{
	if (t->ended)
		return;
	t->ended = true;
	if (t->timer != NULL)
		event_del(t->timer);
	if (end != TASK_DONE)
		count_miss(t->dispatch, end);
	t->finish(t, end);
}

static void free_task(struct task *t)
{
	if (t->timer != NULL)
		event_free(t->timer);
	t->free(t);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct task *t = arg;
	struct dispatch *d = t->dispatch;

	(void)fd, (void)what;
	end_task(t, TASK_LATE);
	if (t->running)
		return; /* a worker has it */
	TAILQ_REMOVE(&d->queue, t, entry);
	d->nqueued--;
	free_task(t);
}

static void give(struct dispatch *d, struct task *t)
{
	struct worker *w = d->idle;

	d->idle = w->next_idle;
	t->running = true;
	pthread_mutex_lock(&d->lock);
	w->slot = t;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&d->lock);
}

/* The workers whose slot is empty are the idle ones; with some tens of them a walk is nothing. */
static void collect_idle(struct dispatch *d)
{
	d->idle = NULL;
	pthread_mutex_lock(&d->lock);
	for (int i = d->nworkers - 1; i >= 0; i--)
		if (d->workers[i].slot == NULL) {
			d->workers[i].next_idle = d->idle;
			d->idle = &d->workers[i];
		}
	pthread_mutex_unlock(&d->lock);
}

static void give_queued(struct dispatch *d)
{
	struct task *t;

	while (d->idle != NULL && (t = TAILQ_FIRST(&d->queue)) != NULL) {
		TAILQ_REMOVE(&d->queue, t, entry);
		d->nqueued--;
		give(d, t);
	}
}

static void take_done(struct dispatch *d, struct task_list *done)
{
	TAILQ_INIT(done);
	pthread_mutex_lock(&d->lock);
	TAILQ_CONCAT(done, &d->done, entry);
	pthread_mutex_unlock(&d->lock);
}

static void finish_done(struct dispatch *d)
{
	struct task_list done;
	struct task *t;

	take_done(d, &done);
	while ((t = TAILQ_FIRST(&done)) != NULL) {
		TAILQ_REMOVE(&done, t, entry);
		/* a result that comes with the deadline is late, whoever was first */
		end_task(t, clock_ms() < t->deadline_ms ? TASK_DONE : TASK_LATE);
		free_task(t);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) != sizeof count)
		return;
	collect_idle(d);
	give_queued(d); /* the workers first: they go on while we write answers */
	finish_done(d);
}

static bool arm(struct task *t)
{
	int64_t left = t->deadline_ms - clock_ms();
	struct timeval tv = {0};

	if (left > 0)
		tv = (struct timeval){.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
	t->timer = evtimer_new(t->dispatch->base, on_deadline, t);
	return t->timer != NULL && event_add(t->timer, &tv) == 0;
}

void dispatch_submit(struct dispatch *d, struct task *t)
{
	t->dispatch = d;
	t->running = t->ended = false;
	t->timer = NULL;
	if ((d->idle == NULL && d->nqueued >= d->most_queued) || !arm(t)) {
		end_task(t, TASK_REFUSED);
		free_task(t);
	} else if (d->idle != NULL) {
		give(d, t);
	} else {
		TAILQ_INSERT_TAIL(&d->queue, t, entry);
		d->nqueued++;
	}
}

/* ---- start and end ---- */

static bool start_workers(struct dispatch *d, int workers)
{
	sigset_t all, before;
	int rc = 0;

	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < workers && rc == 0; i++) {
		struct worker *w = &d->workers[i];

		w->dispatch = d;
		pthread_cond_init(&w->wake, NULL);
		rc = pthread_create(&w->thread, NULL, work, w);
		if (rc == 0)
			d->nworkers++;
		else
			pthread_cond_destroy(&w->wake);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = rc;
	return rc == 0;
}

static bool watch(struct dispatch *d)
{
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->wake_fd < 0)
		return false;
	d->wake = event_new(d->base, d->wake_fd, EV_READ | EV_PERSIST, on_wake, d);
	d->report = evtimer_new(d->base, on_report, d);
	return d->wake != NULL && d->report != NULL && event_add(d->wake, NULL) == 0;
}

struct dispatch *dispatch_new(
    struct event_base *base, int workers, int queue, char *error, size_t size)
{
	struct dispatch *d = xcalloc(1, sizeof *d);

	d->base = base;
	d->most_queued = queue;
	d->workers = xcalloc((size_t)workers, sizeof *d->workers);
	TAILQ_INIT(&d->queue);
	TAILQ_INIT(&d->done);
	pthread_mutex_init(&d->lock, NULL);
	if (!watch(d) || !start_workers(d, workers)) {
		snprintf(error, size, "cannot start policy.workers: %s", strerror(errno));
		dispatch_free(d);
		return NULL;
	}
	collect_idle(d);
	return d;
}

static void stop_workers(struct dispatch *d)
{
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	for (int i = 0; i < d->nworkers; i++)
		pthread_cond_signal(&d->workers[i].wake);
	pthread_mutex_unlock(&d->lock);
	for (int i = 0; i < d->nworkers; i++) {
		pthread_join(d->workers[i].thread, NULL);
		pthread_cond_destroy(&d->workers[i].wake);
	}
}

void dispatch_free(struct dispatch *d)
{
	struct task *t;

	if (d == NULL)
		return;
	stop_workers(d);
	finish_done(d);
	while ((t = TAILQ_FIRST(&d->queue)) != NULL) {
		TAILQ_REMOVE(&d->queue, t, entry);
		end_task(t, TASK_LATE);
		free_task(t);
	}
	if (d->report != NULL)
		log_misses(d);
	if (d->wake != NULL)
		event_free(d->wake);
	if (d->report != NULL)
		event_free(d->report);
	if (d->wake_fd >= 0)
		close(d->wake_fd);
	pthread_mutex_destroy(&d->lock);
	free(d->workers);
	free(d);
}
