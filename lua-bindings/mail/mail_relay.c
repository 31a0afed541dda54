/* mail_relay.c - relayout.lua: which sender of the configuration takes a message to other hosts.
 *
 * The senders are asked in the order of the configuration, the first one that does not skip takes
 * the message; when all skip it is held, and whoever releases it sends it through the first one
 * that was asked. Postfix learns of it from a header field of ours: it shows each field that a
 * filter adds to milter_header_checks, whose answer FILTER decides on transport and next hop for
 * the whole message. The field is removed again in the next step, so no copy of the message ever
 * has it; one that came with the message is removed first, and Postfix does not look at such
 * anyway. FILTER counts for every recipient: a message that somebody here gets, too, goes the MTA's
 * own way. */
#include "lua-bindings/relayout.h"

#include "lua-bindings/mail/mail.h"
#include "lua-bindings/mail/mail_headers.h"

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

static void hold(struct mail *m, const struct sender_config *first,
    const struct relayout_properties *p, const char *reason)
{
	send_through(m, first, p);
	verdict_quarantine(
	    m->verdict, reason != NULL ? reason : "relayout.lua: every sender skips the message");
	log_info(m->id, "held: every sender skips the message");
}

/* Keeps the first reason that a sender gives. */
static void note_skip(
    struct mail *m, const struct sender_config *s, struct relayout_decision *d, char **reason)
{
	bool given = d->Reason != NULL && d->Reason[0] != '\0';

	log_info(m->id, "sender %d (%.64s) skips the message%s%.200s", s->id, s->name,
	    given ? ": " : "", given ? d->Reason : "");
	if (*reason == NULL && given) {
		*reason = d->Reason;
		d->Reason = NULL;
	}
}

static void choose(struct mail *m, const struct strlist *recipients)
{
	const struct relayout_message message = {.filename = m->id->queue,
	    .size = (int64_t)message_size(m->message),
	    .created = time(NULL),
	    .return_path = mail_sender(m),
	    .recipients = recipients,
	    .message = m->message};
	enum relayout_answer answer = RELAYOUT_SKIPS;
	const struct sender_config *first = NULL;
	struct relayout_properties of_first = {0};
	char *reason = NULL;

	for (size_t i = 0; i < m->config->nsenders && answer == RELAYOUT_SKIPS; i++) {
		const struct sender_config *s = &m->config->senders[i];
		struct relayout_decision d;

		if (!relayout_is_for(s, recipients))
			continue;
		answer = relayout_check_file(m->set, s, &message, m->id, m->deadline_ms, &d);
		if (first == NULL) {
			first = s;
			of_first = d.properties;
		}
		if (answer == RELAYOUT_TAKES) {
			log_info(m->id, "sender %d (%.64s) takes the message: %.300s", s->id,
			    s->name, s->relay);
			send_through(m, s, &d.properties);
		} else if (answer == RELAYOUT_SKIPS) {
			note_skip(m, s, &d, &reason);
		}
		relayout_decision_clear(&d);
	}
	if (answer == RELAYOUT_FAILED)
		mail_script_failed(m);
	else if (first != NULL && answer == RELAYOUT_SKIPS)
		hold(m, first, &of_first, reason);
	free(reason);
}

static void apply(struct mail *m)
{
	struct strlist recipients = STRLIST_INIT;

	mail_remove_headers(m, RELAYOUT_FIELD);
	mail_recipients(m, &recipients);
	if (m->verdict->action == VERDICT_CONTINUE && is_outbound(m, &recipients))
		choose(m, &recipients);
	strlist_clear(&recipients);
}

const struct mail_stage mail_relay = {"relayout.lua", needs, apply};
