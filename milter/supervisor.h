/* supervisor.h - the parent process: signals, lock, restarts.
 *
 * libmilter takes HUP, TERM and INT for itself and stops without closing sessions, serves one
 * address per process, and steals the socket of a live instance (observed, traps T13 and T14). So a
 * parent that does not link any mail logic holds the signals and a lock for each address, and runs
 * one worker process for each address. It talks to the workers through a socket pair, one byte a
 * message:
 *
 *   to the worker:   H reload   T drain and stop   U reopen the logs   P are you alive
 *   from the worker: R ready    h reloaded         e reload failed     p alive */
#pragma once

#include "common/config.h"

#include <stdbool.h>

enum supervisor_order {
	ORDER_RELOAD = 'H',
	ORDER_STOP = 'T',
	ORDER_REOPEN = 'U',
	ORDER_PING = 'P',
};

enum supervisor_report {
	REPORT_READY = 'R',
	REPORT_RELOADED = 'h',
	REPORT_RELOAD_FAILED = 'e',
	REPORT_ALIVE = 'p',
};

/* Runs the workers until SIGTERM or SIGINT; returns the exit status. run_worker is called in the
 * child with one address of cfg->milter.listen and its end of the socket pair, and returns its exit
 * status. ready is called once when all workers are ready. */
int supervise(const struct config *cfg,
    int (*run_worker)(const char *address, int control, bool again), void (*ready)(void));
