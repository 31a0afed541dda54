/* mail_checkfile.c - CheckFile() of mxout.lua when a message comes in: SkipSend holds it.
 *
 * The message has never been tried, so Retries is 0 and LastTryTime "". Only messages that go to
 * other hosts are asked about. What the queue agent needs to ask again goes into a record
 * (queue_record.h) first: a hold that nobody could ever end again is not set. ForceLastTry and
 * ForceRetry mean nothing before the first try; the agent asks again after it. */
#include "common/queue_record.h"
#include "lua-bindings/checkfile.h"
#include "lua-bindings/mail/mail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	bool wanted = checkfile_wanted(set);

	if (wanted)
		n->headers = n->body = n->quarantine = true; /* the body is counted, not kept */
	return wanted;
}

static void describe(const struct mail *m, struct queue_record *r)
{
	struct strlist all = STRLIST_INIT;

	xreplace(&r->sender, mail_sender(m));
	r->size = (int64_t)message_size(m->message);
	r->noted_ms = (int64_t)time(NULL) * 1000;
	mail_recipients(m, &all);
	for (size_t i = 0; i < all.n; i++)
		if (mail_goes_out(m, all.v[i]))
			strlist_add(&r->recipients, all.v[i]);
	strlist_clear(&all);
	for (size_t i = 0; i < message_header_count(m->message); i++) {
		const struct header_field *f = message_header_field(m->message, i);
		char *line = xasprintf("%s:%s", f->name, f->value);

		strlist_add(&r->header_lines, line);
		free(line);
	}
}

static void hold(struct mail *m, struct queue_record *r)
{
	const char *reason = *r->reason != '\0' ? r->reason : "CheckFile() of mxout.lua";

	r->held_ms = r->noted_ms;
	if (queue_record_save(m->config->agent.directory, m->id->queue, r)) {
		verdict_quarantine(m->verdict, reason);
		log_info(m->id, "held by CheckFile: %.200s", reason);
		return;
	}
	log_error(m->id, "not held, although CheckFile said so: %s: %s; nobody could release it",
	    m->config->agent.directory, strerror(errno));
}

static void decide(struct mail *m, struct queue_record *r, const struct checkfile_actions *a)
{
	r->priority = a->Priority;
	xreplace(&r->reason, a->Reason != NULL ? a->Reason : "");
	if (m->config->agent.mta == AGENT_NONE) {
		if (a->SkipSend && script_set_first(m->set, "CheckFile without agent"))
			log_warn(m->id, "not held, although CheckFile said so: agent.mta is "
					"\"none\", nobody would release it (logged once for each "
					"loading of the scripts)");
	} else if (a->SkipSend && m->verdict->quarantine == NULL) {
		hold(m, r); /* a hold of another script is not for the agent to end */
	} else if (!queue_record_save(m->config->agent.directory, m->id->queue, r)) {
		log_warn(m->id, "CheckFile will not be asked again: %s: %s",
		    m->config->agent.directory, strerror(errno));
	}
}

static void ask(struct mail *m, struct queue_record *r)
{
	const struct checkfile_message message = {
	    .filename = m->id->queue,
	    .size = r->size,
	    .created_ms = r->noted_ms,
	    .sender = r->sender,
	    .recipients = &r->recipients,
	    .header_lines = &r->header_lines,
	};
	struct checkfile_run *run = checkfile_open(m->set);
	struct checkfile_actions actions = {0};

	if (checkfile_ask(run, &message, m->id, m->deadline_ms, &actions) == MXOUT_FAILED)
		mail_script_failed(m);
	if (m->verdict->action == VERDICT_CONTINUE)
		decide(m, r, &actions);
	checkfile_actions_clear(&actions);
	checkfile_close(run);
}

static void apply(struct mail *m)
{
	struct queue_record r = {0};

	if (m->id->queue[0] == '\0' || m->relay != NULL) /* relayout.lua was asked instead */
		return;
	describe(m, &r);
	if (r.recipients.n > 0)
		ask(m, &r);
	queue_record_clear(&r);
}

const struct mail_stage mail_checkfile = {"CheckFile", needs, apply};
