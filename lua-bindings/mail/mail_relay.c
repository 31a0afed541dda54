/* mail_relay.c - relayout.lua: which sender of the configuration takes a message to other hosts.
 *
 * The senders are asked in the order of the configuration, the first one that does not skip takes
 * the message; when all skip it is held. With a queue agent there is a record of it then
 * (queue_record.h), and the agent asks again; whoever releases it by hand sends it through the
 * first one that was asked. Postfix learns of it from a header field of ours: it shows each field
 * that a filter adds to milter_header_checks, whose answer FILTER decides on transport and next hop
 * for the whole message. The field is removed again in the next step, so no copy of the message
 * ever has it; one that came with the message is removed first, and Postfix does not look at such
 * anyway. FILTER counts for every recipient: a message that somebody here gets, too, goes the MTA's
 * own way. */
#include "lua-bindings/relayout.h"

#include "lua-bindings/mail/mail_headers.h"
#include "lua-bindings/mail/mail_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	const struct config *c = script_set_config(set);
	bool wanted = false;

	for (size_t i = 0; i < c->nsenders; i++)
		wanted |= c->senders[i].relay[0] != '\0';
	if (wanted)
		n->headers = n->body = n->header_changes = n->quarantine = true;
	return wanted;
}

/* True: every recipient is on another host. */
static bool is_outbound(const struct mail *m, const struct strlist *recipients)
{
	size_t out = 0;

	for (size_t i = 0; i < recipients->n; i++)
		out += mail_goes_out(m, recipients->v[i]);
	if (out > 0 && out < recipients->n)
		log_info(m->id,
		    "no sender is asked: %zu of %zu recipients are local, and a relay "
		    "would get them all",
		    recipients->n - out, recipients->n);
	return out > 0 && out == recipients->n;
}

static void send_through(
    struct mail *m, const struct sender_config *s, const struct relayout_properties *p)
{
	const char *why;
	char value[16];

	snprintf(value, sizeof value, " %d", s->id);
	if (!verdict_header(m->verdict, HEADER_APPEND, RELAYOUT_FIELD, 0, value, &why) ||
	    !verdict_header(m->verdict, HEADER_DELETE, RELAYOUT_FIELD, 1, NULL, &why)) {
		log_bug(m->id, "the field " RELAYOUT_FIELD " cannot be sent: %s", why);
		return;
	}
	m->relay = s;
	m->relay_batv = p->UseBATV;
}

/* The field by which the map `requeue` knows the message when it is requeued (map_requeue.h). */
static void add_token_field(struct mail *m, const char *token)
{
	char value[64];
	const char *why;

	snprintf(value, sizeof value, " %.24s-%s", m->id->queue, token);
	if (!verdict_header(m->verdict, HEADER_APPEND, RELAYOUT_HELD_FIELD, 0, value, &why))
		log_bug(m->id, "the field " RELAYOUT_HELD_FIELD " cannot be sent: %s", why);
}

/* False, and logged: the agent would not know the message. */
static bool keep_record(struct mail *m, const struct relayout_choice *choice, const char *reason)
{
	char token[QUEUE_RECORD_TOKEN_BYTES];
	struct queue_record r = {0};
	bool kept;

	mail_record_describe(m, &r);
	r.held_ms = r.noted_ms;
	xreplace(&r.reason, reason);
	r.filter = relayout_filter(choice->first);
	errno = m->id->queue[0] == '\0' ? ENOENT : 0;
	kept = errno == 0 && queue_record_token(token);
	if (kept)
		xreplace(&r.token, token);
	kept = kept && queue_record_save(m->config->agent.directory, m->id->queue, &r);
	if (kept && m->config->agent.mta == AGENT_POSTFIX)
		add_token_field(m, token);
	if (!kept)
		log_error(m->id,
		    "not held, although every sender skips the message: nobody would release "
		    "it: %s: %s",
		    m->config->agent.directory, strerror(errno));
	queue_record_clear(&r);
	return kept;
}

/* A hold of another script is not for the agent to end. */
static void hold(struct mail *m, const struct relayout_choice *choice)
{
	const char *reason = choice->reason != NULL
				 ? choice->reason
				 : "relayout.lua: every sender skips the message";

	send_through(m, choice->first, &choice->properties);
	if (m->config->agent.mta != AGENT_NONE && m->verdict->quarantine == NULL &&
	    !keep_record(m, choice, reason))
		return; /* through the first sender, as after agent.most_hold_minutes */
	verdict_quarantine(m->verdict, reason);
	log_info(m->id, "held: every sender skips the message");
}

static void choose(struct mail *m, const struct strlist *recipients)
{
	struct strlist lines = STRLIST_INIT;
	const struct relayout_message message = {.filename = m->id->queue,
	    .size = (int64_t)message_size(m->message),
	    .created = time(NULL),
	    .return_path = mail_sender(m),
	    .recipients = recipients,
	    .header_lines = &lines};
	struct relayout_choice choice;

	for (size_t i = 0; i < message_header_count(m->message); i++) {
		const struct header_field *f = message_header_field(m->message, i);
		char *line = xasprintf("%s:%s", f->name, f->value);

		strlist_add(&lines, line);
		free(line);
	}
	relayout_choose(m->set, &message, m->id, m->deadline_ms, &choice);
	if (choice.failed) {
		mail_script_failed(m);
	} else if (choice.taker != NULL) {
		log_info(m->id, "sender %d (%.64s) takes the message: %.300s", choice.taker->id,
		    choice.taker->name, choice.taker->relay);
		send_through(m, choice.taker, &choice.properties);
	} else if (choice.first != NULL) {
		hold(m, &choice);
	}
	relayout_choice_clear(&choice);
	strlist_clear(&lines);
}

static void apply(struct mail *m)
{
	struct strlist recipients = STRLIST_INIT;

	mail_remove_headers(m, RELAYOUT_FIELD);
	mail_remove_headers(m, RELAYOUT_HELD_FIELD);
	mail_recipients(m, &recipients);
	if (m->verdict->action == VERDICT_CONTINUE && is_outbound(m, &recipients))
		choose(m, &recipients);
	strlist_clear(&recipients);
}

const struct mail_stage mail_relay = {"relayout.lua", needs, apply};
