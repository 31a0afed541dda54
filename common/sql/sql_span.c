/* sql_span.c - see sql_time.h: intervals. */
#include "common/sql/sql_time.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DAY_MS ((int64_t)86400000)
#define MOST_MONTHS (9999 * 12)
#define MOST_DAYS 3660000
#define MOST_MS ((int64_t)MOST_DAYS * DAY_MS)

/* One of months, days and ms is not zero: what one of the unit is. */
static const struct unit {
	const char *name;
	struct sql_span span;
	double ms; /* below a millisecond */
} units[] = {
    {"us", {0}, 0.001},
    {"usec", {0}, 0.001},
    {"usecs", {0}, 0.001},
    {"microsecond", {0}, 0.001},
    {"microseconds", {0}, 0.001},
    {"ms", {.ms = 1}, 0},
    {"msec", {.ms = 1}, 0},
    {"msecs", {.ms = 1}, 0},
    {"millisecond", {.ms = 1}, 0},
    {"milliseconds", {.ms = 1}, 0},
    {"s", {.ms = 1000}, 0},
    {"sec", {.ms = 1000}, 0},
    {"secs", {.ms = 1000}, 0},
    {"second", {.ms = 1000}, 0},
    {"seconds", {.ms = 1000}, 0},
    {"m", {.ms = 60000}, 0},
    {"min", {.ms = 60000}, 0},
    {"mins", {.ms = 60000}, 0},
    {"minute", {.ms = 60000}, 0},
    {"minutes", {.ms = 60000}, 0},
    {"h", {.ms = 3600000}, 0},
    {"hr", {.ms = 3600000}, 0},
    {"hrs", {.ms = 3600000}, 0},
    {"hour", {.ms = 3600000}, 0},
    {"hours", {.ms = 3600000}, 0},
    {"d", {.days = 1}, 0},
    {"day", {.days = 1}, 0},
    {"days", {.days = 1}, 0},
    {"w", {.days = 7}, 0},
    {"week", {.days = 7}, 0},
    {"weeks", {.days = 7}, 0},
    {"mon", {.months = 1}, 0},
    {"mons", {.months = 1}, 0},
    {"month", {.months = 1}, 0},
    {"months", {.months = 1}, 0},
    {"y", {.months = 12}, 0},
    {"yr", {.months = 12}, 0},
    {"yrs", {.months = 12}, 0},
    {"year", {.months = 12}, 0},
    {"years", {.months = 12}, 0},
};

static bool in_range(const struct sql_span *s)
{
	return llabs(s->months) <= MOST_MONTHS && llabs(s->days) <= MOST_DAYS &&
	       llabs(s->ms) <= MOST_MS;
}

/* ---- reading ---- */

/* Digits with an optional fraction; not strtod(), which takes more than PostgreSQL does. */
static bool quantity(const char **p, double *value)
{
	double place = 0.1;
	size_t digits = 0;

	*value = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++, digits++)
		*value = *value * 10 + (**p - '0');
	if (**p == '.')
		for ((*p)++; **p >= '0' && **p <= '9'; (*p)++, digits++, place /= 10)
			*value += (**p - '0') * place;
	return digits > 0 && *value < 1e12;
}

/* The whole part counts in the unit, what is left of it in the next smaller ones. */
static bool add_unit(struct sql_span *s, double value, const struct unit *u)
{
	double months, days;

	if (fabs(value) > (double)MOST_MS)
		return false;
	months = value * (double)u->span.months;
	s->months += (int64_t)months;
	days = value * (double)u->span.days + (months - trunc(months)) * 30;
	if (u->span.months % 12 == 0 && u->span.months != 0) { /* years have no days */
		s->months += (int64_t)rint(months) - (int64_t)months;
		days = 0;
	}
	s->days += (int64_t)days;
	s->ms += llround(
	    (days - trunc(days)) * (double)DAY_MS + value * (double)u->span.ms + value * u->ms);
	return in_range(s);
}

/* The rest of "h:mm[:ss[.f]]", after the hours. */
static bool clock_time(const char **p, double hours, bool minus, struct sql_span *s)
{
	double minutes, seconds = 0;
	const char *at = *p + 1;

	if (!quantity(&at, &minutes) || minutes > 59 || minutes != floor(minutes))
		return false;
	if (*at == ':') {
		at++;
		if (!quantity(&at, &seconds) || seconds >= 60)
			return false;
	}
	*p = at;
	s->ms += llround((hours * 3600 + minutes * 60 + seconds) * 1000) * (minus ? -1 : 1);
	return in_range(s);
}

static const struct unit *unit_at(const char **p)
{
	size_t n = 0;

	while ((*p)[n] >= 'A' && (*p)[n] != '[' && (*p)[n] != '_' && (*p)[n] <= 'z')
		n++;
	for (size_t i = 0; n > 0 && i < sizeof units / sizeof *units; i++)
		if (strncasecmp(*p, units[i].name, n) == 0 && units[i].name[n] == '\0') {
			*p += n;
			return &units[i];
		}
	return NULL;
}

static void skip_spaces(const char **p)
{
	while (**p == ' ')
		(*p)++;
}

static bool part(const char **p, struct sql_span *s)
{
	static const struct unit seconds = {"", {.ms = 1000}, 0};
	const struct unit *u;
	bool minus = **p == '-';
	double value;

	if (**p == '-' || **p == '+')
		(*p)++;
	skip_spaces(p);
	if (!quantity(p, &value))
		return false;
	if (**p == ':')
		return value == floor(value) && clock_time(p, value, minus, s);
	skip_spaces(p);
	u = unit_at(p);
	if (u == NULL && **p == '\0') /* a last number alone is seconds */
		u = &seconds;
	return u != NULL && add_unit(s, minus ? -value : value, u);
}

bool sql_span_parse(const char *text, struct sql_span *s)
{
	const char *p = text;
	bool any = false;

	*s = (struct sql_span){0};
	skip_spaces(&p);
	if (*p == '@')
		p++;
	for (;;) {
		skip_spaces(&p);
		if (*p == '\0')
			return any;
		if (any && strcasecmp(p, "ago") == 0) {
			*s = (struct sql_span){-s->months, -s->days, -s->ms};
			return true;
		}
		if (!part(&p, s))
			return false;
		any = true;
	}
}

/* ---- writing ---- */

struct writer {
	char *out;
	size_t n;
	bool before; /* the part before was negative, so this one shows its sign */
};

static void write_part(struct writer *w, int64_t value, const char *unit)
{
	if (value == 0)
		return;
	w->n += (size_t)snprintf(w->out + w->n, SQL_TIME_TEXT - w->n, "%s%s%" PRId64 " %s%s",
	    w->n > 0 ? " " : "", w->before && value > 0 ? "+" : "", value, unit,
	    value == 1 ? "" : "s");
	w->before = value < 0;
}

void sql_span_text(const struct sql_span *s, char out[static SQL_TIME_TEXT])
{
	struct writer w = {.out = out};
	int64_t ms = llabs(s->ms);

	out[0] = '\0';
	write_part(&w, s->months / 12, "year");
	write_part(&w, s->months % 12, "mon");
	write_part(&w, s->days, "day");
	if (w.n > 0 && ms == 0)
		return;
	w.n += (size_t)snprintf(out + w.n, SQL_TIME_TEXT - w.n,
	    "%s%s%02" PRId64 ":%02" PRId64 ":%02" PRId64, w.n > 0 ? " " : "",
	    s->ms < 0  ? "-"
	    : w.before ? "+"
		       : "",
	    ms / 3600000, ms / 60000 % 60, ms / 1000 % 60);
	if (ms % 1000 != 0) {
		w.n += (size_t)snprintf(out + w.n, SQL_TIME_TEXT - w.n, ".%03" PRId64, ms % 1000);
		while (out[w.n - 1] == '0')
			out[--w.n] = '\0';
	}
}

/* ---- arithmetic ---- */

int64_t sql_span_ms(const struct sql_span *s)
{
	return (s->months * 30 + s->days) * DAY_MS + s->ms;
}

bool sql_span_add(struct sql_span *a, const struct sql_span *b, int64_t factor)
{
	struct sql_span sum;

	if (__builtin_mul_overflow(b->months, factor, &sum.months) ||
	    __builtin_mul_overflow(b->days, factor, &sum.days) ||
	    __builtin_mul_overflow(b->ms, factor, &sum.ms) || !in_range(&sum))
		return false;
	a->months += sum.months;
	a->days += sum.days;
	a->ms += sum.ms;
	return in_range(a);
}

void sql_span_pack(const struct sql_span *s, char out[static SQL_TIME_TEXT])
{
	snprintf(out, SQL_TIME_TEXT, "%" PRId64 " %" PRId64 " %" PRId64, s->months, s->days, s->ms);
}

bool sql_span_unpack(const char *packed, struct sql_span *s)
{
	return sscanf(packed, "%" SCNd64 " %" SCNd64 " %" SCNd64, &s->months, &s->days, &s->ms) ==
		   3 &&
	       in_range(s);
}

bool sql_span_field(const struct sql_span *s, const char *field, double *value)
{
	const struct {
		const char *name;
		double value;
	} fields[] = {
	    /* a year is 365.25 days here and nowhere else, as in PostgreSQL */
	    {"epoch", ((double)(s->months / 12) * 365.25 + (double)(s->months % 12) * 30 +
			  (double)s->days) *
			      86400 +
			  (double)s->ms / 1000},
	    {"year", (double)(s->months / 12)},
	    {"month", (double)(s->months % 12)},
	    {"day", (double)s->days},
	    {"hour", (double)(s->ms / 3600000)},
	    {"minute", (double)(s->ms / 60000 % 60)},
	    {"second", (double)(s->ms % 60000) / 1000},
	};

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcasecmp(field, fields[i].name) == 0) {
			*value = fields[i].value;
			return true;
		}
	return false;
}
