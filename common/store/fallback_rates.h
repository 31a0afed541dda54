/* fallback_rates.h - the rate limits that a process goes on with while Redis is away.
 *
 * For each limit it remembers the state that Redis last told (the base) and goes on from there.
 * What is owed to Redis afterwards is how much later its windows drain because of what was taken
 * here: for one process alone the merged state is the very one that Redis would have reached.
 *
 * A take that Redis may have charged before it went away is in doubt. It is part of what is owed,
 * and named in the debt: Redis leaves it out if it did charge it, and will not charge it any more
 * if not.
 *
 * A debt that is being merged is frozen: it keeps its id until Redis has it, so that a merge
 * whose reply was lost can be sent again; what is taken meanwhile belongs to the next debt.
 *
 * Times are on Redis's clock, as far as this process knows how that differs from its own. Not
 * synchronised: the caller has the lock. */
#pragma once

#include "common/store/store_engine.h"

struct fallback_rates;

/* nonce: a text that no other process uses, for the ids of debts; borrowed. */
struct fallback_rates *fallback_rates_new(size_t most, const char *nonce);
void fallback_rates_free(struct fallback_rates *);

/* Redis answered: remember its state. local_now: the time here. */
void fallback_rates_learn(struct fallback_rates *, const struct store_rate_limit *,
    const struct store_rate_reply *, int64_t local_now);
/* Redis did not answer: decide here. sent: Redis may have charged it, or may yet. */
void fallback_rates_decide(struct fallback_rates *, const struct store_rate_request *, bool sent,
    int64_t local_now, struct store_rate_reply *);

struct fallback_debt { /* what store_rate_debt points to, copied */
	struct store_rate_debt debt;
	struct store_rate_limit limit;
	struct store_rate_window windows[LIMIT_STORE_RATE_WINDOWS];
	struct store_rate_doubt doubts[STORE_RATE_DOUBTS];
	char *key;
	char id[40];
};

/* The debt that has been pending longest. False: none is. Clear it. */
bool fallback_rates_pending(struct fallback_rates *, int64_t local_now, struct fallback_debt *);
void fallback_debt_clear(struct fallback_debt *);
/* Redis has it; the reply tells its state now. */
void fallback_rates_merged(struct fallback_rates *, const struct fallback_debt *,
    const struct store_rate_reply *, int64_t local_now);
uint64_t fallback_rates_waiting(const struct fallback_rates *); /* limits with a debt */
uint64_t fallback_rates_dropped(const struct fallback_rates *); /* debts forgotten */
