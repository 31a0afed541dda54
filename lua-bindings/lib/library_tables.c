/* library_tables.c - see library_tables.h.
 *
 * The contents stand in one flat table of keys and values that scripts cannot reach.
 */
#include "lua-bindings/lib/library_tables.h"

#include <lauxlib.h>

#include <stdbool.h>
#include <string.h>

#define BASE "_G"
#define MOST_LIBRARIES 40

struct shelf {			 /* one library */
	lua_Integer name, first; /* places in the flat table */
	int entries;
	bool base;
};

struct cabinet { /* a userdata of the registry */
	int nshelves;
	bool fresh; /* the tables exist and are as they were made */
	struct shelf shelves[MOST_LIBRARIES];
};

/* keys of the registry: the cabinet, the flat table, the list of library tables */
static const char cabinet_key, flat_key, tables_key;

static struct cabinet *l_cabinet(lua_State *L)
{
	struct cabinet *c;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &cabinet_key);
	c = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return c;
}

/* ---- once per state ---- */

static int l_count(lua_State *L)
{
	int n = 0;

	lua_pushnil(L);
	while (lua_next(L, -2)) {
		lua_pop(L, 1);
		n++;
	}
	return n;
}

/* The table on top behind the n-th entry of the flat table at index. */
static lua_Integer l_flatten(lua_State *L, int flat, lua_Integer n)
{
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		lua_pushvalue(L, -2);
		lua_rawseti(L, flat, ++n);
		lua_rawseti(L, flat, ++n);
	}
	return n;
}

/* The shelves of the libraries in the table at index. */
static void l_lay_out(lua_State *L, int libraries, int flat, struct cabinet *c)
{
	lua_Integer n = 0;

	lua_pushnil(L);
	while (lua_next(L, libraries)) {
		struct shelf *s = &c->shelves[c->nshelves];

		if (c->nshelves++ == MOST_LIBRARIES)
			luaL_error(L, "more than %d libraries", MOST_LIBRARIES);
		s->base = strcmp(lua_tostring(L, -2), BASE) == 0;
		s->entries = l_count(L);
		lua_pushvalue(L, -2);
		lua_rawseti(L, flat, s->name = ++n);
		s->first = n;
		n = l_flatten(L, flat, n);
		lua_pop(L, 1);
	}
}

void l_library_tables_prepare(lua_State *L)
{
	int libraries = lua_gettop(L), flat = libraries + 1;
	struct cabinet *c;

	lua_newtable(L);
	c = lua_newuserdatauv(L, sizeof *c, 0);
	memset(c, 0, sizeof *c);
	l_lay_out(L, libraries, flat, c);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &cabinet_key);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &flat_key);
	lua_createtable(L, c->nshelves, 0);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &tables_key);
	lua_settop(L, libraries - 1);
}

/* ---- once per life ---- */

/* Fill the table on top. */
static void l_fill(lua_State *L, const struct shelf *s, int flat)
{
	for (lua_Integer at = s->first; at < s->first + 2 * s->entries; at += 2) {
		lua_rawgeti(L, flat, at + 1);
		lua_rawgeti(L, flat, at + 2);
		lua_rawset(L, -3);
	}
}

/* Push the library's table. */
static void l_push_library(lua_State *L, const struct cabinet *c, int i, int flat, int tables)
{
	const struct shelf *s = &c->shelves[i];

	if (c->fresh) {
		lua_rawgeti(L, tables, i + 1);
		return;
	}
	lua_createtable(L, 0, s->entries);
	l_fill(L, s, flat);
	lua_pushvalue(L, -1);
	lua_rawseti(L, tables, i + 1);
}

void l_library_tables_open(lua_State *L, int env)
{
	struct cabinet *c = l_cabinet(L);
	int loaded = lua_gettop(L), flat = loaded + 1, tables = loaded + 2;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &flat_key);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key);
	for (int i = 0; i < c->nshelves; i++) {
		struct shelf *s = &c->shelves[i];

		lua_rawgeti(L, flat, s->name);
		if (s->base) {
			lua_pushvalue(L, env);
			l_fill(L, s, flat);
		} else {
			l_push_library(L, c, i, flat, tables);
			lua_pushvalue(L, -2);
			lua_pushvalue(L, -2);
			lua_rawset(L, env);
		}
		lua_rawset(L, loaded);
	}
	c->fresh = true;
	lua_settop(L, loaded);
}

void l_library_tables_drop(lua_State *L)
{
	struct cabinet *c = l_cabinet(L);

	c->fresh = false;
	lua_createtable(L, c->nshelves, 0);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &tables_key);
}

/* ---- for tests and the reference ---- */

void l_library_tables_list(lua_State *L, int list)
{
	const struct cabinet *c = l_cabinet(L);
	int top = lua_gettop(L);

	lua_rawgetp(L, LUA_REGISTRYINDEX, &flat_key);
	for (int i = 0; i < c->nshelves; i++) {
		const struct shelf *s = &c->shelves[i];

		lua_rawgeti(L, top + 1, s->name);
		for (lua_Integer at = s->first; at < s->first + 2 * s->entries; at += 2) {
			lua_rawgeti(L, top + 1, at + 1);
			lua_pushfstring(L, "%s%s%s", s->base ? "" : lua_tostring(L, -2),
			    s->base ? "" : ".", lua_tostring(L, -1));
			lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
			lua_pop(L, 1);
		}
		lua_pop(L, 1);
	}
	lua_settop(L, top);
}
