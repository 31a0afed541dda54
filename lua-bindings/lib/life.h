/* life.h - private to lua-bindings/: what one life of a state has besides its environment table.
 *
 * A userdata that the registry holds from l_sandbox_open() to l_sandbox_close(); scripts cannot
 * reach it. Its user values are Lua values that belong to the life. */
#pragma once

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>

struct file;

enum life_value {	 /* numbers of the user values */
	LIFE_LOADED = 1, /* package.loaded */
	LIFE_INPUT,	 /* default input of io.*, or nil */
	LIFE_OUTPUT,	 /* default output, or nil: with LUA.OUT */
	LIFE_UNFINISHED, /* line of io.write() that has no end yet, or nil */
	LIFE_SAFETY_KEY, /* of os.setsafety() */
	LIFE_OLD_CHUNKS, /* old_chunks.c, or nil */
	LIFE_VALUES = LIFE_OLD_CHUNKS
};

struct life {
	struct file *files; /* open file handles */
	int nfiles;
	bool safe;   /* safety mode is on */
	bool shares; /* the libraries are those of other lives too */
	bool random_seeded;
	uint64_t random[4]; /* state of math.random() */
};

struct life *l_life(lua_State *L);		/* raises between lives */
void l_life_get(lua_State *L, enum life_value); /* push it; nil between lives */
void l_life_set(lua_State *L, enum life_value); /* pop it */
