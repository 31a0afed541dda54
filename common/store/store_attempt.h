/* store_attempt.h - a send attempt with texts of its own; private to the store's files. */
#pragma once

#include "common/store.h"

struct store_attempt_copy {
	struct store_attempt a; /* points into what follows */
	struct strlist texts;
	struct store_recipient *recipients;
};

/* Normalised as store_engine.h says: keys fitted, names in lower case, texts clipped, recipients
 * bounded. A copy of a copy is the same again. */
void store_attempt_copy(struct store_attempt_copy *, const struct store_attempt *);
void store_attempt_copy_clear(struct store_attempt_copy *);
