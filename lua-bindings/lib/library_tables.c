/* library_tables.c - see library_tables.h.
 *
 * The contents stand in one flat table of keys and values that scripts cannot reach; it also keeps
 * the strings alive whose addresses are compared. For each library that is a table of its own there
 * is a record of what lua_next() finds in it when it is fresh, in that order: a table that was not
 * written to is walked in the same order. */
#include "lua-bindings/lib/library_tables.h"

#include <lauxlib.h>

#include <stdbool.h>
#include <string.h>

#define BASE "_G"
#define MOST_LIBRARIES 40

/* A value as it can be compared without Lua. */
struct identity {
	int type;
	lua_CFunction function; /* of a light C function */
	const void *object;	/* of a string */
	lua_Number number;
};

struct record { /* of one entry, in the order of lua_next() */
	const void *key;
	struct identity value;
};

struct shelf {			 /* one library */
	lua_Integer name, first; /* places in the flat table */
	int entries, record;	 /* number of them; its first record */
	bool base, fresh;	 /* fresh: the table exists and is as it was made */
};

struct cabinet { /* a userdata of the registry */
	int nshelves;
	struct shelf shelves[MOST_LIBRARIES];
	struct record records[];
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

static struct identity identify(lua_State *L, int index)
{
	struct identity id = {.type = lua_type(L, index)};

	switch (id.type) {
	case LUA_TFUNCTION:
		id.function = lua_tocfunction(L, index);
		break;
	case LUA_TNUMBER:
		id.number = lua_tonumber(L, index);
		break;
	default:
		id.object = lua_topointer(L, index);
	}
	return id;
}

static bool same(const struct identity *a, const struct identity *b)
{
	return a->type == b->type && a->function == b->function && a->object == b->object &&
	       !(a->number < b->number) && !(a->number > b->number);
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

/* Number of all entries; the shelves of the libraries in the table at index. */
static int l_lay_out(lua_State *L, int libraries, int flat, struct cabinet *c)
{
	lua_Integer n = 0;
	int records = 0;

	lua_pushnil(L);
	while (lua_next(L, libraries)) {
		struct shelf *s = &c->shelves[c->nshelves];

		if (c->nshelves++ == MOST_LIBRARIES)
			luaL_error(L, "more than %d libraries", MOST_LIBRARIES);
		s->base = strcmp(lua_tostring(L, -2), BASE) == 0;
		s->entries = l_count(L);
		s->record = records;
		records += s->entries;
		lua_pushvalue(L, -2);
		lua_rawseti(L, flat, s->name = ++n);
		s->first = n;
		n = l_flatten(L, flat, n);
		lua_pop(L, 1);
	}
	return records;
}

void l_library_tables_prepare(lua_State *L)
{
	int libraries = lua_gettop(L), flat = libraries + 1;
	struct cabinet shelves = {0}, *c;
	int records;

	lua_newtable(L);
	records = l_lay_out(L, libraries, flat, &shelves);
	c = lua_newuserdatauv(L, sizeof *c + (size_t)records * sizeof c->records[0], 0);
	c->nshelves = shelves.nshelves;
	memcpy(c->shelves, shelves.shelves, sizeof c->shelves);
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

/* Push a fresh table and note what it looks like. */
static void l_make(lua_State *L, struct cabinet *c, struct shelf *s, int flat)
{
	struct record *r = &c->records[s->record];

	lua_createtable(L, 0, s->entries);
	l_fill(L, s, flat);
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		*r++ = (struct record){lua_topointer(L, -2), identify(L, -1)};
		lua_pop(L, 1);
	}
}

static void l_push_library(lua_State *L, struct cabinet *c, int i, int flat, int tables)
{
	struct shelf *s = &c->shelves[i];

	if (s->fresh) {
		lua_rawgeti(L, tables, i + 1);
		return;
	}
	l_make(L, c, s, flat);
	lua_pushvalue(L, -1);
	lua_rawseti(L, tables, i + 1);
	s->fresh = true;
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
	lua_settop(L, loaded);
}

/* Is the table on top what l_make() left? */
static bool l_unchanged(lua_State *L, const struct cabinet *c, const struct shelf *s)
{
	const struct record *r = &c->records[s->record], *end = r + s->entries;
	int top = lua_gettop(L);
	bool fine = true;

	if (lua_getmetatable(L, -1)) {
		lua_settop(L, top);
		return false;
	}
	lua_pushnil(L);
	while (fine && lua_next(L, top)) {
		struct identity value = identify(L, -1);

		fine = r < end && r->key == lua_topointer(L, -2) && same(&r->value, &value);
		r++;
		lua_pop(L, 1);
	}
	lua_settop(L, top);
	return fine && r == end;
}

void l_library_tables_close(lua_State *L)
{
	struct cabinet *c = l_cabinet(L);
	int top = lua_gettop(L);

	lua_rawgetp(L, LUA_REGISTRYINDEX, &tables_key);
	for (int i = 0; i < c->nshelves; i++) {
		struct shelf *s = &c->shelves[i];

		if (s->base || !s->fresh)
			continue;
		lua_rawgeti(L, top + 1, i + 1);
		s->fresh = l_unchanged(L, c, s);
		lua_pop(L, 1);
		if (s->fresh)
			continue;
		lua_pushnil(L);
		lua_rawseti(L, top + 1, i + 1);
	}
	lua_settop(L, top);
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
