/* agent_look.c - see agent_look.h. */
#include "policy/agent_look.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/local_time.h"
#include "common/store/store_shared.h"
#include "lua-bindings/relayout.h"
#include "policy/queue_client.h"
#include "policy/queue_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STORE_MS 2000
#define CLOCK_SLACK_MS 2000	    /* the queue knows whole seconds only */
#define ASKED_MS 5000		    /* the queue was listed well after the token was used */
#define CLEANUP_MS (10 * 60 * 1000) /* cleanup(8) has written the message, or has given up */

/* The queues of Postfix; Sendmail's are named after them (agent_queue.h). */
#define QUEUE_HELD "hold"
#define QUEUE_WAITING "deferred"
#define QUEUE_REQUEUED "maildrop"

struct log_id agent_id(const struct candidate *c)
{
	struct log_id id = {.queue = ""};

	strncat(id.queue, c->entry.id, sizeof id.queue - 1);
	return id;
}

static bool save(const struct agent_run *p, const struct candidate *c)
{
	struct log_id id = agent_id(c);

	if (queue_record_save(p->config->agent.directory, c->entry.id, &c->record))
		return true;
	log_error(&id, "queue agent: agent.directory = \"%s\": %s", p->config->agent.directory,
	    strerror(errno));
	return false;
}

bool agent_act(const struct agent_run *p, const struct candidate *c, char letter)
{
	struct log_id id = agent_id(c);
	char why[512];

	if (queue_client_ask(p->config->agent.socket, letter, c->entry.id, NULL, why, sizeof why))
		return true;
	log_warn(&id, "queue agent: %s", why);
	return false;
}

static bool is_known(const struct candidate *c)
{
	return c->record.arrival_ms == c->entry.arrival_ms &&
	       strcmp(c->record.sender, c->entry.sender) == 0;
}

/* The first look completes the record by what the queue says, which may have rewritten the sender;
 * from then on both must match. Before, the time of the arrival alone tells: no later message of
 * that id can have arrived before the milter saw the end of this one, however long it took. */
static bool is_ours(const struct agent_run *p, struct candidate *c)
{
	struct queue_record *r = &c->record;
	const struct queue_entry *e = &c->entry;

	if (r->arrival_ms != 0)
		return is_known(c);
	if (e->arrival_ms > r->noted_ms + CLOCK_SLACK_MS)
		return false;
	r->arrival_ms = e->arrival_ms;
	xreplace(&r->sender, e->sender);
	save(p, c);
	return true;
}

/* Number and time of the tries, as the mail log told them; else what we knew before. */
static void find_tries(
    const struct agent_run *p, const char *id, int64_t *retries, int64_t *last_ms)
{
	struct store *store = store_shared_get(p->config->store);
	struct store_facts f = {0};
	enum store_answer answer;

	if (store == NULL)
		return;
	answer = store_facts_get(store, id, &f, STORE_MS);
	if (answer == STORE_FOUND && f.last_try_ms >= *last_ms) {
		*retries = f.retries;
		*last_ms = f.last_try_ms;
	}
	store_facts_clear(&f);
	store_shared_put(store);
	store_shared_report(p->config->store, answer);
}

static void waiting_recipients(const struct candidate *c, struct strlist *out)
{
	for (size_t i = 0; i < c->entry.recipients.n; i++)
		if (strlist_has_nocase(&c->record.recipients, c->entry.recipients.v[i]))
			strlist_add(out, c->entry.recipients.v[i]);
	if (out->n == 0) /* rewritten since */
		strlist_copy(out, &c->entry.recipients);
}

static int64_t deadline(const struct agent_run *p)
{
	return clock_ms() + script_set_config(p->set)->lua.command_ms;
}

/* What Sendmail has no command for. */
static void leave_out(const struct agent_run *p, struct checkfile_actions *a)
{
	if (p->config->agent.mta != AGENT_SENDMAIL || !(a->ForceLastTry || a->ForceRetry))
		return;
	a->ForceLastTry = a->ForceRetry = false;
	if (script_set_first(p->set, "CheckFile: Sendmail"))
		log_warn(NULL, "CheckFile: ForceLastTry and ForceRetry have no effect with "
			       "Sendmail (logged once for each loading of the scripts)");
}

/* What fails at once holds nobody up, however often it does. */
static bool was_late(const struct agent_run *p, enum script_id script, int64_t begun_ms)
{
	return clock_ms() - begun_ms >= script_set_budget(p->set, script)->hook_ms / 2;
}

/* ---- CheckFile() of mxout.lua ---- */

/* False: the hook failed, and lua.on_error says that things stay as they are. */
static bool ask(const struct agent_run *p, struct candidate *c, int64_t retries, int64_t last_ms)
{
	struct strlist recipients = STRLIST_INIT;
	const struct checkfile_message message = {
	    .filename = c->entry.id,
	    .size = c->entry.size,
	    .created_ms = c->entry.arrival_ms,
	    .retries = retries,
	    .last_try_ms = last_ms,
	    .sender = c->entry.sender,
	    .recipients = &recipients,
	    .header_lines = &c->record.header_lines,
	};
	struct log_id id = agent_id(c);
	int64_t begun_ms = clock_ms();
	enum mxout_answer answer;

	waiting_recipients(c, &recipients);
	answer = checkfile_ask(p->checkfile, &message, &id, deadline(p), &c->actions);
	c->late = answer == MXOUT_FAILED && was_late(p, SCRIPT_MXOUT, begun_ms);
	strlist_clear(&recipients);
	leave_out(p, &c->actions);
	return answer != MXOUT_FAILED || !mxout_must_fail(p->set);
}

const char *agent_reason(const struct candidate *c)
{
	return c->actions.Reason != NULL && *c->actions.Reason != '\0' ? c->actions.Reason
								       : "no reason given";
}

static void ask_checkfile(const struct agent_run *p, struct candidate *c)
{
	int64_t retries = c->record.retries, last_ms = c->record.last_try_ms;

	find_tries(p, c->entry.id, &retries, &last_ms);
	c->release = ask(p, c, retries, last_ms) && !c->actions.SkipSend;
	if (c->record.last_chance != c->actions.ForceLastTry) {
		c->record.last_chance = c->actions.ForceLastTry;
		save(p, c);
	}
}

/* ---- relayout.lua ---- */

/* Requeued by hand, while we asked. */
static bool token_is_used(const struct agent_run *p, const struct candidate *c)
{
	struct queue_record r = {0};
	bool used =
	    !queue_record_load(p->config->agent.directory, c->entry.id, &r) || r.asked_ms != 0;

	queue_record_clear(&r);
	return used;
}

/* The sender that takes it now. The queue file names the first that was asked; another one is
 * found in the record when the message is requeued (map_requeue.h). */
static void take(
    const struct agent_run *p, struct candidate *c, const struct relayout_choice *choice)
{
	struct log_id id = agent_id(c);

	if (token_is_used(p, c))
		return; /* it goes another way, or the next pass sees it again */
	free(c->record.chosen);
	c->record.chosen = relayout_filter(choice->taker);
	c->actions.Priority = choice->Priority;
	c->requeue = p->config->agent.mta == AGENT_POSTFIX &&
		     (c->record.filter == NULL || strcmp(c->record.chosen, c->record.filter) != 0);
	c->release = save(p, c);
	log_info(&id, "sender %d (%.64s) takes the message: %.300s", choice->taker->id,
	    choice->taker->name, choice->taker->relay);
}

static void ask_senders(const struct agent_run *p, struct candidate *c)
{
	struct strlist recipients = STRLIST_INIT;
	const struct relayout_message message = {.filename = c->entry.id,
	    .size = c->entry.size,
	    .created = (time_t)(c->entry.arrival_ms / 1000),
	    .return_path = c->entry.sender,
	    .recipients = &recipients,
	    .header_lines = &c->record.header_lines};
	struct log_id id = agent_id(c);
	int64_t begun_ms = clock_ms();
	struct relayout_choice choice;

	waiting_recipients(c, &recipients);
	relayout_choose(p->set, &message, &id, deadline(p), &choice);
	c->late = choice.failed && was_late(p, SCRIPT_RELAYOUT, begun_ms);
	if (choice.taker != NULL)
		take(p, c, &choice);
	relayout_choice_clear(&choice);
	strlist_clear(&recipients);
}

/* ---- holds ---- */

static bool is_relay(const struct candidate *c)
{
	return c->record.token != NULL && *c->record.token != '\0';
}

/* All holds of a message together, since its age counts from its arrival. */
static bool held_too_long(const struct agent_run *p, const struct candidate *c)
{
	int64_t now = c->record.held_ms != 0 ? p->now_ms - c->record.held_ms : 0;

	return c->record.held_before_ms + now > p->config->agent.most_hold_minutes * 60000LL;
}

static void look_at_held(const struct agent_run *p, struct candidate *c)
{
	struct log_id id = agent_id(c);

	if (c->record.released_ms != 0) { /* that was not done */
		c->record.released_ms = 0;
		save(p, c);
	}
	if (held_too_long(p, c)) {
		c->release = true;
		log_warn(&id,
		    "queue agent: held for longer than agent.most_hold_minutes: released, whatever "
		    "%s says",
		    is_relay(c) ? "relayout.lua" : "CheckFile");
	} else if (c->record.asked_ms == 0) { /* else it is being requeued by hand */
		c->ask = is_relay(c) ? ask_senders : ask_checkfile;
	}
}

/* Released, by us or by hand. When it was by hand is not known: the time that the agent was away
 * counts, so that a message is rather held too little. */
static void end_hold(const struct agent_run *p, struct candidate *c)
{
	int64_t end_ms = c->record.released_ms != 0 ? c->record.released_ms : p->now_ms;

	if (end_ms > c->record.held_ms)
		c->record.held_before_ms += end_ms - c->record.held_ms;
	c->record.held_ms = c->record.released_ms = 0;
	save(p, c);
}

/* The hook was asked after this try. */
static void note_try(struct candidate *c, int64_t retries, int64_t last_ms)
{
	c->record.retries = retries;
	c->record.last_try_ms = last_ms;
}

static void hold(const struct agent_run *p, struct candidate *c, int64_t retries, int64_t last_ms)
{
	struct log_id id = agent_id(c);

	if (held_too_long(p, c)) {
		log_warn(&id, "queue agent: not held again, although CheckFile said so: it has "
			      "been held for agent.most_hold_minutes");
		note_try(c, retries, last_ms);
		save(p, c);
		return;
	}
	c->record.held_ms = p->now_ms; /* known to be ours before it is held */
	if (!queue_record_save(p->config->agent.directory, c->entry.id, &c->record)) {
		log_error(&id, "not held, although CheckFile said so: %s: %s",
		    p->config->agent.directory, strerror(errno));
	} else if (agent_act(p, c, QUEUE_HOLD)) {
		log_info(&id, "queue agent: held by CheckFile: %.200s", agent_reason(c));
		note_try(c, retries, last_ms); /* not before: what fails is asked about again */
		save(p, c);
	} else { /* no time counts, but should it be held after all, it is by us */
		c->record.released_ms = c->record.held_ms;
		save(p, c);
	}
}

/* ---- messages that wait for a try ---- */

/* A script that always forces a retry gets one in each interval, no more. */
static bool too_soon(const struct agent_run *p, int64_t last_ms)
{
	return p->now_ms - last_ms < p->config->agent.interval_seconds * 1000LL;
}

/* Forced expiration makes no try (observed), so it comes after the last one. Of a message that we
 * have not known to be tried before, the queue's reason tells as well. */
static void look_at_last(const struct agent_run *p, const struct candidate *c, int64_t last_ms)
{
	struct log_id id = agent_id(c);
	bool tried =
	    last_ms > c->record.last_try_ms || (c->record.last_try_ms == 0 && c->entry.tried);

	if (tried && agent_act(p, c, QUEUE_EXPIRE) && agent_act(p, c, QUEUE_TRY))
		log_info(&id, "queue agent: the last try has failed: returned to the sender");
}

static void ask_after_try(const struct agent_run *p, struct candidate *c)
{
	int64_t retries = c->retries, last_ms = c->last_try_ms;
	struct log_id id = agent_id(c);

	if (!ask(p, c, retries, last_ms))
		return;
	if (c->actions.ForceRetry && too_soon(p, last_ms))
		return; /* asked again by a later pass */
	if (c->actions.SkipSend) {
		hold(p, c, retries, last_ms);
		return;
	}
	note_try(c, retries, last_ms);
	c->record.last_chance = c->actions.ForceLastTry;
	save(p, c);
	if (c->actions.ForceLastTry)
		log_info(&id, "queue agent: the next try is the last one: %.200s", agent_reason(c));
	if (c->actions.ForceRetry && agent_act(p, c, QUEUE_TRY))
		log_info(&id, "queue agent: tried again now: %.200s", agent_reason(c));
}

static void look_at_deferred(const struct agent_run *p, struct candidate *c)
{
	c->retries = c->record.retries;
	c->last_try_ms = c->record.last_try_ms;
	find_tries(p, c->entry.id, &c->retries, &c->last_try_ms);
	if (c->record.last_chance != 0)
		look_at_last(p, c, c->last_try_ms);
	else if (c->last_try_ms > c->record.last_try_ms)
		c->ask = ask_after_try;
}

/* ---- any message ---- */

/* Nobody can tell what is to become of it, so it waits for the administrator, but not for ever:
 * what is held is released in the end; what waits to be requeued, since the map `requeue` cannot
 * read the record either, goes without a sender then. */
static void look_at_damaged(const struct agent_run *p, struct candidate *c)
{
	const char *directory = p->config->agent.directory;
	int64_t most_ms = p->config->agent.most_hold_minutes * 60000LL;
	int64_t written_ms = queue_record_written_ms(directory, c->entry.id);
	bool over = written_ms != 0 && p->now_ms - written_ms > most_ms;
	struct log_id id = agent_id(c);
	const char *by_hand =
	    p->config->agent.mta == AGENT_SENDMAIL ? "sendmail -qQ -Q -qI" : "postsuper -H ";
	char until[LOCAL_TIME_BYTES];

	local_time_text(until, written_ms + most_ms);
	if (strcmp(c->entry.queue, QUEUE_HELD) == 0 && over) {
		c->release = true;
		log_error(&id,
		    "queue agent: %s/%s is damaged: the message has been held for "
		    "agent.most_hold_minutes and is released",
		    directory, c->entry.id);
	} else if (strcmp(c->entry.queue, QUEUE_HELD) == 0) {
		log_error(&id,
		    "queue agent: %s/%s is damaged: the message stays held until %s, when it is "
		    "released; at once: %s%s",
		    directory, c->entry.id, until, by_hand, c->entry.id);
	} else if (strcmp(c->entry.queue, QUEUE_REQUEUED) == 0) {
		log_error(&id, "queue agent: %s/%s is damaged: the message, which was requeued, %s",
		    directory, c->entry.id,
		    over ? "has waited for agent.most_hold_minutes and goes without its sender"
			 : "waits; without this file it goes without its sender");
		if (over)
			queue_record_remove(directory, c->entry.id);
	}
}

/* Still there, and in one piece: whoever used the token has not finished. While cleanup(8) may be
 * at work in what was requeued, a token that is good again would outlive the message. */
static void renew_token(const struct agent_run *p, struct candidate *c)
{
	bool requeued = strcmp(c->entry.queue, QUEUE_REQUEUED) == 0;

	if (c->record.asked_ms == 0 ||
	    p->now_ms - c->record.asked_ms < (requeued ? CLEANUP_MS : ASKED_MS))
		return;
	c->record.asked_ms = 0;
	save(p, c);
}

static void look_at_ours(const struct agent_run *p, struct candidate *c)
{
	const char *queue = c->entry.queue;

	renew_token(p, c);
	if (strcmp(queue, QUEUE_REQUEUED) == 0)
		return; /* soon it is another message, which asks for its sender first */
	if (strcmp(queue, QUEUE_HELD) == 0) {
		if (c->record.held_ms != 0)
			look_at_held(p, c);
		return; /* somebody else's hold */
	}
	if (c->record.held_ms != 0)
		end_hold(p, c);
	if (strcmp(queue, QUEUE_WAITING) == 0 && !is_relay(c))
		look_at_deferred(p, c);
}

void agent_look(const struct agent_run *p, struct candidate *c)
{
	const char *directory = p->config->agent.directory;
	struct log_id id = agent_id(c);

	c->actions.Priority = CHECKFILE_PRIORITY;
	if (!queue_record_load(directory, c->entry.id, &c->record)) {
		if (errno == EBADMSG)
			look_at_damaged(p, c);
	} else if (is_ours(p, c)) {
		look_at_ours(p, c);
	} else {
		log_warn(&id, "queue agent: this is another message than the one that was known "
			      "under its id; left alone");
		queue_record_remove(directory, c->entry.id);
	}
	queue_record_clear(&c->record);
}

/* Loaded once more: the map `requeue` may have used the token, and another message may have come
 * under the same id since the queue was listed. */
void agent_ask(const struct agent_run *p, struct candidate *c)
{
	if (queue_record_load(p->config->agent.directory, c->entry.id, &c->record) && is_known(c))
		c->ask(p, c);
	queue_record_clear(&c->record);
}

/* ---- release ---- */

/* Whether it is, the next pass sees in the queue; but what goes at once it does not see any more.
 */
static void note_release(const struct agent_run *p, struct candidate *c)
{
	if (queue_record_load(p->config->agent.directory, c->entry.id, &c->record)) {
		c->record.released_ms = (int64_t)time(NULL) * 1000;
		save(p, c);
	}
	queue_record_clear(&c->record);
}

bool agent_release(const struct agent_run *p, struct candidate *c)
{
	if (c->requeue)
		return agent_act(p, c, QUEUE_REQUEUE);
	if (!agent_act(p, c, QUEUE_RELEASE))
		return false;
	note_release(p, c);
	return p->config->agent.mta == AGENT_SENDMAIL || agent_act(p, c, QUEUE_TRY);
}
