/* smtprules.c - see smtprules.h. */
#include "lua-bindings/smtprules.h"

#include "common/limits.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/script_set_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct script_definition smtprules_definition = {
    .file = "smtprules_1.lua",
    .hooks = smtprules_script_hooks,
};

/* One request on its way through the hooks. */
struct rules {
	struct instance instance;
	const struct smtprules_request *request;
	struct smtprules_result *result;
};

void smtprules_clear(struct smtprules_result *r)
{
	free(r->action);
	free(r->rule_name);
	free(r->extra);
	strlist_clear(&r->header_modifiers);
	*r = (struct smtprules_result){0};
}

/* ---- arguments ---- */

/* What is not known yet is there and empty. */
static void l_push_checkdata(lua_State *L, const struct smtprules_request *q)
{
	static const struct strlist none = STRLIST_INIT;
	const struct {
		const char *name, *value;
	} fields[] = {
	    {"MailFrom", q->sender},
	    {"ClientIPAddress", q->client},
	    {"AuthUser", q->user},
	    {"HeaderFrom", q->header_from},
	    {"HeaderFromTextName", q->header_from_name},
	    {"Subject", q->subject},
	    {"Header", q->header},
	};

	lua_createtable(L, 0, 9);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		lua_pushstring(L, fields[i].value != NULL ? fields[i].value : "");
		lua_setfield(L, -2, fields[i].name);
	}
	l_push_list(L, q->recipients != NULL ? q->recipients : &none);
	lua_setfield(L, -2, "Recipients");
	l_push_list(L, &none);
	lua_setfield(L, -2, "BccRecipients");
	l_iterable(L, -1);
}

static int l_rule_args(lua_State *L, void *arg)
{
	const struct rules *r = arg;

	l_push_checkdata(L, r->request);
	lua_pushinteger(L, r->request->size);
	lua_pushinteger(L, (lua_Integer)r->request->position);
	l_push_list(L, &r->result->header_modifiers);
	lua_pushliteral(L, ""); /* no rule is being looked at */
	return 5;
}

static int l_policy_args(lua_State *L, void *arg)
{
	const struct rules *r = arg;
	const struct smtprules_request *q = r->request;

	lua_createtable(L, 0, (int)q->nattributes);
	for (size_t i = 0; i < q->nattributes; i++) {
		lua_pushstring(L, q->attributes[i].name);
		lua_pushstring(L, q->attributes[i].value);
		lua_rawset(L, -3);
	}
	l_iterable(L, -1);
	return 1;
}

/* ---- results ---- */

/* The action: nil, "" and "None" are no opinion, false too. */
static void l_take_action(lua_State *L, int index, struct rules *r)
{
	const char *text;
	size_t n;

	if (lua_isboolean(L, index) && !lua_toboolean(L, index))
		return;
	switch (l_to_string(L, index, &text, &n)) {
	case NOT_GIVEN:
		return;
	case GIVEN_WRONG:
		r->instance.wanted = "text";
		return;
	case GIVEN:
		break;
	}
	if (n == 0 || strcasecmp(text, "none") == 0)
		return;
	if (n > LIMIT_STRING_FROM_SCRIPT || strlen(text) != n)
		r->instance.wanted = "a text of less than a megabyte without zero bytes";
	else
		xreplace(&r->result->action, text);
}

static void l_take_text(lua_State *L, int index, char **out)
{
	const char *text;
	size_t n;

	if (l_to_string(L, index, &text, &n) == GIVEN && n > 0 && n <= LIMIT_POLICY_ACTION_BYTES &&
	    strlen(text) == n)
		xreplace(out, text);
}

/* action, rule number, rule name, extra data, header modifiers, block, disconnect, hold, temporary,
 * IMAP keywords (there is no mailbox here). */
static void l_rule_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct rules *r = arg;
	struct smtprules_result *out = r->result;

	(void)in;
	lua_settop(L, first + 9); /* what is missing is nil */
	if (n == 0)
		return;
	l_take_action(L, first, r);
	if (l_to_whole(L, first + 1, &out->rule) == GIVEN_WRONG)
		out->rule = 0;
	l_take_text(L, first + 2, &out->rule_name);
	l_take_text(L, first + 3, &out->extra);
	if (!lua_isnil(L, first + 4)) {
		strlist_clear(&out->header_modifiers);
		if (l_to_list(L, first + 4, &out->header_modifiers) == GIVEN_WRONG)
			r->instance.wanted = "a list of header lines";
	}
	if (l_to_bool(L, first + 5, &out->block) == GIVEN_WRONG ||
	    l_to_bool(L, first + 6, &out->disconnect) == GIVEN_WRONG ||
	    l_to_bool(L, first + 7, &out->hold) == GIVEN_WRONG ||
	    l_to_bool(L, first + 8, &out->temporary) == GIVEN_WRONG)
		r->instance.wanted = "true or false";
}

static void l_policy_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	(void)in;
	if (n > 0)
		l_take_action(L, first, arg);
}

/* ---- the calls ---- */

/* NONE: go on with the next hook. A failure that lua.on_error accepts is as if the hook were
 * absent. */
static enum smtprules_end call(struct rules *r, const char *hook)
{
	bool policy = strcmp(hook, "Policy") == 0, decided;
	struct instance_call c = {.hook = hook,
	    .l_args = policy ? l_policy_args : l_rule_args,
	    .l_results = policy ? l_policy_results : l_rule_results,
	    .arg = r};

	switch (instance_call(&r->instance, &c)) {
	case INSTANCE_ABSENT:
		return SMTPRULES_NONE;
	case INSTANCE_DONE:
		decided = r->result->action != NULL || r->result->hold;
		if (decided || (!policy && r->result->header_modifiers.n > 0))
			r->result->hook = hook;
		return decided ? SMTPRULES_DECIDED : SMTPRULES_NONE;
	case INSTANCE_FAILED:
		break;
	}
	smtprules_clear(r->result);
	r->result->hook = hook;
	return instance_must_fail(r->instance.set) ? SMTPRULES_FAILED : SMTPRULES_NONE;
}

static enum smtprules_end call_all(struct rules *r)
{
	const struct instance *in = &r->instance;
	bool in_message = r->request->position != 0;
	enum smtprules_end end = SMTPRULES_NONE;

	if (in_message)
		end =
		    call(r, script_set_has_hook(in->set, in->script, "First") ? "First" : "Start");
	if (end == SMTPRULES_NONE && r->request->position != SMTPRULES_DATA)
		end = call(r, "Policy");
	if (end == SMTPRULES_NONE && in_message)
		end = call(r, "Last");
	if (end == SMTPRULES_NONE && r->result->header_modifiers.n > 0)
		end = SMTPRULES_DECIDED;
	return end;
}

enum smtprules_end smtprules_run(struct script_set *set, enum script_id script,
    const struct smtprules_request *request, const struct log_id *id,
    struct smtprules_result *result)
{
	struct rules r = {.request = request, .result = result};
	enum smtprules_end end;

	*result = (struct smtprules_result){.hook = "main chunk"};
	switch (instance_open(&r.instance, set, script, id, request->deadline_ms, NULL, NULL)) {
	case INSTANCE_ABSENT:
		return SMTPRULES_NONE;
	case INSTANCE_FAILED:
		return instance_must_fail(set) ? SMTPRULES_FAILED : SMTPRULES_NONE;
	case INSTANCE_DONE:
		break;
	}
	end = call_all(&r);
	instance_close(&r.instance);
	return end;
}
