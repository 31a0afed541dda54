/* sql_time.c - see sql_time.h: points in time. Intervals are in sql_span.c. */
#include "common/sql/sql_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define DAY_MS ((int64_t)86400000)
#define FIRST_MS ((int64_t)-62135596800000) /* 0001-01-01 */
#define LAST_MS ((int64_t)253402300799999)  /* 9999-12-31 */

static bool in_range(int64_t ms)
{
	return ms >= FIRST_MS + DAY_MS && ms <= LAST_MS - DAY_MS;
}

/* Milliseconds as a local time and what is left of the second. */
static void split(int64_t ms, struct tm *tm, int *rest)
{
	time_t seconds = (time_t)(ms / 1000);

	*rest = (int)(ms % 1000);
	if (*rest < 0) {
		*rest += 1000;
		seconds--;
	}
	*tm = (struct tm){0}; /* stays so for a time that no calendar has */
	localtime_r(&seconds, tm);
}

/* The fields may be out of their ranges. */
static bool join(struct tm *tm, int64_t rest, int64_t *ms)
{
	time_t seconds;

	tm->tm_isdst = -1;
	seconds = mktime(tm);
	*ms = (int64_t)seconds * 1000 + rest;
	return in_range(*ms);
}

/* ---- reading ---- */

struct reader {
	const char *p;
};

static bool number(struct reader *r, size_t least, size_t most, int *value)
{
	size_t n = 0;

	*value = 0;
	while (n < most && r->p[n] >= '0' && r->p[n] <= '9')
		*value = *value * 10 + (r->p[n++] - '0');
	r->p += n;
	return n >= least;
}

static bool character(struct reader *r, char c)
{
	if (*r->p != c)
		return false;
	r->p++;
	return true;
}

static void spaces(struct reader *r)
{
	while (*r->p == ' ')
		r->p++;
}

static bool date(struct reader *r, struct tm *tm)
{
	int year, month, day;

	if (!number(r, 4, 4, &year) || !character(r, '-') || !number(r, 1, 2, &month) ||
	    !character(r, '-') || !number(r, 1, 2, &day))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* A day that the month has not got would silently become one of the next. */
static bool day_exists(const struct tm *tm)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && leap);
}

/* ".5", in milliseconds, rounded. */
static int64_t fraction(struct reader *r)
{
	double value = 0, unit = 100;

	if (*r->p != '.')
		return 0;
	for (r->p++; *r->p >= '0' && *r->p <= '9'; r->p++, unit /= 10)
		value += (*r->p - '0') * unit;
	return (int64_t)(value + 0.5);
}

static bool time_of_day(struct reader *r, struct tm *tm, int64_t *rest)
{
	if (!number(r, 1, 2, &tm->tm_hour) || !character(r, ':') || !number(r, 2, 2, &tm->tm_min))
		return false;
	if (character(r, ':')) {
		if (!number(r, 2, 2, &tm->tm_sec))
			return false;
		*rest = fraction(r);
	}
	return tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 59;
}

/* "Z", " UTC", "+01", "+01:30", "+0130": minutes east. *given: there is one. */
static bool zone(struct reader *r, int *minutes, bool *given)
{
	int hours, more = 0;
	bool west;

	spaces(r);
	*given = *r->p != '\0';
	*minutes = 0;
	if (strcasecmp(r->p, "z") == 0 || strcasecmp(r->p, "utc") == 0 ||
	    strcasecmp(r->p, "gmt") == 0 || !*given) {
		r->p += strlen(r->p);
		return true;
	}
	west = *r->p == '-';
	if (!character(r, '+') && !character(r, '-'))
		return false;
	if (!number(r, 1, 2, &hours))
		return false;
	character(r, ':');
	if (*r->p != '\0' && !number(r, 2, 2, &more))
		return false;
	*minutes = (hours * 60 + more) * (west ? -1 : 1);
	return hours <= 15 && more <= 59;
}

static bool special(const char *text, int64_t now, int64_t *ms)
{
	static const struct {
		const char *name;
		int day;
	} days[] = {{"today", 0}, {"yesterday", -1}, {"tomorrow", 1}};
	struct tm tm;
	int rest;

	if (strcasecmp(text, "now") == 0 || strcasecmp(text, "epoch") == 0) {
		*ms = strcasecmp(text, "now") == 0 ? now : 0;
		return true;
	}
	for (size_t i = 0; i < sizeof days / sizeof *days; i++)
		if (strcasecmp(text, days[i].name) == 0) {
			split(now, &tm, &rest);
			tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
			tm.tm_mday += days[i].day;
			return join(&tm, 0, ms);
		}
	return false;
}

bool sql_stamp_parse(const char *text, enum sql_type type, int64_t now, int64_t *ms)
{
	struct reader r = {text};
	struct tm tm = {0};
	int64_t rest = 0;
	int minutes;
	bool zoned;

	spaces(&r);
	if (special(r.p, now, ms))
		return type != SQL_DATE || sql_stamp_truncate(*ms, "day", ms);
	if (!date(&r, &tm) || !day_exists(&tm))
		return false;
	if ((character(&r, 'T') || character(&r, ' ')) && *r.p >= '0' && *r.p <= '9' &&
	    !time_of_day(&r, &tm, &rest))
		return false;
	if (!zone(&r, &minutes, &zoned) || *r.p != '\0')
		return false;
	if (type == SQL_DATE) {
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		rest = 0;
	}
	if (!zoned || type != SQL_STAMP)
		return join(&tm, rest, ms);
	*ms = ((int64_t)timegm(&tm) - minutes * 60) * 1000 + rest;
	return in_range(*ms);
}

/* ---- writing ---- */

void sql_stamp_text(int64_t ms, enum sql_type type, char out[static SQL_TIME_TEXT])
{
	struct tm tm;
	size_t n;
	int rest;

	split(ms, &tm, &rest);
	n = (size_t)snprintf(
	    out, SQL_TIME_TEXT, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	if (type == SQL_DATE)
		return;
	n += (size_t)snprintf(
	    out + n, SQL_TIME_TEXT - n, " %02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (rest != 0) {
		n += (size_t)snprintf(out + n, SQL_TIME_TEXT - n, ".%03d", rest);
		while (out[n - 1] == '0')
			out[--n] = '\0';
	}
	if (type == SQL_STAMP) {
		long east = tm.tm_gmtoff, minutes = labs(east) / 60;

		n += (size_t)snprintf(
		    out + n, SQL_TIME_TEXT - n, "%c%02ld", east < 0 ? '-' : '+', minutes / 60);
		if (minutes % 60 != 0)
			snprintf(out + n, SQL_TIME_TEXT - n, ":%02ld", minutes % 60);
	}
}

/* ---- arithmetic ---- */

bool sql_stamp_add(int64_t ms, const struct sql_span *span, int64_t *sum)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct tm tm;
	int rest;

	if (!in_range(ms))
		return false;
	if (span->months != 0 || span->days != 0) {
		int64_t month;
		int year, most;

		split(ms, &tm, &rest);
		month = (int64_t)tm.tm_year * 12 + tm.tm_mon + span->months;
		year = (int)(month / 12) - (month % 12 < 0);
		tm.tm_mon = (int)(month - (int64_t)year * 12);
		tm.tm_year = year;
		if (year < -1900 || year > 8100)
			return false;
		/* the 31st of a month that has fewer days is its last */
		most = lengths[tm.tm_mon] +
		       (tm.tm_mon == 1 &&
			   ((year % 4 == 0 && year % 100 != 0) || (year + 1900) % 400 == 0));
		if (tm.tm_mday > most)
			tm.tm_mday = most;
		tm.tm_mday += (int)span->days;
		if (!join(&tm, rest, &ms))
			return false;
	}
	*sum = ms + span->ms;
	return in_range(*sum);
}

void sql_stamp_difference(int64_t a, int64_t b, struct sql_span *span)
{
	int64_t ms = a - b;

	*span = (struct sql_span){.days = ms / DAY_MS, .ms = ms % DAY_MS};
}

bool sql_stamp_truncate(int64_t ms, const char *unit, int64_t *begin)
{
	static const char *const units[] = {
	    "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year"};
	size_t level = 0;
	struct tm tm;
	int rest;

	while (level < sizeof units / sizeof *units && strcasecmp(unit, units[level]) != 0)
		level++;
	if (level == sizeof units / sizeof *units)
		return false;
	split(ms, &tm, &rest);
	*begin = ms;
	if (level == 0)
		return true;
	*begin -= rest;
	if (level == 1)
		return true;
	*begin -= tm.tm_sec * 1000;
	if (level == 2)
		return true;
	*begin -= (int64_t)tm.tm_min * 60000;
	if (level == 3) /* by subtraction: the hour may come twice a year */
		return true;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	if (level == 5)
		tm.tm_mday -= (tm.tm_wday + 6) % 7;
	if (level >= 6)
		tm.tm_mday = 1;
	if (level == 7)
		tm.tm_mon -= tm.tm_mon % 3;
	if (level == 8)
		tm.tm_mon = 0;
	return join(&tm, 0, begin);
}

bool sql_stamp_field(int64_t ms, const char *field, double *value)
{
	struct tm tm;
	int rest;
	char text[8];

	split(ms, &tm, &rest);
	strftime(text, sizeof text, "%V", &tm);
	{
		const struct {
			const char *name;
			double value;
		} fields[] = {
		    {"epoch", (double)ms / 1000},
		    {"year", tm.tm_year + 1900},
		    {"quarter", tm.tm_mon / 3 + 1},
		    {"month", tm.tm_mon + 1},
		    {"week", (double)strtol(text, NULL, 10)},
		    {"day", tm.tm_mday},
		    {"dow", tm.tm_wday},
		    {"isodow", tm.tm_wday == 0 ? 7 : tm.tm_wday},
		    {"doy", tm.tm_yday + 1},
		    {"hour", tm.tm_hour},
		    {"minute", tm.tm_min},
		    {"second", tm.tm_sec + (double)rest / 1000},
		    {"milliseconds", tm.tm_sec * 1000.0 + rest},
		};

		for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
			if (strcasecmp(field, fields[i].name) == 0) {
				*value = fields[i].value;
				return true;
			}
	}
	return false;
}
