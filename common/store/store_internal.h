/* store_internal.h - the handle, as store.c and store_records.c see it; private to them. */
#pragma once

#include "common/store/store_engine.h"

#include <stdatomic.h>

struct store {
	struct store_engine *engine;
	/* For attempts and rates: the engine, or the fallback before it. */
	struct store_engine *counters;
	struct store_options options;
	char *prefix;	/* owns options.prefix */
	char nonce[17]; /* random: ids of this handle differ from all others */
	_Atomic uint64_t calls;
};

/* The end of a call that may take ms from now. */
int64_t store_until(int ms);

/* Is it one of the dimensions, and does only STORE_ALL go without a key? Else a bug of the caller
 * is logged. */
bool store_dimension_ok(enum store_dimension, const char *key);
