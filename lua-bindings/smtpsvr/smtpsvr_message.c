/* smtpsvr_message.c - one message of a session: MAIL, RCPT, DATA, header, body, end of data. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/return_path.h"
#include "lua-bindings/mail/mail.h"
#include "lua-bindings/script_set_private.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_PIECE_BYTES 65536 /* a longer line reaches MessageLine() in pieces */

void message_end(struct smtpsvr *s)
{
	message_free(s->message);
	s->message = NULL;
	strlist_clear(&s->recipients);
	strlist_clear(&s->remote);
	strlist_clear(&s->header_lines);
	reply_free(&s->pending);
	for (size_t i = 0; i < s->nchanged; i++) {
		free(s->changed[i].recipient);
		free(s->changed[i].parameters);
	}
	free(s->changed);
	s->changed = NULL;
	s->nchanged = 0;
	free(s->line);
	s->line = NULL;
	s->line_n = 0;
	s->recipients_blocked = s->line_hooks_off = s->not_kept = false;
	s->line_hooks_ms = 0;
}

/* A refusal where this event cannot be answered waits for the end of the message. The first one
 * stays. */
static void postpone(struct smtpsvr *s, struct verdict *v)
{
	if (v->action == VERDICT_REPLY && s->pending.code == 0)
		reply_copy(&s->pending, &v->reply);
	verdict_reset(v);
}

/* ---- MAIL ---- */

/* One of AllowedUsers, with or without its realm? */
static bool user_allowed(const char *allowed, const char *user)
{
	size_t local = strcspn(user, "@");

	for (const char *p = allowed; *p != '\0';) {
		size_t n;

		p += strspn(p, " \t,;");
		n = strcspn(p, " \t,;");
		if (n > 0 && ((n == strlen(user) && strncasecmp(p, user, n) == 0) ||
				 (n == local && strncasecmp(p, user, n) == 0)))
			return true;
		p += n;
	}
	return false;
}

static bool too_big(const struct smtpsvr *s)
{
	const char *size = envelope_parameter(message_sender(s->message), "SIZE");

	return s->max_message > 0 && size != NULL && strtoull(size, NULL, 10) > s->max_message;
}

/* Our own decisions at MAIL, from the global variables. True: refused. */
static bool refuse_sender(struct smtpsvr *s, struct verdict *v)
{
	const struct smtpsvr_globals *g = &s->globals;
	bool authenticated = *s->auth_user != '\0';

	if (s->refusal.code != 0)
		verdict_refuse(v, &s->refusal);
	else if (message_sender(s->message)->too_long)
		verdict_refuse_text(v, 501, "5.1.7", "Sender address too long");
	else if (message_sender(s->message)->doubtful && script_set_needs(s->set)->mail_reply)
		verdict_refuse_text(v, 501, "5.1.7", "Bad sender address syntax");
	else if (!g->valid_client)
		verdict_refuse_text(v, 550, "5.7.1", "Your address may not use this service");
	else if (g->auth_required && !authenticated && !s->local_submission)
		verdict_refuse_text(v, 530, "5.7.0", "Authentication required");
	else if (authenticated && *g->allowed_users != '\0' &&
		 !user_allowed(g->allowed_users, s->auth_user))
		verdict_refuse_text(v, 550, "5.7.1", "This user may not send from your address");
	else if (too_big(s))
		verdict_refuse_text(v, 552, "5.3.4", "Message size exceeds the limit");
	return v->action == VERDICT_REPLY;
}

static void note_parameters(struct smtpsvr *s, const char *recipient, char *parameters)
{
	struct changed_parameters *c;

	if (parameters == NULL)
		return;
	s->changed = xrealloc(s->changed, (s->nchanged + 1) * sizeof *s->changed);
	c = &s->changed[s->nchanged++];
	c->recipient = recipient != NULL ? xstrdup(recipient) : NULL;
	c->parameters = parameters;
}

static void log_refusal(
    struct smtpsvr *s, const char *what, const char *address, const struct verdict *v)
{
	if (v->action == VERDICT_REPLY)
		log_info(s->id, "%s <%.200s> refused: %d %s", what, address, v->reply.code,
		    v->reply.lines[0]);
}

void smtpsvr_mail(struct smtpsvr *s, char **argv, const char *auth_user, struct verdict *v)
{
	struct message_options options = {
	    .memory = s->config->milter.memory_bytes,
	    .directory = s->config->state_dir,
	    .most = s->config->milter.spill_bytes,
	};
	const struct envelope_address *sender;
	char *parameters = NULL;
	struct hook_reply h;

	hooks_command(s);
	message_end(s);
	s->message = message_new(&options);
	if (!script_set_needs(s->set)->body_stored)
		message_count_only(s->message);
	message_set_sender(s->message, argv);
	sender = message_sender(s->message);
	xreplace(&s->auth_user, auth_user != NULL ? auth_user : "");
	if (!refuse_sender(s, v) && hook_mail(s, sender, &h, &parameters, v)) {
		hooks_apply_reply(s, "DoMAILFROM", &h, v);
		reply_free(&h.reply);
		note_parameters(s, NULL, parameters);
		refuse_sender(s, v); /* the hook may have changed a global variable */
	}
	log_refusal(s, "sender", sender->address, v);
	if (v->action != VERDICT_REPLY)
		return;
	if (s->local_submission)
		postpone(s, v);
	else
		message_end(s);
}

/* ---- RCPT ---- */

/* A bounce from outside to an address that we did not sign, when batv.bounces says so. */
static const char *refuse_bounce(const struct smtpsvr *s, const char *recipient)
{
	if (message_sender(s->message)->address[0] != '\0' || s->globals.local_client ||
	    s->local_submission || s->auth_user[0] != '\0')
		return NULL;
	return return_path_refuses(s->config, recipient);
}

static void decide_recipient(
    struct smtpsvr *s, const struct envelope_address *a, bool remote, struct verdict *v)
{
	char *parameters = NULL;
	struct hook_reply h;
	const char *why;

	if (a->too_long) {
		verdict_refuse_text(v, 501, "5.1.3", "Recipient address too long");
		return;
	}
	if (a->doubtful && script_set_needs(s->set)->rcpt_reply) {
		verdict_refuse_text(v, 501, "5.1.3", "Bad recipient address syntax");
		return;
	}
	why = refuse_bounce(s, a->address);
	if (why != NULL) {
		verdict_refuse_text(v, 550, "5.7.1", why);
		return;
	}
	if (hook_rcpt(s, a, &h, &parameters, v)) {
		hooks_apply_reply(s, "DoRCPTTO", &h, v);
		reply_free(&h.reply);
	}
	/* A script may take the right to relay away from a local client; it can never give it. */
	if (remote && s->was_local && !s->globals.local_client && *s->auth_user == '\0')
		verdict_refuse_text(v, 550, "5.7.1", "Relaying denied");
	if (v->action == VERDICT_REPLY)
		free(parameters);
	else
		note_parameters(s, a->address, parameters);
}

void smtpsvr_rcpt(struct smtpsvr *s, char **argv, bool remote, struct verdict *v)
{
	struct envelope_address a;

	hooks_command(s);
	if (s->message == NULL) /* MAIL was refused, or never seen */
		return;
	envelope_address_parse(&a, argv);
	if (s->recipients.n < LIMIT_RECIPIENTS)
		decide_recipient(s, &a, remote, v);
	else /* nobody would send the rest of a local message later */
		verdict_refuse_text(v, s->local_submission ? 554 : 452,
		    s->local_submission ? "5.5.3" : "4.5.3", "Too many recipients");
	log_refusal(s, "recipient", a.address, v);
	if (v->action == VERDICT_REPLY) {
		s->recipients_blocked = true;
		/* Postfix keeps a local message for ever when one recipient is refused; refused
		 * as a whole it is bounced to its sender, with the text. */
		if (s->local_submission)
			postpone(s, v);
	} else {
		message_add_recipient(s->message, argv);
		strlist_add(&s->recipients, a.address);
		if (remote)
			strlist_add(&s->remote, a.address);
	}
	envelope_address_free(&a);
}

/* ---- DATA ---- */

void smtpsvr_data(struct smtpsvr *s, struct verdict *v)
{
	struct hook_reply h;

	hooks_command(s);
	if (s->message == NULL)
		return;
	if (hook_data_start(s, &h, v)) {
		hooks_apply_reply(s, "DoDATAStart", &h, v);
		reply_free(&h.reply);
	}
	if (v->action != VERDICT_REPLY)
		hook_plain(s, "StartMessage", v);
	/* A refused DATA leaves the MTA within the transaction and libmilter outside of it: when
	 * the client then says DATA again libmilter never answers, and the MTA may take the message
	 * unseen (observed). So the refusal is the reply to the final dot; 421 closes and may come
	 * at once. */
	if (v->action == VERDICT_REPLY && (s->local_submission || v->reply.code != 421))
		postpone(s, v);
	else
		log_refusal(s, "message from", message_sender(s->message)->address, v);
}

/* ---- header and body ---- */

static void line_hooks(struct smtpsvr *s, const char *line, size_t n)
{
	struct verdict v;

	if (s->line_hooks_off)
		return;
	verdict_init(&v);
	hook_line(s, "MessageLineRaw", line, n, &v);
	hook_line(s, "MessageLine", line, n, &v);
	postpone(s, &v);
	if (clock_ms() >= s->deadline_ms) {
		s->line_hooks_off = true;
		log_warn(s->id,
		    "MessageLine hooks used up lua.command_ms; not called again for this message");
	}
}

/* All the lines of a message share one lua.command_ms, however many pieces they come in. */
static int64_t begin_lines(struct smtpsvr *s)
{
	int64_t now = clock_ms();

	s->deadline_ms = now + s->config->lua.command_ms - s->line_hooks_ms;
	return now;
}

static void end_lines(struct smtpsvr *s, int64_t began)
{
	s->line_hooks_ms += (int)(clock_ms() - began);
}

/* Hooks will see a part of the message only: what that means for the mail says lua.on_error. */
static void not_kept(struct smtpsvr *s, const char *why)
{
	if (s->not_kept)
		return;
	s->not_kept = true;
	log_error(s->id,
	    "message not kept whole below state_dir = \"%s\": %s; lua.on_error decides",
	    s->config->state_dir, why);
	if (s->config->lua.on_error != ON_ERROR_ACCEPT && s->pending.code == 0)
		reply_set(&s->pending, 452, "4.3.1", "Insufficient storage, try again later");
}

static bool has_line_hooks(const struct smtpsvr *s)
{
	return script_set_has_hook(s->set, SCRIPT_SMTPSVR, "MessageLine") ||
	       script_set_has_hook(s->set, SCRIPT_SMTPSVR, "MessageLineRaw");
}

/* Each physical line of a folded field is a line. */
static void header_lines(struct smtpsvr *s, const char *name, const char *value)
{
	char *all = xasprintf("%s:%s", name, value), *rest = all, *line;
	int64_t began = begin_lines(s);

	while ((line = strsep(&rest, "\n")) != NULL)
		line_hooks(s, line, strcspn(line, "\r"));
	end_lines(s, began);
	free(all);
}

void smtpsvr_header(struct smtpsvr *s, const char *name, const char *value, struct verdict *v)
{
	if (s->message == NULL)
		return;
	if (!message_header(s->message, name, value))
		not_kept(s, "more header fields than are kept");
	if (s->rt != NULL && has_line_hooks(s))
		header_lines(s, name, value);
	(void)v;
}

static void body_lines(struct smtpsvr *s, const char *p, size_t n)
{
	int64_t began = begin_lines(s);

	if (s->line == NULL)
		s->line = xmalloc(LINE_PIECE_BYTES);
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\n' && s->line_n < LINE_PIECE_BYTES) {
			s->line[s->line_n++] = p[i];
			continue;
		}
		if (s->line_n > 0 && s->line[s->line_n - 1] == '\r' && p[i] == '\n')
			s->line_n--;
		line_hooks(s, s->line, s->line_n);
		s->line_n = 0;
		if (p[i] != '\n')
			s->line[s->line_n++] = p[i];
	}
	end_lines(s, began);
}

void smtpsvr_body(struct smtpsvr *s, const void *bytes, size_t n, struct verdict *v)
{
	if (s->message == NULL)
		return;
	if (message_body(s->message, bytes, n) != 0)
		not_kept(s, strerror(errno));
	if (s->rt != NULL && has_line_hooks(s))
		body_lines(s, bytes, n);
	(void)v;
}

/* ---- end of data ---- */

static bool refuse_message(struct smtpsvr *s, struct verdict *v)
{
	int64_t longest = s->globals.max_line_length;
	char text[80];

	if (s->pending.code != 0) {
		verdict_refuse(v, &s->pending);
	} else if (s->max_message > 0 && message_size(s->message) > s->max_message) {
		verdict_refuse_text(v, 552, "5.3.4", "Message size exceeds the limit");
	} else if (longest > 0 && message_longest_line(s->message) > (uint64_t)longest) {
		snprintf(text, sizeof text, "Line longer than %" PRId64 " bytes", longest);
		verdict_refuse_text(v, 554, "5.6.0", text);
	}
	return v->action == VERDICT_REPLY;
}

/* CheckRecipients(): its signature is not documented; our reading: false, or a reply that refuses.
 */
static void check_recipients(struct smtpsvr *s, struct verdict *v)
{
	struct hook_reply h;

	if (!hook_string(s, "CheckRecipients", NULL, &h, v))
		return;
	if (h.refused)
		verdict_refuse_text(v, 550, "5.7.1", "Recipients refused");
	else
		hooks_apply_reply(s, "CheckRecipients", &h, v);
	reply_free(&h.reply);
}

static void process_message(struct smtpsvr *s, struct verdict *v)
{
	struct actions actions = {.original = true};
	struct hook_reply h;
	char *subject = message_header_unfolded(s->message, "Subject");

	actions.reason = xstrdup("");
	actions.removed = xcalloc(message_header_count(s->message), sizeof(bool));
	if (hook_process_message(s, subject != NULL ? subject : "", &actions, &h, v)) {
		outcome_actions(s, &actions, &h, v);
		reply_free(&h.reply);
	}
	free(subject);
	free(actions.reason);
	free(actions.removed);
	strlist_clear(&actions.recipients);
	strlist_clear(&actions.header_modifiers);
}

/* What other scripts than smtpsvr.lua make of it. */
static void run_stages(struct smtpsvr *s, struct verdict *v)
{
	struct mail m = {
	    .set = s->set,
	    .config = s->config,
	    .service = s->service,
	    .id = s->id,
	    .deadline_ms = s->deadline_ms,
	    .message = s->message,
	    .recipients = &s->recipients,
	    .remote = &s->remote,
	    .client = s->globals.ip_address,
	    .local_client = s->globals.local_client,
	    .local_submission = s->local_submission,
	    .auth_user = s->auth_user,
	    .verdict = v,
	};

	mail_apply(&m);
}

/* Hooks that only look on: their failure does not change what happens to the mail. */
static void hook_aside(struct smtpsvr *s, const char *hook)
{
	struct verdict v;

	verdict_init(&v);
	hook_plain(s, hook, &v);
	verdict_reset(&v);
}

void smtpsvr_end_of_message(struct smtpsvr *s, struct verdict *v)
{
	if (s->message == NULL)
		return;
	hooks_command(s);
	if (s->line_n > 0)
		line_hooks(s, s->line, s->line_n);
	if (!refuse_message(s, v)) {
		hook_plain(s, "EndMessage", v);
		check_recipients(s, v);
	}
	if (v->action != VERDICT_REPLY)
		process_message(s, v);
	if (v->action == VERDICT_CONTINUE) {
		hook_aside(s, "MonitorBcc");
		outcome_header_lines(s, v);
		outcome_parameters(s, v);
		outcome_rbl(s, v);
	}
	if (v->action == VERDICT_CONTINUE && script_set_needs(s->set)->stages != 0)
		run_stages(s, v);
	hook_aside(s, s->recipients_blocked ? "LogRecipientsBlocked" : "LogRecipients");
	log_refusal(s, "message from", message_sender(s->message)->address, v);
	message_end(s);
}
