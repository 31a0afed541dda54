/* check_hooks.c - functions of a script that are nearly hooks, and the parameters of those that
 * are.
 */
#include "common/near.h"
#include "lua-bindings/check/check_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NEAR 2 /* letters */

/* A global function of the script. */
struct defined {
	const char *name, *path;
	int line, parameters;
	bool vararg;
};

static int count_arguments(const struct script_hook *hook)
{
	int n = 0;

	for (const char *p = hook->arguments; (p = strchr(p, ':')) != NULL; p++)
		n++;
	return n;
}

static const struct script_hook *find(const struct script_definition *d, const char *name)
{
	for (const struct script_hook *h = d->hooks; h->name != NULL; h++)
		if (strcmp(h->name, name) == 0)
			return h;
	return NULL;
}

bool check_is_hook(const char *name)
{
	for (int i = 0; i < SCRIPT_COUNT; i++)
		if (find(script_set_definition((enum script_id)i), name) != NULL)
			return true;
	return false;
}

/* The hook that was probably meant: another case, or a letter or two. */
static const struct script_hook *nearly(const struct script_definition *d, const char *name)
{
	const struct script_hook *found = NULL;
	size_t best = strlen(name) > 4 ? NEAR + 1 : 1;

	for (const struct script_hook *h = d->hooks; h->name != NULL; h++) {
		size_t distance = strcasecmp(h->name, name) == 0 ? 0 : near_distance(h->name, name);

		if (distance < best) {
			best = distance;
			found = h;
		}
	}
	return found;
}

static void check_parameters(
    struct checker *c, const struct defined *f, const struct script_hook *hook)
{
	int most = count_arguments(hook);

	if (f->parameters <= most || f->vararg)
		return;
	check_add(c->report, CHECK_PARAMETERS, f->path, f->line,
	    xasprintf("%s has %d parameter%s and is called with %d argument%s; the others are nil",
		f->name, f->parameters, f->parameters == 1 ? "" : "s", most, most == 1 ? "" : "s"),
	    "the call is %s(%s)", hook->name, hook->arguments);
}

static void check_other(struct checker *c, const struct script *s, const struct defined *f)
{
	const struct script_hook *meant = nearly(s->definition, f->name);

	if (meant != NULL && (strcasecmp(meant->name, f->name) == 0 || !check_uses(c, f->name))) {
		check_add(c->report, CHECK_HOOK_NAME, f->path, f->line,
		    xasprintf("function %s is no hook of %s and is never called", f->name,
			s->definition->file),
		    "did you mean %s?", meant->name);
		return;
	}
	for (int i = 0; i < SCRIPT_COUNT && !check_uses(c, f->name); i++)
		if (find(script_set_definition((enum script_id)i), f->name) != NULL) {
			const char *file = script_set_definition((enum script_id)i)->file;

			check_add(c->report, CHECK_OTHER_HOOK, f->path, f->line,
			    xasprintf("function %s is a hook of %s, not of %s", f->name, file,
				s->definition->file),
			    "move it to %s", file);
			return;
		}
}

/* DoNOOP = print: a library function, not one of the script. */
static void check_foreign(struct checker *c, const struct script *s, const char *name, bool is_hook)
{
	struct defined f = {.name = name};
	char *path = check_assigned_at(c, s, name, &f.line);

	f.path = path;
	if (is_hook)
		check_add(c->report, CHECK_HOOK_VALUE, path, f.line,
		    xasprintf("%s is a library function, which knows nothing of hooks", name),
		    "write function %s(...) and call it in there, if that is meant", name);
	else
		check_other(c, s, &f);
	free(path);
}

/* DoNOOP = "250 fine": the value on top is no function. */
static void l_check_no_function(lua_State *L, struct checker *c, const struct script *s)
{
	const char *name = lua_tostring(L, -2);
	const struct script_hook *hook = find(s->definition, name);
	char *path;
	int line;

	if (hook == NULL)
		return;
	path = check_assigned_at(c, s, name, &line);
	check_add(c->report, CHECK_HOOK_VALUE, path, line,
	    xasprintf(
		"%s is a %s, not a function, and is never called", name, luaL_typename(L, -1)),
	    "write function %s(%s)", hook->name, hook->arguments);
	free(path);
}

/* The function on top, whose name is below it. */
static void l_check_function(
    lua_State *L, struct checker *c, const struct script *s, struct strlist *hooks)
{
	struct defined f = {.name = lua_tostring(L, -2)};
	const struct script_hook *hook = find(s->definition, f.name);
	lua_Debug ar;
	char *path;

	lua_pushvalue(L, -1);
	lua_getinfo(L, ">uS", &ar);
	if (hook != NULL)
		strlist_add(hooks, f.name);
	if (*ar.what == 'C') {
		check_foreign(c, s, f.name, hook != NULL);
		return;
	}
	path = ar.source[0] == '@' && check_is_file(c, ar.source + 1)
		   ? xasprintf("%s/%s", script_set_config(c->set)->scripts, ar.source + 1)
		   : xstrdup(s->path);
	f.path = path;
	f.line = ar.linedefined;
	f.parameters = ar.nparams;
	f.vararg = ar.isvararg;
	if (hook != NULL)
		check_parameters(c, &f, hook);
	else
		check_other(c, s, &f);
	free(path);
}

void l_check_hooks(lua_State *L, struct checker *c, const struct script *s, struct strlist *hooks)
{
	l_push_env(L);
	for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
		if (lua_type(L, -2) != LUA_TSTRING || strlist_has(&c->given, lua_tostring(L, -2)))
			continue;
		else if (lua_isfunction(L, -1))
			l_check_function(L, c, s, hooks);
		else
			l_check_no_function(L, c, s);
	lua_pop(L, 1);
}
