/* old_chunks.c - see compat_help.h: is the running code that of an old script?
 *
 * A file of the script set tells by its name. Code that a script makes with load(), and the file of
 * `mailhooks lua`, are noted here, chunk by chunk: liblua hands out the source of a function as a
 * pointer to a string that all functions of a chunk share, so that pointer is the mark of the
 * chunk. Its main function is kept, or another chunk could get the same pointer; those of the last
 * chunks only, since a script may load as many as it likes. */
#include "lua-bindings/lib/compat_help.h"

#include "lua-bindings/lib/life.h"
#include "lua-bindings/runtime.h"

#include <lauxlib.h>

#define CHUNKS_MOST 256 /* kept; a chunk is run soon after it is loaded */
#define LAST 0		/* key of the number of the slot that was filled last */

static const void *l_mark(lua_State *L, int function)
{
	lua_Debug ar;

	lua_pushvalue(L, function);
	lua_getinfo(L, ">S", &ar);
	return ar.source;
}

/* The main function below the top gets a slot of the table on top; the chunk that had it is
 * forgotten. */
static void l_keep(lua_State *L)
{
	int table = lua_gettop(L), function = table - 1;
	lua_Integer slot;

	lua_rawgeti(L, table, LAST);
	slot = lua_tointeger(L, -1) % CHUNKS_MOST + 1;
	if (lua_rawgeti(L, table, slot) == LUA_TFUNCTION) {
		const void *mark = l_mark(L, -1);

		lua_pushnil(L);
		lua_rawsetp(L, table, mark);
	}
	lua_pushvalue(L, function);
	lua_rawseti(L, table, slot);
	lua_pushinteger(L, slot);
	lua_rawseti(L, table, LAST);
	lua_settop(L, table);
}

void l_note_old_chunk(lua_State *L)
{
	int function = lua_gettop(L);

	l_life_get(L, LIFE_OLD_CHUNKS);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_newtable(L); /* mark -> true; slot -> main function */
		lua_pushvalue(L, -1);
		l_life_set(L, LIFE_OLD_CHUNKS);
	}
	if (lua_rawgetp(L, -1, l_mark(L, function)) == LUA_TNIL) {
		lua_pop(L, 1);
		l_keep(L);
		lua_pushboolean(L, 1);
		lua_rawsetp(L, -2, l_mark(L, function));
	}
	lua_settop(L, function);
}

static bool l_is_noted(lua_State *L, const void *mark)
{
	bool noted = false;

	l_life_get(L, LIFE_OLD_CHUNKS);
	if (lua_istable(L, -1)) {
		noted = lua_rawgetp(L, -1, mark) != LUA_TNIL;
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return noted;
}

bool l_caller_is_old(lua_State *L)
{
	const struct script_set *set = runtime_set(runtime_of(L));
	const struct script_file *file = NULL;
	lua_Debug ar;
	int level = 1;

	/* pcall(tostring, x): who called pcall */
	while (lua_getstack(L, level, &ar) && lua_getinfo(L, "S", &ar) && *ar.what == 'C')
		level++;
	if (!lua_getstack(L, level, &ar))
		return false;
	if (l_is_noted(L, ar.source))
		return true;
	if (set != NULL && ar.source[0] == '@')
		file = script_set_file(set, ar.source + 1);
	return file != NULL && file->compat.old;
}
