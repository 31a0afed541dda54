/* module.c - `require "mailhooks"` for the stock Lua 5.4: scripts in their author's editor.
 *
 * The functions of mail scripts work in a Lua state that is not ours, so a debugger and a coverage
 * tool of that Lua see the script. What scripts find is prepared in that state as in one of our
 * own, while the places of the registry that both use are put aside; l_borrow() and l_give_back()
 * do that. There are no budgets here: whoever tests sits before it. doc/testing-scripts.md is the
 * manual. One Lua state of a process may require this at a time, in one thread. */
#include "common/log.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/lib/load.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#define GUEST "mailhooks guest" /* metatable of what belongs to this state */

struct guest {
	struct runtime *rt;
	struct script_set *set;
};

__attribute__((visibility("default"))) int luaopen_mailhooks(lua_State *L);

static const char guest_key; /* of the registry */

/* ---- what both of us use ---- */

static const char *const shared_fields[] = {
    LUA_LOADED_TABLE, LUA_FILEHANDLE, "_IO_input", "_IO_output"};

#define SHARED_FIELDS (sizeof shared_fields / sizeof *shared_fields)
#define BORROWED ((int)SHARED_FIELDS + 3) /* values that l_borrow() leaves on the stack */

/* Put the host's globals, libraries, file handles and string methods aside, on the stack. */
static void l_borrow(lua_State *L)
{
	luaL_checkstack(L, BORROWED + LUA_MINSTACK, "require \"mailhooks\"");
	for (size_t i = 0; i < SHARED_FIELDS; i++) {
		lua_getfield(L, LUA_REGISTRYINDEX, shared_fields[i]);
		lua_pushnil(L);
		lua_setfield(L, LUA_REGISTRYINDEX, shared_fields[i]);
	}
	lua_newtable(L);
	lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_newtable(L);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pushliteral(L, "");
	if (!lua_getmetatable(L, -1))
		lua_newtable(L);
	lua_remove(L, -2);
	lua_getfield(L, -1, "__index");
}

/* From the stack, above which there may be one value: it stays. */
static void l_give_back(lua_State *L, int at)
{
	lua_pushvalue(L, at + (int)SHARED_FIELDS + 2);
	lua_setfield(L, at + (int)SHARED_FIELDS + 1, "__index");
	lua_pushliteral(L, "");
	lua_pushvalue(L, at + (int)SHARED_FIELDS + 1);
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
	lua_pushvalue(L, at + (int)SHARED_FIELDS);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	for (int i = 0; i < (int)SHARED_FIELDS; i++) {
		lua_pushvalue(L, at + i);
		lua_setfield(L, LUA_REGISTRYINDEX, shared_fields[i]);
	}
	for (int i = 0; i < BORROWED; i++)
		lua_remove(L, at);
}

/* ---- environments ---- */

static struct guest *l_guest(lua_State *L)
{
	struct guest *g;

	lua_rawgetp(L, LUA_REGISTRYINDEX, &guest_key);
	g = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return g;
}

/* A new environment on top; the one before is at its end. */
static void l_open_environment(lua_State *L, bool first)
{
	int at = lua_gettop(L) + 1;

	l_borrow(L);
	if (!first)
		l_sandbox_close(L);
	lua_newtable(L);
	l_sandbox_open(L, false);
	lua_settop(L, at + BORROWED); /* the environment */
	l_give_back(L, at);
	lua_pushvalue(L, -1);
	l_guest_environment(L);
}

static void l_prepare(lua_State *L)
{
	int at = lua_gettop(L) + 1;

	l_borrow(L);
	l_sandbox_prepare(L);
	l_give_back(L, at);
}

/* ---- options ---- */

static const char *l_option(lua_State *L, int options, const char *field)
{
	const char *text;

	lua_getfield(L, options, field);
	text = lua_tostring(L, -1); /* the table keeps it */
	lua_pop(L, 1);
	return text;
}

/* options: {config = FILE, scripts = DIRECTORY, as = FILE, "section.name=value", ...}. Nothing here
 * raises between the first and the last use of o but for want of memory. */
static struct config *l_load_config(lua_State *L, int options, char *error, size_t size)
{
	struct config_overrides o = {STRLIST_INIT};
	struct config *config;
	const char *path = l_option(L, options, "config");
	const char *scripts = l_option(L, options, "scripts");

	if (scripts == NULL && path == NULL)
		scripts = ".";
	if (scripts != NULL) {
		char *item = xasprintf("scripts=%s", scripts);

		strlist_add(&o.items, item);
		free(item);
	}
	for (int i = 1; lua_rawgeti(L, options, i) == LUA_TSTRING; i++) {
		strlist_add(&o.items, lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	config = config_load(path, &o, error, size);
	strlist_clear(&o.items);
	return config;
}

static bool l_says_where(lua_State *L, int options)
{
	bool settings = lua_rawgeti(L, options, 1) != LUA_TNIL;

	lua_pop(L, 1);
	return settings || l_option(L, options, "config") != NULL ||
	       l_option(L, options, "scripts") != NULL;
}

/* The scripts that the options name, else those of before; at first the current directory. options
 * is the index of a table. */
static void l_configure(lua_State *L, int options)
{
	struct guest *g = l_guest(L);
	struct script_set *set = NULL;
	struct config *config;
	char error[1000];

	if (g->set != NULL && !l_says_where(L, options))
		return;
	config = l_load_config(L, options, error, sizeof error);
	if (config != NULL)
		set = script_set_open(config, error, sizeof error);
	config_unref(config);
	if (set == NULL)
		luaL_error(L, "%s", error);
	runtime_guest_set(g->rt, set);
	script_set_unref(g->set);
	g->set = set;
}

/* The last argument, a table. */
static void l_options(lua_State *L, int index)
{
	lua_settop(L, index);
	if (lua_isnil(L, index)) {
		lua_newtable(L);
		lua_replace(L, index);
	}
	luaL_checktype(L, index, LUA_TTABLE);
}

/* ---- what the module has ---- */

static int l_environment(lua_State *L)
{
	l_options(L, 1);
	l_configure(L, 1);
	l_open_environment(L, false);
	return 1;
}

/* The documented global variables of a script that we know, with sample values, into the
 * environment on top. */
static void l_sample(lua_State *L, const struct script_set *set, const char *name)
{
	int at = lua_gettop(L) + 1;

	lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
	lua_pushvalue(L, -2);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); /* sample code is compiled there */
	for (int i = 0; i < script_set_count(set); i++) {
		const struct script *s = script_set_script(set, (enum script_id)i);

		if (strcasecmp(s->label, name) == 0) {
			l_script_sample(L, s->definition, script_set_config(set));
			break;
		}
	}
	lua_settop(L, at);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

static int l_script(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1), *as;
	const struct script_file *f;
	const struct guest *g;

	l_options(L, 2);
	l_configure(L, 2);
	g = l_guest(L);
	f = script_set_file(g->set, name);
	if (f == NULL)
		return luaL_error(
		    L, "there is no %s in %s", name, script_set_config(g->set)->scripts);
	l_open_environment(L, false); /* at 3 */
	as = l_option(L, 2, "as");
	l_sample(L, g->set, as != NULL ? as : name);
	if (l_load_text(L, f->text, f->size, lua_pushfstring(L, "@%s", f->name)) != LUA_OK)
		return lua_error(L);
	lua_pushvalue(L, 3);
	l_set_env(L);
	lua_call(L, 0, 0);
	lua_settop(L, 3);
	return 1;
}

static const luaL_Reg functions[] = {
    {"environment", l_environment},
    {"script", l_script},
    {NULL, NULL},
};

/* ---- require ---- */

static int l_close(lua_State *L)
{
	struct guest *g = lua_touserdata(L, 1);

	if (g->rt != NULL) {
		luaout_capture(NULL, NULL);
		script_set_unref(g->set);
		runtime_abandon(g->rt);
		g->rt = NULL;
	}
	return 0;
}

static void print_line(const char *text, size_t n, void *arg)
{
	(void)arg;
	fwrite(text, 1, n, stdout);
	putchar('\n');
}

/* What is missing in the table at `to` from that at `from`; libraries one level down, too. */
static void l_complete(lua_State *L, int to, int from, bool libraries)
{
	for (lua_pushnil(L); lua_next(L, from) != 0; lua_settop(L, -2)) {
		int value = lua_gettop(L);

		lua_pushvalue(L, -2);
		if (lua_rawget(L, to) == LUA_TNIL) {
			lua_pushvalue(L, value - 1);
			lua_pushvalue(L, value);
			lua_rawset(L, to);
		} else if (libraries && lua_istable(L, value) && lua_istable(L, -1) &&
			   !lua_rawequal(L, -1, to)) {
			l_complete(L, lua_gettop(L), value, false);
		}
		lua_settop(L, value);
	}
}

int luaopen_mailhooks(lua_State *L)
{
	struct guest *g = lua_newuserdatauv(L, sizeof *g, 0);

	*g = (struct guest){NULL, NULL};
	if (luaL_newmetatable(L, GUEST)) {
		lua_pushcfunction(L, l_close);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	g->rt = runtime_adopt(L);
	if (g->rt == NULL)
		return luaL_error(L, "not enough memory");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &guest_key);
	log_open("mailhooks", LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_WARN);
	luaout_capture(print_line, NULL);
	l_prepare(L);
	l_open_environment(L, true);
	lua_getfield(L, -1, "mailhooks");
	luaL_setfuncs(L, functions, 0); /* the table of this environment only */
	lua_insert(L, -2);
	lua_pushglobaltable(L);
	l_complete(L, lua_gettop(L), lua_gettop(L) - 1, true);
	lua_pop(L, 2);
	return 1;
}
