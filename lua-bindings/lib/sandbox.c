/* sandbox.c - see sandbox.h: the whitelist and the beginning and end of a life.
 *
 * Preparing a state builds one template: a flat sequence of library name, number of entries, and
 * the entries as key, value, key, value ... Opening a life is a walk along it, some 200
 * assignments. The template holds light C functions, numbers and strings only and is not reachable
 * for scripts. */
#include "lua-bindings/lib/sandbox.h"

#include "lua-bindings/convert.h"
#include "lua-bindings/lib/file.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/runtime.h"

#include <string.h>

#define BASE "_G" /* the library whose functions stand in the environment itself */

static const struct library *const libraries[] = {
    &library_base,
    &library_load,
    &library_compat_base,
    &library_compat_env,
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
    &library_vpop3net_dns,
    &library_vpop3net_http,
    &library_vpop3net_whois,
    &library_vpop3_message,
    &library_mailhooks,
    &library_mailhooks_return_path,
};

#define LIBRARIES (sizeof libraries / sizeof *libraries)

/* keys of the registry */
static const char template_key, life_key;

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

/* Libraries of the same name become one table. Leaves a table name -> table on the stack. */
static void l_push_libraries(lua_State *L, int stock)
{
	lua_newtable(L);
	for (size_t i = 0; i < LIBRARIES; i++) {
		luaL_getsubtable(L, -1, libraries[i]->name);
		l_add_rows(L, libraries[i], stock);
		lua_pop(L, 1);
	}
}

/* The table on top as library name, count, entries behind the n-th entry of the template at index.
 */
static lua_Integer l_flatten(lua_State *L, const char *name, int template, lua_Integer n)
{
	lua_Integer at = n + 2, entries = 0;

	lua_pushnil(L);
	while (lua_next(L, -2)) {
		lua_pushvalue(L, -2);
		lua_rawseti(L, template, ++at);
		lua_rawseti(L, template, ++at);
		entries++;
	}
	lua_pushstring(L, name);
	lua_rawseti(L, template, n + 1);
	lua_pushinteger(L, entries);
	lua_rawseti(L, template, n + 2);
	return at;
}

/* From the table of libraries on top. */
static void l_make_template(lua_State *L)
{
	lua_Integer n = 0;
	int template;

	lua_newtable(L);
	template = lua_gettop(L);
	for (size_t i = 0; i < LIBRARIES; i++) {
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again = again || strcmp(libraries[i]->name, libraries[j]->name) == 0;
		if (again)
			continue;
		lua_getfield(L, -2, libraries[i]->name);
		n = l_flatten(L, libraries[i]->name, template, n);
		lua_pop(L, 1);
	}
	lua_rawsetp(L, LUA_REGISTRYINDEX, &template_key);
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
	l_make_template(L);
	/* liblua looks here for the names of functions when it writes a traceback */
	lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_settop(L, top);
	lua_pushnil(L);
	l_set_string_methods(L);
	lua_pushnil(L);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

/* ---- once per life ---- */

static void l_new_life(lua_State *L)
{
	struct life *life = lua_newuserdatauv(L, sizeof *life, LIFE_VALUES);

	memset(life, 0, sizeof *life);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &life_key);
}

/* Fill the table on top from the template below it. */
static lua_Integer l_copy(lua_State *L, int template, lua_Integer at, lua_Integer entries)
{
	for (; entries > 0; entries--) {
		lua_rawgeti(L, template, ++at);
		lua_rawgeti(L, template, ++at);
		lua_rawset(L, -3);
	}
	return at;
}

/* The libraries into the environment at env and into the table package.loaded on top. */
static void l_copy_libraries(lua_State *L, int env)
{
	int loaded = lua_gettop(L), template = loaded + 1;
	lua_Integer at = 0, entries;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &template_key);
	while (lua_rawgeti(L, template, ++at) == LUA_TSTRING) { /* the library's name */
		lua_rawgeti(L, template, ++at);
		entries = lua_tointeger(L, -1);
		lua_pop(L, 1);
		if (strcmp(lua_tostring(L, -1), BASE) == 0) {
			lua_pushvalue(L, env);
		} else {
			lua_createtable(L, 0, (int)entries);
			lua_pushvalue(L, -2);
			lua_pushvalue(L, -2);
			lua_rawset(L, env);
		}
		at = l_copy(L, template, at, entries);
		lua_rawset(L, loaded);
	}
	lua_settop(L, loaded);
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

void l_sandbox_open(lua_State *L)
{
	int env = lua_gettop(L);

	l_new_life(L);
	lua_createtable(L, 0, LIBRARIES + 1);
	l_copy_libraries(L, env);
	l_open_package(L, env);
	lua_pushvalue(L, env);
	lua_setfield(L, env, "_G");
	lua_pushvalue(L, env);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_getfield(L, env, "string");
	l_set_string_methods(L);
}

void l_sandbox_close(lua_State *L)
{
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &life_key) != LUA_TNIL) {
		l_life_get(L, LIFE_UNFINISHED);
		if (lua_type(L, -1) == LUA_TSTRING)
			luaout_print(lua_tostring(L, -1), lua_rawlen(L, -1));
		lua_pop(L, 1);
		file_close_all(l_life(L));
		lua_pushnil(L);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &life_key);
	}
	lua_pop(L, 1);
	lua_pushnil(L);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pushnil(L);
	l_set_string_methods(L);
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
	lua_rawgetp(L, LUA_REGISTRYINDEX, &life_key);
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

/* Add prefix .. name for each function or value of the template. */
static void l_list_template(lua_State *L, int list)
{
	int template = lua_gettop(L) + 1;
	lua_Integer at = 0, entries;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &template_key);
	while (lua_rawgeti(L, template, ++at) == LUA_TSTRING) {
		bool base = strcmp(lua_tostring(L, -1), BASE) == 0;

		lua_rawgeti(L, template, ++at);
		for (entries = lua_tointeger(L, -1); entries > 0; entries--, at += 2) {
			lua_rawgeti(L, template, at + 1);
			lua_pushfstring(L, "%s%s%s", base ? "" : lua_tostring(L, -3),
			    base ? "" : ".", lua_tostring(L, -1));
			lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
			lua_pop(L, 1);
		}
		lua_pop(L, 2);
	}
	lua_pop(L, 2);
}

void l_sandbox_list(lua_State *L)
{
	int list;

	lua_newtable(L);
	list = lua_gettop(L);
	l_list_template(L, list);
	for (const struct library_row *row = file_methods; row->name != NULL; row++) {
		lua_pushfstring(L, "file:%s", row->name);
		lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
	}
}
