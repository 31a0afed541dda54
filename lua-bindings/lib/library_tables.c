/* library_tables.c - see library_tables.h.
 *
 * The contents stand in one flat table of keys and values that scripts cannot reach.
 */
#include "lua-bindings/lib/library_tables.h"

#include <lauxlib.h>

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
	struct shelf shelves[MOST_LIBRARIES];
};

/* keys of the registry: the cabinet, the flat table, what l_library_tables_share() made */
static const char cabinet_key, flat_key, shared_key;

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

void l_library_tables_open(lua_State *L, int env)
{
	const struct cabinet *c = l_cabinet(L);
	int loaded = lua_gettop(L), flat = loaded + 1;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &flat_key);
	for (int i = 0; i < c->nshelves; i++) {
		const struct shelf *s = &c->shelves[i];

		lua_rawgeti(L, flat, s->name);
		if (s->base) {
			lua_pushvalue(L, env);
			l_fill(L, s, flat);
		} else {
			lua_createtable(L, 0, s->entries);
			l_fill(L, s, flat);
			lua_pushvalue(L, -2);
			lua_pushvalue(L, -2);
			lua_rawset(L, env);
		}
		lua_rawset(L, loaded);
	}
	lua_settop(L, loaded);
}

/* Push the metatable that shares what an environment starts with. */
static void l_make_shared(lua_State *L)
{
	int meta = lua_gettop(L) + 1;

	lua_createtable(L, 0, 1);
	lua_newtable(L);
	lua_newtable(L);
	l_library_tables_open(L, meta + 1);
	lua_settop(L, meta + 1);
	lua_setfield(L, meta, "__index");
	lua_pushvalue(L, meta);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &shared_key);
}

bool l_library_tables_share(lua_State *L, int env)
{
	bool made = lua_rawgetp(L, LUA_REGISTRYINDEX, &shared_key) != LUA_TTABLE;

	if (made) {
		lua_pop(L, 1);
		l_make_shared(L);
	}
	lua_setmetatable(L, env);
	return made;
}

void l_library_tables_unshare(lua_State *L)
{
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &shared_key);
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
