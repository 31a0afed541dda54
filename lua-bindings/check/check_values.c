/* check_values.c - what a script leaves in the tables that a hook gets and in documented global
 * variables: values of a type that cannot be meant, fields that nobody reads.
 *
 * The samples that scripts are tried with say which fields there are and of which type. What a
 * value may be is decided by the functions that read it from real hooks (convert.h). */
#include "common/near.h"
#include "lua-bindings/check/check_private.h"
#include "lua-bindings/convert.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELD_NEAR 3	 /* letters */
#define SHOWN_BYTES "60" /* of a value, in a message */

static const char samples_key; /* of the registry: name -> sample value of a global variable */

/* Their fields have fixed names; those of other tables come from outside. */
static const char *const records[] = {"Actions", "BigRedirect", "SmallRedirect"};

bool check_is_record(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof records / sizeof *records; i++)
		if (strlen(records[i]) == n && strncasecmp(records[i], name, n) == 0)
			return true;
	return false;
}

static void add(struct wrong_values *wrong, char *what, char *way_out)
{
	strlist_add(&wrong->what, what);
	strlist_add(&wrong->way_out, way_out);
	free(what);
	free(way_out);
}

void wrong_values_clear(struct wrong_values *wrong)
{
	strlist_clear(&wrong->what);
	strlist_clear(&wrong->way_out);
}

/* ---- types ---- */

static const char *wanted(int type)
{
	switch (type) {
	case LUA_TBOOLEAN:
		return "true or false";
	case LUA_TNUMBER:
		return "a number";
	case LUA_TSTRING:
		return "a string";
	default:
		return "a table";
	}
}

/* Can the host read the value on top, which it may change, as one of that type? */
static bool l_reads_as(lua_State *L, int type)
{
	const char *text;
	bool boolean;
	size_t n;

	switch (type) {
	case LUA_TBOOLEAN:
		return l_to_bool(L, -1, &boolean) != GIVEN_WRONG;
	case LUA_TNUMBER: /* forceTLS is 1 and 0, and may be true */
		return lua_isnumber(L, -1) || lua_isboolean(L, -1);
	case LUA_TSTRING:
		return l_to_string(L, -1, &text, &n) != GIVEN_WRONG;
	case LUA_TTABLE: /* a list may be one string */
		return lua_istable(L, -1) || lua_type(L, -1) == LUA_TSTRING;
	default:
		return true;
	}
}

static bool l_fits(lua_State *L, int value, int sample)
{
	bool fits;

	if (lua_isnil(L, value))
		return true;
	lua_pushvalue(L, value);
	fits = l_reads_as(L, lua_type(L, sample));
	lua_pop(L, 1);
	return fits;
}

/* ---- fields ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *list_of(struct strlist *names)
{
	char *list = xstrdup("");

	if (names->n > 1)
		qsort(names->v, names->n, sizeof *names->v, by_name);
	for (size_t i = 0; i < names->n; i++) {
		char *longer = xasprintf("%s%s%s", list, i > 0 ? ", " : "", names->v[i]);

		free(list);
		list = longer;
	}
	return list;
}

static const char *nearest(const struct strlist *names, const char *name)
{
	const char *found = NULL;
	size_t best = strlen(name) / 3 + 1;

	if (best > FIELD_NEAR)
		best = FIELD_NEAR;
	for (size_t i = 0; i < names->n; i++) {
		size_t d = near_name(names->v[i], name);

		if (d < best) {
			best = d;
			found = names->v[i];
		}
	}
	return found;
}

/* A field of the table `name` that nobody reads. */
static void l_unknown_field(
    lua_State *L, int sample, const char *name, const char *field, struct wrong_values *wrong)
{
	struct strlist names = STRLIST_INIT;
	const char *meant;
	char *all;

	for (lua_pushnil(L); lua_next(L, sample) != 0; lua_pop(L, 1))
		if (lua_type(L, -2) == LUA_TSTRING)
			strlist_add(&names, lua_tostring(L, -2));
	meant = nearest(&names, field);
	all = list_of(&names);
	add(wrong, xasprintf("%s.%s is a field that nothing reads", name, field),
	    meant != NULL ? xasprintf("did you mean %s?", meant)
			  : xasprintf("the fields are: %s", all));
	free(all);
	strlist_clear(&names);
}

static void l_check_fields(
    lua_State *L, int value, int sample, const char *name, struct wrong_values *wrong)
{
	for (lua_pushnil(L); lua_next(L, value) != 0; lua_pop(L, 1)) {
		char *field;

		if (lua_type(L, -2) != LUA_TSTRING)
			continue;
		lua_pushvalue(L, -2);
		if (lua_rawget(L, sample) == LUA_TNIL) {
			l_unknown_field(L, sample, name, lua_tostring(L, -3), wrong);
		} else {
			field = xasprintf("%s.%s", name, lua_tostring(L, -3));
			l_check_value(L, lua_gettop(L) - 1, lua_gettop(L), field, wrong);
			free(field);
		}
		lua_pop(L, 1);
	}
}

void l_check_value(
    lua_State *L, int value, int sample, const char *name, struct wrong_values *wrong)
{
	const char *shown;

	if (!l_fits(L, value, sample)) {
		shown = lua_type(L, value) == LUA_TSTRING ? lua_tostring(L, value) : NULL;
		add(wrong,
		    xasprintf("%s is not %s but a %s%s%." SHOWN_BYTES "s", name,
			wanted(lua_type(L, sample)), luaL_typename(L, value),
			shown != NULL ? ": " : "", shown != NULL ? shown : ""),
		    xasprintf("such a value is not used; give it %s", wanted(lua_type(L, sample))));
	} else if (lua_istable(L, value) && check_is_record(name, strlen(name))) {
		l_check_fields(L, value, sample, name, wrong);
	}
}

/* ---- global variables ---- */

/* Tables are copied: the script may change the one it has. */
static void l_copy(lua_State *L, int value)
{
	if (!lua_istable(L, value)) {
		lua_pushvalue(L, value);
		return;
	}
	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, value) != 0; lua_pop(L, 1)) {
		lua_pushvalue(L, -2);
		lua_pushvalue(L, -2);
		lua_rawset(L, -5);
	}
}

void l_check_keep_samples(lua_State *L, const struct strlist *given)
{
	int env, samples;

	l_push_env(L);
	env = lua_gettop(L);
	lua_newtable(L);
	samples = lua_gettop(L);
	for (lua_pushnil(L); lua_next(L, env) != 0; lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING || strlist_has(given, lua_tostring(L, -2)))
			continue;
		lua_pushvalue(L, -2);
		l_copy(L, lua_gettop(L) - 1);
		lua_rawset(L, samples);
	}
	lua_rawsetp(L, LUA_REGISTRYINDEX, &samples_key);
	lua_pop(L, 1);
}

void l_check_globals(lua_State *L, struct wrong_values *wrong, struct strlist *names)
{
	int env, samples;

	l_push_env(L);
	env = lua_gettop(L);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &samples_key) != LUA_TTABLE)
		return;
	samples = lua_gettop(L);
	for (lua_pushnil(L); lua_next(L, samples) != 0; lua_pop(L, 1)) {
		const char *name = lua_tostring(L, -2);

		lua_pushvalue(L, -2);
		lua_rawget(L, env);
		l_check_value(L, lua_gettop(L), lua_gettop(L) - 1, name, wrong);
		while (names->n < wrong->what.n)
			strlist_add(names, name);
		lua_pop(L, 1);
	}
}
