/* waiting.h - how many callbacks may wait for the network at once.
 *
 * libmilter starts one more thread for each callback that waits; a dead DNS server must not turn
 * into a thousand threads. Thread-safe. */
#pragma once

#include <stdbool.h>

void waiting_limit(int most); /* from the configuration; before threads or at a reload */
bool waiting_enter(void);     /* false: too many wait already (logged), do without */
void waiting_leave(void);     /* after waiting_enter() returned true */
