/* checkfile.c - see checkfile.h. */
#include "lua-bindings/checkfile.h"

#include "lua-bindings/actions_table.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/fields.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/outbound/checkfile_instance.h"
#include "lua-bindings/outbound/header_data.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOOK "CheckFile"
#define PRIORITY_LEAST 1
#define PRIORITY_MOST 100

struct checkfile_run {
	struct instance own, *instance;
	struct script_set *set;
	enum instance_end opened;
	bool tried;
};

struct call {
	const struct checkfile_message *message;
	struct checkfile_actions *actions;
};

#define ROW(name, type)                                                        \
	{                                                                      \
#name, type, offsetof(struct checkfile_actions, name), 0, true \
	}

static const struct field action_fields[] = {
    ROW(SkipSend, FIELD_BOOLEAN),
    ROW(ForceLastTry, FIELD_BOOLEAN),
    ROW(ForceRetry, FIELD_BOOLEAN),
    ROW(Priority, FIELD_INTEGER),
    ROW(Reason, FIELD_TEXT),
};

#define NFIELDS (sizeof action_fields / sizeof *action_fields)

void checkfile_actions_clear(struct checkfile_actions *a)
{
	fields_clear(action_fields, NFIELDS, a);
	a->Priority = CHECKFILE_PRIORITY;
}

bool checkfile_wanted(const struct script_set *set)
{
	return script_set_has_hook(set, SCRIPT_MXOUT, HOOK);
}

/* ---- arguments ---- */

void l_checkfile_globals(lua_State *L, void *arg)
{
	(void)arg;
	l_push_env(L);
	lua_pushinteger(L, 0);
	lua_setfield(L, -2, "ConnectionId");
	lua_pushliteral(L, "");
	lua_setfield(L, -2, "ConnectionName");
	lua_pop(L, 1);
}

/* YYYYMMDDHHMMSS, local time; "" for never [R]. */
static void l_push_time(lua_State *L, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (ms > 0 && localtime_r(&seconds, &tm) != NULL)
		strftime(text, sizeof text, "%Y%m%d%H%M%S", &tm);
	lua_pushstring(L, text);
}

static int l_args(lua_State *L, void *arg)
{
	const struct call *c = arg;
	const struct checkfile_message *m = c->message;

	lua_pushstring(L, m->filename);
	lua_createtable(L, 0, NFIELDS);
	l_fields_push(L, -1, action_fields, NFIELDS, c->actions);
	l_actions_keep(L);
	lua_pushinteger(L, m->size);
	l_push_time(L, m->created_ms);
	lua_pushinteger(L, m->retries);
	l_push_time(L, m->last_try_ms);
	lua_pushstring(L, m->sender);
	l_push_list(L, m->recipients);
	l_push_header_data(L, m->header_lines);
	l_push_list(L, m->header_lines);
	return 10;
}

static void l_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct call *c = arg;

	(void)n;
	if (!l_actions_returned(L, first))
		in->wanted = "the table Actions";
	else if (l_fields_read(L, first, action_fields, NFIELDS, c->actions) != NULL)
		in->wanted = "the table Actions with true or false for SkipSend, ForceLastTry and "
			     "ForceRetry, a number for Priority and a text for Reason";
}

/* ---- a run ---- */

struct checkfile_run *checkfile_open(struct script_set *set)
{
	struct checkfile_run *r = xcalloc(1, sizeof *r);

	r->set = set;
	r->instance = &r->own;
	return r;
}

struct checkfile_run *checkfile_open_in(
    struct script_set *set, struct instance *instance, enum instance_end opened)
{
	struct checkfile_run *r = checkfile_open(set);

	r->instance = instance;
	r->opened = opened;
	r->tried = true;
	return r;
}

void checkfile_close(struct checkfile_run *r)
{
	if (r == NULL)
		return;
	if (r->instance == &r->own && r->tried && r->opened == INSTANCE_DONE)
		instance_close(&r->own);
	free(r);
}

/* Once: a top level that fails does so for every message of the run. */
static enum instance_end open_once(
    struct checkfile_run *r, const struct log_id *id, int64_t deadline_ms)
{
	if (!r->tried)
		r->opened = instance_open(
		    &r->own, r->set, SCRIPT_MXOUT, id, deadline_ms, l_checkfile_globals, NULL);
	r->tried = true;
	return r->opened;
}

static void bound(struct checkfile_actions *a)
{
	if (a->Priority < PRIORITY_LEAST)
		a->Priority = PRIORITY_LEAST;
	if (a->Priority > PRIORITY_MOST)
		a->Priority = PRIORITY_MOST;
	if (a->SkipSend) /* what is not sent has no try, so no last one */
		a->ForceLastTry = a->ForceRetry = false;
}

enum mxout_answer checkfile_ask(struct checkfile_run *r, const struct checkfile_message *message,
    const struct log_id *id, int64_t deadline_ms, struct checkfile_actions *out)
{
	struct call c = {message, out};
	const struct instance_call call = {HOOK, l_args, l_results, &c};
	enum instance_end end = INSTANCE_ABSENT;
	const struct log_id *before;

	checkfile_actions_clear(out);
	if (checkfile_wanted(r->set))
		end = open_once(r, id, deadline_ms);
	if (end == INSTANCE_DONE) {
		/* the id is the caller's and may be gone after this call, unless it lends the
		 * instance, too */
		before = r->instance == &r->own ? NULL : r->instance->id;
		instance_concerns(r->instance, id);
		r->instance->deadline_ms = deadline_ms;
		end = instance_call(r->instance, &call);
		instance_concerns(r->instance, before);
	}
	if (end == INSTANCE_DONE) {
		bound(out);
		return MXOUT_DECIDED;
	}
	checkfile_actions_clear(out);
	return end == INSTANCE_ABSENT ? MXOUT_NO_OPINION : MXOUT_FAILED;
}
