/* lib_vpop3_settings.c - settings by name: those of the service and those of users.
 *
 * They live in the store, as text; below those of a user are the ones in the file of users. Names
 * are exact; of user names the ASCII case does not count. "The store is down" cannot be told from
 * "no such setting" in what VPOP3 documents, so it is logged, once for an outage. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/store/store_shared.h"
#include "common/users.h"
#include "common/waiting.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/wait.h"
#include "lua-bindings/lib/work.h"

#include <stdlib.h>
#include <string.h>

struct setting {	  /* what is wanted, and the answer */
	const char *user; /* NULL: of the service */
	const char *name;
	const char *value; /* to set; NULL: to get */
	bool must_exist;   /* to be set */
	char *found;	   /* owned */
	enum store_answer answer;
};

static void clear(void *arg)
{
	struct setting *s = arg;

	free(s->found);
}

/* ---- arguments ---- */

/* The text at index, or NULL when it cannot be a name or value in the store. Raises when it is no
 * text. */
static const char *l_text(lua_State *L, int index, size_t most, const char *usage)
{
	const char *text;
	size_t n;

	if (l_to_string(L, index, &text, &n) != GIVEN)
		luaL_error(L, "%s: strings are wanted", usage);
	return strlen(text) == n && n <= most ? text : NULL;
}

/* The same in lower case; nobody is called "". */
static const char *l_user(lua_State *L, int index, const char *usage)
{
	const char *user = l_text(L, index, LIMIT_STORE_KEY_BYTES, usage);
	luaL_Buffer b;

	if (user == NULL || user[0] == '\0')
		return NULL;
	luaL_buffinit(L, &b);
	for (; *user != '\0'; user++)
		luaL_addchar(&b, (char)(*user >= 'A' && *user <= 'Z' ? *user | 0x20 : *user));
	luaL_pushresult(&b);
	lua_replace(L, index);
	return lua_tostring(L, index);
}

/* ---- the store ---- */

static enum store_answer ask(struct store *store, struct setting *s, int64_t until)
{
	enum store_answer answer = STORE_FOUND;
	int64_t left;

	if (s->value == NULL || s->must_exist)
		answer = store_setting_get(
		    store, s->user, s->name, &s->found, (int)(until - clock_ms()));
	left = until - clock_ms();
	if (s->value != NULL && answer == STORE_FOUND)
		answer = left > 0 ? store_setting_set(store, s->user, s->name, s->value, (int)left)
				  : STORE_UNKNOWN;
	return answer;
}

/* Nothing here raises. */
static enum store_answer ask_in_time(lua_State *L, const struct config *cfg, struct setting *s)
{
	int64_t until = clock_ms() + wait_ms(L);
	enum store_answer answer = STORE_UNKNOWN;
	struct store *store;

	if (until <= clock_ms() || !waiting_enter())
		return STORE_UNKNOWN;
	store = store_shared_get(cfg->store);
	if (store != NULL) {
		answer = ask(store, s, until);
		store_shared_put(store);
		store_shared_report(cfg->store, answer);
	}
	waiting_leave();
	return answer;
}

/* s is on the stack, as l_owned() put it there. */
static bool l_found(lua_State *L, struct setting *s)
{
	const struct config *cfg = wait_config(L);

	l_charge(L, 10 * WORK_SYSCALL);
	s->answer = STORE_UNKNOWN;
	if (s->name != NULL && cfg != NULL)
		s->answer = ask_in_time(L, cfg, s);
	return s->answer == STORE_FOUND;
}

/* What the file of users says when the store has nothing. */
static bool preset(lua_State *L, struct setting *s)
{
	struct strlist pairs = STRLIST_INIT;
	const char *value;

	if (s->answer != STORE_ABSENT)
		return false;
	users_presets(script_set_users(runtime_set(runtime_of(L))), s->user, &pairs);
	value = users_pair(&pairs, s->name);
	if (value != NULL)
		s->found = xstrdup(value);
	strlist_clear(&pairs);
	return value != NULL;
}

static void l_push_found(lua_State *L, const struct setting *s)
{
	l_charge(L, strlen(s->found) / WORK_COPY);
	lua_pushstring(L, s->found);
}

/* ---- functions ---- */

/*** VPOP3.GetSetting(name) -> true, value or false, nil
 * A setting of the service, as text; false and nil when there is none of that name, or when the
 * store does not answer (which is logged). Refused in safety mode. */
static int l_get_setting(lua_State *L)
{
	struct setting *s;
	bool found;

	l_refuse_in_safety_mode(L, "VPOP3.GetSetting");
	lua_settop(L, 1);
	s = l_owned(L, sizeof *s, clear);
	s->name = l_text(L, 1, LIMIT_STORE_KEY_BYTES, "VPOP3.GetSetting(name)");
	found = l_found(L, s);
	lua_pushboolean(L, found);
	if (found)
		l_push_found(L, s);
	else
		lua_pushnil(L);
	l_owned_clear(L, 2);
	return 2;
}

/*** VPOP3.SetSetting(name, value) -> boolean
 * Changes a setting of the service, which `mailhooks users set - NAME VALUE` has made. False, and
 * nothing is changed, when there is none of that name, or when the store does not answer. Refused
 * in safety mode. */
static int l_set_setting(lua_State *L)
{
	static const char usage[] = "VPOP3.SetSetting(name, value)";
	struct setting *s;

	l_refuse_in_safety_mode(L, "VPOP3.SetSetting");
	lua_settop(L, 2);
	s = l_owned(L, sizeof *s, clear);
	s->name = l_text(L, 1, LIMIT_STORE_KEY_BYTES, usage);
	s->value = l_text(L, 2, LIMIT_STORE_VALUE_BYTES, usage);
	s->must_exist = true;
	lua_pushboolean(L, s->value != NULL && l_found(L, s));
	l_owned_clear(L, 3);
	return 1;
}

/*** VPOP3.GetUserSetting(user, name) -> value or nil
 * A setting of a user, as text, from the store or else from the file of users; nil when there is
 * none, or when the store does not answer. Refused in safety mode. */
static int l_get_user_setting(lua_State *L)
{
	static const char usage[] = "VPOP3.GetUserSetting(user, name)";
	struct setting *s;

	l_refuse_in_safety_mode(L, "VPOP3.GetUserSetting");
	lua_settop(L, 2);
	s = l_owned(L, sizeof *s, clear);
	s->user = l_user(L, 1, usage);
	s->name = l_text(L, 2, LIMIT_STORE_KEY_BYTES, usage);
	if (s->user != NULL && (l_found(L, s) || preset(L, s)))
		l_push_found(L, s);
	else
		lua_pushnil(L);
	l_owned_clear(L, 3);
	return 1;
}

/*** VPOP3.SetUserSetting(user, name, value) -> boolean
 * Sets a setting of a user, whether there was one of that name or not. False when it is not kept:
 * the store does not answer, or the user has too many. Refused in safety mode. */
static int l_set_user_setting(lua_State *L)
{
	static const char usage[] = "VPOP3.SetUserSetting(user, name, value)";
	struct setting *s;

	l_refuse_in_safety_mode(L, "VPOP3.SetUserSetting");
	lua_settop(L, 3);
	s = l_owned(L, sizeof *s, clear);
	s->user = l_user(L, 1, usage);
	s->name = l_text(L, 2, LIMIT_STORE_KEY_BYTES, usage);
	s->value = l_text(L, 3, LIMIT_STORE_VALUE_BYTES, usage);
	lua_pushboolean(L, s->user != NULL && s->value != NULL && l_found(L, s));
	l_owned_clear(L, 4);
	return 1;
}

static const struct library_row rows[] = {
    {"GetSetting", l_get_setting},
    {"GetUserSetting", l_get_user_setting},
    {"SetSetting", l_set_setting},
    {"SetUserSetting", l_set_user_setting},
    {NULL, NULL},
};

const struct library library_vpop3_settings = {"VPOP3", rows};
