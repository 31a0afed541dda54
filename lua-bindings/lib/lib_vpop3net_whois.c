/* lib_vpop3net_whois.c - VPOP3Net.GetWHOIS. */
#include "common/http.h"
#include "common/waiting.h"
#include "common/whois.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/wait.h"
#include "lua-bindings/lib/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct inquiry {
	struct dns_options dns;
	char *text;
	size_t n;
	char why[200];
};

static void clear(void *arg)
{
	struct inquiry *q = arg;

	strlist_clear(&q->dns.servers);
	free(q->text);
}

static const char *l_line(lua_State *L, int index)
{
	const char *text;
	size_t n;

	if (l_to_string(L, index, &text, &n) != GIVEN || strlen(text) != n)
		luaL_error(L, "VPOP3Net.GetWHOIS(server, query): two strings are wanted");
	return text;
}

/*** VPOP3Net.GetWHOIS(server, query) -> true, text or false, detail
 * Asks a WHOIS server, at port 43, and returns what it says until it closes the connection. server
 * is a host name or an address; query is one line. detail is a text that says why there is no
 * answer; an answer above 256 KiB, or one that is not complete in time, is none. Addresses that are
 * not on the internet (loopback, private networks ...) are not asked unless http.allow_private is
 * true. It takes at most seven eighths of the time that the hook has left. */
static int l_get_whois(lua_State *L)
{
	const char *server, *query;
	const struct script_set *set = runtime_set(runtime_of(L));
	struct whois_options options = {.allowed = http_public_address};
	struct inquiry *q;
	bool fine = false;

	lua_settop(L, 2);
	server = l_line(L, 1);
	query = l_line(L, 2);
	q = l_owned(L, sizeof *q, clear);
	wait_dns_options(L, &q->dns);
	options.dns = &q->dns;
	if (set != NULL && script_set_config(set)->http.allow_private)
		options.allowed = NULL;
	l_charge(L, 20 * WORK_SYSCALL);
	if (!waiting_enter()) {
		snprintf(q->why, sizeof q->why, "too many sessions wait already");
	} else {
		fine = whois_ask(
		    &options, server, query, &q->text, &q->n, wait_ms(L), q->why, sizeof q->why);
		waiting_leave();
	}
	lua_pushboolean(L, fine);
	if (fine)
		lua_pushlstring(L, q->text, q->n);
	else
		lua_pushstring(L, q->why);
	l_owned_clear(L, 3);
	return 2;
}

static const struct library_row rows[] = {
    {"GetWHOIS", l_get_whois},
    {NULL, NULL},
};

const struct library library_vpop3net_whois = {"VPOP3Net", rows};
