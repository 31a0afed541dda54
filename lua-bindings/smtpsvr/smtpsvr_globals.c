/* smtpsvr_globals.c - the global variables that VPOP3 documents for smtpsvr.lua.
 *
 * One table says name, type, direction and place of each. Values go in when the host changed them
 * and come back after every hook, so whatever a script assigns takes effect on our next decision.
 * Sources: VPOP3 manual (SMTP server global variables), the vendor's wiki for those of version 5
 * and later; the types of the RBL* group are our reading. */
#include "common/limits.h"
#include "common/list.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum global_type { G_BOOL, G_STRING, G_INTEGER, G_LIST };

struct global {
	const char *name;
	enum global_type type;
	size_t offset;	/* in struct smtpsvr_globals */
	unsigned group; /* GLOBALS_* */
	bool out;	/* the script may change it */
};

#define AT(member) offsetof(struct smtpsvr_globals, member)

static const struct global globals[] = {
    {"IPAddress", G_STRING, AT(ip_address), GLOBALS_SESSION, false},
    {"ValidClientAddress", G_BOOL, AT(valid_client), GLOBALS_SESSION, true},
    {"LocalClientAddress", G_BOOL, AT(local_client), GLOBALS_SESSION, true},
    {"AuthenticationRequired", G_BOOL, AT(auth_required), GLOBALS_SESSION, true},
    {"AllowedUsers", G_STRING, AT(allowed_users), GLOBALS_SESSION, true},
    {"CheckRBL", G_BOOL, AT(check_rbl), GLOBALS_SESSION, true},
    {"RBLServers", G_LIST, AT(rbl_servers), GLOBALS_SESSION, true},
    {"RBLWhitelist", G_LIST, AT(rbl_whitelist), GLOBALS_SESSION, true},
    {"RBLCheckAllServers", G_BOOL, AT(rbl_check_all), GLOBALS_SESSION, true},
    {"RBLFound", G_BOOL, AT(rbl_found), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLBlackhole", G_BOOL, AT(rbl_blackhole), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLAccept", G_BOOL, AT(rbl_accept), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLRedirect", G_STRING, AT(rbl_redirect), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLRejectMessage", G_STRING, AT(rbl_reject_message), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLHeader", G_STRING, AT(rbl_header), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"MaxLineLength", G_INTEGER, AT(max_line_length), GLOBALS_SESSION, true},
    {"AddUserAddresses", G_BOOL, AT(add_user_addresses), GLOBALS_SESSION, true},
    {"ServerID", G_INTEGER, AT(server_id), GLOBALS_SESSION, false},
    {"ServerName", G_STRING, AT(server_name), GLOBALS_SESSION, false},
    {"Encryption", G_BOOL, AT(encryption), GLOBALS_SESSION | GLOBALS_TLS, false},
    {"EncryptionDetails", G_STRING, AT(encryption_details), GLOBALS_SESSION | GLOBALS_TLS, false},
};

#define NGLOBALS (sizeof globals / sizeof *globals)

void globals_init(struct smtpsvr *s, const struct smtpsvr_client *client)
{
	static const struct smtpsvr_globals none;
	const struct config *c = s->config;
	struct smtpsvr_globals *g = &s->globals;
	char ip[INET6_ADDRSTRLEN];

	*g = none;
	g->ip_address = xstrdup(ip_address_text(&client->address, ip, sizeof ip));
	g->valid_client = network_list_has_all(&s->service->client_networks) ||
			  network_list_has(&s->service->client_networks, &client->address);
	g->auth_required = s->service->auth_required;
	s->was_local = g->valid_client && !g->auth_required &&
		       network_list_has(&s->service->local_networks, &client->address);
	g->local_client = s->was_local;
	g->allowed_users = xstrdup(s->service->allowed_users);
	g->check_rbl = !g->local_client;
	strlist_copy(&g->rbl_servers, &c->rbl.zones);
	strlist_copy(&g->rbl_whitelist, &c->rbl.whitelist);
	g->rbl_check_all = c->rbl.check_all;
	g->rbl_accept = c->rbl.action == RBL_ACTION_HEADER;
	g->rbl_blackhole = c->rbl.action == RBL_ACTION_DISCARD;
	g->rbl_redirect = xstrdup(c->rbl.action == RBL_ACTION_REDIRECT ? c->rbl.redirect : "");
	g->rbl_reject_message = xstrdup(c->rbl.message);
	g->rbl_header = xstrdup(c->rbl.header);
	g->max_line_length = (int64_t)s->service->max_line_bytes;
	g->server_id = s->service->id;
	g->server_name = xstrdup(s->service->name);
	g->encryption_details = xstrdup("");
	s->stale = GLOBALS_SESSION | GLOBALS_RBL; /* RBLResultInfo is a table in every hook */
}

void globals_free(struct smtpsvr_globals *g)
{
	for (size_t i = 0; i < NGLOBALS; i++) {
		void *p = (char *)g + globals[i].offset;

		if (globals[i].type == G_STRING)
			free(*(char **)p);
		else if (globals[i].type == G_LIST)
			strlist_clear(p);
	}
	rbl_result_clear(&g->rbl_result);
}

/* RBLResultInfo: zone -> answer packed little-endian, 127.0.0.1 = 16777343 (VPOP3 manual). */
static void l_push_rbl_result(lua_State *L, const struct rbl_result *r)
{
	lua_createtable(L, 0, (int)r->nhits);
	for (size_t i = 0; i < r->nhits; i++) {
		const unsigned char *a = r->hits[i].answer;

		lua_pushinteger(L, (lua_Integer)a[0] | (lua_Integer)a[1] << 8 |
				       (lua_Integer)a[2] << 16 | (lua_Integer)a[3] << 24);
		lua_setfield(L, -2, r->hits[i].zone);
	}
}

/* The value on top into the environment below it; a metatable of _G is the script's own affair. */
static void l_set(lua_State *L, const char *name)
{
	lua_pushstring(L, name);
	lua_insert(L, -2);
	lua_rawset(L, -3);
}

void l_globals_push(lua_State *L, struct smtpsvr *s)
{
	if (s->stale == 0)
		return;
	l_push_env(L);
	for (size_t i = 0; i < NGLOBALS; i++) {
		const void *p = (const char *)&s->globals + globals[i].offset;

		if ((globals[i].group & s->stale) == 0)
			continue;
		switch (globals[i].type) {
		case G_BOOL:
			lua_pushboolean(L, *(const bool *)p);
			break;
		case G_STRING:
			lua_pushstring(L, *(char *const *)p);
			break;
		case G_INTEGER:
			lua_pushinteger(L, *(const int64_t *)p);
			break;
		case G_LIST:
			l_push_list(L, p);
			break;
		}
		l_set(L, globals[i].name);
	}
	if (s->stale & GLOBALS_RBL) {
		l_push_rbl_result(L, &s->globals.rbl_result);
		l_set(L, "RBLResultInfo");
	}
	lua_pop(L, 1);
	s->stale = 0;
}

/* nil and values of a wrong type leave ours as it was. */
static void l_read_one(lua_State *L, const struct global *g, void *p)
{
	const char *text;
	size_t n;
	int64_t integer;
	bool boolean;

	switch (g->type) {
	case G_BOOL:
		if (l_to_bool(L, -1, &boolean) == GIVEN)
			*(bool *)p = boolean;
		break;
	case G_INTEGER:
		if (l_to_integer(L, -1, &integer) == GIVEN)
			*(int64_t *)p = integer;
		break;
	case G_STRING:
		if (l_to_string(L, -1, &text, &n) == GIVEN && n <= LIMIT_STRING_FROM_SCRIPT &&
		    strcmp(text, *(char **)p) != 0)
			xreplace(p, text);
		break;
	case G_LIST: {
		struct strlist *list = p;

		if (!lua_istable(L, -1) && !lua_isstring(L, -1))
			break;
		strlist_clear(list);
		l_to_list(L, -1, list);
		break;
	}
	}
}

void l_globals_read(lua_State *L, struct smtpsvr *s, bool lists)
{
	l_push_env(L);
	for (size_t i = 0; i < NGLOBALS; i++) {
		if (!globals[i].out || (globals[i].type == G_LIST && !lists))
			continue;
		lua_pushstring(L, globals[i].name);
		lua_rawget(L, -2);
		l_read_one(L, &globals[i], (char *)&s->globals + globals[i].offset);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}
