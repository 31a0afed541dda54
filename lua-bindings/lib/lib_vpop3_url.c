/* lib_vpop3_url.c - VPOP3.ParseURL: of VPOP3's documents only the name is known. */
#include "common/url.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/work.h"

#include <lauxlib.h>

#include <stdlib.h>
#include <string.h>

#define USAGE "VPOP3.ParseURL(url)"

static void clear(void *arg)
{
	url_parts_clear(arg);
}

static void l_part(lua_State *L, const char *name, const char *value)
{
	lua_pushstring(L, value != NULL ? value : "");
	lua_setfield(L, -2, name);
}

/*** VPOP3.ParseURL(url) -> table or nil, why
 * A URL in its parts: Scheme, User, Password, Host, Port (a number, 0 when neither the URL nor its
 * scheme has one), Path, Query, Fragment. What is not there is "". Parts are as they stand in the
 * URL, %XX included. nil when it is no URL with a scheme and a host. VPOP3 documents the name only:
 * this is our reading. */
static int l_parse_url(lua_State *L)
{
	struct url_parts *p;
	const char *url;
	size_t n;

	lua_settop(L, 1);
	if (l_to_string(L, 1, &url, &n) != GIVEN)
		return luaL_error(L, "%s: a text is wanted", USAGE);
	p = l_owned(L, sizeof *p, clear);
	l_charge(L, WORK_SYSCALL + n / WORK_BYTE);
	if (strlen(url) != n || !url_parse(url, p)) {
		lua_pushnil(L);
		lua_pushliteral(L, "no URL with a scheme and a host");
		return 2;
	}
	lua_createtable(L, 0, 8);
	l_part(L, "Scheme", p->scheme);
	l_part(L, "User", p->user);
	l_part(L, "Password", p->password);
	l_part(L, "Host", p->host);
	l_part(L, "Path", p->path);
	l_part(L, "Query", p->query);
	l_part(L, "Fragment", p->fragment);
	lua_pushinteger(L, p->port != NULL ? strtol(p->port, NULL, 10) : 0);
	lua_setfield(L, -2, "Port");
	l_iterable(L, -1);
	l_owned_clear(L, 2);
	return 1;
}

static const struct library_row rows[] = {
    {"ParseURL", l_parse_url},
    {NULL, NULL},
};

const struct library library_vpop3_url = {"VPOP3", rows};
