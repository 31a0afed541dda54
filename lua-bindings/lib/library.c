/* library.c - see library.h: the stock functions of liblua.
 *
 * liblua exports its libraries as a whole only, so they are opened while a state is prepared, the
 * functions are picked out, and the tables are dropped. */
#include "lua-bindings/lib/library.h"

#include <lauxlib.h>
#include <lualib.h>

#include <pthread.h>
#include <string.h>

struct source {
	const char *library, *name; /* NULL: found in another way */
};

static const struct source sources[STOCK_FUNCTIONS] = {
    [STOCK_ERROR] = {"_G", "error"},
    [STOCK_SELECT] = {"_G", "select"},
    [STOCK_SETMETATABLE] = {"_G", "setmetatable"},
    [STOCK_TONUMBER] = {"_G", "tonumber"},
    [STOCK_XPCALL] = {"_G", "xpcall"},
    [STOCK_MATH_FMOD] = {"math", "fmod"},
    [STOCK_MATH_MAX] = {"math", "max"},
    [STOCK_MATH_MIN] = {"math", "min"},
    [STOCK_COROUTINE_CLOSE] = {"coroutine", "close"},
    [STOCK_COROUTINE_CREATE] = {"coroutine", "create"},
    [STOCK_COROUTINE_RESUME] = {"coroutine", "resume"},
    [STOCK_STRING_BYTE] = {"string", "byte"},
    [STOCK_STRING_CHAR] = {"string", "char"},
    [STOCK_STRING_FORMAT] = {"string", "format"},
    [STOCK_STRING_LOWER] = {"string", "lower"},
    [STOCK_STRING_PACK] = {"string", "pack"},
    [STOCK_STRING_PACKSIZE] = {"string", "packsize"},
    [STOCK_STRING_REVERSE] = {"string", "reverse"},
    [STOCK_STRING_SUB] = {"string", "sub"},
    [STOCK_STRING_UNPACK] = {"string", "unpack"},
    [STOCK_STRING_UPPER] = {"string", "upper"},
    [STOCK_UTF8_CHAR] = {"utf8", "char"},
    [STOCK_UTF8_CODEPOINT] = {"utf8", "codepoint"},
    [STOCK_UTF8_CODES] = {"utf8", "codes"},
    [STOCK_UTF8_LEN] = {"utf8", "len"},
    [STOCK_UTF8_OFFSET] = {"utf8", "offset"},
    [STOCK_DEBUG_TRACEBACK] = {"debug", "traceback"},
    [STOCK_OS_DATE] = {"os", "date"},
    [STOCK_OS_DIFFTIME] = {"os", "difftime"},
    [STOCK_OS_TIME] = {"os", "time"},
    [STOCK_FILE_READ] = {"file", "read"},
    [STOCK_FILE_SEEK] = {"file", "seek"},
    [STOCK_FILE_SETVBUF] = {"file", "setvbuf"},
    [STOCK_FILE_WRITE] = {"file", "write"},
};

static const luaL_Reg openers[] = {
    {"_G", luaopen_base},
    {"string", luaopen_string},
    {"table", luaopen_table},
    {"math", luaopen_math},
    {"utf8", luaopen_utf8},
    {"coroutine", luaopen_coroutine},
    {"debug", luaopen_debug},
    {"os", luaopen_os},
    {"io", luaopen_io},
    {NULL, NULL},
};

/* Written once, by the first state; whoever calls l_stock() has prepared a state before. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static lua_CFunction functions[STOCK_FUNCTIONS];

/* The methods of stock file handles as library "file"; what luaopen_io() puts into the registry
 * goes. */
static void l_take_file_methods(lua_State *L)
{
	static const char *const left[] = {LUA_FILEHANDLE, "_IO_input", "_IO_output"};

	luaL_getmetatable(L, LUA_FILEHANDLE);
	lua_getfield(L, -1, "__index");
	lua_setfield(L, -3, "file");
	lua_pop(L, 1);
	for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
		lua_pushnil(L);
		lua_setfield(L, LUA_REGISTRYINDEX, left[i]);
	}
}

/* The iterator that utf8.codes() gives, from the table of libraries on top. */
static lua_CFunction l_utf8_iterator(lua_State *L, int lax)
{
	int top = lua_gettop(L);
	lua_CFunction iterator;

	lua_getfield(L, -1, "utf8");
	lua_getfield(L, -1, "codes");
	lua_pushliteral(L, "");
	lua_pushboolean(L, lax);
	lua_call(L, 2, 1);
	iterator = lua_tocfunction(L, -1);
	lua_settop(L, top);
	return iterator;
}

static lua_CFunction l_pick(lua_State *L, const struct source *from)
{
	lua_CFunction function;

	lua_getfield(L, -1, from->library);
	lua_getfield(L, -1, from->name);
	function = lua_tocfunction(L, -1);
	lua_pop(L, 2);
	if (function == NULL)
		luaL_error(L, "liblua has no %s.%s", from->library, from->name);
	return function;
}

void l_stock_open(lua_State *L)
{
	lua_CFunction found[STOCK_FUNCTIONS];

	lua_newtable(L);
	for (const luaL_Reg *o = openers; o->name != NULL; o++) {
		lua_pushcfunction(L, o->func);
		lua_call(L, 0, 1);
		lua_setfield(L, -2, o->name);
	}
	l_take_file_methods(L);
	for (int i = 0; i < STOCK_FUNCTIONS; i++)
		found[i] = sources[i].name != NULL ? l_pick(L, &sources[i]) : NULL;
	found[STOCK_UTF8_NEXT] = l_utf8_iterator(L, 0);
	found[STOCK_UTF8_NEXT_LAX] = l_utf8_iterator(L, 1);
	pthread_mutex_lock(&lock);
	if (functions[0] == NULL)
		memcpy(functions, found, sizeof functions);
	pthread_mutex_unlock(&lock);
}

int l_stock(lua_State *L, enum stock_function f)
{
	return functions[f](L);
}
