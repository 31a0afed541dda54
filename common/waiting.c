/* waiting.c - see waiting.h. */
#include "common/waiting.h"

#include <stdatomic.h>

static atomic_int now, limit = 100;

void waiting_limit(int most)
{
	atomic_store(&limit, most);
}

bool waiting_enter(void)
{
	if (atomic_fetch_add(&now, 1) < atomic_load(&limit))
		return true;
	atomic_fetch_sub(&now, 1);
	return false;
}

void waiting_leave(void)
{
	atomic_fetch_sub(&now, 1);
}
