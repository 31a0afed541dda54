/* agent_pass.c - see agent_pass.h. */
#include "policy/agent_pass.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/queue_list.h"
#include "common/queue_record.h"
#include "common/store/store_shared.h"
#include "lua-bindings/checkfile.h"
#include "policy/queue_client.h"
#include "policy/queue_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STORE_MS 2000
#define GRACE_MS (5 * 60 * 1000)     /* a record may be there before its message is */
#define DIALOGUE_MS (60 * 60 * 1000) /* from a message's MAIL to its end, at most */
#define CLOCK_SLACK_MS 2000	     /* the queue knows whole seconds only */

struct candidate {
	struct queue_entry entry;
	struct queue_record record;
	struct checkfile_actions actions;
	size_t place;
	bool release;
};

struct pass {
	const struct config *config;
	struct agent_memory *memory;
	struct checkfile_run *run;
	struct script_set *set;
	struct queue_reader *reader;
	struct strlist records; /* sorted */
	bool *seen;		/* of each record: it is in the queue */
	struct candidate *v;
	size_t n;
	int64_t now_ms;
};

/* ---- what is there ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void on_line(const char *text, size_t n, void *arg)
{
	struct pass *p = arg;
	struct queue_entry e = {0};
	char **found;

	if (!queue_reader_line(p->reader, text, n, &e))
		return;
	found = bsearch(&e.id, p->records.v, p->records.n, sizeof *p->records.v, by_text);
	if (found == NULL) {
		queue_entry_clear(&e);
		return;
	}
	p->seen[found - p->records.v] = true;
	p->v = xgrow(p->v, p->n, sizeof *p->v);
	p->v[p->n] = (struct candidate){.entry = e, .place = p->n};
	p->n++;
}

static bool read_queue(struct pass *p)
{
	char why[512];

	if (queue_client_ask(
		p->config->agent.socket, QUEUE_LIST, "", on_line, p, why, sizeof why)) {
		if (p->memory->away)
			log_info(NULL, "queue agent: mailhooks-queue answers again");
		p->memory->away = false;
		return true;
	}
	if (!p->memory->away)
		log_error(NULL, "queue agent: %s; held messages wait until it answers", why);
	p->memory->away = true;
	return false;
}

/* A message that moves while the queue is read may be passed over, so it must be missed twice. */
static void forget_gone(struct pass *p)
{
	const char *directory = p->config->agent.directory;
	struct strlist missing = STRLIST_INIT;
	struct queue_record r = {0};

	for (size_t i = 0; i < p->records.n; i++) {
		const char *id = p->records.v[i];

		if (p->seen[i])
			continue;
		if (!strlist_has(&p->memory->missing, id))
			strlist_add(&missing, id);
		else if (!queue_record_load(directory, id, &r) || p->now_ms - r.noted_ms > GRACE_MS)
			queue_record_remove(directory, id);
		else
			strlist_add(&missing, id);
	}
	queue_record_clear(&r);
	strlist_clear(&p->memory->missing);
	p->memory->missing = missing;
}

/* ---- one message ---- */

static struct log_id id_of(const struct candidate *c)
{
	struct log_id id = {.queue = ""};

	strncat(id.queue, c->entry.id, sizeof id.queue - 1);
	return id;
}

static void save(const struct pass *p, const struct candidate *c)
{
	struct log_id id = id_of(c);

	if (!queue_record_save(p->config->agent.directory, c->entry.id, &c->record))
		log_error(&id, "queue agent: agent.directory = \"%s\": %s",
		    p->config->agent.directory, strerror(errno));
}

static bool act(const struct pass *p, const struct candidate *c, char letter)
{
	struct log_id id = id_of(c);
	char why[512];

	if (queue_client_ask(
		p->config->agent.socket, letter, c->entry.id, NULL, NULL, why, sizeof why))
		return true;
	log_warn(&id, "queue agent: %s", why);
	return false;
}

/* The first look completes the record by what the queue says, which may have rewritten the sender;
 * from then on both must match. Before, the time of the arrival alone tells: no later message of
 * that id can have arrived before the milter saw the end of this one. */
static bool is_ours(const struct pass *p, struct candidate *c)
{
	struct queue_record *r = &c->record;
	const struct queue_entry *e = &c->entry;

	if (r->arrival_ms != 0)
		return r->arrival_ms == e->arrival_ms && strcmp(r->sender, e->sender) == 0;
	if (e->arrival_ms > r->noted_ms + CLOCK_SLACK_MS ||
	    e->arrival_ms < r->noted_ms - DIALOGUE_MS)
		return false;
	r->arrival_ms = e->arrival_ms;
	xreplace(&r->sender, e->sender);
	save(p, c);
	return true;
}

/* Number and time of the tries, as the mail log told them; else what we knew before. */
static void find_tries(const struct pass *p, const char *id, int64_t *retries, int64_t *last_ms)
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

/* False: the hook failed, and lua.on_error says that things stay as they are. */
static bool ask(struct pass *p, struct candidate *c, int64_t retries, int64_t last_ms)
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
	struct log_id id = id_of(c);
	enum mxout_answer answer;

	waiting_recipients(c, &recipients);
	answer = checkfile_ask(p->run, &message, &id,
	    clock_ms() + script_set_config(p->set)->lua.command_ms, &c->actions);
	strlist_clear(&recipients);
	return answer != MXOUT_FAILED || !mxout_must_fail(p->set);
}

static const char *reason(const struct candidate *c)
{
	return c->actions.Reason != NULL && *c->actions.Reason != '\0' ? c->actions.Reason
								       : "no reason given";
}

static void look_at_held(struct pass *p, struct candidate *c)
{
	int64_t held_ms = p->now_ms - c->record.held_ms;
	int64_t retries = c->record.retries, last_ms = c->record.last_try_ms;
	struct log_id id = id_of(c);

	if (held_ms > p->config->agent.most_hold_minutes * 60000LL) {
		c->release = true;
		c->actions.Priority = CHECKFILE_PRIORITY;
		log_warn(&id,
		    "queue agent: held for %lld minutes, longer than agent.most_hold_minutes: "
		    "released, whatever CheckFile says",
		    (long long)(held_ms / 60000));
		return;
	}
	find_tries(p, c->entry.id, &retries, &last_ms);
	c->release = ask(p, c, retries, last_ms) && !c->actions.SkipSend;
	if (c->record.last_chance != c->actions.ForceLastTry) {
		c->record.last_chance = c->actions.ForceLastTry;
		save(p, c);
	}
}

static void hold(const struct pass *p, struct candidate *c)
{
	struct log_id id = id_of(c);

	c->record.held_ms = p->now_ms; /* known to be ours before it is held */
	if (!queue_record_save(p->config->agent.directory, c->entry.id, &c->record))
		log_error(&id, "not held, although CheckFile said so: %s: %s",
		    p->config->agent.directory, strerror(errno));
	else if (act(p, c, QUEUE_HOLD))
		log_info(&id, "queue agent: held by CheckFile: %.200s", reason(c));
}

/* A script that always forces a retry gets one in each interval, no more. */
static bool too_soon(const struct pass *p, int64_t last_ms)
{
	return p->now_ms - last_ms < p->config->agent.interval_seconds * 1000LL;
}

/* Forced expiration makes no try (observed), so it comes after the last one. Of a message that we
 * have not known to be tried before, the queue's reason tells as well. */
static void look_at_last(const struct pass *p, const struct candidate *c, int64_t last_ms)
{
	struct log_id id = id_of(c);
	bool tried =
	    last_ms > c->record.last_try_ms || (c->record.last_try_ms == 0 && c->entry.tried);

	if (tried && act(p, c, QUEUE_EXPIRE) && act(p, c, QUEUE_TRY))
		log_info(&id, "queue agent: the last try has failed: returned to the sender");
}

static void look_at_deferred(struct pass *p, struct candidate *c)
{
	int64_t retries = c->record.retries, last_ms = c->record.last_try_ms;
	struct log_id id = id_of(c);

	find_tries(p, c->entry.id, &retries, &last_ms);
	if (c->record.last_chance != 0) {
		look_at_last(p, c, last_ms);
		return;
	}
	if (last_ms <= c->record.last_try_ms || !ask(p, c, retries, last_ms))
		return;
	if (c->actions.ForceRetry && too_soon(p, last_ms))
		return; /* asked again by a later pass */
	c->record.retries = retries;
	c->record.last_try_ms = last_ms;
	if (c->actions.SkipSend) {
		hold(p, c);
		return;
	}
	c->record.last_chance = c->actions.ForceLastTry;
	save(p, c);
	if (c->actions.ForceLastTry)
		log_info(&id, "queue agent: the next try is the last one: %.200s", reason(c));
	if (c->actions.ForceRetry && act(p, c, QUEUE_TRY))
		log_info(&id, "queue agent: tried again now: %.200s", reason(c));
}

static void look_at(struct pass *p, struct candidate *c)
{
	const char *directory = p->config->agent.directory;
	struct log_id id = id_of(c);
	bool is_held = strcmp(c->entry.queue, "hold") == 0;

	if (!queue_record_load(directory, c->entry.id, &c->record)) {
		if (errno == EBADMSG && is_held)
			log_error(&id,
			    "queue agent: %s/%s is damaged: the message stays held; "
			    "release it by postsuper -H",
			    directory, c->entry.id);
		return;
	}
	if (!is_ours(p, c)) {
		log_warn(&id, "queue agent: this is another message than the one that was known "
			      "under its id; left alone");
		queue_record_remove(directory, c->entry.id);
		return;
	}
	if (is_held) {
		if (c->record.held_ms != 0)
			look_at_held(p, c);
		return; /* somebody else's hold */
	}
	if (c->record.held_ms != 0) { /* released, by us or by hand */
		c->record.held_ms = 0;
		save(p, c);
	}
	if (strcmp(c->entry.queue, "deferred") == 0)
		look_at_deferred(p, c);
}

/* ---- release ---- */

static int by_base_order(const struct candidate *a, const struct candidate *b, bool by_size)
{
	int64_t x = by_size ? a->entry.size : a->entry.arrival_ms;
	int64_t y = by_size ? b->entry.size : b->entry.arrival_ms;

	if (x != y)
		return x < y ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

static int by_age(const void *a, const void *b)
{
	return by_base_order(a, b, false);
}

static int by_size(const void *a, const void *b)
{
	return by_base_order(a, b, true);
}

/* Higher first, else as they were. */
static int by_priority(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->actions.Priority != y->actions.Priority)
		return x->actions.Priority > y->actions.Priority ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void sort(struct pass *p, int (*compare)(const void *, const void *))
{
	if (p->n > 0)
		qsort(p->v, p->n, sizeof *p->v, compare);
	for (size_t i = 0; i < p->n; i++)
		p->v[i].place = i;
}

/* That it is released the next pass sees in the queue: until then the record says "held". */
static void release(const struct pass *p, const struct candidate *c)
{
	struct log_id id = id_of(c);

	if (act(p, c, QUEUE_RELEASE) && act(p, c, QUEUE_TRY))
		log_info(&id, "queue agent: released%s, priority %lld: %.200s",
		    c->actions.ForceLastTry ? " for a last try" : "",
		    (long long)c->actions.Priority, reason(c));
}

/* ---- a pass ---- */

static void run(struct pass *p, bool (*stopped)(void *), void *arg)
{
	forget_gone(p);
	sort(p, p->config->agent.smallest_first ? by_size : by_age);
	for (size_t i = 0; i < p->n && !(stopped != NULL && stopped(arg)); i++) {
		look_at(p, &p->v[i]);
		queue_record_clear(&p->v[i].record);
	}
	sort(p, by_priority);
	for (size_t i = 0; i < p->n && !(stopped != NULL && stopped(arg)); i++)
		if (p->v[i].release)
			release(p, &p->v[i]);
}

static void clear(struct pass *p)
{
	for (size_t i = 0; i < p->n; i++) {
		queue_entry_clear(&p->v[i].entry);
		queue_record_clear(&p->v[i].record);
		checkfile_actions_clear(&p->v[i].actions);
	}
	free(p->v);
	free(p->seen);
	strlist_clear(&p->records);
	queue_reader_free(p->reader);
	checkfile_close(p->run);
	script_set_unref(p->set);
}

void agent_pass(
    const struct config *c, struct agent_memory *memory, bool (*stopped)(void *), void *arg)
{
	struct pass p = {.config = c, .memory = memory, .now_ms = (int64_t)time(NULL) * 1000};

	if (!queue_record_list(c->agent.directory, &p.records))
		log_error(NULL, "queue agent: agent.directory = \"%s\": %s", c->agent.directory,
		    strerror(errno));
	p.set = script_set_current();
	p.reader = queue_reader_new();
	if (p.records.n > 0 && p.set != NULL && p.reader != NULL) {
		qsort(p.records.v, p.records.n, sizeof *p.records.v, by_text);
		p.seen = xcalloc(p.records.n, sizeof *p.seen);
		p.run = checkfile_open(p.set);
		if (read_queue(&p))
			run(&p, stopped, arg);
	}
	clear(&p);
}

void agent_memory_clear(struct agent_memory *m)
{
	strlist_clear(&m->missing);
}
