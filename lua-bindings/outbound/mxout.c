/* mxout.c - see mxout.h. */
#include "lua-bindings/mxout.h"

#include "common/limits.h"
#include "common/list.h"
#include "lua-bindings/actions_table.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/fields.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/outbound/relayout_globals.h"

#include <stdlib.h>
#include <string.h>

struct call {
	struct instance instance;
	const struct mxout_connection *connection;

	struct server_actions *actions;

	const char *command, *reply;
	char *text; /* result */
};

#define ROW(name, type)                                                     \
	{                                                                   \
#name, type, offsetof(struct server_actions, name), 0, true \
	}

/* forceTLS and verifyCert are 1 and 0 for scripts, see below. */
static const struct field action_fields[] = {
    ROW(tryESMTP, FIELD_BOOLEAN),
    ROW(tryTLS, FIELD_BOOLEAN),
    ROW(HELOname, FIELD_TEXT),
    ROW(useBATV, FIELD_BOOLEAN),
    ROW(returnAddressModifier, FIELD_BOOLEAN),
    ROW(defaultReturnAddress, FIELD_TEXT),
    ROW(nullReturnAddress, FIELD_TEXT),
    ROW(allowDSN, FIELD_BOOLEAN),
    ROW(checkCertName, FIELD_TEXT),
    ROW(checkCertThumbprint, FIELD_TEXT),
};

#define NFIELDS (sizeof action_fields / sizeof *action_fields)

#define TIMEOUT(name)                                                                 \
	{                                                                             \
#name, FIELD_INTEGER, offsetof(struct server_timeouts, name), 0, true \
	}

static const struct field timeout_fields[] = {TIMEOUT(connect), TIMEOUT(command), TIMEOUT(data)};

void server_actions_clear(struct server_actions *a)
{
	fields_clear(action_fields, NFIELDS, a);
	*a = (struct server_actions){0};
}

bool mxout_must_fail(const struct script_set *set)
{
	return instance_must_fail(set);
}

static void l_globals(lua_State *L, void *arg)
{
	const struct call *c = arg;
	const struct mxout_connection *to = c->connection;

	if (to->relay != NULL) {
		const struct relayout_properties p =
		    relayout_configured(script_set_config(c->instance.set), to->relay);

		l_relayout_globals(L, to->relay, &p, to->server);
		return;
	}
	l_push_env(L);
	lua_pushinteger(L, to->id);
	lua_setfield(L, -2, "ConnectionId");
	lua_pushstring(L, to->name != NULL ? to->name : "");
	lua_setfield(L, -2, "ConnectionName");
	lua_pop(L, 1);
}

static void l_text(lua_State *L, const char *name, const char *value)
{
	lua_pushstring(L, value != NULL ? value : "");
	lua_setfield(L, -2, name);
}

static void l_number(lua_State *L, const char *name, int64_t value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

/* ---- ServerDetails ---- */

/* The vendor spells it connnid; both other spellings are there for those who do not. */
static void l_push_parameters(lua_State *L, const struct mxout_connection *c)
{
	lua_createtable(L, 0, 10);
	l_text(L, "authsender", "");
	l_text(L, "originator", c->sender);
	l_text(L, "server", c->server);
	l_text(L, "domain", c->domain);
	l_text(L, "connection", c->name);
	l_number(L, "length", c->size);
	l_number(L, "connnid", c->id);
	l_number(L, "connid", c->id);
	l_number(L, "connectionid", c->id);
	l_iterable(L, -1);
}

static int l_details_args(lua_State *L, void *arg)
{
	const struct call *c = arg;

	l_push_parameters(L, c->connection);
	lua_newtable(L); /* the header is not known where TLS is decided */
	l_iterable(L, -1);
	lua_createtable(L, 0, NFIELDS + 3);
	l_fields_push(L, -1, action_fields, NFIELDS, c->actions);
	l_number(L, "forceTLS", c->actions->forceTLS);
	l_number(L, "verifyCert", c->actions->verifyCert);
	lua_newtable(L);
	lua_setfield(L, -2, "timeouts");
	l_actions_keep(L);
	return 3;
}

static bool l_read_flag(lua_State *L, int table, const char *name, bool *out)
{
	enum given given;

	lua_pushstring(L, name);
	lua_rawget(L, table);
	given = l_to_bool(L, -1, out);
	lua_pop(L, 1);
	return given != GIVEN_WRONG;
}

static bool l_read_timeouts(lua_State *L, int table, struct server_timeouts *out)
{
	bool fine;

	lua_pushliteral(L, "timeouts");
	lua_rawget(L, table);
	fine = lua_isnil(L, -1) ||
	       (lua_istable(L, -1) &&
		   l_fields_read(L, lua_gettop(L), timeout_fields,
		       sizeof timeout_fields / sizeof *timeout_fields, out) == NULL);
	lua_pop(L, 1);
	return fine;
}

static void l_details_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct call *c = arg;

	(void)n;
	if (!l_actions_returned(L, first))
		in->wanted = "the table Actions";
	else if (l_fields_read(L, first, action_fields, NFIELDS, c->actions) != NULL ||
		 !l_read_flag(L, first, "forceTLS", &c->actions->forceTLS) ||
		 !l_read_flag(L, first, "verifyCert", &c->actions->verifyCert) ||
		 !l_read_timeouts(L, first, &c->actions->timeouts))
		in->wanted =
		    "the table Actions with true, false, numbers and texts where they belong";
}

/* ---- ReturnCodeHandler ---- */

static int l_reply_args(lua_State *L, void *arg)
{
	const struct call *c = arg;
	const char *last = strrchr(c->reply, '\n');

	lua_pushstring(L, c->command);
	lua_pushstring(L, c->reply);
	lua_pushstring(L, last != NULL ? last + 1 : c->reply);
	lua_createtable(L, 0, 4); /* ours */
	l_text(L, "server", c->connection->server);
	l_text(L, "address", c->connection->address);
	l_text(L, "domain", c->connection->domain);
	lua_pushboolean(L, c->connection->again);
	lua_setfield(L, -2, "again");
	l_iterable(L, -1);
	return 4;
}

static void l_reply_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct call *c = arg;
	const char *text;
	size_t size;

	(void)n;
	lua_settop(L, first);
	switch (l_to_string(L, first, &text, &size)) {
	case NOT_GIVEN:
		return;
	case GIVEN_WRONG:
		in->wanted = "a reply";
		return;
	case GIVEN:
		break;
	}
	if (size > LIMIT_REPLY_BYTES || strlen(text) != size)
		in->wanted = "a reply of less than 32 KiB without zero bytes";
	else if (size > 0)
		xreplace(&c->text, text);
}

/* ---- the calls ---- */

/* before: a hook that is called first, or NULL. */
static enum mxout_answer run(struct script_set *set, enum script_id script, struct call *c,
    const char *before, const struct instance_call *call, const struct log_id *id,
    int64_t deadline_ms)
{
	const struct instance_call first = {.hook = before};
	enum instance_end end;

	if (before != NULL && !script_set_has_hook(set, script, before))
		before = NULL;
	if (before == NULL && !script_set_has_hook(set, script, call->hook))
		return MXOUT_NO_OPINION;
	end = instance_open(&c->instance, set, script, id, deadline_ms, l_globals, c);
	if (end == INSTANCE_DONE) {
		if (before != NULL)
			end = instance_call(&c->instance, &first);
		if (end != INSTANCE_FAILED)
			end = instance_call(&c->instance, call);
		instance_close(&c->instance);
	}
	return end == INSTANCE_DONE	? MXOUT_DECIDED
	       : end == INSTANCE_ABSENT ? MXOUT_NO_OPINION
					: MXOUT_FAILED;
}

enum mxout_answer mxout_server_details(struct script_set *set,
    const struct mxout_connection *connection, const struct log_id *id, int64_t deadline_ms,
    struct server_actions *out)
{
	struct call c = {.connection = connection, .actions = out};
	const struct instance_call call = {"ServerDetails", l_details_args, l_details_results, &c};
	enum mxout_answer answer;

	server_actions_clear(out);
	out->tryESMTP = out->tryTLS = out->allowDSN = true;
	answer = run(set, SCRIPT_MXOUT, &c, NULL, &call, id, deadline_ms);
	if (answer != MXOUT_DECIDED)
		server_actions_clear(out);
	return answer;
}

enum mxout_answer mxout_return_code(struct script_set *set,
    const struct mxout_connection *connection, const char *command, const char *reply, bool banner,
    const struct log_id *id, int64_t deadline_ms, char **out)
{
	bool relay = connection->relay != NULL, connected = relay && banner && reply[0] == '2';
	struct call c = {.connection = connection, .command = command, .reply = reply};
	const struct instance_call call = {"ReturnCodeHandler", l_reply_args, l_reply_results, &c};
	enum mxout_answer answer = run(set, relay ? SCRIPT_RELAYOUT : SCRIPT_MXOUT, &c,
	    connected ? "ServerConnected" : NULL, &call, id, deadline_ms);

	*out = c.text;
	if (answer == MXOUT_DECIDED && c.text == NULL)
		return MXOUT_NO_OPINION;
	if (answer != MXOUT_DECIDED) {
		free(c.text);
		*out = NULL;
	}
	return answer;
}
