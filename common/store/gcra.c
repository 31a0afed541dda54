/* gcra.c - see gcra.h. */
#include "common/store/gcra.h"

#include <math.h>

/* Sums of fractions of a millisecond are off by their rounding; a unit that is early by less
 * than this is not early. */
#define SLACK_MS 0.5

double gcra_interval(const struct store_rate_window *w)
{
	return (double)w->period_ms / (double)w->count;
}

struct level { /* of one window, after the cost */
	double tat, over, left;
};

static struct level charge(const struct store_rate_window *w, double tat, double now, double cost)
{
	double interval = gcra_interval(w);
	double depth = (double)w->burst * interval;
	double slack = fmin(interval / 2, SLACK_MS);
	/* Never fuller than full: a clock set back, or a burst made smaller, must not lock a key
	 * for longer than its own depth. */
	double start = fmin(fmax(tat, now), now + depth);
	double next = start + cost * interval;
	struct level l = {
	    .tat = next,
	    .over = next - now > depth + slack ? next - now - depth : 0,
	    .left = floor((depth + slack - (next - now)) / interval),
	};

	return l;
}

/* The window that makes a refused call wait longest. True if there is one. */
static bool refused(const struct store_rate_window *w, size_t n, const double *tats, double now,
    uint64_t cost, struct store_rate_state *state)
{
	double longest = 0;

	for (size_t i = 0; i < n; i++) {
		double over = charge(&w[i], tats[i], now, (double)cost).over;

		if (over <= 0)
			continue;
		if (cost > w[i].burst) {
			state->retry_ms = -1;
			state->window = i;
			return true;
		}
		if (over > longest) {
			longest = over;
			state->retry_ms = (int64_t)ceil(over);
			state->window = i;
		}
	}
	return longest > 0;
}

enum store_rate gcra_take(const struct store_rate_window *w, size_t n, double *tats, int64_t now_ms,
    uint64_t cost, bool take, struct store_rate_state *state)
{
	double now = (double)now_ms, least = INFINITY;
	bool over;

	*state = (struct store_rate_state){0};
	over = refused(w, n, tats, now, cost, state);
	for (size_t i = 0; i < n; i++) {
		struct level l = charge(&w[i], tats[i], now, take && !over ? (double)cost : 0);

		if (l.left < least) {
			least = l.left;
			if (!over)
				state->window = i;
		}
		if (take && !over)
			tats[i] = l.tat;
	}
	state->remaining = least > 0 ? (uint64_t)least : 0;
	return over ? STORE_RATE_OVER : STORE_RATE_PASS;
}
