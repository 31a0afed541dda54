/* smtpsvr_hooks_message.c - the hooks of one message: MAIL, RCPT, DATA, the whole message. */
#include "common/limits.h"
#include "common/list.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/message_view.h"
#include "lua-bindings/script_set_private.h"
#include "lua-bindings/smtpsvr/smtpsvr_call.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- changed ESMTP parameters ---- */

static void add_parameter(struct strlist *list, const char *keyword, const char *value)
{
	char *p = xasprintf("%s%s%s", keyword, *value ? "=" : "", value);

	for (char *k = p; *k != '\0' && *k != '='; k++)
		*k = (char)toupper((unsigned char)*k);
	if (list->n < LIMIT_PARAMETERS)
		strlist_add(list, p);
	free(p);
}

static void l_take_parameters(lua_State *L, int index, struct call *c)
{
	if (!lua_istable(L, index))
		return;
	c->parameters_given = true;
	for (lua_pushnil(L); lua_next(L, index) != 0; lua_settop(L, -2)) {
		const char *keyword, *value;
		size_t n;

		lua_pushvalue(L, -2); /* l_to_string converts in place, lua_next needs the key */
		if (lua_type(L, -1) == LUA_TSTRING && l_to_string(L, -1, &keyword, &n) == GIVEN &&
		    l_to_string(L, -2, &value, &n) == GIVEN)
			add_parameter(&c->parameters, keyword, value);
		lua_pop(L, 1);
	}
}

static size_t keyword_length(const char *parameter)
{
	return strcspn(parameter, "=");
}

/* A script that writes p.size where the table has SIZE leaves both: what differs from the command
 * counts. */
static void drop_overwritten(struct strlist *now, const struct strlist *before)
{
	for (size_t i = 0; i < now->n; i++)
		for (size_t k = 0; k < now->n; k++) {
			size_t n = keyword_length(now->v[i]);

			if (i != k && n == keyword_length(now->v[k]) &&
			    memcmp(now->v[i], now->v[k], n) == 0 &&
			    strlist_has(before, now->v[i])) {
				strlist_remove(now, i--);
				break;
			}
		}
}

static bool same_set(const struct strlist *a, const struct strlist *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (!strlist_has(b, a->v[i]))
			return false;
	return a->n == b->n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *joined(const struct strlist *list)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < list->n; i++) {
		char *more = xasprintf("%s%s%s", all, *all ? " " : "", list->v[i]);

		free(all);
		all = more;
	}
	return all;
}

/* The new parameters as one text, or NULL when the script left them as they were. */
static char *changed_parameters(struct call *c)
{
	struct strlist before = STRLIST_INIT;
	char *changed = NULL;

	if (!c->parameters_given)
		return NULL;
	for (size_t i = 0; i < c->address->nparameters; i++)
		add_parameter(
		    &before, c->address->parameters[i].keyword, c->address->parameters[i].value);
	drop_overwritten(&c->parameters, &before);
	if (!same_set(&before, &c->parameters)) {
		if (c->parameters.n > 1) /* a Lua table has no order of its own */
			qsort(c->parameters.v, c->parameters.n, sizeof(char *), by_text);
		changed = joined(&c->parameters);
	}
	strlist_clear(&before);
	return changed;
}

/* ---- MAIL and RCPT ---- */

static void l_push_parameters(lua_State *L, const struct envelope_address *a)
{
	lua_createtable(L, 0, (int)a->nparameters);
	for (size_t i = 0; i < a->nparameters; i++) {
		lua_pushstring(L, a->parameters[i].value);
		lua_setfield(L, -2, a->parameters[i].keyword);
	}
	l_ignore_key_case(L, -1);
}

static int l_mail_args(lua_State *L, struct call *c)
{
	lua_pushstring(L, c->address->raw);
	lua_pushstring(L, c->address->address);
	l_push_parameters(L, c->address);
	return 3;
}

static int l_rcpt_args(lua_State *L, struct call *c)
{
	int n = l_mail_args(L, c);

	l_push_list(L, &c->s->recipients);
	return n + 1;
}

static void l_address_results(lua_State *L, int first, int n, struct call *c)
{
	l_reply_result(L, first, n, c);
	if (n > 1)
		l_take_parameters(L, first + 1, c);
}

static bool address_hook(struct call *c, const char *hook, char **parameters, struct verdict *v)
{
	bool done;

	*c->reply = (struct hook_reply){0};
	*parameters = NULL;
	done = call_run(c, hook, v);
	if (done)
		*parameters = changed_parameters(c);
	strlist_clear(&c->parameters);
	return done;
}

bool hook_mail(struct smtpsvr *s, const struct envelope_address *a, struct hook_reply *reply,
    char **parameters, struct verdict *v)
{
	struct call c = {.s = s,
	    .l_args = l_mail_args,
	    .l_results = l_address_results,
	    .address = a,
	    .reply = reply};

	return address_hook(&c, "DoMAILFROM", parameters, v);
}

bool hook_rcpt(struct smtpsvr *s, const struct envelope_address *a, struct hook_reply *reply,
    char **parameters, struct verdict *v)
{
	struct call c = {.s = s,
	    .l_args = l_rcpt_args,
	    .l_results = l_address_results,
	    .address = a,
	    .reply = reply};

	return address_hook(&c, "DoRCPTTO", parameters, v);
}

/* ---- DATA ---- */

static int l_data_args(lua_State *L, struct call *c)
{
	l_push_list(L, &c->s->recipients);
	return 1;
}

static void l_data_results(lua_State *L, int first, int n, struct call *c)
{
	l_reply_result(L, first, n, c);
	if (n > 1 && !lua_isnil(L, first + 1) &&
	    l_to_list(L, first + 1, &c->s->header_lines) == GIVEN_WRONG)
		c->number = 1;
}

bool hook_data_start(struct smtpsvr *s, struct hook_reply *reply, struct verdict *v)
{
	struct call c = {
	    .s = s, .l_args = l_data_args, .l_results = l_data_results, .reply = reply};
	bool done;

	*reply = (struct hook_reply){0};
	done = call_run(&c, "DoDATAStart", v);
	if (c.number)
		hooks_notice(
		    s, "DoDATAStart", "the header lines are neither text nor a list of text");
	return done;
}

/* ---- end of data ---- */

static const struct {
	const char *name;
	size_t offset;
} action_flags[] = {
    {"SendToOriginalRecipients", offsetof(struct actions, original)},
    {"Delete", offsetof(struct actions, delete)},
    {"Ignore", offsetof(struct actions, ignore)},
};

static void l_push_actions(lua_State *L, struct actions *a)
{
	lua_createtable(L, 0, 6);
	for (size_t i = 0; i < sizeof action_flags / sizeof *action_flags; i++) {
		lua_pushboolean(L, *(bool *)((char *)a + action_flags[i].offset));
		lua_setfield(L, -2, action_flags[i].name);
	}
	lua_pushliteral(L, "");
	lua_setfield(L, -2, "Reason");
	lua_newtable(L);
	lua_setfield(L, -2, "Recipients");
	lua_newtable(L);
	lua_setfield(L, -2, "HeaderModifiers");
}

static void l_take_actions(lua_State *L, int index, struct actions *a)
{
	const char *text;
	size_t n;

	for (size_t i = 0; i < sizeof action_flags / sizeof *action_flags; i++) {
		lua_getfield(L, index, action_flags[i].name);
		l_to_bool(L, -1, (bool *)((char *)a + action_flags[i].offset));
		lua_pop(L, 1);
	}
	lua_getfield(L, index, "Reason");
	if (l_to_string(L, -1, &text, &n) == GIVEN)
		xreplace(&a->reason, text);
	lua_getfield(L, index, "Recipients");
	if (!lua_isnil(L, -1))
		l_to_list(L, -1, &a->recipients);
	lua_getfield(L, index, "HeaderModifiers");
	if (!lua_isnil(L, -1))
		l_to_list(L, -1, &a->header_modifiers);
	lua_pop(L, 3);
}

static const char actions_key; /* of the registry */

/* The table is kept aside, so that a script may change it in place and return nothing. */
static int l_message_args(lua_State *L, struct call *c)
{
	struct smtpsvr *s = c->s;

	lua_pushstring(L, message_sender(s->message)->address);
	lua_pushstring(L, c->text);
	l_push_list(L, &s->recipients);
	l_push_actions(L, c->actions);
	lua_pushvalue(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &actions_key);
	l_push_mime(L, runtime_message(s->rt)->mime);
	lua_pushinteger(L, (lua_Integer)message_size(s->message));
	l_push_attachments(L, runtime_message(s->rt)->mime);
	return 7;
}

static void l_message_results(lua_State *L, int first, int n, struct call *c)
{
	if (n > 0 && lua_istable(L, first)) {
		l_take_actions(L, first, c->actions);
	} else {
		lua_rawgetp(L, LUA_REGISTRYINDEX, &actions_key);
		l_take_actions(L, lua_gettop(L), c->actions);
	}
	lua_pushnil(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &actions_key);
	if (n > 1)
		l_take_reply(L, first + 1, c);
}

bool hook_process_message(struct smtpsvr *s, const char *subject, struct actions *actions,
    struct hook_reply *reply, struct verdict *v)
{
	struct call c = {.s = s,
	    .l_args = l_message_args,
	    .l_results = l_message_results,
	    .text = subject,
	    .actions = actions,
	    .reply = reply};

	struct message_view view = {.message = s->message, .removed = actions->removed};
	bool done;

	*reply = (struct hook_reply){0};
	if (s->rt == NULL)
		return false;
	if (script_set_needs(s->set)->mime && (view.mime = mime_parse(s->message)) == NULL)
		log_error(s->id, "MIME structure not read: %m; ProcessMessage sees none");
	runtime_show_message(s->rt, &view);
	done = call_run(&c, "ProcessMessage", v);
	runtime_show_message(s->rt, NULL);
	mime_free(view.mime);
	return done;
}
