/* smtpsvr_needs.c - what the MTA must be asked for, from what the loaded scripts define.
 *
 * Worked out once per generation. Hooks come from the dry run; a global variable counts when any
 * script file contains its name, or something that reaches variables by names made up at run time.
 * Asking for less is measured: an MTA that waits for no answers passes 2.7 to 3.7 times the
 * messages. */
#include "lua-bindings/mail/mail.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set_private.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

#include <string.h>

#define SET(member) offsetof(struct smtpsvr_needs, member)

/* A hook, and the members of struct smtpsvr_needs it switches on. */
static const struct {
	const char *hook;
	size_t members[8]; /* offsets + 1, 0 ends */
} hook_needs[] = {
    {"Start", {SET(connect_reply) + 1, SET(mail_reply) + 1}},
    {"RBLResults", {SET(connect_reply) + 1, SET(mail_reply) + 1}},
    {"GetMaxMessageSize",
	{SET(helo) + 1, SET(mail_reply) + 1, SET(headers) + 1, SET(body) + 1, SET(end_reply) + 1}},
    {"GetEHLOCapabilities", {SET(helo) + 1}},
    {"DoHELO", {SET(helo_reply) + 1, SET(mail_reply) + 1}},
    {"DoHELP", {SET(unknown) + 1}},
    {"DoVRFY", {SET(unknown) + 1}},
    {"DoEXPN", {SET(unknown) + 1}},
    {"DoNOOP", {SET(unknown) + 1}},
    {"DoQUIT", {SET(unknown) + 1}},
    {"DoUnrecognised", {SET(unknown) + 1}},
    {"DoRSET", {SET(mail) + 1}},
    {"DoMAILFROM", {SET(mail_reply) + 1, SET(sender_changes) + 1}},
    {"DoRCPTTO", {SET(mail) + 1, SET(rcpt_reply) + 1, SET(recipient_changes) + 1}},
    {"DoDATAStart", {SET(mail) + 1, SET(rcpt) + 1, SET(data_reply) + 1, SET(header_changes) + 1}},
    {"StartMessage", {SET(mail) + 1, SET(rcpt) + 1, SET(data) + 1}},
    {"MessageLine",
	{SET(mail) + 1, SET(rcpt) + 1, SET(headers) + 1, SET(body) + 1, SET(end_reply) + 1}},
    {"MessageLineRaw",
	{SET(mail) + 1, SET(rcpt) + 1, SET(headers) + 1, SET(body) + 1, SET(end_reply) + 1}},
    {"EndMessage", {SET(mail) + 1, SET(rcpt) + 1, SET(end_reply) + 1}},
    {"CheckRecipients", {SET(mail) + 1, SET(rcpt) + 1, SET(end_reply) + 1}},
    {"ProcessMessage",
	{SET(mail) + 1, SET(rcpt) + 1, SET(headers) + 1, SET(body) + 1, SET(end_reply) + 1,
	    SET(header_changes) + 1, SET(recipient_changes) + 1}},
    {"MonitorBcc", {SET(mail) + 1, SET(rcpt) + 1}},
    {"LogRecipients", {SET(mail) + 1, SET(rcpt) + 1}},
    {"LogRecipientsBlocked", {SET(mail) + 1, SET(rcpt) + 1}},
};

static void want(struct smtpsvr_needs *n, size_t offset_plus_1)
{
	*(bool *)((char *)n + offset_plus_1 - 1) = true;
}

static void from_hooks(const struct script_set *set, struct smtpsvr_needs *n)
{
	for (size_t i = 0; i < sizeof hook_needs / sizeof *hook_needs; i++) {
		if (!script_set_has_hook(set, SCRIPT_SMTPSVR, hook_needs[i].hook))
			continue;
		for (const size_t *m = hook_needs[i].members; *m != 0; m++)
			want(n, *m);
	}
}

static bool is_named(const struct smtpsvr_needs *n, const char *global)
{
	return (n->globals & globals_bit(global)) != 0;
}

static void from_globals(struct smtpsvr_needs *n)
{
	static const char *const at_mail[] = {
	    "ValidClientAddress", "AuthenticationRequired", "AllowedUsers"};

	for (size_t i = 0; i < sizeof at_mail / sizeof *at_mail; i++)
		if (is_named(n, at_mail[i]))
			n->mail_reply = true;
	if (is_named(n, "LocalClientAddress"))
		n->mail = n->rcpt_reply = true;
	if (is_named(n, "MaxLineLength"))
		n->mail = n->body = n->end_reply = true;
	if (is_named(n, "Encryption") || is_named(n, "EncryptionDetails"))
		n->helo = true;
	if (is_named(n, "RBLFound") || is_named(n, "RBLServers"))
		n->connect_reply = n->mail_reply = n->rcpt = n->header_changes =
		    n->recipient_changes = true;
}

/* MIME is parsed only if a hook can see it: the fifth argument of ProcessMessage(), or the
 * functions for parts and attachments. */
static void from_message_functions(const struct script_set *set, struct smtpsvr_needs *n)
{
	static const char *const parts[] = {
	    "GetMessagePart", "GetMessagePartBody", "GetMessagePartHeader", "SaveAttachment"};

	if (!script_set_has_hook(set, SCRIPT_SMTPSVR, "ProcessMessage"))
		return;
	n->mime = script_set_hook_arguments(set, SCRIPT_SMTPSVR, "ProcessMessage") >= 5;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		n->mime |= script_set_mentions(set, parts[i]);
	n->body_stored = n->mime || script_set_mentions(set, "GetMessageLine") ||
			 script_set_mentions(set, "GetMessageLines");
}

static void from_config(const struct config *c, struct smtpsvr_needs *n)
{
	if (c->rbl.zones.n > 0)
		n->connect_reply = n->mail_reply = n->rcpt = n->header_changes =
		    n->recipient_changes = true;
	if (c->batv.bounces != BATV_BOUNCES_ACCEPT && c->batv.key_file[0] != '\0')
		n->mail = n->rcpt_reply = true;
	for (size_t i = 0; i < c->nservices; i++) {
		const struct service_config *s = &c->services[i];

		if (s->auth_required || *s->allowed_users != '\0' ||
		    !network_list_has_all(&s->client_networks))
			n->mail_reply = true;
		if (s->max_message_bytes > 0)
			n->mail_reply = n->headers = n->body = true;
		if (s->max_line_bytes > 0)
			n->mail = n->body = true;
	}
}

const struct smtpsvr_needs *smtpsvr_needs(const struct script_set *set)
{
	return script_set_needs(set);
}

void needs_from_set(const struct script_set *set, struct smtpsvr_needs *n)
{
	const struct config *c = script_set_config(set);

	memset(n, 0, sizeof *n);
	from_config(c, n);
	if (script_set_has(set, SCRIPT_SMTPSVR)) {
		n->session = true;
		from_hooks(set, n);
		n->globals = globals_mentioned(set);
		from_globals(n);
		from_message_functions(set, n);
		/* a failing script must be able to say so: its top level at the connection, hooks
		 * without a result of their own where they are called */
		if (c->lua.on_error != ON_ERROR_ACCEPT) {
			n->connect_reply = n->mail_reply = n->end_reply = true;
			n->data_reply |= n->data;
		}
	}
	mail_needs(set, n);
	n->helo |= n->helo_reply;
	n->mail |= n->mail_reply;
	n->rcpt |= n->rcpt_reply;
	n->data |= n->data_reply;
	/* what the message hooks look at is put together from MAIL on */
	if (n->headers || n->body || n->data || n->rcpt)
		n->mail = true;
	n->session |= n->connect_reply || n->mail || n->unknown || n->helo;
}
