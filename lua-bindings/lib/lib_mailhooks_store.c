/* lib_mailhooks_store.c - send attempts and holds without SQL.
 *
 * Every answer has three values: what was asked for, false or 0 for "none", and nil with a reason
 * when the store does not answer. */
#include "common/limits.h"
#include "common/list.h"
#include "common/store/holds.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/store_call.h"
#include "lua-bindings/lib/work.h"

#include <lauxlib.h>

#include <stdlib.h>
#include <string.h>

#define SECOND_MS 1000
#define MOST_ATTEMPTS 1000 /* in one list */
#define WORK_ATTEMPT 1000  /* to make one of the list */

/* ---- what the caller's table says ---- */

/* The text of a field, NULL if it is not given. It stays on the stack. */
static const char *l_field(lua_State *L, const char *name, const char *usage)
{
	const char *text = NULL;
	size_t n = 0;

	lua_getfield(L, 1, name);
	if (l_to_string(L, -1, &text, &n) == GIVEN_WRONG || (text != NULL && strlen(text) != n))
		luaL_error(L, "%s: %s must be a string without zero bytes", usage, name);
	return text;
}

/* A number of a field as milliseconds. False: it is not given. */
static bool l_duration(lua_State *L, const char *name, int64_t unit, const char *usage, int64_t *ms)
{
	bool given;
	lua_Number value;
	int number;

	given = lua_getfield(L, 1, name) != LUA_TNIL;
	value = lua_tonumberx(L, -1, &number);
	lua_pop(L, 1);
	if (!given)
		return false;
	/* written so that what is no number is refused, too */
	if (!number || !(value >= 0 && value <= (double)(LIMIT_STORE_PERIOD_MS / unit)))
		luaL_error(L, "%s: %s must be a number, ten years at most", usage, name);
	*ms = (int64_t)(value * (double)unit);
	return true;
}

static bool l_any_duration(lua_State *L, const char *usage, int64_t *ms)
{
	return l_duration(L, "seconds", SECOND_MS, usage, ms) ||
	       l_duration(L, "minutes", 60 * SECOND_MS, usage, ms) ||
	       l_duration(L, "hours", 3600 * SECOND_MS, usage, ms) ||
	       l_duration(L, "days", (int64_t)86400 * SECOND_MS, usage, ms);
}

/* The one of server, address, domain and provider that is given; none: STORE_ALL. */
static void l_key(
    lua_State *L, const char *usage, enum store_dimension *dimension, const char **key)
{
	*dimension = STORE_ALL;
	*key = "";
	luaL_checkstack(L, STORE_DIMENSIONS + 4, NULL);
	for (int d = STORE_SERVER; d < STORE_DIMENSIONS; d++) {
		const char *text = l_field(L, store_dimension_name((enum store_dimension)d), usage);

		if (text == NULL)
			continue;
		if (*dimension != STORE_ALL)
			luaL_error(L, "%s: one of server, address, domain and provider", usage);
		if (text[0] == '\0')
			luaL_error(L, "%s: %s is empty", usage,
			    store_dimension_name((enum store_dimension)d));
		*dimension = (enum store_dimension)d;
		*key = text;
	}
}

/* The names that the table may have. */
static void l_check_names(lua_State *L, const char *usage, const char *const *names)
{
	if (lua_type(L, 1) != LUA_TTABLE)
		luaL_error(L, "%s: a table is wanted", usage);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		const char *const *name = names;

		lua_pop(L, 1);
		while (*name != NULL &&
		       (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), *name) != 0))
			name++;
		if (*name == NULL)
			luaL_error(
			    L, "%s: %s is not known here", usage, luaL_tolstring(L, -1, NULL));
	}
}

/* ---- attempts ---- */

struct asked {
	struct store_window window;
	struct store_count count;
	enum store_answer answer;
	int64_t back_ms; /* where the window begins, before now; -1: with all that are kept */
	size_t most;
	/* a copy of each attempt, since the store's visitor may not raise */
	struct found {
		struct strlist texts;
		int64_t time_ms, delay_ms;
	} * found;
	size_t n, bytes;
	bool too_much;
};

static void clear_asked(void *arg)
{
	struct asked *a = arg;

	for (size_t i = 0; i < a->n; i++)
		strlist_clear(&a->found[i].texts);
	free(a->found);
}

static void l_take_window(lua_State *L, struct asked *a, const char *usage)
{
	static const char *const names[] = {"server", "address", "domain", "provider", "result",
	    "seconds", "minutes", "hours", "days", "limit", NULL};
	int64_t ms;

	l_check_names(L, usage, names);
	l_key(L, usage, &a->window.dimension, &a->window.key);
	a->window.result = l_field(L, "result", usage);
	if (a->window.result == NULL)
		a->window.result = "";
	a->back_ms = l_any_duration(L, usage, &ms) ? ms : -1;
	a->most = 100;
	if (lua_getfield(L, 1, "limit") != LUA_TNIL) {
		int64_t limit;

		if (l_to_integer(L, -1, &limit) != GIVEN || limit < 1 || limit > MOST_ATTEMPTS)
			luaL_error(L, "%s: limit is a number from 1 to %d", usage, MOST_ATTEMPTS);
		a->most = (size_t)limit;
	}
}

/* Counted back from the store's clock. */
static void fix_since(struct asked *a, struct store *store)
{
	if (a->back_ms >= 0)
		a->window.since_ms = store_time(store) - a->back_ms;
}

/*** mailhooks.count_attempts(window) -> number or nil, why
 * How many send attempts the window holds, a table of: one of server, address, domain, provider
 * (none: all attempts); result, what the reply begins with ("4", "421"); seconds, minutes, hours or
 * days back from now (none: all that are kept). nil: the store does not answer, which is not 0. A
 * second result "local" says that Redis is away and only attempts that this process knows of were
 * counted. Refused in safety mode. */
static int l_count_attempts(lua_State *L)
{
	static const char usage[] =
	    "mailhooks.count_attempts{server = \"mx.example\", result = \"4\", minutes = 15}";
	struct store_call call;
	struct asked a = {.answer = STORE_UNKNOWN};

	l_refuse_in_safety_mode(L, "mailhooks.count_attempts");
	l_take_window(L, &a, usage);
	if (store_call_begin(L, &call)) {
		fix_since(&a, call.store);
		a.answer = store_attempt_count(
		    call.store, &a.window, &a.count, store_call_counter_ms(&call));
		store_call_end(&call, a.answer, a.count.local);
	}
	if (a.answer != STORE_FOUND)
		return l_no_store(L, "mailhooks.count_attempts");
	lua_pushinteger(L, (lua_Integer)a.count.n);
	if (!a.count.local)
		return 1;
	lua_pushliteral(L, "local");
	return 2;
}

/* The texts of an attempt, in the order in which they are kept, and their names for scripts. */
static const struct {
	const char *name;
	size_t at;
} texts[] = {
    {"server", offsetof(struct store_attempt, server)},
    {"address", offsetof(struct store_attempt, address)},
    {"domain", offsetof(struct store_attempt, domain)},
    {"provider", offsetof(struct store_attempt, provider)},
    {"queue_id", offsetof(struct store_attempt, queue_id)},
    {"sender", offsetof(struct store_attempt, sender)},
    {"stage", offsetof(struct store_attempt, stage)},
    {"result", offsetof(struct store_attempt, result)},
    {"tls", offsetof(struct store_attempt, tls)},
    {"connection", offsetof(struct store_attempt, connection)},
};

#define TEXTS (sizeof texts / sizeof *texts)

static bool keep_attempt(const struct store_attempt *attempt, void *arg)
{
	struct asked *a = arg;
	struct found *f;

	a->found = xgrow(a->found, a->n, sizeof *a->found);
	f = &a->found[a->n++];
	*f = (struct found){.time_ms = attempt->time_ms, .delay_ms = attempt->delay_ms};
	for (size_t i = 0; i < TEXTS; i++)
		strlist_add(&f->texts, *(const char *const *)((const char *)attempt + texts[i].at));
	for (size_t i = 0; i < attempt->nrecipients; i++)
		strlist_add(&f->texts, attempt->recipients[i].address);
	for (size_t i = 0; i < f->texts.n; i++)
		a->bytes += strlen(f->texts.v[i]) + 1;
	a->too_much = a->bytes > LIMIT_SQL_ANSWER_BYTES;
	return !a->too_much;
}

static void l_push_attempt(lua_State *L, const struct found *f)
{
	lua_createtable(L, 0, TEXTS + 3);
	for (size_t i = 0; i < TEXTS; i++) {
		lua_pushstring(L, f->texts.v[i]);
		lua_setfield(L, -2, texts[i].name);
	}
	lua_pushnumber(L, (lua_Number)f->time_ms / SECOND_MS);
	lua_setfield(L, -2, "time");
	lua_pushnumber(L, (lua_Number)f->delay_ms / SECOND_MS);
	lua_setfield(L, -2, "delay");
	lua_createtable(L, (int)(f->texts.n - TEXTS), 0);
	for (size_t i = TEXTS; i < f->texts.n; i++) {
		lua_pushstring(L, f->texts.v[i]);
		lua_rawseti(L, -2, (lua_Integer)(i - TEXTS) + 1);
	}
	l_iterable(L, -1);
	lua_setfield(L, -2, "recipients");
	l_iterable(L, -1);
}

/*** mailhooks.attempts(window) -> list or nil, why
 * The send attempts of a window as mailhooks.count_attempts has it, newest first; limit (100, at
 * most 1000) bounds the list. Each is a table of server, address, domain, provider, queue_id,
 * sender, stage, result, tls, connection, recipients (a list), time and delay (seconds). An empty
 * list: there is none; nil: the store does not answer. Refused in safety mode. */
static int l_attempts(lua_State *L)
{
	static const char usage[] = "mailhooks.attempts{domain = \"example.com\", limit = 10}";
	struct store_call call;
	struct asked *a;
	int at;

	l_refuse_in_safety_mode(L, "mailhooks.attempts");
	lua_settop(L, 1);
	a = l_owned(L, sizeof *a, clear_asked);
	at = lua_gettop(L);
	l_take_window(L, a, usage);
	a->answer = STORE_UNKNOWN;
	if (store_call_begin(L, &call)) {
		fix_since(a, call.store);
		a->answer = store_attempt_find(
		    call.store, &a->window, a->most, keep_attempt, a, store_call_ms(&call));
		store_call_end(&call, a->answer, false);
	}
	if (a->answer == STORE_UNKNOWN)
		return l_no_store(L, "mailhooks.attempts");
	if (a->too_much) {
		lua_pushnil(L);
		lua_pushliteral(L, "mailhooks.attempts: more than 1 MiB; use limit");
		return 2;
	}
	lua_createtable(L, (int)a->n, 0);
	for (size_t i = 0; i < a->n; i++) {
		l_charge(L, WORK_ATTEMPT);
		l_push_attempt(L, &a->found[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
	l_owned_clear(L, at);
	return 1;
}

/* ---- holds ---- */

/* As l_key(), but one must be given. */
static void l_hold_key(
    lua_State *L, const char *usage, enum store_dimension *dimension, const char **key)
{
	l_key(L, usage, dimension, key);
	if (*dimension == STORE_ALL)
		luaL_error(L, "%s: server, address, domain or provider is wanted", usage);
}

/*** mailhooks.hold(target) -> true or nil, why
 * Holds a host: target is a table of one of server, address, domain, provider; of seconds, minutes,
 * hours or days; and of reason (for the administrator). Until then nothing is sent there, by any
 * process on this store. A later hold of the same name replaces it. nil: the store does not answer;
 * this process keeps the hold. Refused in safety mode. */
static int l_hold(lua_State *L)
{
	static const char usage[] =
	    "mailhooks.hold{server = \"mx.example\", minutes = 10, reason = \"4xx\"}";
	static const char *const names[] = {"server", "address", "domain", "provider", "seconds",
	    "minutes", "hours", "days", "reason", NULL};
	enum store_answer answer = STORE_UNKNOWN;
	struct store_hold hold = {.who = "script"};
	struct store_call call;
	int64_t ms;

	l_refuse_in_safety_mode(L, "mailhooks.hold");
	l_check_names(L, usage, names);
	l_hold_key(L, usage, &hold.dimension, &hold.key);
	hold.reason = l_field(L, "reason", usage);
	if (!l_any_duration(L, usage, &ms))
		return luaL_error(L, "%s: seconds, minutes, hours or days are wanted", usage);
	if (store_call_begin(L, &call)) {
		hold.until_ms = store_time(call.store) + ms;
		answer = holds_set(call.url, &hold, store_call_ms(&call));
		store_call_end(&call, answer, false);
	}
	if (answer != STORE_FOUND)
		return l_no_store(L, "mailhooks.hold");
	lua_pushboolean(L, true);
	return 1;
}

/*** mailhooks.release(target) -> boolean or nil, why
 * Ends a hold: target is a table of one of server, address, domain, provider. At once for this
 * process, for others after outbound.holds_ms. false: there was none; nil: the store does not
 * answer. Refused in safety mode. */
static int l_release(lua_State *L)
{
	static const char usage[] = "mailhooks.release{server = \"mx.example\"}";
	static const char *const names[] = {"server", "address", "domain", "provider", NULL};
	enum store_answer answer = STORE_UNKNOWN;
	enum store_dimension dimension;
	struct store_call call;
	const char *key;

	l_refuse_in_safety_mode(L, "mailhooks.release");
	l_check_names(L, usage, names);
	l_hold_key(L, usage, &dimension, &key);
	if (store_call_begin(L, &call)) {
		answer = holds_release(call.url, dimension, key, store_call_ms(&call));
		store_call_end(&call, answer, false);
	}
	if (answer == STORE_UNKNOWN)
		return l_no_store(L, "mailhooks.release");
	lua_pushboolean(L, answer == STORE_FOUND);
	return 1;
}

struct seen {
	int64_t until_ms, set_ms;
	char who[LIMIT_STORE_HOLD_TEXT_BYTES + 1], reason[LIMIT_STORE_HOLD_TEXT_BYTES + 1];
};

static void clip(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

static void see(const struct store_hold *h, void *arg)
{
	struct seen *s = arg;

	s->until_ms = h->until_ms;
	s->set_ms = h->set_ms;
	clip(s->who, sizeof s->who, h->who);
	clip(s->reason, sizeof s->reason, h->reason);
}

/*** mailhooks.held(target) -> hold, false or nil, why
 * The hold of this name, if there is one: a table of since and until (time numbers), who and
 * reason. false: it is not held; nil: the store does not answer. Refused in safety mode. */
static int l_held(lua_State *L)
{
	static const char usage[] = "mailhooks.held{server = \"mx.example\"}";
	static const char *const names[] = {"server", "address", "domain", "provider", NULL};
	enum store_answer answer = STORE_UNKNOWN;
	enum store_dimension dimension;
	struct store_call call;
	struct seen seen;
	const char *key;

	l_refuse_in_safety_mode(L, "mailhooks.held");
	l_check_names(L, usage, names);
	l_hold_key(L, usage, &dimension, &key);
	if (store_call_begin(L, &call)) {
		answer =
		    store_hold_get(call.store, dimension, key, see, &seen, store_call_ms(&call));
		store_call_end(&call, answer, false);
	}
	if (answer == STORE_UNKNOWN)
		return l_no_store(L, "mailhooks.held");
	if (answer == STORE_ABSENT) {
		lua_pushboolean(L, false);
		return 1;
	}
	lua_createtable(L, 0, 4);
	lua_pushnumber(L, (lua_Number)seen.set_ms / SECOND_MS);
	lua_setfield(L, -2, "since");
	lua_pushnumber(L, (lua_Number)seen.until_ms / SECOND_MS);
	lua_setfield(L, -2, "until");
	lua_pushstring(L, seen.who);
	lua_setfield(L, -2, "who");
	lua_pushstring(L, seen.reason);
	lua_setfield(L, -2, "reason");
	return 1;
}

static const struct library_row rows[] = {
    {"attempts", l_attempts},
    {"count_attempts", l_count_attempts},
    {"held", l_held},
    {"hold", l_hold},
    {"release", l_release},
    {NULL, NULL},
};

const struct library library_mailhooks_store = {"mailhooks", rows};
