/* mail_rules.c - smtprules_N.lua after DATA: First() and Last() with position 3.
 *
 * At MAIL and RCPT the same script is asked by the policy service, in another process, so nothing
 * is carried on from there. Actions have the names that Postfix's access(5) gives them, as in
 * policy/action.c, and mean what they mean there, as far as a milter can do that on either MTA.
 * Mail that did not come by SMTP has no rules. Source: the vendor's wiki (SMTP rules script);
 * readings [R] are in doc/policy.md. */
#include "common/limits.h"
#include "common/list.h"
#include "common/mime_address.h"
#include "common/reply.h"
#include "lua-bindings/mail/mail.h"
#include "lua-bindings/mail/mail_headers.h"
#include "lua-bindings/smtprules.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a script decided about a message. */
struct ruling {
	struct mail *mail;
	struct smtprules_result result;
};

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	static const char *const hooks[] = {"First", "Start", "Last"};
	bool wanted = false;

	for (int i = 0; i < script_set_count(set); i++)
		for (size_t k = 0; k < sizeof hooks / sizeof *hooks; k++)
			wanted |= script_set_kind(set, (enum script_id)i) == SCRIPT_SMTPRULES &&
				  script_set_has_hook(set, (enum script_id)i, hooks[k]);
	if (wanted) /* the body is counted, not kept */
		n->headers = n->body = n->header_changes = n->recipient_changes = n->quarantine =
		    true;
	return wanted;
}

/* what is a constant; the action of a script is shown, not remembered. */
static void notice(const struct ruling *r, const char *what, const char *detail)
{
	char *key = xasprintf("rules after DATA: %s: %s", r->result.hook, what);

	if (script_set_first(r->mail->set, key))
		log_warn(r->mail->id,
		    "smtprules, %s, after DATA: \"%.100s\": %s (logged once for each loading of "
		    "the scripts)",
		    r->result.hook, detail, what);
	free(key);
}

/* ---- refusals ---- */

/* With the flags of the result; takes over what the reply holds. */
static void refuse(const struct ruling *r, struct reply *reply)
{
	if (r->result.disconnect) {
		reply->code = r->result.temporary ? 421 : 521;
		snprintf(
		    reply->xcode, sizeof reply->xcode, r->result.temporary ? "4.7.0" : "5.7.1");
	} else if (r->result.temporary && reply->code >= 500) {
		reply->code -= 100;
		reply->xcode[0] = '4';
	}
	verdict_refuse(r->mail->verdict, reply);
	reply_free(reply);
}

/* "550 5.7.1 text", or several lines of it. */
static void apply_code(const struct ruling *r, const char *text)
{
	struct reply reply;

	if (reply_parse(&reply, text, strlen(text), NULL) == REPLY_OK && reply.code >= 400) {
		refuse(r, &reply);
		return;
	}
	notice(r, "not an SMTP reply that refuses: a code from 400 to 599 and text", text);
	reply_free(&reply);
}

/* "REJECT 5.7.1 text" or "REJECT text". */
static void refuse_text(const struct ruling *r, int code, const char *xcode, const char *text)
{
	bool given = isdigit((unsigned char)text[0]) && text[1] == '.';
	char *line = xasprintf("%d %s%s%s", code, given ? "" : xcode, given ? "" : " ",
	    *text != '\0' ? text : "Message refused");

	apply_code(r, line);
	free(line);
}

static void reject(const struct ruling *r, const char *text)
{
	refuse_text(r, 554, "5.7.1", text);
}

static void defer(const struct ruling *r, const char *text)
{
	refuse_text(r, 450, "4.7.1", text);
}

/* ---- other actions ---- */

static void pass(const struct ruling *r, const char *text)
{
	(void)r, (void)text;
}

static void note(const struct ruling *r, const char *text)
{
	log_info(r->mail->id, "smtprules, %s, after DATA: %.200s", r->result.hook, text);
}

static void hold(const struct ruling *r, const char *text)
{
	verdict_quarantine(r->mail->verdict, text);
}

static void discard(const struct ruling *r, const char *text)
{
	(void)text;
	verdict_discard(r->mail->verdict);
}

static void prepend(const struct ruling *r, const char *text)
{
	size_t n = strcspn(text, ":");
	const char *why = "PREPEND needs a header line: Name: value";
	char *name = xstrndup(text, n);

	if (text[n] != ':' ||
	    !verdict_header(r->mail->verdict, HEADER_INSERT, name, 0, text + n + 1, &why))
		notice(r, why, text);
	free(name);
}

/* True: the address gets the message now. */
static bool add_recipient(const struct ruling *r, const struct strlist *now, const char *address)
{
	const char *why = "this action needs an address: user@example.com";

	if (strlist_has_nocase(now, address))
		return true;
	if (strchr(address, '@') != NULL &&
	    verdict_recipient(r->mail->verdict, true, address, NULL, &why)) {
		log_info(r->mail->id, "recipient <%.200s> added by smtprules", address);
		return true;
	}
	notice(r, why, address);
	return false;
}

static void redirect_or_copy(const struct ruling *r, const char *address, bool keep)
{
	struct mail *m = r->mail;
	struct strlist now = STRLIST_INIT;
	const char *why;
	bool added;

	mail_recipients(m, &now);
	added = add_recipient(r, &now, address);
	for (size_t i = 0; added && !keep && i < now.n; i++) {
		if (strcasecmp(now.v[i], address) == 0)
			continue;
		if (verdict_without(m->verdict, now.v[i], &why))
			log_info(m->id, "recipient <%.200s> removed by smtprules", now.v[i]);
		else
			log_warn(m->id, "message refused: recipient <%.200s> cannot be removed: %s",
			    now.v[i], why);
	}
	strlist_clear(&now);
}

static void redirect(const struct ruling *r, const char *address)
{
	redirect_or_copy(r, address, false);
}

static void copy(const struct ruling *r, const char *address)
{
	redirect_or_copy(r, address, true);
}

static const struct action {
	const char *word;
	void (*apply)(const struct ruling *, const char *text);
} actions[] = {
    {"REJECT", reject},
    {"DEFER", defer},
    {"DEFER_IF_PERMIT", defer},
    {"DEFER_IF_REJECT", defer},
    {"OK", pass},
    {"DUNNO", pass},
    {"WARN", note},
    {"INFO", note},
    {"HOLD", hold},
    {"DISCARD", discard},
    {"REDIRECT", redirect},
    {"BCC", copy},
    {"PREPEND", prepend},
};

static void apply_action(const struct ruling *r)
{
	const char *action = r->result.action + strspn(r->result.action, " \t");
	size_t word = strcspn(action, " \t"), rest = word + strspn(action + word, " \t");
	bool extra = action[rest] == '\0' && r->result.extra != NULL;

	if (isdigit((unsigned char)*action)) {
		char *reply =
		    extra ? xasprintf("%.3s %s", action, r->result.extra) : xstrdup(action);

		apply_code(r, reply);
		free(reply);
		return;
	}
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strlen(actions[i].word) == word &&
		    strncasecmp(actions[i].word, action, word) == 0) {
			actions[i].apply(r, extra ? r->result.extra : action + rest);
			return;
		}
	notice(r, "not an action that a milter can do", action);
}

static void apply_result(const struct ruling *r)
{
	const struct smtprules_result *result = &r->result;
	struct mail *m = r->mail;

	log_info(m->id, "message from <%.200s>: %.200s by %s%s%s", mail_sender(m),
	    result->action != NULL ? result->action : "header or hold", result->hook,
	    result->rule_name != NULL ? ", rule " : "",
	    result->rule_name != NULL ? result->rule_name : "");
	if (result->block)
		notice(r, "blocking of the address is not possible", "true");
	if (result->action != NULL)
		apply_action(r);
	if (m->verdict->action != VERDICT_CONTINUE)
		return;
	if (result->hold)
		hold(r, result->extra != NULL ? result->extra : "");
	for (size_t i = 0; i < result->header_modifiers.n; i++)
		mail_modify_header(m, result->header_modifiers.v[i]);
}

/* ---- the request ---- */

/* As it stands, each line with its CR LF; "" if it cannot be read. */
static char *whole_header(const struct message *message)
{
	uint64_t offset = message_body_offset(message);
	size_t want = offset > 2 ? (size_t)offset - 2 : 0, n = 0; /* without the empty line */
	char *out = xmalloc(want + 1);
	ssize_t got = 1;

	for (; n < want && got > 0; n += got > 0 ? (size_t)got : 0)
		got = message_read(message, n, out + n, want - n);
	out[n] = '\0';
	return out;
}

static void run(struct ruling *r, enum script_id script, struct smtprules_request *q)
{
	struct mail *m = r->mail;

	q->sender = message_sender(m->message)->address;
	q->client = m->client;
	q->user = m->auth_user;
	q->recipients = m->recipients;
	q->size = (int64_t)message_size(m->message);
	q->deadline_ms = m->deadline_ms;
	switch (smtprules_run(m->set, script, q, m->id, &r->result)) {
	case SMTPRULES_NONE:
		break;
	case SMTPRULES_DECIDED:
		apply_result(r);
		break;
	case SMTPRULES_FAILED:
		mail_script_failed(m);
		break;
	}
	smtprules_clear(&r->result);
}

static void apply(struct mail *m)
{
	char *from, *subject, *header, *address = NULL, *name = NULL;
	struct smtprules_request q = {.position = SMTPRULES_DATA};
	struct ruling r = {.mail = m};
	enum script_id script;

	if (m->local_submission || !script_set_smtprules(m->set, m->service->id, &script))
		return;
	from = message_header_unfolded(m->message, "From");
	subject = message_header_unfolded(m->message, "Subject");
	header = whole_header(m->message);
	if (from != NULL)
		(void)mime_first_address(from, &address, &name); /* NULL stands for "" */
	q.header_from = address;
	q.header_from_name = name;
	q.subject = subject;
	q.header = header;
	run(&r, script, &q);
	free(from);
	free(subject);
	free(header);
	free(address);
	free(name);
}

const struct mail_stage mail_rules = {"smtprules", needs, apply};
