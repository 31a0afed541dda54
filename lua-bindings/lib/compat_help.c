/* compat_help.c - see compat_help.h: what rewritten texts call, and numbers as before Lua 5.3.
 *
 * A wrapped chunk gets these functions as arguments and holds them in local variables: no script
 * finds them in its environment or can replace them. */
#include "lua-bindings/lib/compat_help.h"

#include "lua-bindings/lib/work.h"
#include "lua-bindings/runtime.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define TOLD_MOST 100	 /* places told while scripts run, in the life of the process */
#define PLAIN_BELOW 1e14 /* %.14g writes longer ones with an exponent in every version */

static enum compat_mode without_set = COMPAT_AUTO;

void compat_without_set(enum compat_mode mode)
{
	without_set = mode;
}

enum compat_mode l_compat_mode(lua_State *L)
{
	const struct script_set *set = runtime_set(runtime_of(L));

	return set != NULL ? script_set_config(set)->lua.compat : without_set;
}

bool l_old_numbers(lua_State *L)
{
	enum compat_mode mode = l_compat_mode(L);

	return mode != COMPAT_54 && (mode != COMPAT_AUTO || l_caller_is_old(L));
}

/* ---- numbers ---- */

/* The number at arg as an integer, if it is written as one without a fraction. */
static bool l_drop_fraction(lua_State *L, int arg)
{
	lua_Number x = lua_tonumber(L, arg);

	if (x != floor(x) || fabs(x) >= PLAIN_BELOW)
		return false;
	lua_pushinteger(L, (lua_Integer)x);
	return true;
}

static bool is_float(lua_State *L, int arg)
{
	return lua_type(L, arg) == LUA_TNUMBER && !lua_isinteger(L, arg);
}

void l_old_number(lua_State *L, int arg)
{
	if (!is_float(L, arg) || !l_old_numbers(L))
		return;
	arg = lua_absindex(L, arg);
	if (l_drop_fraction(L, arg))
		lua_replace(L, arg);
}

static void l_old_integer(lua_State *L, int arg)
{
	lua_Integer whole;
	lua_Number x;
	int is_number;

	if (lua_isinteger(L, arg) || lua_isnoneornil(L, arg))
		return;
	x = lua_tonumberx(L, arg, &is_number);
	if (!is_number || x == floor(x) || !lua_numbertointeger(trunc(x), &whole) ||
	    l_compat_mode(L) == COMPAT_54)
		return; /* fine, or the function says what is wrong */
	lua_pushinteger(L, whole);
	lua_replace(L, arg);
}

void l_number_as_text(lua_State *L, int arg)
{
	arg = lua_absindex(L, arg);
	if (is_float(L, arg) && l_drop_fraction(L, arg))
		lua_replace(L, arg);
	lua_tostring(L, arg);
}

void l_old_integers(lua_State *L, int first, int last)
{
	first = lua_absindex(L, first);
	last = lua_absindex(L, last);
	for (int i = first; i <= last; i++)
		l_old_integer(L, i);
}

/* ---- what rewritten texts call ---- */

/* Can the value at 1 be called? */
static bool l_is_callable(lua_State *L)
{
	bool callable = luaL_getmetafield(L, 1, "__call") != LUA_TNIL;

	if (callable)
		lua_pop(L, 1);
	return callable;
}

static int l_next(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (lua_next(L, 1))
		return 2;
	lua_pushnil(L);
	return 1;
}

/* for ... in help(expression) do */
static int l_for(lua_State *L)
{
	if (!lua_istable(L, 1) || l_is_callable(L))
		return lua_gettop(L);
	lua_settop(L, 1);
	lua_pushcfunction(L, l_next);
	lua_insert(L, 1);
	return 2;
}

/* Once for each place in each generation of the scripts; a script that makes up places (load() with
 * names of its own) comes to an end with it. */
static void l_tell(lua_State *L)
{
	static atomic_int told;
	struct runtime *rt = runtime_of(L);
	struct compat_notice notice = {
	    .idiom = COMPAT_FOR_TABLE, .done = COMPAT_REWRITTEN, .detail = ""};
	char key[LUA_IDSIZE + 40], text[300];
	lua_Debug ar;

	if (runtime_set(rt) == NULL || atomic_load(&told) >= TOLD_MOST ||
	    !lua_getstack(L, 1, &ar) || !lua_getinfo(L, "Sl", &ar) || ar.source[0] != '@')
		return;
	snprintf(key, sizeof key, "compat %s %d", ar.short_src, ar.currentline);
	if (!script_set_first(runtime_set(rt), key))
		return;
	atomic_fetch_add(&told, 1);
	notice.line = ar.currentline;
	compat_notice_text(&notice, ar.short_src, text, sizeof text);
	log_info(runtime_log_id(rt), "script %s", text);
}

/* The same where the text did not show that there is a table. */
static int l_walk(lua_State *L)
{
	int results = l_for(L);

	if (lua_tocfunction(L, 1) == l_next)
		l_tell(L);
	return results;
}

/* Is there a global arg in the environment at 1? Pushes it. That of `mailhooks lua`, which has the
 * name of the script at 0, does not count: the daemons have none. */
static bool l_has_global_arg(lua_State *L)
{
	bool counts;

	if (!lua_istable(L, 1))
		return false;
	lua_pushliteral(L, "arg");
	counts = lua_rawget(L, 1) != LUA_TNIL;
	if (lua_istable(L, -1)) {
		counts = lua_rawgeti(L, -1, 0) == LUA_TNIL;
		lua_pop(L, 1);
	}
	if (!counts)
		lua_pop(L, 1);
	return counts;
}

/* local arg = help(_ENV or nil, ...): under "auto" a global arg that is there stays. */
static int l_arg(lua_State *L)
{
	int n = lua_gettop(L) - 1;

	if (l_has_global_arg(L))
		return 1;
	l_charge(L, (size_t)n);
	lua_createtable(L, n, 1);
	lua_replace(L, 1);
	lua_pushinteger(L, n);
	lua_setfield(L, 1, "n");
	for (; n > 0; n--)
		lua_rawseti(L, 1, n);
	return 1;
}

static const char *l_type_name(lua_State *L)
{
	int type = luaL_getmetafield(L, 1, "__name");

	return type == LUA_TSTRING && (lua_istable(L, 1) || lua_isuserdata(L, 1))
		   ? lua_tostring(L, -1)
		   : luaL_typename(L, 1);
}

/* help(value, "local 'x'", line) .. : the message that the concatenation itself would raise can no
 * longer name the variable. */
static void l_check_operand(lua_State *L)
{
	lua_Debug ar;

	if (lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__concat") != LUA_TNIL)
		return;
	lua_getstack(L, 1, &ar);
	lua_getinfo(L, "S", &ar);
	lua_pushfstring(L, "%s:%d: attempt to concatenate a %s value (%s)", ar.short_src,
	    (int)lua_tointeger(L, 3), l_type_name(L), lua_tostring(L, 2));
	lua_error(L);
}

static int l_text(lua_State *L)
{
	if (is_float(L, 1) && l_drop_fraction(L, 1))
		return 1;
	if (lua_type(L, 2) == LUA_TSTRING && lua_type(L, 3) == LUA_TNUMBER)
		l_check_operand(L);
	lua_settop(L, 1);
	return 1;
}

void l_compat_unwrap(lua_State *L)
{
	lua_pushcfunction(L, l_for);
	lua_pushcfunction(L, l_walk);
	lua_pushcfunction(L, l_arg);
	lua_pushcfunction(L, l_text);
	lua_call(L, 4, 1);
}

bool l_compat_is_helper(lua_State *L, lua_Debug *ar)
{
	lua_CFunction function;

	lua_getinfo(L, "f", ar);
	function = lua_tocfunction(L, -1);
	lua_pop(L, 1);
	return function == l_for || function == l_walk || function == l_arg || function == l_text;
}
