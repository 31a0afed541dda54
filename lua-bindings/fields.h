/* fields.h - private to lua-bindings/: members of a C struct as fields of a Lua table.
 *
 * One const table of rows per struct says name, type, place and direction of each; it serves global
 * variables (the table is the environment) and tables that a hook gets and gives back. Access is
 * raw: a metatable is the script's own affair. All l_ functions may raise. */
#pragma once

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

enum field_type {
	FIELD_BOOLEAN, /* bool */
	FIELD_TEXT,    /* char *, malloc'ed or NULL (pushed as "") */
	FIELD_INTEGER, /* int64_t */
	FIELD_LIST,    /* struct strlist */
};

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	unsigned group; /* the user's own */
	bool out;	/* the script may change it */
};

/* The table is at index. */
void l_field_push(lua_State *L, int table, const struct field *, const void *base);
/* nil and a value of a wrong type leave the member as it was; false: it was of a wrong type. */
bool l_field_read(lua_State *L, int table, const struct field *, void *base);
/* All of them; rows whose out is not set are not read. The result is NULL, or the name of the first
 * field with a value of a wrong type. */
void l_fields_push(lua_State *L, int table, const struct field *, size_t n, const void *base);
const char *l_fields_read(lua_State *L, int table, const struct field *, size_t n, void *base);
/* Free what the members own and set them to 0. */
void fields_clear(const struct field *, size_t n, void *base);
