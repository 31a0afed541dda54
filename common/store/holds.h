/* holds.h - which hosts are held now: the holds of the store, as every decision asks for them.
 *
 * The list of all holds is read at most once in outbound.holds_ms, so that a decision costs no
 * round trip of its own; what this process sets or releases counts at once, and what it sets lasts
 * until its end even if the store answers but takes nothing (full, read-only). While the store
 * cannot be asked, what was known of it goes on. Thread-safe: one caller reads the list, the others
 * go on with the one before.
 *
 * What an administrator releases for some time stands in the same list, under a name that no host
 * has: as long as it is there nothing holds what it names, whatever scripts set. */
#pragma once

#include "common/limits.h"
#include "common/store.h"

#define HOLDS_EXEMPT '!' /* before the name of what is released for some time */

struct hold_target { /* of one connection to be made; NULL or "" = not known */
	const char *server, *address, *domain, *provider;
};

struct held { /* texts are clipped */
	enum store_dimension dimension;
	char key[LIMIT_STORE_HOLD_TEXT_BYTES];
	char who[LIMIT_STORE_HOLD_TEXT_BYTES], reason[LIMIT_STORE_HOLD_TEXT_BYTES];
	int64_t until_ms; /* since 1970 */
	bool ours;	  /* the store has not taken it */
};

enum store_answer holds_find(
    const char *store, const struct hold_target *, int age_ms, struct held *out, int ms);
/* FOUND: an administrator has released it until then. Looks at the list that holds_find() read. */
enum store_answer holds_exempt(const char *store, const struct hold_target *, struct held *out);
/* Replaces an earlier hold. UNKNOWN: it is kept by this process only. */
enum store_answer holds_set(const char *store, const struct store_hold *, int ms);
/* Ends a hold, at once in this process. ABSENT: there was none; UNKNOWN: the store does not answer,
 * and only this process knows. */
enum store_answer holds_release(const char *store, enum store_dimension, const char *key, int ms);
void holds_forget(void); /* at the end of the process */

int64_t holds_now_ms(void); /* since 1970, as the ends of holds are counted */
