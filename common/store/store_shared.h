/* store_shared.h - the one handle that a process has on its store, opened when it is first wanted.
 *
 * A reload may name another store: whoever has the old one keeps it until it is put back. After a
 * fork() the child gets a handle of its own. Thread-safe. */
#pragma once

#include "common/store.h"

/* NULL: it cannot be opened, which was logged, and is tried again after some seconds. */
struct store *store_shared_get(const char *url);
void store_shared_put(struct store *);

/* Log once that the store does not answer, and once that it does again: when nothing has failed for
 * some seconds, for a store that is full still answers some questions. What the fallback answered
 * in its stead is STORE_UNKNOWN here. */
void store_shared_report(const char *url, enum store_answer);

/* Close it at the end of the process. */
void store_shared_close(void);
