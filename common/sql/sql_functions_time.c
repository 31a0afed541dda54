/* sql_functions_time.c - see sql_functions.h: functions of points in time and intervals. */
#include "common/sql/sql_functions.h"

#include <math.h>
#include <string.h>

static bool span_of(sqlite3_context *ctx, sqlite3_value *v, struct sql_span *span)
{
	if (sql_span_unpack(sql_argument(v), span))
		return true;
	sql_fail(ctx, "interval out of range");
	return false;
}

static void span_result(sqlite3_context *ctx, const struct sql_span *span)
{
	char packed[SQL_TIME_TEXT];

	sql_span_pack(span, packed);
	sqlite3_result_text(ctx, packed, -1, SQLITE_TRANSIENT);
}

static void add(sqlite3_context *ctx, int64_t ms, const struct sql_span *span, int64_t factor)
{
	struct sql_span summand = {0};
	int64_t sum;

	if (sql_span_add(&summand, span, factor) && sql_stamp_add(ms, &summand, &sum))
		sqlite3_result_int64(ctx, sum);
	else
		sql_fail(ctx, "timestamp out of range");
}

static void f_stamp_add(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	struct sql_span span;

	(void)n, (void)t;
	if (span_of(ctx, v[1], &span))
		add(ctx, sqlite3_value_int64(v[0]), &span, sqlite3_value_int64(v[2]));
}

static void f_date_add(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	const struct sql_span day = {.days = 1};

	(void)n, (void)t;
	add(ctx, sqlite3_value_int64(v[0]), &day, sqlite3_value_int64(v[1]));
}

static void f_stamp_difference(
    sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	struct sql_span span;

	(void)n, (void)t;
	sql_stamp_difference(sqlite3_value_int64(v[0]), sqlite3_value_int64(v[1]), &span);
	span_result(ctx, &span);
}

/* Days between two midnights, of which one may be of summer time. */
static void f_date_difference(
    sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	int64_t ms = sqlite3_value_int64(v[0]) - sqlite3_value_int64(v[1]);

	(void)n, (void)t;
	sqlite3_result_int64(ctx, llround((double)ms / 86400000));
}

static void f_span_add(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	struct sql_span a, b;

	(void)n, (void)t;
	if (!span_of(ctx, v[0], &a) || !span_of(ctx, v[1], &b))
		return;
	if (sql_span_add(&a, &b, sqlite3_value_int64(v[2])))
		span_result(ctx, &a);
	else
		sql_fail(ctx, "interval out of range");
}

static void f_span_ms(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	struct sql_span span;

	(void)n, (void)t;
	if (span_of(ctx, v[0], &span))
		sqlite3_result_int64(ctx, sql_span_ms(&span));
}

static void f_stamp_text(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	char text[SQL_TIME_TEXT];

	(void)n, (void)t;
	sql_stamp_text(sqlite3_value_int64(v[0]), (enum sql_type)sqlite3_value_int(v[1]), text);
	sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

static void f_span_text(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	char text[SQL_TIME_TEXT];
	struct sql_span span;

	(void)n, (void)t;
	if (!span_of(ctx, v[0], &span))
		return;
	sql_span_text(&span, text);
	sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

static void f_truncate(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	int64_t begin;

	(void)n, (void)t;
	if (sql_stamp_truncate(sqlite3_value_int64(v[1]), sql_argument(v[0]), &begin))
		sqlite3_result_int64(ctx, begin);
	else
		sql_fail(ctx, "the unit \"%.30s\" is not understood", sql_argument(v[0]));
}

static void field(sqlite3_context *ctx, bool known, sqlite3_value *name, double value)
{
	if (known)
		sqlite3_result_double(ctx, value);
	else
		sql_fail(ctx, "the field \"%.30s\" is not understood", sql_argument(name));
}

static void f_field(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	double value = 0;
	bool known = sql_stamp_field(sqlite3_value_int64(v[1]), sql_argument(v[0]), &value);

	(void)n, (void)t;
	field(ctx, known, v[0], value);
}

static void f_span_field(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	struct sql_span span;
	double value = 0;

	(void)n, (void)t;
	if (span_of(ctx, v[1], &span)) {
		bool known = sql_span_field(&span, sql_argument(v[0]), &value);

		field(ctx, known, v[0], value);
	}
}

static void f_from_epoch(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	const struct sql_span none = {0};
	double seconds = sqlite3_value_double(v[0]);

	(void)n, (void)t;
	if (fabs(seconds) < 1e12)
		add(ctx, llround(seconds * 1000), &none, 1);
	else
		sql_fail(ctx, "timestamp out of range");
}

const struct sql_function sql_time_functions[] = {
    {"pg_date_add", 2, f_date_add, false},
    {"pg_date_difference", 2, f_date_difference, false},
    {"pg_field", 2, f_field, false},
    {"pg_from_epoch", 1, f_from_epoch, false},
    {"pg_span_add", 3, f_span_add, false},
    {"pg_span_field", 2, f_span_field, false},
    {"pg_span_ms", 1, f_span_ms, false},
    {"pg_span_text", 1, f_span_text, false},
    {"pg_stamp_add", 3, f_stamp_add, false},
    {"pg_stamp_difference", 2, f_stamp_difference, false},
    {"pg_stamp_text", 2, f_stamp_text, false},
    {"pg_truncate", 2, f_truncate, false},
    {NULL, 0, NULL, false},
};
