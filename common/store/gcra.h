/* gcra.h - the arithmetic of rate limits: generic cell rate algorithm, several windows at once.
 *
 * The state of a window is one number, its theoretical arrival time (tat): when the window will
 * have drained, in milliseconds since 1970 with a fraction; 0 = it rested for ever. The script in
 * redis_scripts.c computes the same in the same order of operations, so that both engines give
 * the same answers bit for bit. Pure. */
#pragma once

#include "common/store.h"

/* Charge `cost` to all n windows, or to none if one is over. tats is changed only when it passes
 * and `take`. Bursts must be filled in. */
enum store_rate gcra_take(const struct store_rate_window *, size_t n, double *tats, int64_t now_ms,
    uint64_t cost, bool take, struct store_rate_state *);

/* The time that one unit takes to drain, in milliseconds. */
double gcra_interval(const struct store_rate_window *);
