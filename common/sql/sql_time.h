/* sql_time.h - points in time and intervals as PostgreSQL reads, writes and adds them.
 *
 * A point in time is milliseconds since 1970; where a day or an hour counts, it is one of the
 * process's time zone, as PostgreSQL's default is that of its server. Finer fractions are rounded.
 * Pure but for the time zone. Thread-safe; private to common/sql/. */
#pragma once

#include "common/sql/sql_type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQL_TIME_TEXT 96 /* room for a point in time or an interval as text */

struct sql_span { /* an interval: the length of a month or a day is not fixed */
	int64_t months, days, ms;
};

/* "15 minutes", "-1 day 02:30", "1.5 hours ago", "90" (seconds). False: it is none, or too long. */
bool sql_span_parse(const char *text, struct sql_span *);
void sql_span_text(const struct sql_span *, char out[static SQL_TIME_TEXT]);
/* What it is compared by: a month counts as 30 days. */
int64_t sql_span_ms(const struct sql_span *);
/* a + b * factor. False: too long. */
bool sql_span_add(struct sql_span *a, const struct sql_span *b, int64_t factor);
/* The interval as a value of SQLite's and back. */
void sql_span_pack(const struct sql_span *, char out[static SQL_TIME_TEXT]);
bool sql_span_unpack(const char *packed, struct sql_span *);

/* "2026-02-24 12:19:00.5+01", "2026-02-24", "now", "today" ... A SQL_LOCAL ignores the zone, a
 * SQL_DATE the time of day. False: it is none. */
bool sql_stamp_parse(const char *text, enum sql_type, int64_t now_ms, int64_t *ms);
void sql_stamp_text(int64_t ms, enum sql_type, char out[static SQL_TIME_TEXT]);
/* False: beyond what can be written. */
bool sql_stamp_add(int64_t ms, const struct sql_span *, int64_t *sum);
void sql_stamp_difference(int64_t a, int64_t b, struct sql_span *);
/* "hour", "day" ...: false for a unit that is not known. */
bool sql_stamp_truncate(int64_t ms, const char *unit, int64_t *begin);
bool sql_stamp_field(int64_t ms, const char *field, double *value);
bool sql_span_field(const struct sql_span *, const char *field, double *value);
