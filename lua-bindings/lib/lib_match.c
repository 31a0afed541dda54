/* lib_match.c - string.find, match, gmatch and gsub on the matcher of pattern.c.
 *
 * By hand because the stock functions and the stock matcher are one piece of C that cannot be
 * interrupted. */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/pattern.h"
#include "lua-bindings/lib/work.h"

#include <ctype.h>
#include <string.h>

#define FIND_BLOCK (64 * 1024) /* bytes of plain search between two looks at the clock */

/* A start position as scripts give it: negative counts from the end. 1-based, at least 1. */
static size_t start_at(lua_Integer position, size_t n)
{
	if (position > 0)
		return (size_t)position;
	if (position == 0 || position < -(lua_Integer)n)
		return 1;
	return n + (size_t)position + 1;
}

static const char *l_find_plain(
    lua_State *L, const char *s, size_t n, const char *what, size_t what_n)
{
	size_t block =
	    what_n > FIND_BLOCK ? what_n : FIND_BLOCK; /* memmem() prepares in O(what_n) */

	for (;;) {
		size_t most = n < block + what_n ? n : block + what_n;
		const char *found = memmem(s, most, what, what_n);

		l_charge(L, (found != NULL ? (size_t)(found - s) + what_n : most) / WORK_BYTE);
		if (found != NULL || n == most)
			return found;
		s += block;
		n -= block;
	}
}

/* From s on, the first place where the pattern at p matches; *end is the end of the match. */
static const char *l_search(
    struct pattern *m, const char *s, const char *p, bool anchor, const char **end)
{
	do {
		*end = l_pattern_match(m, s, p);
		if (*end != NULL)
			return s;
	} while (s++ < m->subject_end && !anchor);
	return NULL;
}

static int l_find_or_match(lua_State *L, bool find)
{
	size_t n, pattern_n;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &pattern_n);
	const char *found, *end;
	struct pattern m;
	size_t start;
	bool anchor;

	l_old_integers(L, 3, 3);
	start = start_at(luaL_optinteger(L, 3, 1), n) - 1;
	if (start > n) {
		lua_pushnil(L);
		return 1;
	}
	l_charge(L, pattern_n / WORK_COPY);
	if (find && (lua_toboolean(L, 4) || pattern_is_plain(p, pattern_n))) {
		found = l_find_plain(L, s + start, n - start, p, pattern_n);
		end = found != NULL ? found + pattern_n : NULL;
		m.captures = 0;
	} else {
		anchor = pattern_n > 0 && *p == '^';
		pattern_init(&m, L, s, n, p, pattern_n);
		found = l_search(&m, s + start, p + anchor, anchor, &end);
		l_pattern_done(&m);
	}
	if (found == NULL) {
		lua_pushnil(L);
		return 1;
	}
	if (!find)
		return l_pattern_push_captures(&m, found, end);
	lua_pushinteger(L, found - s + 1);
	lua_pushinteger(L, end - s);
	return m.captures == 0 ? 2 : 2 + l_pattern_push_captures(&m, NULL, NULL);
}

/*** string.find(s, pattern [, init [, plain]]) -> first, last, captures or nil
 * As in Lua 5.4; the matching is accounted. */
static int l_find(lua_State *L)
{
	return l_find_or_match(L, true);
}

/*** string.match(s, pattern [, init]) -> captures or nil
 * As in Lua 5.4; the matching is accounted. */
static int l_match(lua_State *L)
{
	return l_find_or_match(L, false);
}

struct gmatch {
	struct pattern m;
	const char *next, *pattern;
	const char *last_end; /* of the match before: an empty match there is none */
};

/* Upvalues: subject and pattern, kept alive; the struct. */
static int l_gmatch_next(lua_State *L)
{
	struct gmatch *g = lua_touserdata(L, lua_upvalueindex(3));
	int results = 0;

	g->m.L = L; /* may be another coroutine by now */
	g->m.work = 0;
	for (const char *s = g->next; s <= g->m.subject_end && results == 0; s++) {
		const char *end = l_pattern_match(&g->m, s, g->pattern);

		if (end != NULL && end != g->last_end) {
			g->next = g->last_end = end;
			results = l_pattern_push_captures(&g->m, s, end);
		}
	}
	if (results == 0)
		g->next = g->m.subject_end + 1;
	l_pattern_done(&g->m);
	return results;
}

/*** string.gmatch(s, pattern [, init]) -> iterator
 * As in Lua 5.4; the matching is accounted. */
static int l_gmatch(lua_State *L)
{
	size_t n, pattern_n, start;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &pattern_n);
	struct gmatch *g;

	l_old_integers(L, 3, 3);
	start = start_at(luaL_optinteger(L, 3, 1), n) - 1;
	lua_settop(L, 2);
	g = lua_newuserdatauv(L, sizeof *g, 0);
	memset(g, 0, sizeof *g);
	pattern_init(&g->m, L, s, n, p, pattern_n);
	g->next = s + (start <= n ? start : n + 1);
	g->pattern = p;
	lua_pushcclosure(L, l_gmatch_next, 3);
	return 1;
}

/*** string.gfind(s, pattern) -> iterator
 * Lua 5.0: the old name of string.gmatch(). */
static int l_gfind(lua_State *L) /* a function of its own, for the name in messages */
{
	return l_gmatch(L);
}

/* ---- gsub ---- */

/* A % in front of something that is no digit: in Lua 5.0 and 5.1 it stands for that; at the end we
 * take it for itself. Behind it. */
static const char *l_add_old_escape(
    lua_State *L, luaL_Buffer *b, const char *escape, const char *end)
{
	enum compat_mode mode = l_compat_mode(L);

	if (mode == COMPAT_52 || mode == COMPAT_54)
		luaL_error(L, "invalid use of '%c' in replacement string", PATTERN_ESCAPE);
	if (escape + 1 < end)
		escape++;
	luaL_addchar(b, *escape);
	return escape + 1;
}

/* The match from s to e by a replacement string with %0 ... %9 and %%. */
static void l_add_string(struct pattern *m, luaL_Buffer *b, const char *s, const char *e)
{
	size_t n, capture_n, pending = 0;
	const char *text = lua_tolstring(m->L, 3, &n), *end = text + n, *escape, *capture;

	while ((escape = memchr(text, PATTERN_ESCAPE, (size_t)(end - text))) != NULL) {
		luaL_addlstring(b, text, (size_t)(escape - text));
		l_meter(m->L, &pending, 1 + (size_t)(escape - text) / WORK_COPY);
		text = escape + 2;
		if (escape[1] == PATTERN_ESCAPE) {
			luaL_addchar(b, PATTERN_ESCAPE);
			continue;
		}
		if (escape[1] == '0') {
			luaL_addlstring(b, s, (size_t)(e - s));
			l_meter(m->L, &pending, (size_t)(e - s) / WORK_COPY);
			continue;
		}
		if (!isdigit((unsigned char)escape[1])) {
			text = l_add_old_escape(m->L, b, escape, end);
			continue;
		}
		capture = l_pattern_capture(m, escape[1] - '1', s, e, &capture_n);
		if (capture == NULL)
			luaL_addvalue(b); /* a position */
		else
			luaL_addlstring(b, capture, capture_n);
	}
	luaL_addlstring(b, text, (size_t)(end - text));
	m->work += pending + (size_t)(end - text) / WORK_COPY;
}

/* Add what replaces the match from s to e; false: it stays as it is. */
static bool l_add_replacement(
    struct pattern *m, luaL_Buffer *b, const char *s, const char *e, int kind)
{
	lua_State *L = m->L;
	const char *key;
	size_t n;

	if (kind == LUA_TFUNCTION) {
		lua_pushvalue(L, 3);
		lua_call(L, l_pattern_push_captures(m, s, e), 1);
	} else if (kind == LUA_TTABLE) {
		key = l_pattern_capture(m, 0, s, e, &n);
		if (key != NULL)
			lua_pushlstring(L, key, n);
		lua_gettable(L, 3);
	} else {
		l_add_string(m, b, s, e);
		return true;
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(b, s, (size_t)(e - s));
		return false;
	}
	if (!lua_isstring(L, -1))
		luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	m->work += lua_rawlen(L, -1) / WORK_COPY;
	luaL_addvalue(b);
	return true;
}

static int l_check_replacement(lua_State *L)
{
	int kind = lua_type(L, 3);

	luaL_argexpected(L,
	    kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION ||
		kind == LUA_TTABLE,
	    3, "string/function/table");
	return kind;
}

/*** string.gsub(s, pattern, replacement [, n]) -> string, number of matches
 * As in Lua 5.4; the matching is accounted. As in Lua 5.0, a "%" in a replacement string that no
 * digit follows stands for the next character (not with lua.compat = "5.2" or "5.4"). */
static int l_gsub(lua_State *L)
{
	size_t n, pattern_n;
	const char *s = luaL_checklstring(L, 1, &n), *p = luaL_checklstring(L, 2, &pattern_n);
	const char *end, *last_end = NULL;
	lua_Integer most, count = 0;
	int kind = l_check_replacement(L);
	bool anchor = pattern_n > 0 && *p == '^', changed = false;
	struct pattern m;
	luaL_Buffer b;

	l_old_integers(L, 4, 4);
	most = luaL_optinteger(L, 4, (lua_Integer)n + 1);
	pattern_init(&m, L, s, n, p, pattern_n);
	luaL_buffinit(L, &b);
	while (count < most) {
		end = l_pattern_match(&m, s, p + anchor);
		if (end != NULL && end != last_end) {
			count++;
			changed = l_add_replacement(&m, &b, s, end, kind) || changed;
			s = last_end = end;
		} else if (s < m.subject_end) {
			luaL_addchar(&b, *s++);
		} else {
			break;
		}
		if (anchor)
			break;
	}
	l_pattern_done(&m);
	if (changed) {
		luaL_addlstring(&b, s, (size_t)(m.subject_end - s));
		luaL_pushresult(&b);
	} else {
		lua_pushvalue(L, 1);
	}
	lua_pushinteger(L, count);
	return 2;
}

static const struct library_row rows[] = {
    {"find", l_find},
    {"gmatch", l_gmatch},
    {"gsub", l_gsub},
    {"match", l_match},
    {NULL, NULL},
};

const struct library library_match = {"string", rows};

static const struct library_row old_rows[] = {
    {"gfind", l_gfind},
    {NULL, NULL},
};

const struct library library_compat_match = {"string", old_rows};
