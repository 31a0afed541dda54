/* check_names.c - names that scripts use and that do not exist.
 *
 * A global variable exists when the environment has it, a script's documentation names it, any
 * file of the directory assigns to it, or the script has left it behind after its top level. A name
 * that a script tests anywhere ("if unpack then") is its own affair. */
#include "common/near.h"
#include "lua-bindings/check/check_private.h"
#include "lua-bindings/script_files.h"

#include <stdlib.h>
#include <string.h>

#define LETTERS_PER_MISTAKE 6 /* of a variable that is only assigned to; fewer: another name */

/* Libraries whose fields are looked at; a script's own tables are not. */
static const char *const libraries[] = {"VPOP3", "VPOP3Net", "mailhooks", "string", "table", "math",
    "io", "os", "coroutine", "utf8", "bit32", "debug"};

/* They exist and raise an error (lib/disabled.h). */
static const struct {
	const char *name, *instead;
} disabled[] = {
    {"io.popen", "os.timedexecute(program, milliseconds) runs a program"},
    {"os.execute", "os.timedexecute(program, milliseconds) runs a program"},
    {"os.exit", "return from the hook, or raise error(message)"},
    {"os.popen", "os.timedexecute(program, milliseconds) runs a program"},
    {"os.setlocale", "the locale belongs to the whole process"},
};

static bool is_library(const char *table)
{
	for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++)
		if (strcmp(libraries[i], table) == 0)
			return true;
	return false;
}

void l_check_list_names(lua_State *L, struct strlist *names)
{
	int env = lua_gettop(L);

	for (lua_pushnil(L); lua_next(L, env) != 0; lua_pop(L, 1)) {
		const char *table;

		if (lua_type(L, -2) != LUA_TSTRING)
			continue;
		table = lua_tostring(L, -2);
		strlist_add(names, table);
		if (!lua_istable(L, -1) || !is_library(table))
			continue;
		for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
			if (lua_type(L, -2) == LUA_TSTRING) {
				char *name = xasprintf("%s.%s", table, lua_tostring(L, -2));

				strlist_add(names, name);
				free(name);
			}
	}
}

static bool same_table(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Is the name used like this by any file? */
static bool any_use(
    const struct checker *c, const char *table, const char *name, bool assigned, bool tested)
{
	for (size_t i = 0; i < script_set_files(c->set)->n; i++)
		for (size_t k = 0; k < c->files[i].uses.n; k++) {
			const struct code_use *u = &c->files[i].uses.v[k];

			if (u->assigned == assigned && u->tested == tested &&
			    same_table(u->table, table) && strcmp(u->name, name) == 0)
				return true;
		}
	return false;
}

bool check_uses(const struct checker *c, const char *name)
{
	return any_use(c, NULL, name, false, false) || any_use(c, NULL, name, false, true);
}

static bool exists(
    const struct checker *c, const struct code_use *u, const char *name, const struct strlist *env)
{
	return strlist_has(&c->given, name) || strlist_has(&c->documented, name) ||
	       (env != NULL && strlist_has(env, name)) ||
	       any_use(c, u->table, u->name, true, false) ||
	       any_use(c, u->table, u->name, false, true);
}

/* The nearest name of the list, NULL when none is near; fields only among those of their table. */
static const char *nearest(
    const struct strlist *names, const char *name, const char *found, size_t *best)
{
	size_t table = strcspn(name, ".");

	for (size_t i = 0; i < names->n; i++) {
		const char *other = names->v[i];
		size_t d;

		if (strcspn(other, ".") != strlen(other) &&
		    strncmp(other, name, table + (name[table] == '.')) != 0)
			continue;
		d = near_name(name, other);
		if (d < *best) {
			*best = d;
			found = other;
		}
	}
	return found;
}

static void report(struct checker *c, const struct code_use *u, const char *name, const char *file,
    const struct strlist *env)
{
	size_t best = strlen(u->name) / 3 + 1; /* farther away is no likeness */
	const char *meant = nearest(&c->given, name, NULL, &best);

	meant = nearest(&c->documented, name, meant, &best);
	if (env != NULL && u->table == NULL)
		meant = nearest(env, name, meant, &best);
	if (u->table != NULL)
		check_add(c->report, CHECK_FIELD, file, u->line, xasprintf("there is no %s", name),
		    meant != NULL ? "did you mean %s?" : "doc/functions.md lists what there is%.0s",
		    meant != NULL ? meant : "");
	else
		check_add(c->report, CHECK_GLOBAL, file, u->line,
		    xasprintf("global variable %s is read, but nothing gives it a value", name),
		    meant != NULL ? "did you mean %s?"
				  : "assign to it first, or declare it with local%.0s",
		    meant != NULL ? meant : "");
}

static void check_disabled(
    struct checker *c, const struct code_use *u, const char *name, const char *file)
{
	for (size_t i = 0; i < sizeof disabled / sizeof *disabled; i++)
		if (strcmp(disabled[i].name, name) == 0)
			check_add(c->report, CHECK_REFUSED, file, u->line,
			    xasprintf("%s is disabled and raises an error", name), "%s",
			    disabled[i].instead);
}

char *check_assigned_at(
    const struct checker *c, const struct script *s, const char *name, int *line)
{
	const struct script_files *files = script_set_files(c->set);

	for (size_t i = 0; i < files->n; i++)
		for (size_t k = 0; k < c->files[i].uses.n; k++) {
			const struct code_use *u = &c->files[i].uses.v[k];

			if (!u->assigned || u->table != NULL || strcmp(u->name, name) != 0)
				continue;
			*line = u->line;
			return xasprintf(
			    "%s/%s", script_set_config(c->set)->scripts, files->v[i].name);
		}
	*line = 0;
	return xstrdup(s->path);
}

/* A variable that gets a value which nobody reads, and that is nearly one of ours. */
static void check_unread(struct checker *c, const struct code_use *u, const char *file)
{
	size_t best = strlen(u->name) / LETTERS_PER_MISTAKE + 1;
	const char *meant = NULL;

	if (u->table != NULL || strlist_has(&c->given, u->name) ||
	    strlist_has(&c->documented, u->name) || check_uses(c, u->name) ||
	    check_is_hook(u->name))
		return;
	for (size_t i = 0; i < c->documented.n; i++) {
		const char *name = c->documented.v[i];
		size_t d = near_name(name, u->name);

		if (d < best && !strlist_has(&c->given, name)) {
			best = d;
			meant = name;
		}
	}
	if (meant != NULL)
		check_add(c->report, CHECK_GLOBAL, file, u->line,
		    xasprintf("global variable %s gets a value, but nothing reads it", u->name),
		    "did you mean %s?", meant);
}

void check_names(struct checker *c, size_t file, const struct strlist *env)
{
	const struct script_file *f = &script_set_files(c->set)->v[file];
	const struct code_uses *uses = &c->files[file].uses;
	char *path = xasprintf("%s/%s", script_set_config(c->set)->scripts, f->name);

	for (size_t i = 0; i < uses->n; i++) {
		const struct code_use *u = &uses->v[i];
		char *name;

		if (u->assigned)
			check_unread(c, u, path);
		if (u->assigned || u->tested || (u->table != NULL && !is_library(u->table)))
			continue;
		name = u->table != NULL ? xasprintf("%s.%s", u->table, u->name) : xstrdup(u->name);
		if (!exists(c, u, name, env))
			report(c, u, name, path, env);
		else
			check_disabled(c, u, name, path);
		free(name);
	}
	free(path);
}
