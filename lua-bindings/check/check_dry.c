/* check_dry.c - calls on trial: each hook with sample arguments, and what came back.
 *
 * All in one instance and in the order of the hooks, as a session would, so that what one leaves in
 * global variables is there for the next. What the results may be is decided by the functions that
 * read them from real hooks (convert.h, reply.h). */
#include "common/clock.h"
#include "common/reply.h"
#include "lua-bindings/check/check_private.h"
#include "lua-bindings/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trial {
	const struct script_hook *hook;
	char wrong[300];	    /* about a result; "" = all are right */
	struct wrong_values fields; /* of a table that the hook got, and may give back */
};

static const char record_key; /* of the registry: the table with fixed fields that the hook got */

/* ---- arguments ---- */

/* Tables are as forgiving as those that the host makes. */
static void l_as_from_host(lua_State *L, int index)
{
	if (!lua_istable(L, index))
		return;
	if (lua_rawlen(L, index) > 0)
		l_iterable(L, index);
	else
		l_ignore_key_case(L, index);
}

/* Which of "name: type, name: type" is a table with fixed fields, from 0 on; -1: none. name is its
 * name, n bytes. */
static int record_of(const char *names, const char **name, size_t *n)
{
	for (int i = 0; *names != '\0'; i++) {
		*name = names;
		*n = strcspn(names, ":");
		if (check_is_record(*name, *n))
			return i;
		names += strcspn(names, ",");
		names += strspn(names, ", ");
	}
	return -1;
}

/* Push the sample arguments. */
static void l_samples(lua_State *L, const struct script_hook *hook)
{
	lua_pushfstring(L, "return %s", hook->sample);
	if (luaL_loadbufferx(L, lua_tostring(L, -1), lua_rawlen(L, -1), "=sample", "t") != LUA_OK)
		lua_error(L);
	lua_remove(L, -2);
	lua_call(L, 0, LUA_MULTRET);
}

static int l_arguments(lua_State *L, void *arg)
{
	const struct trial *t = arg;
	int top = lua_gettop(L), record;
	const char *name;
	size_t n;

	l_samples(L, t->hook);
	record = record_of(t->hook->arguments, &name, &n);
	if (record >= 0) {
		lua_pushvalue(L, top + 1 + record);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &record_key);
	}
	for (int i = top + 1; i <= lua_gettop(L); i++)
		l_as_from_host(L, i);
	return lua_gettop(L) - top;
}

/* ---- results ---- */

static bool l_is_text(lua_State *L, int index)
{
	const char *text;
	size_t n;

	return l_to_string(L, index, &text, &n) != GIVEN_WRONG;
}

static bool l_is_number(lua_State *L, int index)
{
	int64_t number;

	return l_to_whole(L, index, &number) != GIVEN_WRONG;
}

static bool l_is_boolean(lua_State *L, int index)
{
	bool boolean;

	return l_to_bool(L, index, &boolean) != GIVEN_WRONG;
}

static bool l_is_list(lua_State *L, int index)
{
	struct strlist list = STRLIST_INIT;
	enum given given = lua_isnil(L, index) ? NOT_GIVEN : l_to_list(L, index, &list);

	strlist_clear(&list);
	return given != GIVEN_WRONG;
}

static bool l_is_table(lua_State *L, int index)
{
	return lua_isnil(L, index) || lua_istable(L, index);
}

static bool l_is_reply(lua_State *L, int index)
{
	const char *text;
	size_t n;
	struct reply reply = {0};
	unsigned problems;
	enum reply_parsed parsed = REPLY_OK;

	if (lua_isboolean(L, index))
		return true;
	if (l_to_string(L, index, &text, &n) == GIVEN_WRONG)
		return false;
	if (!lua_isnil(L, index) && n > 0) {
		parsed = reply_parse(&reply, text, n, &problems);
		reply_free(&reply);
	}
	return parsed != REPLY_NONSENSE;
}

static const struct result_type {
	const char *name, *wanted;
	bool (*l_is)(lua_State *L, int index);
} types[] = {
    {"string", "a string", l_is_text},
    {"number", "a number", l_is_number},
    {"boolean", "true or false", l_is_boolean},
    {"list", "a list of strings", l_is_list},
    {"table", "a table", l_is_table},
    {"reply", "an SMTP reply, a code from 200 to 599 and text", l_is_reply},
};

/* "name: type, name: type": the n-th type, NULL for any or none. */
static const struct result_type *type_of(const char *results, int n)
{
	const char *p = results;

	for (int i = 0; (p = strchr(p, ':')) != NULL; i++) {
		p += 2;
		for (size_t k = 0; i == n && k < sizeof types / sizeof *types; k++)
			if (strncmp(p, types[k].name, strlen(types[k].name)) == 0)
				return &types[k];
		if (i == n)
			return NULL;
	}
	return NULL;
}

/* The fields of the table that came back, or else of the one that the hook got. */
static void l_record(lua_State *L, int first, int n, struct trial *t)
{
	const char *name;
	size_t length;
	int argument = record_of(t->hook->arguments, &name, &length), samples, value;
	int result = record_of(t->hook->results, &name, &length);
	char *called;

	if (argument < 0 || result < 0)
		return;
	called = lua_newuserdatauv(L, length + 1, 0); /* not lost when something raises */
	memcpy(called, name, length);
	called[length] = '\0';
	if (result < n && lua_istable(L, first + result))
		lua_pushvalue(L, first + result);
	else
		lua_rawgetp(L, LUA_REGISTRYINDEX, &record_key);
	value = samples = lua_gettop(L);
	l_samples(L, t->hook);
	l_check_value(L, value, samples + 1 + argument, called, &t->fields);
}

static void l_results(lua_State *L, int first, int n, void *arg)
{
	struct trial *t = arg;

	for (int i = 0; i < n && t->wrong[0] == '\0'; i++) {
		const struct result_type *type = type_of(t->hook->results, i);
		const char *shown, *given;

		if (type == NULL)
			continue;
		given = luaL_typename(L, first + i);
		lua_pushvalue(L, first + i); /* conversion may be in place */
		if (!type->l_is(L, lua_gettop(L))) {
			shown = lua_tostring(L, first + i); /* NULL: a table and the like */
			snprintf(t->wrong, sizeof t->wrong,
			    "result %d of %s is not %s but a %s%s%.60s", i + 1, t->hook->name,
			    type->wanted, given, shown != NULL ? ": " : "",
			    shown != NULL ? shown : "");
		}
		lua_settop(L, first + n - 1);
	}
	l_record(L, first, n, t);
}

/* ---- the calls ---- */

/* file and line of the function */
struct place {
	const char *hook, *sample;
	struct checker *c;
	char *path;
	int line;
};

static void l_place(lua_State *L, void *arg)
{
	struct place *p = arg;
	lua_Debug ar;

	l_push_env(L);
	lua_pushstring(L, p->hook);
	lua_rawget(L, -2);
	if (!lua_isfunction(L, -1))
		return;
	lua_getinfo(L, ">S", &ar);
	if (ar.source[0] == '@' && check_is_file(p->c, ar.source + 1))
		p->path = xasprintf("%s/%s", script_set_config(p->c->set)->scripts, ar.source + 1);
	p->line = ar.linedefined > 0 ? ar.linedefined : 0; /* a library function has none */
}

/* ---- values ---- */

struct variables {
	struct wrong_values wrong;
	struct strlist names;
};

static void l_variables(lua_State *L, void *arg)
{
	struct variables *v = arg;

	l_check_globals(L, &v->wrong, &v->names);
}

void check_variables(struct checker *c, struct runtime *rt, const struct script *s)
{
	struct variables v = {{STRLIST_INIT, STRLIST_INIT}, STRLIST_INIT};

	runtime_inside(rt, l_variables, &v);
	for (size_t i = 0; i < v.wrong.what.n; i++) {
		int line;
		char *path = check_assigned_at(c, s, v.names.v[i], &line);

		check_add(c->report, CHECK_VALUE, path, line, xstrdup(v.wrong.what.v[i]), "%s",
		    v.wrong.way_out.v[i]);
		free(path);
	}
	wrong_values_clear(&v.wrong);
	strlist_clear(&v.names);
}

static void wrong_fields(struct checker *c, const struct place *at, const struct trial *t)
{
	for (size_t i = 0; i < t->fields.what.n; i++)
		check_add(c->report, CHECK_VALUE, at->path, at->line,
		    xasprintf("%s: %s", at->hook, t->fields.what.v[i]), "%s",
		    t->fields.way_out.v[i]);
}

static void failed(struct checker *c, struct runtime *rt, const struct place *at,
    enum run_result end, const char *error)
{
	const char *asked = runtime_dry_asked(rt);
	char *prefix = xasprintf("%s, called on trial: ", at->hook), way[300];
	enum check_kind kind = CHECK_CALL_FAILS;

	if (*at->sample != '\0')
		snprintf(way, sizeof way, "it was called with %.250s", at->sample);
	else
		snprintf(way, sizeof way, "it was called without arguments, as it always is");
	if (end != RUN_ERROR) {
		kind = CHECK_CALL_BUDGET;
		snprintf(way, sizeof way, "see the section lua of mailhooks.conf(5)");
	} else if (asked != NULL) {
		kind = CHECK_CALL_UNSURE;
		snprintf(way, sizeof way,
		    "%s gives no answer in a call on trial; if the hook fails for that, let it go on "
		    "without one, as servers may fail in real life, too",
		    asked);
	}
	check_add_error(c, kind, at->path, error, prefix, way);
	free(prefix);
}

static void try_hook(
    struct checker *c, struct runtime *rt, enum script_id id, const struct script_hook *hook)
{
	const struct script *s = script_set_script(c->set, id);
	struct trial t = {.hook = hook};
	struct run_call call = {
	    .function = hook->name, .l_push = l_arguments, .l_take = l_results, .arg = &t};
	struct run_budget budget = runtime_budget(c->set, id, INT64_MAX);
	struct place at = {.hook = hook->name, .sample = hook->sample, .c = c};
	char error[1000];
	enum run_result end;

	runtime_inside(rt, l_place, &at);
	if (at.path == NULL)
		at.path = xstrdup(s->path);
	runtime_name(rt, s->label);
	runtime_set_dry(rt, RUNTIME_TRIAL);
	end = runtime_call(rt, &call, &budget, error, sizeof error);
	if (end != RUN_OK && end != RUN_ABSENT)
		failed(c, rt, &at, end, error);
	else if (t.wrong[0] != '\0')
		check_add(c->report, CHECK_RESULT, at.path, at.line, xstrdup(t.wrong),
		    "the results are: %s", hook->results);
	runtime_set_dry(rt, RUNTIME_REAL);
	wrong_fields(c, &at, &t);
	check_variables(c, rt, s);
	wrong_values_clear(&t.fields);
	free(at.path);
}

void check_calls(
    struct checker *c, struct runtime *rt, enum script_id id, const struct strlist *hooks)
{
	const struct script *s = script_set_script(c->set, id);

	for (const struct script_hook *h = s->definition->hooks; h->name != NULL; h++)
		if (strlist_has(hooks, h->name))
			try_hook(c, rt, id, h);
}
