/* relayout.c - see relayout.h. Sources: VPOP3's wiki, SMTP relay control; readings of its gaps are
 * marked [R] in doc/hooks-relayout.md. */
#include "lua-bindings/relayout.h"

#include "lua-bindings/actions_table.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/fields.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/outbound/header_data.h"
#include "lua-bindings/outbound/relayout_globals.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PRIORITY 50 /* VPOP3's default */

/* ---- the senders of the configuration ---- */

static bool is_in(const struct strlist *domains, const char *recipient)
{
	const char *at = strrchr(recipient, '@'), *domain = at != NULL ? at + 1 : "";
	size_t n = strlen(domain);

	for (size_t i = 0; i < domains->n; i++) {
		const char *d = domains->v[i];
		size_t length = strlen(d);

		if (strcasecmp(domain, d) == 0 ||
		    (d[0] == '.' && n > length && strcasecmp(domain + n - length, d) == 0))
			return true;
	}
	return domains->n == 0;
}

bool relayout_is_for(const struct sender_config *s, const struct strlist *recipients)
{
	bool all = s->relay[0] != '\0';

	for (size_t i = 0; all && i < recipients->n; i++)
		all = is_in(&s->domains, recipients->v[i]);
	return all;
}

const struct sender_config *relayout_sender_by_id(const struct config *c, int id)
{
	for (size_t i = 0; i < c->nsenders; i++)
		if (c->senders[i].id == id)
			return &c->senders[i];
	return NULL;
}

char *relayout_filter(const struct sender_config *s)
{
	return xasprintf("%s:%s", s->transport, s->relay);
}

char *relayout_host(const struct sender_config *s)
{
	const char *start = s->relay + (s->relay[0] == '[');

	return xstrndup(start, strcspn(start, s->relay[0] == '[' ? "]" : ":"));
}

/* ---- global variables ---- */

#define PROPERTY(name, type)                                                     \
	{                                                                        \
#name, type, offsetof(struct relayout_properties, name), 0, true \
	}

static const struct field property_fields[] = {
    PROPERTY(UseBATV, FIELD_BOOLEAN),
    PROPERTY(VerifyCertificate, FIELD_BOOLEAN),
    PROPERTY(MaxMessagesPerConnection, FIELD_INTEGER),
    PROPERTY(MaxRecipientsPerConnection, FIELD_INTEGER),
    PROPERTY(MaxRecipientsPerMessage, FIELD_INTEGER),
};

struct relayout_properties relayout_configured(
    const struct config *c, const struct sender_config *s)
{
	return (struct relayout_properties){.UseBATV = c->batv.sign,
	    .VerifyCertificate = s->verify_certificate,
	    .MaxMessagesPerConnection = s->max_messages_per_connection,
	    .MaxRecipientsPerConnection = s->max_recipients_per_connection,
	    .MaxRecipientsPerMessage = s->max_recipients_per_message};
}

void l_relayout_globals(lua_State *L, const struct sender_config *s,
    const struct relayout_properties *p, const char *connected)
{
	l_push_env(L);
	l_fields_push(L, lua_gettop(L), property_fields, COUNT(property_fields), p);
	lua_pushinteger(L, s->id);
	lua_setfield(L, -2, "senderid");
	lua_pushstring(L, s->name);
	lua_setfield(L, -2, "sendername");
	lua_pushstring(L, connected != NULL ? connected : "");
	lua_setfield(L, -2, "ConnectedServer");
	lua_pop(L, 1);
}

/* ---- one instance: a sender, and perhaps a message ---- */

struct run {
	struct instance instance;
	const struct sender_config *sender;
	const struct relayout_message *message;
	struct relayout_decision *d;
	const char *wrong; /* a global variable with a value of a wrong type */
};

static void l_set_globals(lua_State *L, void *arg)
{
	const struct run *r = arg;

	l_relayout_globals(L, r->sender, &r->d->properties, NULL);
}

static void l_read_globals(lua_State *L, void *arg)
{
	struct run *r = arg;

	l_push_env(L);
	r->wrong = l_fields_read(
	    L, lua_gettop(L), property_fields, COUNT(property_fields), &r->d->properties);
}

static int64_t at_least_none(int64_t limit)
{
	return limit > 0 ? limit : 0;
}

/* DONE: the instance is open and *r->d->properties are as the script wants them. */
static enum instance_end begin(
    struct run *r, struct script_set *set, const struct log_id *id, int64_t deadline_ms)
{
	const struct instance_call start = {.hook = "Start"};
	struct relayout_properties *p = &r->d->properties;
	enum instance_end end;

	*r->d = (struct relayout_decision){
	    .properties = relayout_configured(script_set_config(set), r->sender),
	    .Priority = PRIORITY};
	end = instance_open(&r->instance, set, SCRIPT_RELAYOUT, id, deadline_ms, l_set_globals, r);
	if (end != INSTANCE_DONE)
		return end;
	if (instance_call(&r->instance, &start) == INSTANCE_FAILED ||
	    !instance_inside(&r->instance, l_read_globals, r)) {
		instance_close(&r->instance);
		*p = relayout_configured(script_set_config(set), r->sender);
		return INSTANCE_FAILED;
	}
	if (r->wrong != NULL && script_set_first(set, "relayout: global variable"))
		log_warn(id,
		    "relayout.lua: %s has a value of a wrong type: left as configured "
		    "(logged once for each loading of the scripts)",
		    r->wrong);
	p->MaxMessagesPerConnection = at_least_none(p->MaxMessagesPerConnection);
	p->MaxRecipientsPerConnection = at_least_none(p->MaxRecipientsPerConnection);
	p->MaxRecipientsPerMessage = at_least_none(p->MaxRecipientsPerMessage);
	return INSTANCE_DONE;
}

bool relayout_start(struct script_set *set, const struct sender_config *sender,
    const struct log_id *id, int64_t deadline_ms, struct relayout_properties *out)
{
	struct relayout_decision d;
	struct run r = {.sender = sender, .d = &d};
	enum instance_end end = begin(&r, set, id, deadline_ms);

	if (end == INSTANCE_DONE)
		instance_close(&r.instance);
	*out = d.properties;
	return end != INSTANCE_FAILED;
}

/* ---- CheckFile ---- */

#define ACTION(name, type)                                                     \
	{                                                                      \
#name, type, offsetof(struct relayout_decision, name), 0, true \
	}

static const struct field action_fields[] = {
    ACTION(SkipSend, FIELD_BOOLEAN),
    ACTION(Priority, FIELD_INTEGER),
    ACTION(Reason, FIELD_TEXT),
};

/* The two actions of mxout.lua are there too, so that one CheckFile() can serve both scripts [R].
 */
static void l_push_actions(lua_State *L, const struct relayout_decision *d)
{
	static const char *const only_mxout[] = {"ForceLastTry", "ForceRetry"};

	lua_createtable(L, 0, COUNT(action_fields) + COUNT(only_mxout));
	l_fields_push(L, lua_gettop(L), action_fields, COUNT(action_fields), d);
	for (size_t i = 0; i < COUNT(only_mxout); i++) {
		lua_pushboolean(L, 0);
		lua_setfield(L, -2, only_mxout[i]);
	}
	l_actions_keep(L);
}

static int l_check_args(lua_State *L, void *arg)
{
	const struct run *r = arg;
	const struct relayout_message *m = r->message;
	char created[32] = "";
	struct tm tm;

	if (localtime_r(&m->created, &tm) != NULL)
		strftime(created, sizeof created, "%Y%m%d%H%M%S", &tm);
	lua_pushstring(L, m->filename);
	l_push_actions(L, r->d);
	lua_pushinteger(L, (lua_Integer)m->size);
	lua_pushstring(L, created);
	lua_pushstring(L, m->return_path);
	l_push_list(L, m->recipients);
	l_push_header_data(L, m->header_lines);
	l_push_list(L, m->header_lines);
	return 8;
}

static void l_check_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct run *r = arg;

	(void)n;
	if (!l_actions_returned(L, first) ||
	    l_fields_read(L, first, action_fields, COUNT(action_fields), r->d) != NULL)
		in->wanted = "the table Actions with SkipSend (true or false), Priority (a number) "
			     "and Reason (a text)";
}

void relayout_decision_clear(struct relayout_decision *d)
{
	free(d->Reason);
	*d = (struct relayout_decision){0};
}

enum relayout_answer relayout_check_file(struct script_set *set, const struct sender_config *sender,
    const struct relayout_message *message, const struct log_id *id, int64_t deadline_ms,
    struct relayout_decision *out)
{
	struct run r = {.sender = sender, .message = message, .d = out};
	const struct instance_call check = {"CheckFile", l_check_args, l_check_results, &r};
	enum instance_end end = begin(&r, set, id, deadline_ms);

	if (end == INSTANCE_DONE) {
		end = instance_call(&r.instance, &check);
		instance_close(&r.instance);
	}
	if (end == INSTANCE_FAILED) {
		out->SkipSend = false; /* what it changed before it failed does not count */
		return instance_must_fail(set) ? RELAYOUT_FAILED : RELAYOUT_TAKES;
	}
	return out->SkipSend ? RELAYOUT_SKIPS : RELAYOUT_TAKES;
}

/* ---- the choice ---- */

/* Keeps the first reason that a sender gives. */
static void note_skip(const struct sender_config *s, struct relayout_decision *d,
    const struct log_id *id, struct relayout_choice *out)
{
	bool given = d->Reason != NULL && d->Reason[0] != '\0';

	log_info(id, "sender %d (%.64s) skips the message%s%.200s", s->id, s->name,
	    given ? ": " : "", given ? d->Reason : "");
	if (out->reason == NULL && given) {
		out->reason = d->Reason;
		d->Reason = NULL;
	}
}

void relayout_choose(struct script_set *set, const struct relayout_message *message,
    const struct log_id *id, int64_t deadline_ms, struct relayout_choice *out)
{
	const struct config *c = script_set_config(set);
	enum relayout_answer answer = RELAYOUT_SKIPS;

	*out = (struct relayout_choice){0};
	for (size_t i = 0; i < c->nsenders && answer == RELAYOUT_SKIPS; i++) {
		const struct sender_config *s = &c->senders[i];
		struct relayout_decision d;

		if (!relayout_is_for(s, message->recipients))
			continue;
		answer = relayout_check_file(set, s, message, id, deadline_ms, &d);
		if (answer == RELAYOUT_SKIPS)
			note_skip(s, &d, id, out);
		if (answer == RELAYOUT_TAKES || out->first == NULL)
			out->properties = d.properties;
		if (answer == RELAYOUT_TAKES) {
			out->taker = s;
			out->Priority = d.Priority;
		}
		if (out->first == NULL)
			out->first = s;
		relayout_decision_clear(&d);
	}
	out->failed = answer == RELAYOUT_FAILED;
}

void relayout_choice_clear(struct relayout_choice *choice)
{
	free(choice->reason);
	*choice = (struct relayout_choice){0};
}
