/* smtpsvr_hooks.c - calling the hooks of smtpsvr.lua: arguments, results, failures.
 *
 * The hooks of a message are in smtpsvr_hooks_message.c. Signatures: VPOP3 manual (SMTP server
 * script); for hooks that only the vendor's wiki names, our reading. doc/hooks-smtpsvr.md describes
 * each. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/script_set_private.h"
#include "lua-bindings/smtpsvr/smtpsvr_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the gate ---- */

static int l_push(lua_State *L, void *arg)
{
	struct call *c = arg;

	l_globals_push(L, c->s);
	return c->l_args != NULL ? c->l_args(L, c) : 0;
}

static void l_take(lua_State *L, int first, int nresults, void *arg)
{
	struct call *c = arg;

	if (c->l_results != NULL)
		c->l_results(L, first, nresults, c);
	l_globals_read(L, c->s, c->lists);
}

void hooks_command(struct smtpsvr *s)
{
	s->deadline_ms = clock_ms() + s->config->lua.command_ms;
}

static struct run_budget budget(const struct smtpsvr *s)
{
	return runtime_budget(s->set, SCRIPT_SMTPSVR, s->deadline_ms);
}

/* Bounces of the MTA itself: refused, they would come again for days (observed). */
static bool is_bounce(const struct smtpsvr *s)
{
	return s->local_submission && s->message != NULL &&
	       *message_sender(s->message)->address == '\0';
}

void hooks_failed(struct smtpsvr *s, struct verdict *v)
{
	if (is_bounce(s))
		return;
	switch (s->config->lua.on_error) {
	case ON_ERROR_ACCEPT:
		return;
	case ON_ERROR_TEMPFAIL:
		verdict_refuse_text(v, 451, "4.3.0", "Local policy failed, try again later");
		return;
	case ON_ERROR_REJECT:
		verdict_refuse_text(v, 554, "5.3.0", "Local policy failed");
		return;
	}
}

static void notice_wrong_result(struct smtpsvr *s, const char *hook, const char *wanted)
{
	char what[120];

	snprintf(what, sizeof what,
	    "a result is not %s; the call counts as failed, see lua.on_error", wanted);
	hooks_notice(s, hook, what);
}

bool call_run(struct call *c, const char *hook, struct verdict *v)
{
	struct smtpsvr *s = c->s;
	struct run_call rc = {.function = hook, .l_push = l_push, .l_take = l_take, .arg = c};
	struct run_budget b;
	enum run_result r;

	if (s->rt == NULL)
		return false;
	b = budget(s);
	r = runtime_call(s->rt, &rc, &b, NULL, 0);
	if (r == RUN_ABSENT || (r == RUN_OK && c->wanted == NULL))
		return r == RUN_OK;
	if (r == RUN_OK)
		notice_wrong_result(s, hook, c->wanted);
	/* as if it had not been called: what it assigned to global variables does not count */
	s->stale |= GLOBALS_SESSION | GLOBALS_TLS | GLOBALS_RBL;
	if (c->reply != NULL) /* it failed after this result was taken */
		reply_free(&c->reply->reply);
	hooks_failed(s, v);
	return false;
}

static void l_read_globals(lua_State *L, void *arg)
{
	l_globals_read(L, arg, true);
}

static void l_push_globals(lua_State *L, void *arg)
{
	l_globals_push(L, arg);
}

void hooks_script(struct smtpsvr *s, struct verdict *v)
{
	struct run_budget b = budget(s);

	if (runtime_inside(s->rt, l_push_globals, s) != RUN_OK ||
	    runtime_script(s->rt, SCRIPT_SMTPSVR, &b, NULL, 0) != RUN_OK) {
		runtime_release(s->rt);
		s->rt = NULL;
		hooks_failed(s, v);
		return;
	}
	runtime_inside(s->rt, l_read_globals, s);
}

/* ---- result strings ---- */

void l_take_reply(lua_State *L, int index, struct call *c)
{
	struct hook_reply *out = c->reply;
	const char *text;
	size_t n;

	if (lua_isboolean(L, index)) {
		out->parsed = lua_toboolean(L, index) ? REPLY_NONE : REPLY_NONSENSE;
		out->refused = !lua_toboolean(L, index);
		snprintf(out->text, sizeof out->text, "%s", out->refused ? "false" : "true");
		return;
	}
	switch (l_to_string(L, index, &text, &n)) {
	case NOT_GIVEN:
		out->parsed = REPLY_NONE;
		break;
	case GIVEN:
		out->parsed = reply_parse(&out->reply, text, n, &out->problems);
		snprintf(out->text, sizeof out->text, "%s", text);
		break;
	case GIVEN_WRONG:
		c->wanted = "text";
		break;
	}
}

void hooks_notice(struct smtpsvr *s, const char *hook, const char *what)
{
	char *key = xasprintf("%s: %s", hook, what);

	if (script_set_first(s->set, key))
		log_warn(s->id, "script %s, %s: %s (logged once for each loading of the scripts)",
		    script_set_script(s->set, SCRIPT_SMTPSVR)->label, hook, what);
	free(key);
}

bool hooks_apply_reply(struct smtpsvr *s, const char *hook, struct hook_reply *h, struct verdict *v)
{
	char text[200];

	if (h->parsed == REPLY_OK && h->problems != 0)
		hooks_notice(s, hook, reply_problem_text(h->problems, text, sizeof text));
	if (h->parsed == REPLY_NONSENSE)
		hooks_notice(s, hook,
		    "the result is not an SMTP reply (a code from 200 to 599 and text); ignored");
	if (h->parsed != REPLY_OK)
		return false;
	if (h->reply.code < 400) {
		hooks_notice(s, hook,
		    "the result is a positive reply; a milter cannot change the text of those; ignored");
		return false;
	}
	verdict_refuse(v, &h->reply);
	return true;
}

/* ---- hooks without arguments, with one string ---- */

bool hook_plain(struct smtpsvr *s, const char *hook, struct verdict *v)
{
	struct call c = {.s = s};

	return call_run(&c, hook, v);
}

static int l_text_args(lua_State *L, struct call *c)
{
	if (c->text == NULL)
		return 0;
	lua_pushlstring(L, c->text, c->text_n);
	return 1;
}

void l_reply_result(lua_State *L, int first, int n, struct call *c)
{
	if (n > 0)
		l_take_reply(L, first, c);
}

bool hook_string(struct smtpsvr *s, const char *hook, const char *argument,
    struct hook_reply *reply, struct verdict *v)
{
	struct call c = {
	    .s = s, .l_args = l_text_args, .l_results = l_reply_result, .reply = reply};

	c.lists = strcmp(hook, "Start") == 0;
	c.text = argument;
	c.text_n = argument != NULL ? strlen(argument) : 0;
	*reply = (struct hook_reply){0};
	return call_run(&c, hook, v);
}

bool hook_line(struct smtpsvr *s, const char *hook, const char *line, size_t n, struct verdict *v)
{
	struct call c = {.s = s, .l_args = l_text_args, .text = line, .text_n = n};

	return call_run(&c, hook, v);
}

/* ---- HELO ---- */

static int l_size_args(lua_State *L, struct call *c)
{
	lua_pushstring(L, c->text);
	lua_pushinteger(L, c->number);
	return 2;
}

static void l_size_results(lua_State *L, int first, int n, struct call *c)
{
	int64_t size;

	if (n == 0 || lua_isnil(L, first))
		return;
	if (l_to_whole(L, first, &size) == GIVEN && size >= 0)
		c->number = size;
	else
		c->wanted = "a number of bytes";
}

bool hook_max_message_size(struct smtpsvr *s, const char *hostname, struct verdict *v)
{
	struct call c = {.s = s,
	    .l_args = l_size_args,
	    .l_results = l_size_results,
	    .text = hostname,
	    .number = (int64_t)s->max_message};
	bool done = call_run(&c, "GetMaxMessageSize", v);

	s->max_message = (uint64_t)c.number;
	return done;
}

static int l_capability_args(lua_State *L, struct call *c)
{
	lua_pushstring(L, c->text);
	lua_pushstring(L, c->offered);
	return 2;
}

static void l_capability_results(lua_State *L, int first, int n, struct call *c)
{
	const char *text;
	size_t size;

	if (n == 0)
		return;
	switch (l_to_string(L, first, &text, &size)) {
	case NOT_GIVEN:
		break;
	case GIVEN:
		if (size > 0 && size <= LIMIT_SOCKETMAP_REPLY_BYTES)
			xreplace(&c->capabilities, text);
		break;
	case GIVEN_WRONG:
		c->wanted = "text";
		break;
	}
}

bool hook_capabilities(struct smtpsvr *s, const char *hostname, const char *offered,
    char **capabilities, struct verdict *v)
{
	struct call c = {.s = s,
	    .l_args = l_capability_args,
	    .l_results = l_capability_results,
	    .text = hostname,
	    .offered = offered};
	bool done = call_run(&c, "GetEHLOCapabilities", v);

	*capabilities = c.capabilities;
	return done;
}

static int l_helo_args(lua_State *L, struct call *c)
{
	lua_pushstring(L, c->text);
	lua_pushboolean(L, c->refuse);
	lua_pushboolean(L, c->esmtp);
	return 3;
}

static void l_helo_results(lua_State *L, int first, int n, struct call *c)
{
	if (n > 0 && l_to_bool(L, first, &c->refuse) == GIVEN_WRONG)
		c->wanted = "true or false";
	if (n > 1)
		l_take_reply(L, first + 1, c);
}

bool hook_helo(struct smtpsvr *s, const char *hostname, bool *refuse, bool esmtp,
    struct hook_reply *reply, struct verdict *v)
{
	struct call c = {.s = s,
	    .l_args = l_helo_args,
	    .l_results = l_helo_results,
	    .text = hostname,
	    .refuse = *refuse,
	    .esmtp = esmtp,
	    .reply = reply};
	bool done;

	*reply = (struct hook_reply){0};
	done = call_run(&c, "DoHELO", v);
	*refuse = c.refuse;
	return done;
}

/* ---- what script_set.c has to know ---- */

static void clear_sample(void *arg)
{
	struct smtpsvr *s = arg;

	globals_free(&s->globals);
}

static void l_sample(lua_State *L, void *config)
{
	struct smtpsvr_client client = {.listen = ""};
	struct smtpsvr *s = l_owned(L, sizeof *s, clear_sample);

	s->config = config;
	s->service = config_service(config, NULL, NULL);
	ip_address_parse(&client.address, "127.0.0.1");
	globals_init(s, &client);
	l_globals_push(L, s);
	l_owned_clear(L, -1);
	lua_pop(L, 1);
}

const struct script_definition smtpsvr_definition = {
    .file = "smtpsvr.lua",
    .hooks = smtpsvr_script_hooks,
    .l_sample = l_sample,
};
