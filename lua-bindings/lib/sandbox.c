/* sandbox.c - see sandbox.h: the whitelist and the beginning and end of a life.
 *
 * What the libraries hold is said here; how their tables come into an environment and when they
 * serve the next one is library_tables.c. */
#include "lua-bindings/lib/sandbox.h"

#include "lua-bindings/convert.h"
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/file.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/library_tables.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/runtime.h"

#include <string.h>

static const struct library *const libraries[] = {
    &library_base,
    &library_load,
    &library_compat_base,
    &library_compat_env,
    &library_compat_load,
    &library_compat_match,
    &library_string,
    &library_match,
    &library_utf8,
    &library_table,
    &library_compat_table,
    &library_math,
    &library_compat_math,
    &library_bit32,
    &library_coroutine,
    &library_debug,
    &library_io,
    &library_os,
    &library_os_vpop3,
    &library_vpop3_bytes,
    &library_vpop3_settings,
    &library_vpop3_sql,
    &library_vpop3_url,
    &library_vpop3_users,
    &library_vpop3net_dns,
    &library_vpop3net_http,
    &library_vpop3net_whois,
    &library_vpop3_message,
    &library_mailhooks,
    &library_mailhooks_rates,
    &library_mailhooks_sql,
    &library_mailhooks_store,
    &library_mailhooks_return_path,
};

/* Those of older versions of Lua; lua.compat = "5.4" goes without. */
static const struct library *const old_libraries[] = {
    &library_compat_base,
    &library_compat_env,
    &library_compat_load,
    &library_compat_match,
    &library_compat_table,
    &library_compat_math,
    &library_bit32,
};

#define LIBRARIES (sizeof libraries / sizeof *libraries)

const char *sandbox_library(size_t i)
{
	return i < LIBRARIES ? libraries[i]->name : NULL;
}

const char *sandbox_base(size_t i)
{
	for (size_t k = 0; k < LIBRARIES; k++) {
		if (strcmp(libraries[k]->name, "_G") != 0)
			continue;
		for (const struct library_row *row = libraries[k]->rows; row->name != NULL; row++)
			if (i-- == 0)
				return row->name;
	}
	return NULL;
}

/* key of the registry */
static const char life_key;

/* Between two lives. Not nil: the registry would then move this key out of its array part when it
 * grows, where liblua looks for it unchecked. */
static void l_no_globals(lua_State *L)
{
	lua_pushboolean(L, 0);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

/* ---- once per state ---- */

/* Add the rows to the table on top. stock is the stack index of the stock libraries. */
static void l_add_rows(lua_State *L, const struct library *lib, int stock)
{
	for (const struct library_row *row = lib->rows; row->name != NULL; row++) {
		if (row->function != NULL) {
			lua_pushcfunction(L, row->function);
		} else {
			lua_getfield(L, stock, lib->name);
			if (lua_getfield(L, -1, row->name) == LUA_TNIL)
				luaL_error(L, "liblua has no %s.%s", lib->name, row->name);
			lua_remove(L, -2);
		}
		lua_setfield(L, -2, row->name);
	}
}

static bool is_old(const struct library *lib)
{
	for (size_t i = 0; i < sizeof old_libraries / sizeof *old_libraries; i++)
		if (old_libraries[i] == lib)
			return true;
	return false;
}

/* Libraries of the same name become one table. Leaves a table name -> table on the stack. */
static void l_push_libraries(lua_State *L, int stock)
{
	lua_newtable(L);
	for (size_t i = 0; i < LIBRARIES; i++) {
		if (is_old(libraries[i]) && l_compat_mode(L) == COMPAT_54)
			continue;
		luaL_getsubtable(L, -1, libraries[i]->name);
		l_add_rows(L, libraries[i], stock);
		lua_pop(L, 1);
	}
}

/* Arithmetic on strings comes from their stock metatable; scripts cannot get at the metatable. */
static void l_lock_string_metatable(lua_State *L)
{
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 2);
}

static void l_set_string_methods(lua_State *L)
{
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 3);
}

void l_sandbox_prepare(lua_State *L)
{
	int top = lua_gettop(L);

	l_stock_open(L);
	l_lock_string_metatable(L);
	l_convert_prepare(L);
	l_file_prepare(L);
	l_push_libraries(L, top + 1);
	/* liblua looks here for the names of functions when it writes a traceback */
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	l_library_tables_prepare(L);
	lua_settop(L, top);
	lua_pushnil(L);
	l_set_string_methods(L);
	l_no_globals(L);
}

/* ---- once per life ---- */

static void l_new_life(lua_State *L, bool shares)
{
	struct life *life = lua_newuserdatauv(L, sizeof *life, LIFE_VALUES);

	memset(life, 0, sizeof *life);
	life->shares = shares;
	lua_rawsetp(L, LUA_REGISTRYINDEX, &life_key);
}

/* package = { loaded = {...}, path = "?.lua" }; package.loaded is on top and is popped. */
static void l_open_package(lua_State *L, int env)
{
	lua_createtable(L, 0, 2);
	lua_pushliteral(L, "?.lua");
	lua_setfield(L, -2, "path");
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, "loaded");
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, "package");
	lua_setfield(L, env, "package");
	l_life_set(L, LIFE_LOADED);
}

/* The string metatable gets the library of the environment at env. */
static void l_string_methods_of(lua_State *L, int env)
{
	lua_getfield(L, env, "string");
	l_set_string_methods(L);
}

static void l_open_own(lua_State *L, int env)
{
	l_library_tables_unshare(L);
	lua_createtable(L, 0, LIBRARIES + 1);
	l_library_tables_open(L, env);
	l_open_package(L, env);
	lua_pushvalue(L, env);
	lua_setfield(L, env, "_G");
	l_string_methods_of(L, env);
}

void l_sandbox_open(lua_State *L, bool share)
{
	int env = lua_gettop(L);

	l_new_life(L, share);
	if (!share)
		l_open_own(L, env);
	else if (l_library_tables_share(L, env))
		l_string_methods_of(L, env);
	lua_pushvalue(L, env);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

/* What is unfinished in LUA.OUT, the files, and what only this life has. */
static void l_end_life(lua_State *L, struct life *life)
{
	l_life_get(L, LIFE_UNFINISHED);
	if (lua_type(L, -1) == LUA_TSTRING)
		luaout_print(lua_tostring(L, -1), lua_rawlen(L, -1));
	lua_pop(L, 1);
	file_close_all(life);
	if (!life->shares) {
		lua_pushnil(L);
		l_set_string_methods(L);
	}
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &life_key);
}

void l_sandbox_close(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &life_key) != LUA_TNIL)
		l_end_life(L, lua_touserdata(L, -1));
	lua_pop(L, 1);
	l_no_globals(L);
}

struct life *l_life(lua_State *L)
{
	struct life *life;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &life_key);
	life = lua_touserdata(L, -1);
	lua_pop(L, 1);
	if (life == NULL)
		luaL_error(L, "no script is running");
	return life;
}

void l_life_get(lua_State *L, enum life_value value)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &life_key) != LUA_TUSERDATA)
		return; /* nil */
	lua_getiuservalue(L, -1, value);
	lua_remove(L, -2);
}

void l_life_set(lua_State *L, enum life_value value)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &life_key);
	lua_insert(L, -2);
	lua_setiuservalue(L, -2, value);
	lua_pop(L, 1);
}

void l_refuse_in_safety_mode(lua_State *L, const char *function)
{
	if (l_life(L)->safe)
		luaL_error(
		    L, "%s is disabled in safety mode; os.clearsafety(key) ends it", function);
}

/* ---- for tests and the reference ---- */

void l_sandbox_list(lua_State *L)
{
	int list;

	lua_newtable(L);
	list = lua_gettop(L);
	l_library_tables_list(L, list);
	for (const struct library_row *row = file_methods; row->name != NULL; row++) {
		lua_pushfstring(L, "file:%s", row->name);
		lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
	}
}
