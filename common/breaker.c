/* breaker.c - see breaker.h. */
#include "common/breaker.h"

bool breaker_allows(struct breaker *b, int64_t now_ms)
{
	if (!b->open)
		return true;
	if (b->trial || now_ms < b->until)
		return false;
	b->trial = true;
	return true;
}

static enum breaker_event report_ok(struct breaker *b)
{
	bool was_open = b->open;

	b->open = b->trial = false;
	b->failures = 0;
	return was_open ? BREAKER_CLOSED : BREAKER_UNCHANGED;
}

static enum breaker_event report_failed(struct breaker *b, int64_t now_ms)
{
	if (b->open) { /* a trial, or a call that began before the breaker opened */
		if (b->trial)
			b->until = now_ms + b->open_ms;
		b->trial = false;
		return BREAKER_UNCHANGED;
	}
	if (b->failures < UINT32_MAX)
		b->failures++;
	if (b->limit == 0 || b->failures < b->limit)
		return BREAKER_UNCHANGED;
	b->open = true;
	b->until = now_ms + b->open_ms;
	return BREAKER_OPENED;
}

enum breaker_event breaker_report(struct breaker *b, enum breaker_outcome outcome, int64_t now_ms)
{
	switch (outcome) {
	case BREAKER_OK:
		return report_ok(b);
	case BREAKER_FAILED:
		return report_failed(b, now_ms);
	case BREAKER_NO_EVIDENCE:
		break;
	}
	b->trial = false; /* `until` has passed: the next caller makes the trial */
	return BREAKER_UNCHANGED;
}
