/* mail_checkfile.c - CheckFile() of mxout.lua when a message comes in: SkipSend holds it.
 *
 * The message has never been tried, so Retries is 0 and LastTryTime "". Only messages that go to
 * other hosts are asked about. What the queue agent needs to ask again goes into a record
 * (queue_record.h) first: a hold that nobody could ever end again is not set. ForceLastTry and
 * ForceRetry mean nothing before the first try; the agent asks again after it. */
#include "lua-bindings/mail/mail_mxout.h"
#include "lua-bindings/mail/mail_record.h"
#include "lua-bindings/outbound/checkfile_instance.h"

#include <errno.h>
#include <string.h>

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	bool wanted = checkfile_wanted(set);

	if (wanted)
		n->headers = n->body = n->quarantine = true; /* the body is counted, not kept */
	return wanted;
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
	struct checkfile_actions actions = {0};
	struct instance *in;
	enum instance_end opened = mail_mxout(m, &in);
	struct checkfile_run *run = checkfile_open_in(m->set, in, opened);

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
	mail_record_describe(m, &r);
	if (r.recipients.n > 0)
		ask(m, &r);
	queue_record_clear(&r);
}

const struct mail_stage mail_checkfile = {"CheckFile", needs, apply};
