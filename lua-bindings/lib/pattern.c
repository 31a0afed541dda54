/* pattern.c - see pattern.h. A backtracking matcher: items that match one character are handled in
 * a loop, everything else by recursion, whose depth is bounded. */
#include "lua-bindings/lib/pattern.h"

#include "lua-bindings/lib/work.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MOST 200 /* nested matches, as in stock Lua; some 100 bytes of C stack each */

/* marks in the length of a capture */
#define CAPTURE_OPEN (-1)
#define CAPTURE_POSITION (-2)

static unsigned char byte_at(const char *s)
{
	return (unsigned char)*s;
}

static void l_step(struct pattern *m, size_t n)
{
	l_meter(m->L, &m->work, n);
}

static _Noreturn void l_refuse(struct pattern *m, const char *why)
{
	luaL_error(m->L, "%s", why);
	abort(); /* not reached; luaL_error is not declared noreturn */
}

static _Noreturn void l_refuse_index(struct pattern *m, int i)
{
	luaL_error(m->L, "invalid capture index %%%d", i + 1);
	abort();
}

/* ---- one character ---- */

/* Is c in the class that letter names? An upper-case letter is the complement. */
static bool in_class(int c, int letter)
{
	int (*test)(int) = NULL;

	switch (tolower(letter)) {
	case 'a':
		test = isalpha;
		break;
	case 'c':
		test = iscntrl;
		break;
	case 'd':
		test = isdigit;
		break;
	case 'g':
		test = isgraph;
		break;
	case 'l':
		test = islower;
		break;
	case 'p':
		test = ispunct;
		break;
	case 's':
		test = isspace;
		break;
	case 'u':
		test = isupper;
		break;
	case 'w':
		test = isalnum;
		break;
	case 'x':
		test = isxdigit;
		break;
	case 'z': /* old name of \0, still known */
		return (c == 0) == (letter == 'z');
	default:
		return letter == c;
	}
	return (test(c) != 0) == (islower(letter) != 0);
}

/* Is c in the set? p is at its '[', close at its ']'. */
static bool in_set(int c, const char *p, const char *close)
{
	bool listed = true;

	if (*++p == '^') {
		listed = false;
		p++;
	}
	for (; p < close; p++) {
		if (*p == PATTERN_ESCAPE) {
			if (in_class(c, byte_at(++p)))
				return listed;
		} else if (p[1] == '-' && p + 2 < close) {
			if (byte_at(p) <= c && c <= byte_at(p + 2))
				return listed;
			p += 2;
		} else if (byte_at(p) == c) {
			return listed;
		}
	}
	return !listed;
}

/* The end of the item that begins at p and stands for one character. */
static const char *l_item_end(struct pattern *m, const char *p)
{
	const char *first;

	if (*p == PATTERN_ESCAPE) {
		if (p + 1 == m->end)
			l_refuse(m, "malformed pattern (ends with '%')");
		return p + 2;
	}
	if (*p++ != '[')
		return p;
	if (*p == '^')
		p++;
	for (first = p; p == first || *p != ']'; p++) { /* a ']' in first place is a member */
		if (p >= m->end)
			l_refuse(m, "malformed pattern (missing ']')");
		if (*p == PATTERN_ESCAPE && p + 1 < m->end)
			p++;
	}
	return p + 1;
}

/* Does the character at s match the item from p to end? */
static bool l_one_matches(struct pattern *m, const char *s, const char *p, const char *end)
{
	int c;

	l_step(m, 1);
	if (s >= m->subject_end)
		return false;
	c = byte_at(s);
	switch (*p) {
	case '.':
		return true;
	case PATTERN_ESCAPE:
		return in_class(c, byte_at(p + 1));
	case '[':
		l_step(m, (size_t)(end - p) / 2);
		return in_set(c, p, end - 1);
	default:
		return byte_at(p) == c;
	}
}

/* ---- items with their repetition, and the rest ---- */

static const char *l_match(struct pattern *, const char *s, const char *p);

/* As many as possible, then fewer until the rest matches. */
static const char *l_repeat_most(struct pattern *m, const char *s, const char *p, const char *end)
{
	ptrdiff_t n = 0;

	while (l_one_matches(m, s + n, p, end))
		n++;
	for (; n >= 0; n--) {
		const char *rest = l_match(m, s + n, end + 1);

		if (rest != NULL)
			return rest;
	}
	return NULL;
}

/* As few as possible. */
static const char *l_repeat_least(struct pattern *m, const char *s, const char *p, const char *end)
{
	for (;; s++) {
		const char *rest = l_match(m, s, end + 1);

		if (rest != NULL)
			return rest;
		if (!l_one_matches(m, s, p, end))
			return NULL;
	}
}

static const char *l_open_capture(struct pattern *m, const char *s, const char *p, ptrdiff_t mark)
{
	const char *rest;

	if (m->captures >= PATTERN_CAPTURES)
		l_refuse(m, "too many captures");
	m->capture[m->captures].start = s;
	m->capture[m->captures].n = mark;
	m->captures++;
	rest = l_match(m, s, p);
	if (rest == NULL)
		m->captures--;
	return rest;
}

static const char *l_close_capture(struct pattern *m, const char *s, const char *p)
{
	int i = m->captures - 1;
	const char *rest;

	while (i >= 0 && m->capture[i].n != CAPTURE_OPEN)
		i--;
	if (i < 0)
		l_refuse(m, "invalid pattern capture");
	m->capture[i].n = s - m->capture[i].start;
	rest = l_match(m, s, p);
	if (rest == NULL)
		m->capture[i].n = CAPTURE_OPEN;
	return rest;
}

/* %bxy: p is at the x. */
static const char *l_balanced(struct pattern *m, const char *s, const char *p)
{
	int nested = 1;

	if (p + 1 >= m->end)
		l_refuse(m, "malformed pattern (missing arguments to '%b')");
	if (s >= m->subject_end || *s != p[0])
		return NULL;
	while (++s < m->subject_end) {
		l_step(m, 1);
		if (*s == p[1]) {
			if (--nested == 0)
				return s + 1;
		} else if (*s == p[0]) {
			nested++;
		}
	}
	return NULL;
}

/* %f[set]: p is at the '['. The subject is as if it stood between two zero bytes. */
static bool l_frontier(struct pattern *m, const char *s, const char *p, const char **end)
{
	int before, after;

	if (p >= m->end || *p != '[')
		l_refuse(m, "missing '[' after '%f' in pattern");
	*end = l_item_end(m, p);
	l_step(m, (size_t)(*end - p));
	before = s == m->subject ? 0 : byte_at(s - 1);
	after = s == m->subject_end ? 0 : byte_at(s);
	return !in_set(before, p, *end - 1) && in_set(after, p, *end - 1);
}

/* %1 ... %9: the same text again. */
static const char *l_same_again(struct pattern *m, const char *s, int digit)
{
	int i = digit - '1';
	size_t n;

	if (i < 0 || i >= m->captures || m->capture[i].n == CAPTURE_OPEN)
		l_refuse_index(m, i);
	n = (size_t)m->capture[i].n; /* a position is longer than any subject: never matches */
	if ((size_t)(m->subject_end - s) < n)
		return NULL;
	l_step(m, n / WORK_COPY);
	return memcmp(m->capture[i].start, s, n) == 0 ? s + n : NULL;
}

/* An item for one character and what follows it. The end of the match, or NULL; *on is set when the
 * match goes on at *s and *p instead. */
static const char *l_single(struct pattern *m, const char **s, const char **p, bool *on)
{
	const char *end = l_item_end(m, *p), *rest;

	*on = false;
	l_step(m, (size_t)(end - *p) / WORK_BYTE);
	switch (end < m->end ? *end : '\0') {
	case '?':
		if (l_one_matches(m, *s, *p, end) && (rest = l_match(m, *s + 1, end + 1)) != NULL)
			return rest;
		end++;
		break;
	case '*': /* nothing to repeat: on without recursion, so that a row of these is no nesting
		   */
		if (l_one_matches(m, *s, *p, end))
			return l_repeat_most(m, *s, *p, end);
		end++;
		break;
	case '-':
		if (l_one_matches(m, *s, *p, end))
			return l_repeat_least(m, *s, *p, end);
		end++;
		break;
	case '+':
		return l_one_matches(m, *s, *p, end) ? l_repeat_most(m, *s + 1, *p, end) : NULL;
	default:
		if (!l_one_matches(m, *s, *p, end))
			return NULL;
		(*s)++;
	}
	*p = end;
	*on = true;
	return NULL;
}

/* The items that an escape introduces and that are no single character. */
static const char *l_escaped(struct pattern *m, const char **s, const char **p, bool *on)
{
	const char *end = *p + 2;

	*on = false;
	switch (*p + 1 < m->end ? (*p)[1] : '\0') {
	case 'b':
		*s = l_balanced(m, *s, *p + 2);
		end += 2;
		break;
	case 'f':
		if (!l_frontier(m, *s, *p + 2, &end))
			return NULL;
		break;
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		*s = l_same_again(m, *s, byte_at(*p + 1));
		break;
	default:
		return l_single(m, s, p, on);
	}
	*p = end;
	*on = *s != NULL;
	return NULL;
}

static const char *l_match(struct pattern *m, const char *s, const char *p)
{
	const char *result = NULL;
	bool on = true;

	if (m->depth-- == 0)
		l_refuse(m, "pattern too complex");
	while (on) {
		l_step(m, 1);
		if (p == m->end) {
			result = s;
			break;
		}
		on = false;
		if (*p == '(' && p + 1 < m->end && p[1] == ')')
			result = l_open_capture(m, s, p + 2, CAPTURE_POSITION);
		else if (*p == '(')
			result = l_open_capture(m, s, p + 1, CAPTURE_OPEN);
		else if (*p == ')')
			result = l_close_capture(m, s, p + 1);
		else if (*p == '$' && p + 1 == m->end)
			result = s == m->subject_end ? s : NULL;
		else if (*p == PATTERN_ESCAPE)
			result = l_escaped(m, &s, &p, &on);
		else
			result = l_single(m, &s, &p, &on);
	}
	m->depth++;
	return result;
}

/* ---- what callers see ---- */

void pattern_init(struct pattern *m, lua_State *L, const char *subject, size_t subject_n,
    const char *pattern, size_t pattern_n)
{
	m->L = L;
	m->subject = subject;
	m->subject_end = subject + subject_n;
	m->end = pattern + pattern_n;
	m->work = 0;
	m->depth = DEPTH_MOST;
	m->captures = 0;
}

const char *l_pattern_match(struct pattern *m, const char *s, const char *p)
{
	m->captures = 0;
	m->depth = DEPTH_MOST;
	return l_match(m, s, p);
}

void l_pattern_done(struct pattern *m)
{
	size_t due = m->work;

	m->work = 0;
	l_charge(m->L, due);
}

const char *l_pattern_capture(struct pattern *m, int i, const char *s, const char *e, size_t *n)
{
	if (i >= m->captures) {
		if (i != 0)
			l_refuse_index(m, i);
		*n = (size_t)(e - s);
		return s;
	}
	if (m->capture[i].n == CAPTURE_OPEN)
		l_refuse(m, "unfinished capture");
	if (m->capture[i].n == CAPTURE_POSITION) {
		*n = 0;
		lua_pushinteger(m->L, m->capture[i].start - m->subject + 1);
		return NULL;
	}
	*n = (size_t)m->capture[i].n;
	l_step(m, *n / WORK_COPY);
	return m->capture[i].start;
}

int l_pattern_push_captures(struct pattern *m, const char *s, const char *e)
{
	int count = m->captures == 0 && s != NULL ? 1 : m->captures;

	luaL_checkstack(m->L, count, "too many captures");
	for (int i = 0; i < count; i++) {
		size_t n;
		const char *text = l_pattern_capture(m, i, s, e, &n);

		if (text != NULL)
			lua_pushlstring(m->L, text, n);
	}
	return count;
}

bool pattern_is_plain(const char *pattern, size_t n)
{
	for (const char *p = pattern, *end = pattern + n; p <= end; p += strlen(p) + 1)
		if (strpbrk(p, "^$*+?.([%-") != NULL)
			return false;
	return true;
}
