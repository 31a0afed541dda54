/* smtpsvr_globals.c - the global variables that VPOP3 documents for smtpsvr.lua.
 *
 * One table says name, type, direction and place of each. Values go in when the host changed them
 * and come back after every hook, so whatever a script assigns takes effect on our next decision;
 * those that no script file names are not looked for (12 reads a hook would be a fifth of its
 * cost). Sources: VPOP3 manual (SMTP server global variables), the vendor's wiki for those of
 * version 5 and later; the types of the RBL* group are our reading. */
#include "common/list.h"
#include "lua-bindings/fields.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set_private.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct smtpsvr_globals, member)

static const struct field globals[] = {
    {"IPAddress", FIELD_TEXT, AT(ip_address), GLOBALS_SESSION, false},
    {"ValidClientAddress", FIELD_BOOLEAN, AT(valid_client), GLOBALS_SESSION, true},
    {"LocalClientAddress", FIELD_BOOLEAN, AT(local_client), GLOBALS_SESSION, true},
    {"AuthenticationRequired", FIELD_BOOLEAN, AT(auth_required), GLOBALS_SESSION, true},
    {"AllowedUsers", FIELD_TEXT, AT(allowed_users), GLOBALS_SESSION, true},
    {"CheckRBL", FIELD_BOOLEAN, AT(check_rbl), GLOBALS_SESSION, true},
    {"RBLServers", FIELD_LIST, AT(rbl_servers), GLOBALS_SESSION, true},
    {"RBLWhitelist", FIELD_LIST, AT(rbl_whitelist), GLOBALS_SESSION, true},
    {"RBLCheckAllServers", FIELD_BOOLEAN, AT(rbl_check_all), GLOBALS_SESSION, true},
    {"RBLFound", FIELD_BOOLEAN, AT(rbl_found), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLBlackhole", FIELD_BOOLEAN, AT(rbl_blackhole), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLAccept", FIELD_BOOLEAN, AT(rbl_accept), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLRedirect", FIELD_TEXT, AT(rbl_redirect), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLRejectMessage", FIELD_TEXT, AT(rbl_reject_message), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"RBLHeader", FIELD_TEXT, AT(rbl_header), GLOBALS_SESSION | GLOBALS_RBL, true},
    {"MaxLineLength", FIELD_INTEGER, AT(max_line_length), GLOBALS_SESSION, true},
    {"AddUserAddresses", FIELD_BOOLEAN, AT(add_user_addresses), GLOBALS_SESSION, true},
    {"ServerID", FIELD_INTEGER, AT(server_id), GLOBALS_SESSION, false},
    {"ServerName", FIELD_TEXT, AT(server_name), GLOBALS_SESSION, false},
    {"Encryption", FIELD_BOOLEAN, AT(encryption), GLOBALS_SESSION | GLOBALS_TLS, false},
    {"EncryptionDetails", FIELD_TEXT, AT(encryption_details), GLOBALS_SESSION | GLOBALS_TLS, false},
};

#define NGLOBALS (sizeof globals / sizeof *globals)

_Static_assert(NGLOBALS <= 32, "smtpsvr_needs.globals has a bit for each");

void globals_init(struct smtpsvr *s, const struct smtpsvr_client *client)
{
	static const struct smtpsvr_globals none;
	const struct config *c = s->config;
	struct smtpsvr_globals *g = &s->globals;
	char ip[INET6_ADDRSTRLEN];

	*g = none;
	s->named = s->set != NULL ? script_set_needs(s->set)->globals : ~0u;
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
	fields_clear(globals, NGLOBALS, g);
	rbl_result_clear(&g->rbl_result);
}

/* What can reach a variable without its name standing in a file. */
static bool has_dynamic_names(const struct script_set *set)
{
	static const char *const doors[] = {
	    "_G", "_ENV", "getfenv", "setfenv", "load", "loadstring"};

	for (size_t i = 0; i < sizeof doors / sizeof *doors; i++)
		if (script_set_mentions(set, doors[i]))
			return true;
	return false;
}

unsigned globals_mentioned(const struct script_set *set)
{
	bool all = has_dynamic_names(set);
	unsigned mask = 0;

	for (size_t i = 0; i < NGLOBALS; i++)
		if (all || script_set_mentions(set, globals[i].name))
			mask |= 1u << i;
	return mask;
}

unsigned globals_bit(const char *name)
{
	for (size_t i = 0; i < NGLOBALS; i++)
		if (strcmp(globals[i].name, name) == 0)
			return 1u << i;
	return 0;
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

void l_globals_push(lua_State *L, struct smtpsvr *s)
{
	if (s->stale == 0)
		return;
	l_push_env(L);
	for (size_t i = 0; i < NGLOBALS; i++)
		if ((s->named >> i & 1) != 0 && (globals[i].group & s->stale) != 0)
			l_field_push(L, -1, &globals[i], &s->globals);
	if (s->stale & GLOBALS_RBL) {
		lua_pushliteral(L, "RBLResultInfo");
		l_push_rbl_result(L, &s->globals.rbl_result);
		lua_rawset(L, -3);
	}
	lua_pop(L, 1);
	s->stale = 0;
}

void l_globals_read(lua_State *L, struct smtpsvr *s, bool lists)
{
	if (s->named == 0)
		return;
	l_push_env(L);
	for (size_t i = 0; i < NGLOBALS; i++)
		if ((s->named >> i & 1) != 0 && globals[i].out &&
		    (lists || globals[i].type != FIELD_LIST))
			l_field_read(L, -1, &globals[i], &s->globals);
	lua_pop(L, 1);
}
