/* agent.c - see agent.h. */
#include "policy/agent.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "policy/agent_pass.h"
#include "policy/maillog_events.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SOON_MS 1000  /* between two passes, however much is deferred */
#define PAUSE_TIMES 4 /* a pass rests for so many times as long as it took: queues may be long */

struct agent {
	struct config *cfg;
	int wake; /* eventfd */
	atomic_bool stop;
	pthread_t thread;
};

static bool is_stopped(void *arg)
{
	return atomic_load(&((struct agent *)arg)->stop);
}

static void wake_up(struct agent *a)
{
	uint64_t one = 1;

	if (write(a->wake, &one, sizeof one) != sizeof one && errno != EAGAIN)
		log_bug(NULL, "the queue agent cannot be woken: %s", strerror(errno));
}

/* In the follower's thread. What the event names is found by the pass. */
static void on_event(enum maillog_event event, const char *queue_id, int64_t time_ms, void *arg)
{
	(void)queue_id, (void)time_ms;
	if (event == MAILLOG_EVENT_DEFERRED)
		wake_up(arg);
}

static void wait_for(struct agent *a, int64_t ms)
{
	struct pollfd p = {.fd = a->wake, .events = POLLIN};

	if (poll(&p, 1, (int)ms) > 0 && !is_stopped(a)) {
		uint64_t count;

		if (read(a->wake, &count, sizeof count) != sizeof count)
			log_debug(NULL, "queue agent: %s", strerror(errno));
	}
}

static void *work(void *arg)
{
	struct agent *a = arg;
	struct agent_memory memory = {0};
	int64_t interval = a->cfg->agent.interval_seconds * 1000LL, begun, pause, next;

	while (!is_stopped(a)) {
		begun = clock_ms();
		agent_pass(a->cfg, &memory, is_stopped, a);
		pause = PAUSE_TIMES * (clock_ms() - begun);
		next = clock_ms() + (pause < interval ? pause : interval);
		if (next < begun + SOON_MS)
			next = begun + SOON_MS;
		wait_for(a, interval);
		while (clock_ms() < next && !is_stopped(a)) /* told early: others will follow */
			wait_for(a, next - clock_ms());
	}
	agent_memory_clear(&memory);
	return NULL;
}

static bool start_thread(struct agent *a)
{
	sigset_t all, before;
	int rc;

	a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->wake < 0)
		return false;
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&a->thread, NULL, work, a);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = rc;
	return rc == 0;
}

static void free_agent(struct agent *a)
{
	if (a->wake >= 0)
		close(a->wake);
	config_unref(a->cfg);
	free(a);
}

struct agent *agent_start(struct config *cfg)
{
	struct agent *a;

	if (cfg->agent.mta == AGENT_NONE)
		return NULL;
	a = xcalloc(1, sizeof *a);
	a->cfg = config_ref(cfg);
	a->wake = -1;
	if (start_thread(a)) {
		maillog_events_listen(on_event, a);
		log_info(NULL, "queue agent: the scripts are asked every %d s",
		    cfg->agent.interval_seconds);
		return a;
	}
	log_error(
	    NULL, "no queue agent, held messages wait; no thread for it: %s", strerror(errno));
	free_agent(a);
	return NULL;
}

void agent_stop(struct agent *a)
{
	if (a == NULL)
		return;
	atomic_store(&a->stop, true);
	wake_up(a);
	pthread_join(a->thread, NULL);
	free_agent(a);
}
