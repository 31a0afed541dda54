/* store_fill.h - attempts for store_cost, many at once, as it would record them one by one: the
 * server makes them itself, in the tables and keys of the store. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Into a store that is open and empty: n attempts, the last at last_ms, over span_ms. False: not
 * into one with this URL ("sqlite:" and "redis+unix://" only). Ends the program when it fails. */
bool store_fill(const char *url, uint64_t n, int64_t last_ms, int64_t span_ms);
