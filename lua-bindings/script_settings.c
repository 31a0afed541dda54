/* script_settings.c - the settings of users that user_redirect.lua declares.
 *
 * VPOP3 calls MainGetSettings() (MailGetSettings() in another place of its manual) when a user's
 * settings are shown; what it returns is not documented. Our reading: a list of names, or of tables
 * with Name, Default and Description; or a table of name = default. It is called once, when the
 * script is loaded, so that UserSettings is there for the top-level code of every later run. */
#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set_private.h"

#include <stdlib.h>
#include <string.h>

struct noted {
	struct script *script;
	bool wrong;
};

/* The text at index as the host keeps settings; NULL: it is none. */
static const char *l_text(lua_State *L, int index)
{
	const char *text;
	size_t n;

	if (lua_type(L, index) == LUA_TBOOLEAN)
		return lua_toboolean(L, index) ? "true" : "false";
	if (l_to_string(L, index, &text, &n) != GIVEN || strlen(text) != n ||
	    n > LIMIT_STORE_VALUE_BYTES)
		return NULL;
	return text;
}

static void add(struct noted *n, const char *name, const char *preset, const char *help)
{
	struct script *s = n->script;

	if (name == NULL || *name == '\0' || strlen(name) > LIMIT_STORE_KEY_BYTES ||
	    s->nsettings >= LIMIT_SCRIPT_SETTINGS) {
		n->wrong = true;
		return;
	}
	s->settings = xgrow(s->settings, s->nsettings, sizeof *s->settings);
	s->settings[s->nsettings++] = (struct script_setting){.name = xstrdup(name),
	    .preset = xstrdup(preset != NULL ? preset : ""),
	    .help = xstrdup(help != NULL ? help : "")};
}

static const char *l_field(lua_State *L, int table, const char *name)
{
	lua_pushstring(L, name);
	lua_rawget(L, table);
	return l_text(L, -1); /* stays on the stack, and so alive */
}

/* One entry; key and value are at the top of the stack. */
static void l_entry(lua_State *L, struct noted *n)
{
	int value = lua_gettop(L), key = value - 1;
	bool named = lua_type(L, key) == LUA_TSTRING;
	const char *name = named ? lua_tostring(L, key) : NULL;

	luaL_checkstack(L, 10, "settings");
	if (lua_istable(L, value)) {
		if (!named)
			name = l_field(L, value, "Name");
		add(n, name, l_field(L, value, "Default"), l_field(L, value, "Description"));
	} else {
		lua_pushvalue(L, value);
		if (named)
			add(n, name, l_text(L, -1), NULL);
		else
			add(n, l_text(L, -1), NULL, NULL);
	}
	lua_settop(L, key);
}

static int by_name(const void *a, const void *b)
{
	const struct script_setting *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void l_take(lua_State *L, int first, int nresults, void *arg)
{
	struct noted *n = arg;

	if (nresults == 0 || lua_isnil(L, first))
		return;
	if (!lua_istable(L, first)) {
		n->wrong = true;
		return;
	}
	for (lua_pushnil(L); lua_next(L, first) != 0;)
		l_entry(L, n);
	if (n->script->nsettings > 1) /* a table has no order of its own */
		qsort(n->script->settings, n->script->nsettings, sizeof *n->script->settings,
		    by_name);
}

void script_settings_note(struct runtime *rt, struct script *s, const struct run_budget *budget)
{
	static const char *const hooks[] = {"MainGetSettings", "MailGetSettings"};
	struct noted n = {.script = s};
	struct run_call call = {.l_take = l_take, .arg = &n};
	enum run_result result = RUN_ABSENT;

	if (s->definition->hooks != user_redirect_script_hooks)
		return;
	for (size_t i = 0; result == RUN_ABSENT && i < sizeof hooks / sizeof *hooks; i++) {
		call.function = hooks[i];
		result = runtime_call(rt, &call, budget, NULL, 0);
	}
	if (result != RUN_ABSENT && (result != RUN_OK || n.wrong))
		log_warn(NULL,
		    "script %s: %s() does not give a list of settings (doc/hooks-routing.md "
		    "says what it may give); those that could not be read are unknown",
		    s->label, call.function);
}

void script_settings_free(struct script *s)
{
	for (size_t i = 0; i < s->nsettings; i++) {
		free(s->settings[i].name);
		free(s->settings[i].preset);
		free(s->settings[i].help);
	}
	free(s->settings);
	s->settings = NULL;
	s->nsettings = 0;
}
