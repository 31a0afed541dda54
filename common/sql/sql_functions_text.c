/* sql_functions_text.c - see sql_functions.h: functions of texts. Characters are those of UTF-8; a
 * byte that belongs to none counts as one. */
#include "common/sql/sql_functions.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdlib.h>
#include <string.h>

struct text {
	const char *s;
	size_t n;
};

static struct text text_of(sqlite3_value *v)
{
	const char *s = sql_argument(v);

	return (struct text){s, (size_t)sqlite3_value_bytes(v)};
}

static void result(sqlite3_context *ctx, const char *s, size_t n)
{
	sqlite3_result_text(ctx, s, (int)n, SQLITE_TRANSIENT);
}

/* Bytes of the character at i. */
static size_t step(struct text t, size_t i)
{
	size_t n = 1;

	if ((t.s[i] & 0xc0) != 0xc0)
		return 1;
	while (n < 4 && i + n < t.n && (t.s[i + n] & 0xc0) == 0x80)
		n++;
	return n;
}

static int64_t characters(struct text t)
{
	int64_t count = 0;

	for (size_t i = 0; i < t.n; i += step(t, i))
		count++;
	return count;
}

/* Where the first `count` characters end. */
static size_t after(struct text t, int64_t count)
{
	size_t i = 0;

	while (i < t.n && count-- > 0)
		i += step(t, i);
	return i;
}

static bool too_long(sqlite3_context *ctx, size_t n, size_t most)
{
	if (n > most)
		sql_fail(ctx, "a text is longer than %zu bytes", most);
	return n > most;
}

/* ---- parts ---- */

/* A negative number leaves so many off at the other end. */
static void f_left(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	struct text t = text_of(v[0]);
	int64_t count = sqlite3_value_int64(v[1]);

	(void)n, (void)tree;
	if (count < 0)
		count += characters(t);
	result(ctx, t.s, after(t, count));
}

static void f_right(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	struct text t = text_of(v[0]);
	int64_t count = sqlite3_value_int64(v[1]);
	size_t skip;

	(void)n, (void)tree;
	skip =
	    after(t, count < 0 ? (count == INT64_MIN ? INT64_MAX : -count) : characters(t) - count);
	result(ctx, t.s + skip, t.n - skip);
}

static void f_substring(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	struct text t = text_of(v[0]);
	int64_t from = sqlite3_value_int64(v[1]), end = INT64_MAX;
	size_t skip, stop;

	(void)tree;
	if (n > 2 && sqlite3_value_int64(v[2]) < 0) {
		sql_fail(ctx, "negative substring length");
		return;
	}
	if (n > 2 && __builtin_add_overflow(from, sqlite3_value_int64(v[2]), &end))
		end = INT64_MAX;
	if (from < 1)
		from = 1;
	skip = after(t, from - 1);
	stop = end > from ? after(t, end - 1) : skip;
	result(ctx, t.s + skip, stop > skip ? stop - skip : 0);
}

static void f_split_part(
    sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	struct text t = text_of(v[0]), by = text_of(v[1]);
	int64_t wanted = sqlite3_value_int64(v[2]), count = 1;
	const char *at = t.s, *end = t.s + t.n, *next;

	(void)n, (void)tree;
	if (wanted == 0) {
		sql_fail(ctx, "the number of a part is not 0");
		return;
	}
	for (const char *p = at; by.n > 0 && (p = memmem(p, (size_t)(end - p), by.s, by.n)) != NULL;
	     p += by.n)
		count++;
	if (wanted < 0)
		wanted += count + 1;
	if (wanted < 1 || wanted > count) {
		result(ctx, "", 0);
		return;
	}
	for (; --wanted > 0; at += by.n)
		at = memmem(at, (size_t)(end - at), by.s, by.n);
	next = by.n > 0 ? memmem(at, (size_t)(end - at), by.s, by.n) : NULL;
	result(ctx, at, (size_t)((next != NULL ? next : end) - at));
}

static void f_strpos(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	struct text t = text_of(v[0]), part = text_of(v[1]);
	const char *at = memmem(t.s, t.n, part.s, part.n);

	(void)n, (void)tree;
	if (at != NULL)
		t.n = (size_t)(at - t.s);
	sqlite3_result_int64(ctx, at != NULL ? characters(t) + 1 : 0);
}

static void f_starts_with(
    sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	struct text t = text_of(v[0]), part = text_of(v[1]);

	(void)n, (void)tree;
	sqlite3_result_int(ctx, part.n <= t.n && memcmp(t.s, part.s, part.n) == 0);
}

static void f_octet_length(
    sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	(void)n, (void)tree;
	sqlite3_result_int64(ctx, (sqlite3_int64)text_of(v[0]).n);
}

/* ---- changes ---- */

/* One of the characters in the set at i: its bytes, else 0. */
static size_t in_set(struct text t, size_t i, struct text set)
{
	size_t n = step(t, i);

	for (size_t k = 0; k < set.n; k += step(set, k))
		if (step(set, k) == n && memcmp(set.s + k, t.s + i, n) == 0)
			return n;
	return 0;
}

static void trim(sqlite3_context *ctx, sqlite3_value **v, bool left, bool right)
{
	struct text t = text_of(v[0]), set = text_of(v[1]);
	size_t begin = 0, end = t.n, n;

	if (too_long(ctx, set.n, LIMIT_SQL_PATTERN_BYTES))
		return;
	while (left && begin < t.n && (n = in_set(t, begin, set)) > 0)
		begin += n;
	while (right && end > begin) {
		size_t last = end - 1;

		while (last > begin && end - last < 4 && (t.s[last] & 0xc0) == 0x80)
			last--;
		if (step(t, last) != end - last) /* no character of UTF-8 */
			last = end - 1;
		if (in_set(t, last, set) == 0)
			break;
		end = last;
	}
	result(ctx, t.s + begin, end - begin);
}

static void f_btrim(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	(void)n, (void)tree;
	trim(ctx, v, true, true);
}

static void f_ltrim(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	(void)n, (void)tree;
	trim(ctx, v, true, false);
}

static void f_rtrim(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	(void)n, (void)tree;
	trim(ctx, v, false, true);
}

static void f_replace(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	struct text t = text_of(v[0]), from = text_of(v[1]), to = text_of(v[2]);
	const char *p = t.s, *end = t.s + t.n, *at;
	char *out;
	size_t used = 0;

	(void)n, (void)tree;
	if (from.n == 0) {
		result(ctx, t.s, t.n);
		return;
	}
	out = xmalloc(LIMIT_SQL_VALUE_BYTES);
	for (;; p = at + from.n) {
		at = memmem(p, (size_t)(end - p), from.s, from.n);
		if (used + (size_t)((at != NULL ? at : end) - p) + to.n > LIMIT_SQL_VALUE_BYTES) {
			sqlite3_result_error_toobig(ctx);
			free(out);
			return;
		}
		memcpy(out + used, p, (size_t)((at != NULL ? at : end) - p));
		used += (size_t)((at != NULL ? at : end) - p);
		if (at == NULL)
			break;
		memcpy(out + used, to.s, to.n);
		used += to.n;
	}
	result(ctx, out, used);
	free(out);
}

static void f_concat(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	sqlite3_str *out = sqlite3_str_new(sqlite3_context_db_handle(ctx));

	(void)tree;
	for (int i = 0; i < n; i++)
		if (sqlite3_value_type(v[i]) != SQLITE_NULL)
			sqlite3_str_append(out, sql_argument(v[i]), sqlite3_value_bytes(v[i]));
	if (sqlite3_str_errcode(out) == SQLITE_OK) {
		int length = sqlite3_str_length(out);
		char *text = sqlite3_str_finish(out);

		sqlite3_result_text(ctx, text != NULL ? text : "", length,
		    text != NULL ? sqlite3_free : SQLITE_STATIC);
	} else {
		sqlite3_free(sqlite3_str_finish(out));
		sqlite3_result_error_toobig(ctx);
	}
}

/* ---- LIKE ---- */

struct matcher {
	struct text text, pattern;
	char escape; /* 0: none */
	bool fold,
	    broken; /* broken: the escape at the end of the pattern had something to escape */
};

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* The pattern's piece at p matches the text at i: *size bytes of it. False also for '%'. */
static bool one(struct matcher *m, size_t p, size_t i, size_t *piece, size_t *size)
{
	char c = m->pattern.s[p];

	*piece = 1;
	*size = 1;
	if (c == m->escape && m->escape != '\0') {
		*piece = 2;
		if (p + 1 == m->pattern.n) {
			m->broken = m->broken || i < m->text.n;
			return false;
		}
		c = m->pattern.s[p + 1];
	} else if (c == '%') {
		return false;
	} else if (c == '_') {
		if (i < m->text.n)
			*size = step(m->text, i);
		return i < m->text.n;
	}
	return i < m->text.n && (m->text.s[i] == c || (m->fold && lower(m->text.s[i]) == lower(c)));
}

/* The last '%' is the only one that is ever taken back, so the cost is text times pattern. */
static bool matches(struct matcher *m)
{
	size_t p = 0, i = 0, piece, size, back_p = 0, back_i = 0;
	bool back = false;

	for (;;) {
		if (p < m->pattern.n && m->pattern.s[p] == '%' && m->escape != '%') {
			back = true;
			back_p = ++p;
			back_i = i;
			continue;
		}
		if (p == m->pattern.n && i == m->text.n)
			return true;
		if (p < m->pattern.n && one(m, p, i, &piece, &size)) {
			p += piece;
			i += size;
			continue;
		}
		if (!back || back_i >= m->text.n)
			return false;
		back_i += step(m->text, back_i);
		p = back_p;
		i = back_i;
	}
}

static void like(sqlite3_context *ctx, int n, sqlite3_value **v, bool fold)
{
	struct matcher m = {text_of(v[0]), text_of(v[1]), '\\', fold, false};
	bool matched;

	if (n > 2) {
		struct text escape = text_of(v[2]);

		if (escape.n > 1) {
			sql_fail(ctx, "the escape of LIKE is one character of ASCII");
			return;
		}
		m.escape = escape.n > 0 ? escape.s[0] : '\0';
	}
	if (too_long(ctx, m.pattern.n, LIMIT_SQL_PATTERN_BYTES))
		return;
	matched = matches(&m);
	if (m.broken)
		sql_fail(ctx, "a pattern of LIKE ends with its escape character");
	else
		sqlite3_result_int(ctx, matched);
}

static void f_like(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	(void)tree;
	like(ctx, n, v, false);
}

static void f_ilike(sqlite3_context *ctx, int n, sqlite3_value **v, const struct sql_tree *tree)
{
	(void)tree;
	like(ctx, n, v, true);
}

const struct sql_function sql_text_functions[] = {
    {"pg_btrim", 2, f_btrim, false},
    {"pg_concat", -1, f_concat, true},
    {"pg_ilike", -1, f_ilike, false},
    {"pg_left", 2, f_left, false},
    {"pg_like", -1, f_like, false},
    {"pg_ltrim", 2, f_ltrim, false},
    {"pg_octet_length", 1, f_octet_length, false},
    {"pg_replace", 3, f_replace, false},
    {"pg_right", 2, f_right, false},
    {"pg_rtrim", 2, f_rtrim, false},
    {"pg_split_part", 3, f_split_part, false},
    {"pg_starts_with", 2, f_starts_with, false},
    {"pg_strpos", 2, f_strpos, false},
    {"pg_substring", -1, f_substring, false},
    {NULL, 0, NULL, false},
};
