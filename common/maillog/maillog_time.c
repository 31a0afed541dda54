/* maillog_time.c - see maillog_time.h.
 *
 * strptime(3) would do half of it, but depends on the locale and wants a terminated text. */
#include "common/maillog/maillog_time.h"

#include "common/maillog/maillog_text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* n digits. */
static bool fixed(struct maillog_text *t, int n, int *value)
{
	struct maillog_text part = {t->s, (size_t)n};
	int64_t v;

	if (t->n < (size_t)n || !text_number(&part, &v) || part.n != 0)
		return false;
	t->s += n;
	t->n -= (size_t)n;
	*value = (int)v;
	return true;
}

static bool clock_time(struct maillog_text *t, struct tm *tm)
{
	return fixed(t, 2, &tm->tm_hour) && text_word(t, ":") && fixed(t, 2, &tm->tm_min) &&
	       text_word(t, ":") && fixed(t, 2, &tm->tm_sec) && tm->tm_hour < 24 &&
	       tm->tm_min < 60 && tm->tm_sec <= 60;
}

static bool month(struct maillog_text *t, int *number)
{
	static const char names[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec ";

	for (int m = 0; m < 12; m++) {
		if (t->n >= 4 && memcmp(t->s, names + 4 * m, 4) == 0) {
			*number = m;
			t->s += 4;
			t->n -= 4;
			return true;
		}
	}
	return false;
}

/* The year is not said: last, this or next year's day, whichever is nearest. */
static int64_t nearest(const struct tm *said, int64_t now_ms)
{
	time_t now = now_ms / 1000;
	int64_t best = INT64_MIN;
	struct tm today;

	localtime_r(&now, &today);
	for (int year = today.tm_year - 1; year <= today.tm_year + 1; year++) {
		struct tm tm = *said;
		int64_t ms;

		tm.tm_year = year;
		tm.tm_isdst = -1;
		ms = (int64_t)mktime(&tm) * 1000;
		if (best == INT64_MIN || llabs(ms - now_ms) < llabs(best - now_ms))
			best = ms;
	}
	return best;
}

static bool traditional(struct maillog_text *t, int64_t now_ms, int64_t *time_ms)
{
	struct maillog_text rest = *t;
	struct tm tm = {0};
	int width = 2;

	if (!month(&rest, &tm.tm_mon))
		return false;
	if (text_word(&rest, " "))
		width = 1;
	if (!fixed(&rest, width, &tm.tm_mday) || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    !text_word(&rest, " ") || !clock_time(&rest, &tm) || !text_word(&rest, " "))
		return false;
	*time_ms = nearest(&tm, now_ms);
	*t = rest;
	return true;
}

/* "Z", "+01:00" */
static bool zone(struct maillog_text *t, int64_t *seconds)
{
	int sign = text_word(t, "+") ? 1 : text_word(t, "-") ? -1 : 0, hours, minutes;

	*seconds = 0;
	if (sign == 0)
		return text_word(t, "Z");
	if (!fixed(t, 2, &hours) || !text_word(t, ":") || !fixed(t, 2, &minutes))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

/* The digits after the dot. */
static int64_t milliseconds(struct maillog_text *t)
{
	int64_t ms = 0;

	for (int64_t scale = 100; t->n > 0 && *t->s >= '0' && *t->s <= '9'; scale /= 10) {
		ms += (*t->s - '0') * scale;
		t->s++;
		t->n--;
	}
	return ms;
}

static bool rfc3339(struct maillog_text *t, int64_t *time_ms)
{
	struct maillog_text rest = *t;
	struct tm tm = {0};
	int64_t ms = 0, offset;
	int year;

	if (!fixed(&rest, 4, &year) || !text_word(&rest, "-") || !fixed(&rest, 2, &tm.tm_mon) ||
	    !text_word(&rest, "-") || !fixed(&rest, 2, &tm.tm_mday) || !text_word(&rest, "T") ||
	    !clock_time(&rest, &tm) || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || year < 1970)
		return false;
	if (text_word(&rest, "."))
		ms = milliseconds(&rest);
	if (!zone(&rest, &offset) || !text_word(&rest, " "))
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon--;
	*time_ms = ((int64_t)timegm(&tm) - offset) * 1000 + ms;
	*t = rest;
	return true;
}

bool maillog_time(struct maillog_text *t, int64_t now_ms, int64_t *time_ms)
{
	if (!rfc3339(t, time_ms) && !traditional(t, now_ms, time_ms))
		return false;
	if (*time_ms < 0) /* a clock that was never set, or a lie */
		*time_ms = 0;
	return true;
}
