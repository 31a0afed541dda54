/* sql_functions.c - see sql_functions.h: registration, and functions of numbers and of values of
 * any type. */
#include "common/sql/sql_functions.h"

#include "common/sql/sql_value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *sql_argument(sqlite3_value *v)
{
	const char *text = (const char *)sqlite3_value_text(v);

	return text != NULL ? text : "";
}

void sql_fail(sqlite3_context *ctx, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	sqlite3_result_error(ctx, text, -1);
}

/* ---- integers ---- */

static void whole(sqlite3_context *ctx, bool overflow, int64_t value)
{
	if (overflow)
		sql_fail(ctx, "integer out of range");
	else
		sqlite3_result_int64(ctx, value);
}

static void f_add(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	sqlite3_int64 value;
	bool overflow =
	    __builtin_add_overflow(sqlite3_value_int64(v[0]), sqlite3_value_int64(v[1]), &value);

	(void)n, (void)t;
	whole(ctx, overflow, value);
}

static void f_subtract(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	sqlite3_int64 value;
	bool overflow =
	    __builtin_sub_overflow(sqlite3_value_int64(v[0]), sqlite3_value_int64(v[1]), &value);

	(void)n, (void)t;
	whole(ctx, overflow, value);
}

static void f_multiply(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	sqlite3_int64 value;
	bool overflow =
	    __builtin_mul_overflow(sqlite3_value_int64(v[0]), sqlite3_value_int64(v[1]), &value);

	(void)n, (void)t;
	whole(ctx, overflow, value);
}

static void f_divide(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	bool integers = sqlite3_value_type(v[0]) == SQLITE_INTEGER &&
			sqlite3_value_type(v[1]) == SQLITE_INTEGER;
	int64_t a = sqlite3_value_int64(v[0]), b = sqlite3_value_int64(v[1]);

	(void)n, (void)t;
	if (integers ? b == 0 : sqlite3_value_double(v[1]) == 0)
		sql_fail(ctx, "division by zero");
	else if (integers)
		whole(ctx, a == INT64_MIN && b == -1, b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b);
	else
		sqlite3_result_double(ctx, sqlite3_value_double(v[0]) / sqlite3_value_double(v[1]));
}

static void f_modulo(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	int64_t a = sqlite3_value_int64(v[0]), b = sqlite3_value_int64(v[1]);

	(void)n, (void)t;
	if (b == 0)
		sql_fail(ctx, "division by zero");
	else
		sqlite3_result_int64(ctx, b == -1 ? 0 : a % b);
}

/* ---- numbers ---- */

/* Half goes away from zero, as decimal numbers do; a double that should be half may be a little
 * less. */
static double nearest(double x)
{
	return round(x + copysign(fabs(x) * 1e-15, x));
}

static void f_round(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	double x = sqlite3_value_double(v[0]);
	int64_t places = n > 1 ? sqlite3_value_int64(v[1]) : 0;
	double scale;

	(void)t;
	if (places > 15)
		places = 15;
	if (places < -300)
		places = -300;
	scale = pow(10, (double)(places < 0 ? -places : places));
	if (fabs(x) * (places > 0 ? scale : 1) > 1e15) /* has no digits there */
		sqlite3_result_double(ctx, places >= 0 ? x : nearest(x / scale) * scale);
	else
		sqlite3_result_double(
		    ctx, places >= 0 ? nearest(x * scale) / scale : nearest(x / scale) * scale);
}

static void f_floor(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	(void)n, (void)t;
	sqlite3_result_double(ctx, floor(sqlite3_value_double(v[0])));
}

static void f_ceil(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	(void)n, (void)t;
	sqlite3_result_double(ctx, ceil(sqlite3_value_double(v[0])));
}

static void f_number_int(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	double x = nearest(sqlite3_value_double(v[0]));

	(void)n, (void)t;
	/* the largest doubles below 2^63 */
	if (!(x >= -9223372036854774784.0 && x <= 9223372036854774784.0))
		sql_fail(ctx, "integer out of range");
	else
		sqlite3_result_int64(ctx, (int64_t)x);
}

static void f_number_text(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	char text[SQL_NUMBER_TEXT];

	(void)n, (void)t;
	sql_number_text(sqlite3_value_double(v[0]), text);
	sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

/* ---- any type ---- */

/* Of the same type. */
static int compare(sqlite3_value *a, sqlite3_value *b)
{
	double x, y;

	if (sqlite3_value_type(a) == SQLITE_TEXT)
		return strcmp(sql_argument(a), sql_argument(b));
	if (sqlite3_value_type(a) == SQLITE_INTEGER && sqlite3_value_type(b) == SQLITE_INTEGER)
		return (sqlite3_value_int64(a) > sqlite3_value_int64(b)) -
		       (sqlite3_value_int64(a) < sqlite3_value_int64(b));
	x = sqlite3_value_double(a);
	y = sqlite3_value_double(b);
	return (x > y) - (x < y);
}

/* NULLs do not count. */
static void best(sqlite3_context *ctx, int n, sqlite3_value **v, int sign)
{
	sqlite3_value *found = NULL;

	for (int i = 0; i < n; i++)
		if (sqlite3_value_type(v[i]) != SQLITE_NULL &&
		    (found == NULL || compare(v[i], found) * sign > 0))
			found = v[i];
	if (found != NULL)
		sqlite3_result_value(ctx, found);
}

static void f_greatest(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	(void)t;
	best(ctx, n, v, 1);
}

static void f_least(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	(void)t;
	best(ctx, n, v, -1);
}

/* Text to a type while the query runs. */
static void f_read(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *t)
{
	enum sql_type type = (enum sql_type)sqlite3_value_int(v[1]);
	char packed[SQL_TIME_TEXT];
	struct sql_value value;

	(void)n;
	if (!sql_value_read(sql_argument(v[0]), type, t->now_ms, &value)) {
		sql_fail(ctx, "invalid input for type %s: \"%.60s\"", sql_type_text(type),
		    sql_argument(v[0]));
	} else if (type == SQL_NUM) {
		sqlite3_result_double(ctx, value.real);
	} else if (type == SQL_SPAN) {
		sql_span_pack(&value.span, packed);
		sqlite3_result_text(ctx, packed, -1, SQLITE_TRANSIENT);
	} else {
		sqlite3_result_int64(ctx, value.integer);
	}
}

const struct sql_function sql_number_functions[] = {
    {"pg_add", 2, f_add, false},
    {"pg_ceil", 1, f_ceil, false},
    {"pg_divide", 2, f_divide, false},
    {"pg_floor", 1, f_floor, false},
    {"pg_greatest", -1, f_greatest, true},
    {"pg_least", -1, f_least, true},
    {"pg_modulo", 2, f_modulo, false},
    {"pg_multiply", 2, f_multiply, false},
    {"pg_number_int", 1, f_number_int, false},
    {"pg_number_text", 1, f_number_text, false},
    {"pg_read", 2, f_read, false},
    {"pg_round", -1, f_round, false},
    {"pg_subtract", 2, f_subtract, false},
    {NULL, 0, NULL, false},
};

/* ---- pg_single(): the only row of a query that stands for a value ---- */

struct single {
	sqlite3_value *value;
	bool many;
};

static void single_step(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	struct single *s = sqlite3_aggregate_context(ctx, sizeof *s);

	(void)n;
	if (s == NULL) {
		sqlite3_result_error_nomem(ctx);
	} else if (s->value != NULL) {
		s->many = true;
		sql_fail(ctx, "more than one row from a query that stands for one value");
	} else {
		s->value = sqlite3_value_dup(v[0]);
	}
}

static void single_final(sqlite3_context *ctx)
{
	struct single *s = sqlite3_aggregate_context(ctx, 0);

	if (s == NULL || s->value == NULL)
		return;
	if (!s->many)
		sqlite3_result_value(ctx, s->value);
	sqlite3_value_free(s->value);
	s->value = NULL;
}

/* ---- registration ---- */

static void run(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	const struct sql_use *use = sqlite3_user_data(ctx);

	for (int i = 0; i < n && !use->function->nulls; i++)
		if (sqlite3_value_type(v[i]) == SQLITE_NULL)
			return;
	use->function->run(ctx, n, v, use->tree);
}

static const struct sql_function *const groups[] = {
    sql_text_functions, sql_number_functions, sql_time_functions};

#define GROUPS (sizeof groups / sizeof *groups)

bool sql_functions_register(sqlite3 *db, struct sql_tree *t)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;

	for (size_t i = 0; i < GROUPS; i++)
		for (const struct sql_function *f = groups[i]; f->name != NULL; f++) {
			struct sql_use *use = sql_new(t, sizeof *use);

			*use = (struct sql_use){f, t};
			if (sqlite3_create_function_v2(db, f->name, f->arguments, flags, use, run,
				NULL, NULL, NULL) != SQLITE_OK)
				return false;
		}
	return sqlite3_create_function_v2(db, "pg_single", 1, flags, NULL, NULL, single_step,
		   single_final, NULL) == SQLITE_OK;
}

bool sql_function_known(const char *name)
{
	if (strncmp(name, "pg_", 3) == 0)
		return true;
	for (const struct sql_signature *s = sql_signatures; s->name != NULL; s++)
		if (sqlite3_stricmp(name, s->sqlite) == 0)
			return true;
	return false;
}
