/* store_text.h - how texts enter the store: clipped, folded, digested, classified by reply code;
 * private to the store's files. Pure except for store_complain() and store_now(). */
#pragma once

#include "common/store.h"

/* Copies made for one call: cleared together with strlist_clear(). The pointers stay good until
 * then. */
const char *store_text(struct strlist *copies, const char *, size_t most);
/* A key: as it is, or "sha256:<hex>" if longer than `most` (which is at least 71). */
const char *store_key(struct strlist *copies, const char *, size_t most);
/* The same in ASCII lower case, as host and domain names are compared. */
const char *store_name(struct strlist *copies, const char *, size_t most);

/* The leading digits of a result, at most three, padded with '-': "451", "4--", "---". Attempts
 * are indexed by it. */
void store_code(const char *result, char code[static 4]);

/* A wanted beginning of a result: only codes that begin with `low` can have it; in byte order they
 * are those with low <= code < high. */
struct store_code_range {
	char low[4], high[4];
	bool compare; /* the text of their results must be compared as well */
};

void store_code_range(const char *result, struct store_code_range *);

/* Milliseconds since 1970 by the options' clock, else the system's. */
int64_t store_now(const struct store_options *);

/* Tell the log that the store could not do something; at most one line in ten seconds. Thread-safe.
 */
void store_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
