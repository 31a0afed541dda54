/* wake.h - a callback that takes long holds up its own session only.
 *
 * libmilter gives a session with something to do to an idle thread of its pool, and counts that
 * thread as idle until it really runs. So two sessions that become ready together may be meant for
 * one thread; while the first one's callback waits, the second is stuck although the pool could
 * grow (observed: for as long as the callback took). But whenever a connection comes in, a thread
 * wakes up, or is made, and looks for all that is ready. So while callbacks are running and none
 * ends, we connect to our own socket and hang up; libmilter ends that session before anything of
 * ours sees it.
 *
 * Where the socket belongs to another user than this process (milter.socket_owner, mode 0600) the
 * connection is not possible, and the pool is as libmilter makes it. */
#pragma once

#include <stdbool.h>

/* Once, before the thread starts. False: the address cannot be connected to. */
bool wake_prepare(const char *listen_address);
/* The thread; never returns. */
void *wake_watch(void *unused);
/* Around each callback. Thread-safe. */
void wake_enter(void);
void wake_leave(void);
