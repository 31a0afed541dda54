/* waiting.c - see waiting.h. */
#include "common/waiting.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdatomic.h>
#include <stdint.h>

static atomic_int now, limit = 100;
static _Atomic int64_t complained; /* monotonic ms of the last time, 0 = never */

void waiting_limit(int most)
{
	atomic_store(&limit, most);
}

/* Once a minute: a dead name server would fill the log otherwise. */
static void complain(void)
{
	int64_t last = atomic_load(&complained), at = clock_ms();

	if ((last == 0 || at - last >= 60000) &&
	    atomic_compare_exchange_strong(&complained, &last, at))
		log_warn(NULL,
		    "milter.waiting: %d callbacks wait already; block lists are not asked and "
		    "waits end at once until some are done (logged once a minute)",
		    atomic_load(&limit));
}

bool waiting_enter(void)
{
	if (atomic_fetch_add(&now, 1) < atomic_load(&limit))
		return true;
	atomic_fetch_sub(&now, 1);
	complain();
	return false;
}

void waiting_leave(void)
{
	atomic_fetch_sub(&now, 1);
}
