/* lib_mailhooks.c - our own functions for the message that ProcessMessage() looks at, in a table of
 * our own: VPOP3's actions replace all fields of a name at once, here each field can be seen and
 * removed. */
#include "common/auth_results.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/message_view.h"
#include "lua-bindings/lib/work.h"

#include <string.h>
#include <strings.h>

static struct message_view *view_of(lua_State *L)
{
	struct message_view *v = runtime_message(runtime_of(L));

	if (v == NULL)
		luaL_error(
		    L, "mailhooks.headers and its like work inside of ProcessMessage() only");
	return v;
}

static void l_push_field(lua_State *L, const struct header_field *f, lua_Integer index)
{
	lua_createtable(L, 0, 3);
	lua_pushstring(L, f->name);
	lua_setfield(L, -2, "name");
	lua_pushstring(L, f->value + (*f->value == ' '));
	lua_setfield(L, -2, "value");
	lua_pushinteger(L, index);
	lua_setfield(L, -2, "index");
}

/*** mailhooks.headers([name]) -> list
 * Every header field in order, or every field of that name: tables of name, value (folds as they
 * are) and index, the number of the field in the header. In ProcessMessage only. */
static int l_headers(lua_State *L)
{
	const char *name = luaL_optstring(L, 1, NULL);
	const struct message_view *v = view_of(L);
	size_t n = message_header_count(v->message);
	lua_Integer found = 0;

	l_charge(L, n * 4);
	lua_newtable(L);
	for (size_t i = 0; i < n; i++) {
		const struct header_field *f = message_header_field(v->message, i);

		if (name != NULL && strcasecmp(name, f->name) != 0)
			continue;
		l_push_field(L, f, (lua_Integer)i + 1);
		lua_rawseti(L, -2, ++found);
	}
	l_iterable(L, -1);
	return 1;
}

/*** mailhooks.remove_header(index) -> boolean
 * Removes the field with this number (from mailhooks.headers) from the message. HeaderModifiers for
 * the same name stand before it. false: there is no such field. In ProcessMessage only. */
static int l_remove_header(lua_State *L)
{
	lua_Integer index = luaL_checkinteger(L, 1);
	struct message_view *v = view_of(L);
	bool exists = index >= 1 && (lua_Unsigned)index <= message_header_count(v->message);

	if (exists)
		v->removed[index - 1] = true;
	lua_pushboolean(L, exists);
	return 1;
}

/*** mailhooks.remove_auth_results([authserv_id]) -> number removed
 * Removes the Authentication-Results fields that claim to come from this service, as a border host
 * must before it adds its own (RFC 8601, 5); without an id all of them. What cannot be read is
 * removed too. Fails for a message with more fields than are kept (20000): some may stand behind
 * them. In ProcessMessage only. */
static int l_remove_auth_results(lua_State *L)
{
	const char *id = luaL_optstring(L, 1, "");
	struct message_view *v = view_of(L);
	size_t n = message_header_count(v->message);
	lua_Integer removed = 0;

	if (!message_header_whole(v->message))
		return luaL_error(L, "mailhooks.remove_auth_results: the message has more header "
				     "fields than are kept");
	for (size_t i = 0; i < n; i++) {
		const struct header_field *f = message_header_field(v->message, i);

		if (strcasecmp(f->name, "Authentication-Results") != 0)
			continue;
		l_charge(L, strlen(f->value) / WORK_BYTE);
		if (!v->removed[i] && auth_results_claims(f->value, id)) {
			v->removed[i] = true;
			removed++;
		}
	}
	lua_pushinteger(L, removed);
	return 1;
}

static const struct library_row rows[] = {
    {"headers", l_headers},
    {"remove_header", l_remove_header},
    {"remove_auth_results", l_remove_auth_results},
    {NULL, NULL},
};

const struct library library_mailhooks = {"mailhooks", rows};
