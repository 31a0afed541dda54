/* smtpsvr.c - see smtpsvr.h: the session from connect to close. */
#include "lua-bindings/smtpsvr.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/waiting.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct smtpsvr *smtpsvr_open(struct script_set *set, struct rbl *rbl, const struct log_id *id)
{
	struct smtpsvr *s = xcalloc(1, sizeof *s);

	s->set = script_set_ref(set);
	s->config = script_set_config(set);
	s->rbl = rbl;
	s->id = id;
	s->auth_user = xstrdup("");
	return s;
}

void smtpsvr_close(struct smtpsvr *s)
{
	struct verdict v;

	if (s == NULL)
		return;
	message_end(s);
	if (s->rt != NULL) {
		verdict_init(&v);
		hooks_command(s);
		hook_plain(s, "End", &v);
		verdict_reset(&v);
		runtime_release(s->rt);
	}
	globals_free(&s->globals);
	reply_free(&s->refusal);
	free(s->auth_user);
	script_set_unref(s->set);
	free(s);
}

const struct reply *smtpsvr_refusal(const struct smtpsvr *s)
{
	return s->refusal.code != 0 ? &s->refusal : NULL;
}

/* ---- connect ---- */

static void open_script(struct smtpsvr *s, struct verdict *v)
{
	if (!script_set_has(s->set, SCRIPT_SMTPSVR))
		return;
	s->rt = runtime_acquire(s->set, s->id);
	if (s->rt != NULL) {
		hooks_script(s, v);
		return;
	}
	log_error(s->id, "no memory for an instance of smtpsvr.lua; lua.on_error decides");
	hooks_failed(s, v);
}

/* How long the block lists may take: LoadLimits() and Start() had their share of the command. */
static int look_up_ms(const struct smtpsvr *s)
{
	int64_t left = s->deadline_ms - clock_ms();

	return left < s->config->rbl.timeout_ms ? (int)left : s->config->rbl.timeout_ms;
}

/* Ask the block lists. An answer that did not come in time is neither a hit nor a reason to refuse.
 */
static void look_up(struct smtpsvr *s, const struct smtpsvr_client *client)
{
	struct smtpsvr_globals *g = &s->globals;
	int ms = look_up_ms(s);

	if (g->rbl_servers.n == 0 || s->rbl == NULL ||
	    rbl_whitelisted(&g->rbl_whitelist, &client->address, client->hostname))
		return;
	if (ms <= 0) {
		log_warn(s->id, "block lists not asked: scripts used up lua.command_ms");
		return;
	}
	if (!waiting_enter())
		return;
	rbl_check(s->rbl, &client->address, &g->rbl_servers, g->rbl_check_all, ms, &g->rbl_result);
	waiting_leave();
	g->rbl_found = g->rbl_result.nhits > 0;
	s->stale |= GLOBALS_RBL;
	for (size_t i = 0; i < g->rbl_result.nhits; i++)
		log_info(
		    s->id, "client %s is listed by %s", g->ip_address, g->rbl_result.hits[i].zone);
}

/* RBLRejectMessage may be a text without a code. */
static void reject_listed(struct smtpsvr *s, struct verdict *v)
{
	const struct smtpsvr_globals *g = &s->globals;
	const char *text = g->rbl_reject_message;
	struct hook_reply h = {0};

	if (!g->rbl_found || outcome_rbl_action(s) != RBL_ACTION_REJECT)
		return;
	h.parsed = reply_parse(&h.reply, text, strlen(text), &h.problems);
	if (h.parsed == REPLY_NONSENSE) {
		char *coded = xasprintf("550 5.7.1 %s", text);

		h.parsed = reply_parse(&h.reply, coded, strlen(coded), &h.problems);
		free(coded);
	}
	if (!hooks_apply_reply(s, "RBLRejectMessage", &h, v))
		verdict_refuse_text(v, 550, "5.7.1", "Your address is on a block list");
	reply_free(&h.reply);
}

static void check_rbl(struct smtpsvr *s, const struct smtpsvr_client *client, struct verdict *v)
{
	struct hook_reply h;
	bool greeting;

	if (!s->globals.check_rbl)
		return;
	look_up(s, client);
	if (hook_string(s, "RBLResults", NULL, &h, v)) {
		/* a positive greeting is the script's decision to take the client */
		greeting = h.parsed == REPLY_OK && h.reply.code < 400;
		hooks_apply_reply(s, "RBLResults", &h, v);
		reply_free(&h.reply);
		if (greeting)
			return;
	}
	reject_listed(s, v);
}

void smtpsvr_connect(struct smtpsvr *s, const struct smtpsvr_client *client, struct verdict *v)
{
	struct hook_reply start;
	struct verdict rbl;

	hooks_command(s);
	s->service = config_service(s->config, client->listen, client->daemon_name);
	s->local_submission = client->local_submission;
	s->max_message = s->service->max_message_bytes;
	globals_init(s, client);
	open_script(s, v);
	hook_plain(s, "LoadLimits", v);
	if (hook_string(s, "Start", NULL, &start, v)) {
		hooks_apply_reply(s, "Start", &start, v);
		reply_free(&start.reply);
	}
	verdict_init(&rbl); /* its refusal stands before that of Start() */
	check_rbl(s, client, &rbl);
	if (rbl.action == VERDICT_REPLY) {
		verdict_reset(v);
		verdict_refuse(v, &rbl.reply);
	}
	verdict_reset(&rbl);
	hook_max_message_size(s, s->globals.ip_address, v);
	if (v->action == VERDICT_REPLY) {
		reply_copy(&s->refusal, &v->reply);
		log_info(s->id, "session of %s refused: %d %s", s->globals.ip_address,
		    v->reply.code, v->reply.lines[0]);
	}
}

/* ---- HELO ---- */

static void note_tls(struct smtpsvr *s, const struct smtpsvr_tls *tls)
{
	struct smtpsvr_globals *g = &s->globals;

	if (g->encryption == tls->on)
		return;
	g->encryption = tls->on;
	free(g->encryption_details);
	g->encryption_details = tls->on ? xasprintf("%s %s", tls->version ? tls->version : "",
					      tls->cipher ? tls->cipher : "")
					: xstrdup("");
	s->stale |= GLOBALS_TLS;
}

/* DoHELO() decides with a boolean about the session, and may give the text. */
static void decide_helo(struct smtpsvr *s, const char *name, bool esmtp, struct verdict *v)
{
	bool before = s->refusal.code != 0, refuse = before;
	struct hook_reply h;

	if (!hook_helo(s, name, &refuse, esmtp, &h, v))
		return;
	/* a refusing reply refuses, whatever the boolean says */
	if (!hooks_apply_reply(s, "DoHELO", &h, v) && refuse && !before)
		verdict_refuse_text(v, 550, "5.7.1", "HELO refused");
	if (v->action != VERDICT_REPLY && before && !refuse) {
		log_info(s->id, "refusal of the session lifted by DoHELO");
		reply_free(&s->refusal);
	}
	reply_free(&h.reply);
}

static void note_capabilities(struct smtpsvr *s, const char *name, struct verdict *v)
{
	char *capabilities;

	/* the MTA does not tell a milter what it offers */
	hook_capabilities(s, name, "", &capabilities, v);
	if (capabilities != NULL)
		hooks_notice(s, "GetEHLOCapabilities",
		    "a milter cannot change the reply to EHLO; ignored here, the map ehlo_in of "
		    "mailhooks-policy can remove keywords");
	free(capabilities);
}

void smtpsvr_helo(struct smtpsvr *s, const char *name, bool esmtp, const struct smtpsvr_tls *tls,
    struct verdict *v)
{
	hooks_command(s);
	message_end(s); /* RFC 5321 4.1.4: HELO clears the transaction */
	note_tls(s, tls);
	hook_max_message_size(s, name, v);
	if (esmtp)
		note_capabilities(s, name, v);
	decide_helo(s, name, esmtp, v);
	if (v->action == VERDICT_REPLY) {
		reply_copy(&s->refusal, &v->reply);
		log_info(
		    s->id, "HELO %.100s refused: %d %s", name, v->reply.code, v->reply.lines[0]);
	}
}

/* ---- commands outside of a transaction ---- */

/* Commands that VPOP3 has a hook for and that reach a milter as unknown ones on some MTA. DoHELP()
 * gets and gives help text, which only a refusal can carry here. */
static const struct {
	const char *verb, *hook;
	bool whole_line; /* argument: the line, else nothing */
} commands[] = {
    {"HELP", "DoHELP", true},
    {"NOOP", "DoNOOP", false},
    {"QUIT", "DoQUIT", false},
    {"RSET", "DoRSET", false},
    {"VRFY", "DoVRFY", true},
    {"EXPN", "DoEXPN", true},
};

void smtpsvr_unknown(struct smtpsvr *s, const char *line, struct verdict *v)
{
	size_t verb = strcspn(line, " \t"), rest = verb + strspn(line + verb, " \t");
	const char *hook = "DoUnrecognised", *argument = line;
	struct hook_reply h;

	hooks_command(s);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strlen(commands[i].verb) == verb &&
		    strncasecmp(line, commands[i].verb, verb) == 0) {
			hook = commands[i].hook;
			argument = commands[i].whole_line ? line + rest : NULL;
		}
	if (strcmp(hook, "DoHELP") == 0)
		argument = ""; /* the help text so far: the MTA does not tell */
	if (hook_string(s, hook, argument, &h, v)) {
		hooks_apply_reply(s, hook, &h, v);
		reply_free(&h.reply);
	}
}

void smtpsvr_abort(struct smtpsvr *s)
{
	struct verdict v;

	if (s->message == NULL)
		return;
	message_end(s);
	hooks_command(s);
	verdict_init(&v);
	hook_plain(s, "DoRSET", &v);
	verdict_reset(&v);
}
