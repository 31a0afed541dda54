/* mail_checkfile.c - CheckFile() of mxout.lua when a message comes in: SkipSend holds it.
 *
 * The message has never been tried, so Retries is 0 and LastTryTime "". Only messages that go to
 * other hosts are asked about. What the queue agent needs to ask again goes into a record
 * (queue_record.h) first: a hold that nobody could ever end again is not set. ForceLastTry and
 * ForceRetry mean nothing before the first try; the agent asks again after it.
 *
 * An MTA holds a message as a whole. So recipients here, whose mail never was CheckFile's business,
 * wait with the others: late can be made good, sent cannot. agent.hold_mixed has it otherwise. */
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

static size_t recipients_here(struct mail *m)
{
	struct strlist all = STRLIST_INIT;
	size_t n = 0;

	mail_recipients(m, &all);
	for (size_t i = 0; i < all.n; i++)
		n += !mail_goes_out(m, all.v[i]);
	strlist_clear(&all);
	return n;
}

static void hold(struct mail *m, struct queue_record *r)
{
	const char *reason = *r->reason != '\0' ? r->reason : "CheckFile() of mxout.lua";
	size_t here = recipients_here(m);

	r->held_ms = r->noted_ms;
	if (queue_record_save(m->config->agent.directory, m->id->queue, r)) {
		verdict_quarantine(m->verdict, reason);
		log_info(m->id, "held by CheckFile: %.200s", reason);
		if (here > 0)
			log_warn(m->id,
			    "held for %zu recipients on this machine, too: a message is held as a "
			    "whole; see agent.hold_mixed",
			    here);
		return;
	}
	log_error(m->id, "not held, although CheckFile said so: %s: %s; nobody could release it",
	    m->config->agent.directory, strerror(errno));
}

/* The agent asks again when a try has failed. */
static bool must_go(struct mail *m)
{
	size_t here = m->config->agent.hold_mixed ? 0 : recipients_here(m);

	if (here > 0)
		log_info(m->id,
		    "not held, although CheckFile said so: %zu recipients on this machine would "
		    "wait, too, and agent.hold_mixed is false",
		    here);
	return here > 0;
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
	} else if (a->SkipSend && m->verdict->quarantine == NULL && !must_go(m)) {
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
