/* breaker.h - skip what keeps failing, and try it again after a while.
 *
 * After `limit` failures in a row the breaker is open for open_ms. Then one caller is let through
 * as a trial: its success closes the breaker, its failure opens it again. Pure: the caller brings
 * the time (clock.h) and the lock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A wait shorter than this proves nothing about the one waited for: report BREAKER_NO_EVIDENCE. */
#define BREAKER_EVIDENCE_MS 250

enum breaker_outcome { BREAKER_OK, BREAKER_FAILED, BREAKER_NO_EVIDENCE };
enum breaker_event { BREAKER_UNCHANGED, BREAKER_OPENED, BREAKER_CLOSED };

struct breaker {	/* zeroed except for the first two */
	unsigned limit; /* 0: never opens */
	unsigned open_ms;
	unsigned failures; /* in a row */
	bool open, trial;
	int64_t until; /* while open: when the next trial is due */
};

/* May the caller go ahead? Whoever got true must call breaker_report() once. */
bool breaker_allows(struct breaker *, int64_t now_ms);

/* Tell how it went. OPENED and CLOSED are returned once per outage: log on them. */
enum breaker_event breaker_report(struct breaker *, enum breaker_outcome, int64_t now_ms);
