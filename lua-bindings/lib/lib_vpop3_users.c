/* lib_vpop3_users.c - who the users are, and whom an address stands for (common/users.h). */
#include "common/limits.h"
#include "common/log.h"
#include "common/users.h"
#include "common/waiting.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/wait.h"
#include "lua-bindings/lib/work.h"

#include <string.h>

struct answer {
	struct users_expansion expansion;
	struct strlist names;
};

static void clear(void *arg)
{
	struct answer *a = arg;

	users_expansion_clear(&a->expansion);
	strlist_clear(&a->names);
}

/* NULL in a state without scripts. */
static struct users *users_of(lua_State *L)
{
	const struct script_set *set = runtime_set(runtime_of(L));

	return set != NULL ? script_set_users(set) : NULL;
}

static void unknown(lua_State *L, const char *function)
{
	log_warn(runtime_log_id(runtime_of(L)),
	    "%s: users are not known at the moment; its result is not complete", function);
}

static void l_set_boolean(lua_State *L, const char *name, bool value)
{
	lua_pushboolean(L, value);
	lua_setfield(L, -2, name);
}

static void l_push_target(lua_State *L, struct users *users, const struct users_target *t)
{
	bool remote = t->kind == USERS_REMOTE ||
		      (t->kind == USERS_FORWARD && !users_is_local(users, t->address));

	lua_createtable(L, 0, 5);
	lua_pushstring(L, t->kind == USERS_USER ? t->user : t->address);
	lua_setfield(L, -2, "Name");
	l_set_boolean(L, "List", t->kind == USERS_ALIAS);
	if (t->kind == USERS_ALIAS)
		l_set_boolean(L, "DeferredExpansion", !t->whole);
	l_set_boolean(L, "Remote", remote);
	l_set_boolean(L, "Forwarded", t->kind == USERS_FORWARD);
	l_iterable(L, -1);
}

/*** VPOP3.ExpandAddress(address [, inmail]) -> list
 * Whom an address stands for, as the aliases and the users' forwards say. Each entry has Name (of a
 * user; else an address), List (an alias: the entries that follow are its members),
 * DeferredExpansion (with List: it has a member that only the MTA follows, such as a command),
 * Remote (on another host) and Forwarded (a user's forward; in safety mode there are none). inmail
 * makes no difference here. */
static int l_expand_address(lua_State *L)
{
	struct users *users = users_of(L);
	enum users_answer answer = USERS_UNKNOWN;
	const char *address = luaL_checkstring(L, 1);
	bool forwards = !l_life(L)->safe;
	struct answer *a;
	int ms;

	lua_settop(L, 1);
	l_charge(L, 10 * WORK_SYSCALL);
	a = l_owned(L, sizeof *a, clear);
	ms = wait_ms(L);
	if (users != NULL && strlen(address) <= LIMIT_ADDRESS_BYTES && waiting_enter()) {
		answer = users_expand(users, address, forwards, ms, &a->expansion);
		waiting_leave();
	}
	if (answer == USERS_UNKNOWN)
		unknown(L, "VPOP3.ExpandAddress");
	lua_createtable(L, (int)a->expansion.n, 0);
	for (size_t i = 0; i < a->expansion.n; i++) {
		l_push_target(L, users, &a->expansion.v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
	l_owned_clear(L, 2);
	return 1;
}

/*** VPOP3.GetUserList() -> list
 * The names of all users (setting users.source), sorted. */
static int l_get_user_list(lua_State *L)
{
	struct users *users = users_of(L);
	enum users_answer answer = USERS_UNKNOWN;
	struct answer *a;

	lua_settop(L, 0);
	l_charge(L, 10 * WORK_SYSCALL);
	a = l_owned(L, sizeof *a, clear);
	if (users != NULL && waiting_enter()) {
		answer = users_list(users, &a->names);
		waiting_leave();
	}
	if (answer == USERS_UNKNOWN)
		unknown(L, "VPOP3.GetUserList");
	l_charge(L, a->names.n);
	l_push_list(L, &a->names);
	l_owned_clear(L, 1);
	return 1;
}

static const struct library_row rows[] = {
    {"ExpandAddress", l_expand_address},
    {"GetUserList", l_get_user_list},
    {NULL, NULL},
};

const struct library library_vpop3_users = {"VPOP3", rows};
