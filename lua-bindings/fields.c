/* fields.c - see fields.h. */
#include "lua-bindings/fields.h"

#include "common/limits.h"
#include "common/list.h"
#include "lua-bindings/convert.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void l_field_push(lua_State *L, int table, const struct field *f, const void *base)
{
	const void *p = (const char *)base + f->offset;
	const char *text;

	table = lua_absindex(L, table);
	lua_pushstring(L, f->name);
	switch (f->type) {
	case FIELD_BOOLEAN:
		lua_pushboolean(L, *(const bool *)p);
		break;
	case FIELD_TEXT:
		text = *(char *const *)p;
		lua_pushstring(L, text != NULL ? text : "");
		break;
	case FIELD_INTEGER:
		lua_pushinteger(L, *(const int64_t *)p);
		break;
	case FIELD_LIST:
		l_push_list(L, p);
		break;
	}
	lua_rawset(L, table);
}

static bool l_read_text(lua_State *L, char **out)
{
	const char *text;
	size_t n;

	switch (l_to_string(L, -1, &text, &n)) {
	case NOT_GIVEN:
		return true;
	case GIVEN_WRONG:
		return false;
	case GIVEN:
		break;
	}
	if (n > LIMIT_STRING_FROM_SCRIPT || strlen(text) != n)
		return false;
	if (*out == NULL || strcmp(text, *out) != 0)
		xreplace(out, text);
	return true;
}

static bool l_read_list(lua_State *L, struct strlist *list)
{
	if (lua_isnil(L, -1))
		return true;
	if (!lua_istable(L, -1) && !lua_isstring(L, -1))
		return false;
	strlist_clear(list);
	return l_to_list(L, -1, list) == GIVEN;
}

static bool l_read_value(lua_State *L, const struct field *f, void *p)
{
	int64_t integer;
	bool boolean;
	enum given given;

	switch (f->type) {
	case FIELD_BOOLEAN:
		given = l_to_bool(L, -1, &boolean);
		if (given == GIVEN)
			*(bool *)p = boolean;
		return given != GIVEN_WRONG;
	case FIELD_INTEGER:
		given = l_to_whole(L, -1, &integer);
		if (given == GIVEN)
			*(int64_t *)p = integer;
		return given != GIVEN_WRONG;
	case FIELD_TEXT:
		return l_read_text(L, p);
	case FIELD_LIST:
		return l_read_list(L, p);
	}
	return false;
}

bool l_field_read(lua_State *L, int table, const struct field *f, void *base)
{
	bool fine;

	table = lua_absindex(L, table);
	lua_pushstring(L, f->name);
	lua_rawget(L, table);
	fine = l_read_value(L, f, (char *)base + f->offset);
	lua_pop(L, 1);
	return fine;
}

void l_fields_push(lua_State *L, int table, const struct field *f, size_t n, const void *base)
{
	for (size_t i = 0; i < n; i++)
		l_field_push(L, table, &f[i], base);
}

const char *l_fields_read(lua_State *L, int table, const struct field *f, size_t n, void *base)
{
	const char *wrong = NULL;

	for (size_t i = 0; i < n; i++)
		if (f[i].out && !l_field_read(L, table, &f[i], base) && wrong == NULL)
			wrong = f[i].name;
	return wrong;
}

void fields_clear(const struct field *f, size_t n, void *base)
{
	for (size_t i = 0; i < n; i++) {
		void *p = (char *)base + f[i].offset;

		switch (f[i].type) {
		case FIELD_BOOLEAN:
			*(bool *)p = false;
			break;
		case FIELD_INTEGER:
			*(int64_t *)p = 0;
			break;
		case FIELD_TEXT:
			free(*(char **)p);
			*(char **)p = NULL;
			break;
		case FIELD_LIST:
			strlist_clear(p);
			break;
		}
	}
}
