/* lib_load.c - functions that load code: text only, files of the script set only.
 *
 * Bytecode is refused because liblua does not verify it: a crafted chunk breaks out of anything.
 * Files come from the set in memory (script_set_file()), so a session sees one generation of all
 * scripts, and nothing outside of the script directory can be named. */
#include "common/limits.h"
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/lib/load.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/work.h"

#include <string.h>
#include <strings.h>

#define WORK_COMPILE 10 /* units per byte of source, roughly */
#define TEXT_ONLY "t"
#define TOO_LONG "chunk is longer than %d bytes", (int)LIMIT_SCRIPT_BYTES

/* ---- text ---- */

/* liblua has the last word: what it takes as it is may stay so, should it refuse what we made of
 * it.
 */
int l_load_source(lua_State *L, const char *text, size_t n, const struct compat_source *source,
    const char *chunkname, bool *wrapped)
{
	int status;

	*wrapped = false;
	if (source->text == NULL)
		return luaL_loadbufferx(L, text, n, chunkname, TEXT_ONLY);
	status = luaL_loadbufferx(L, source->text, source->size, chunkname, TEXT_ONLY);
	*wrapped = status == LUA_OK && source->wrapped;
	if (status == LUA_ERRSYNTAX) {
		if (luaL_loadbufferx(L, text, n, chunkname, TEXT_ONLY) == LUA_OK) {
			lua_remove(L, -2);
			return LUA_OK;
		}
		lua_pop(L, 1);
	}
	return status;
}

/* inherited: the text comes out of an old script. */
static int l_compile(
    lua_State *L, const char *text, size_t n, const char *chunkname, bool inherited)
{
	struct compat_source source;
	bool wrapped, old;
	int status;

	if (n > LIMIT_SCRIPT_BYTES) {
		lua_pushfstring(L, TOO_LONG);
		return LUA_ERRSYNTAX;
	}
	l_charge(L, n * WORK_COMPILE);
	luaL_checkstack(L, LUA_MINSTACK, "compiling");
	if (!compat_rewrite(text, n, l_compat_mode(L), inherited, &source))
		return luaL_error(L, "not enough memory");
	status = l_load_source(L, text, n, &source, chunkname, &wrapped); /* does not raise */
	old = source.old;
	compat_source_free(&source);
	if (wrapped)
		l_compat_unwrap(L);
	if (old && status == LUA_OK)
		l_note_old_chunk(L);
	return status;
}

int l_load_text(lua_State *L, const char *text, size_t n, const char *chunkname)
{
	text = compat_text_start(text, &n);
	return l_compile(L, text, n, chunkname, false);
}

#define PIECE_SLOT 5 /* stack index that keeps the piece alive which the parser reads */

/* load(function): the pieces it returns. Runs protected inside of lua_load(). */
static const char *l_read_piece(lua_State *L, void *arg, size_t *n)
{
	size_t *all = arg;
	const char *piece;

	luaL_checkstack(L, 2, "too many nested functions");
	lua_pushvalue(L, 1);
	lua_call(L, 0, 1);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		*n = 0;
		return NULL;
	}
	if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
		luaL_error(L, "reader function must return a string");
	lua_replace(L, PIECE_SLOT);
	piece = lua_tolstring(L, PIECE_SLOT, n);
	*all += *n;
	if (*all > LIMIT_SCRIPT_BYTES)
		luaL_error(L, TOO_LONG);
	l_charge(L, *n * WORK_COMPILE);
	return piece;
}

void l_set_env(lua_State *L)
{
	const char *name;
	int i = 1;

	while ((name = lua_getupvalue(L, -2, i)) != NULL) {
		lua_pop(L, 1);
		if (strcmp(name, "_ENV") == 0)
			break;
		i++;
	}
	if (name == NULL || lua_setupvalue(L, -2, i) == NULL)
		lua_pop(L, 1);
}

/* In a state that is not ours (module/) liblua gives new functions the globals of their host. */
static int l_of_this_life(lua_State *L, int status)
{
	if (status == LUA_OK && runtime_is_guest(runtime_of(L))) {
		l_push_env(L);
		l_set_env(L);
	}
	return status;
}

/* The function on top gets the environment at index env (0 = keeps the life's) and is the result;
 * or the message on top is. */
static int l_loaded(lua_State *L, int status, int env)
{
	if (status != LUA_OK) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	if (env != 0) {
		lua_pushvalue(L, env);
		l_set_env(L);
	} else {
		l_of_this_life(L, status);
	}
	return 1;
}

/* mode without "t": what the script asks for is never allowed. */
static int l_check_mode(lua_State *L, int arg)
{
	const char *mode = luaL_optstring(L, arg, TEXT_ONLY);

	if (strchr(mode, 't') != NULL)
		return LUA_OK;
	lua_pushfstring(L, "attempt to load a text chunk (mode is '%s')", mode);
	return LUA_ERRSYNTAX;
}

/*** load(chunk [, name [, mode [, environment]]]) -> function or nil, message
 * As in Lua 5.4, but text only: bytecode is refused whatever the mode says. chunk is a string or a
 * function that returns it piece by piece; at most 4 MiB. */
static int l_load(lua_State *L)
{
	int env = lua_isnone(L, 4) ? 0 : 4, status = l_check_mode(L, 3);
	size_t n, all = 0;
	const char *text = lua_tolstring(L, 1, &n);

	if (status != LUA_OK)
		return l_loaded(L, status, 0);
	if (text != NULL) {
		const char *name = luaL_optstring(L, 2, text);

		status = l_compile(L, text, n, name, l_caller_is_old(L));
	} else {
		const char *name = luaL_optstring(L, 2, "=(load)");

		luaL_checktype(L, 1, LUA_TFUNCTION);
		lua_settop(L, PIECE_SLOT);
		status = lua_load(L, l_read_piece, &all, name, TEXT_ONLY);
	}
	return l_loaded(L, status, env);
}

/*** loadstring(text [, name]) -> function or nil, message
 * Lua 5.0 and 5.1: load() of a string. */
static int l_loadstring(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_settop(L, 2);
	return l_load(L);
}

/* ---- files ---- */

static int l_load_script(lua_State *L, const struct script_file *f)
{
	const char *chunkname = lua_pushfstring(L, "@%s", f->name), *text;
	size_t n = f->size;
	bool wrapped;
	int status;

	l_charge(L, n * WORK_COMPILE);
	text = compat_text_start(f->text, &n);
	status = l_load_source(L, text, n, &f->compat, chunkname, &wrapped);
	if (wrapped)
		l_compat_unwrap(L);
	return status;
}

/* Like load() for a file of the script set. Pushes the function, or a message. */
static int l_load_file(lua_State *L, const char *name)
{
	const struct script_set *set = runtime_set(runtime_of(L));
	const struct script_file *f = NULL;

	if (strchr(name, '\\') != NULL)
		name = luaL_gsub(L, name, "\\", "/");
	while (strncmp(name, "./", 2) == 0)
		name += 2;
	if (set != NULL)
		f = script_set_file(set, name);
	if (f == NULL) {
		lua_pushfstring(L, "cannot open %s: not a .lua file in the script directory", name);
		return LUA_ERRFILE;
	}
	return l_of_this_life(L, l_load_script(L, f));
}

/*** loadfile(name [, mode [, environment]]) -> function or nil, message
 * As in Lua 5.4, for the *.lua files of the script directory and of the directories in it; upper
 * and lower case in the name do not matter. */
static int l_loadfile(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	int env = lua_isnone(L, 3) ? 0 : 3, status = l_check_mode(L, 2);

	l_refuse_in_safety_mode(L, "loadfile");
	if (status == LUA_OK)
		status = l_load_file(L, name);
	return l_loaded(L, status, env);
}

/* Also after the file has yielded. */
static int l_dofile_results(lua_State *L, int status, lua_KContext context)
{
	(void)status;
	(void)context;
	return lua_gettop(L);
}

/*** dofile(name) -> results of the file
 * Runs a *.lua file of the script directory. */
static int l_dofile(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	l_refuse_in_safety_mode(L, "dofile");
	lua_settop(L, 1);
	if (l_load_file(L, name) != LUA_OK)
		return lua_error(L);
	lua_replace(L, 1);
	lua_settop(L, 1);
	lua_callk(L, 0, LUA_MULTRET, 0, l_dofile_results);
	return l_dofile_results(L, LUA_OK, 0);
}

/* "a.b" is the file a/b.lua; "a.lua" may be written as it is. */
static const char *l_module_file(lua_State *L, const char *module)
{
	size_t n = strlen(module);

	if (n > 4 && strcasecmp(module + n - 4, ".lua") == 0)
		return module;
	return lua_pushfstring(L, "%s.lua", luaL_gsub(L, module, ".", "/"));
}

/*** require(module) -> value, file name
 * As in Lua 5.4, for the scripts beside this one: require "lists" runs lists.lua of the script
 * directory once in a life and returns what it returned; "a.b" is a/b.lua. */
static int l_require(lua_State *L)
{
	const char *module = luaL_checkstring(L, 1), *file;
	int status;

	l_refuse_in_safety_mode(L, "require");
	lua_settop(L, 1);
	l_life_get(L, LIFE_LOADED); /* at 2 */
	lua_getfield(L, 2, module);
	if (lua_toboolean(L, -1))
		return 1;
	lua_settop(L, 2);
	file = l_module_file(L, module);
	status = l_load_file(L, file);
	if (status == LUA_ERRFILE)
		return luaL_error(L, "module '%s' not found: %s", module, lua_tostring(L, -1));
	if (status != LUA_OK)
		return luaL_error(L, "module '%s': %s", module, lua_tostring(L, -1));
	lua_pushvalue(L, 1);
	lua_pushstring(L, file);
	lua_call(L, 2, 1);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_getfield(L, 2, module); /* the file may have set it */
	}
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_pushboolean(L, 1);
	}
	lua_pushvalue(L, -1);
	lua_setfield(L, 2, module);
	lua_pushstring(L, file);
	return 2;
}

static const struct library_row rows[] = {
    {"dofile", l_dofile},
    {"load", l_load},
    {"loadfile", l_loadfile},
    {"require", l_require},
    {NULL, NULL},
};

const struct library library_load = {"_G", rows};

static const struct library_row old_rows[] = {
    {"loadstring", l_loadstring},
    {NULL, NULL},
};

const struct library library_compat_load = {"_G", old_rows};
