/* pattern.h - private to lua-bindings/: Lua's string patterns with bounded work.
 *
 * The matcher of liblua is one C call that no hook can interrupt, and a pattern like "a?a?a?...aaa"
 * takes it hours. This one accounts for each step with l_work(), so it ends with the budget of the
 * hook. Results and error messages are those of Lua 5.4 (tests/unit/test_pattern.c compares the
 * two). By hand for that reason only; nothing else offers these patterns. Raises, holds no
 * resources. */
#pragma once

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_CAPTURES 32 /* as in stock Lua (LUA_MAXCAPTURES) */
#define PATTERN_ESCAPE '%'

struct pattern {
	lua_State *L;
	const char *subject, *subject_end;
	const char *end; /* of the pattern */
	size_t work;	 /* steps not accounted yet */
	int depth;	 /* recursion left */
	int captures;	 /* closed or open, of the match in progress */
	struct {
		const char *start;
		ptrdiff_t n; /* or one of the marks in pattern.c */
	} capture[PATTERN_CAPTURES];
};

/* Both strings stay on the Lua stack of the caller while the matcher is in use. */
void pattern_init(struct pattern *, lua_State *L, const char *subject, size_t subject_n,
    const char *pattern, size_t pattern_n);
/* Does the pattern at p (behind an anchor) match at s? The end of the match, or NULL. */
const char *l_pattern_match(struct pattern *, const char *s, const char *p);
/* Account for what is left; after the last match. */
void l_pattern_done(struct pattern *);

/* Capture i (0 = first) of a match that spans s to e; without captures the whole match is number
 * 0. A position capture is pushed as an integer and NULL returned; else its bytes and *n. */
const char *l_pattern_capture(struct pattern *, int i, const char *s, const char *e, size_t *n);
/* Push all captures; without any the whole match, unless s is NULL. Returns their number. */
int l_pattern_push_captures(struct pattern *, const char *s, const char *e);

/* No character of the pattern has a special meaning. */
bool pattern_is_plain(const char *pattern, size_t n);
