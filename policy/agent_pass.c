/* agent_pass.c - see agent_pass.h. */
#include "policy/agent_pass.h"

#include "common/list.h"
#include "common/log.h"
#include "policy/agent_look.h"
#include "policy/agent_queue.h"
#include "policy/queue_client.h"
#include "policy/queue_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GRACE_MS (5 * 60 * 1000)       /* a record may be there before its message is */
#define HELD_GRACE_MS (60 * 60 * 1000) /* what was released by hand and sent is missing, too */
#define MOST_LATE 3		       /* answers, until what was decided is done */

struct pass {
	struct agent_run run;
	struct agent_memory *memory;
	struct strlist records; /* sorted */
	bool *seen;		/* of each record: it is in the queue */
	struct candidate *v;
	size_t n, nlate, unasked;
	bool (*stop)(void *); /* may be NULL */
	void *stop_arg;
};

static bool is_stopped(void *arg)
{
	const struct pass *p = arg;

	return p->stop != NULL && p->stop(p->stop_arg);
}

/* ---- what is there ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Of one that is told twice the later place counts. */
static void replace(struct pass *p, struct queue_entry *e)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].entry.id, e->id) == 0) {
			queue_entry_clear(&p->v[i].entry);
			p->v[i].entry = *e;
			return;
		}
}

static void on_entry(struct queue_entry *e, void *arg)
{
	struct pass *p = arg;
	char **found = bsearch(&e->id, p->records.v, p->records.n, sizeof *p->records.v, by_text);
	bool *seen = found != NULL ? &p->seen[found - p->records.v] : NULL;

	if (seen == NULL) {
		queue_entry_clear(e);
		return;
	}
	if (*seen) {
		replace(p, e);
		return;
	}
	*seen = true;
	p->v = xgrow(p->v, p->n, sizeof *p->v);
	p->v[p->n] = (struct candidate){.entry = *e, .place = p->n};
	p->n++;
}

static bool read_queue(struct pass *p)
{
	char why[512];

	if (agent_queue_read(p->run.config, on_entry, is_stopped, p, why, sizeof why)) {
		if (p->memory->away)
			log_info(NULL, "queue agent: mailhooks-queue answers again");
		p->memory->away = false;
		return true;
	}
	if (is_stopped(p))
		return false;
	if (!p->memory->away)
		log_error(NULL, "queue agent: %s; held messages wait until it answers", why);
	p->memory->away = true;
	return false;
}

/* The pass that missed this one first. */
static int64_t missing_since(const struct pass *p, const char *id)
{
	const struct strlist *missing = &p->memory->missing;
	char **found = missing->n > 0
			   ? bsearch(&id, missing->v, missing->n, sizeof *missing->v, by_text)
			   : NULL;

	return found != NULL ? p->memory->since_ms[found - missing->v] : p->run.now_ms;
}

/* A message that moves while the queue is read may be passed over, so it must be missed twice; one
 * that we hold for long, since a list that is not whole would leave it held for ever, and one that
 * we may hold, too. One whose token was used was requeued, and has another id by now. */
static bool has_gone(const struct pass *p, const char *id, int64_t since_ms)
{
	struct queue_record r = {0};
	bool known = queue_record_load(p->run.config->agent.directory, id, &r), gone;
	bool damaged = !known && errno == EBADMSG;

	if (r.asked_ms != 0)
		gone = true;
	else if (r.released_ms != 0)
		gone = since_ms != p->run.now_ms;
	else if (r.held_ms != 0 || damaged)
		gone = p->run.now_ms - since_ms > HELD_GRACE_MS;
	else
		gone =
		    since_ms != p->run.now_ms && (!known || p->run.now_ms - r.noted_ms > GRACE_MS);
	queue_record_clear(&r);
	return gone;
}

static void clear_missing(struct agent_memory *m)
{
	strlist_clear(&m->missing);
	free(m->since_ms);
	m->since_ms = NULL;
}

static void forget_gone(struct pass *p)
{
	struct strlist missing = STRLIST_INIT;
	int64_t *since_ms = NULL;

	for (size_t i = 0; i < p->records.n; i++) {
		const char *id = p->records.v[i];
		int64_t since;

		if (p->seen[i])
			continue;
		since = missing_since(p, id);
		if (has_gone(p, id, since)) {
			queue_record_remove(p->run.config->agent.directory, id);
			continue;
		}
		since_ms = xgrow(since_ms, missing.n, sizeof *since_ms);
		since_ms[missing.n] = since;
		strlist_add(&missing, id);
	}
	clear_missing(p->memory);
	p->memory->missing = missing;
	p->memory->since_ms = since_ms;
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

/* Those that were late last time come last, in turn. */
static int by_turn(const struct candidate *a, const struct candidate *b, bool by_size)
{
	if (a->turn != b->turn)
		return a->turn < b->turn ? -1 : 1;
	return by_base_order(a, b, by_size);
}

static int by_age(const void *a, const void *b)
{
	return by_turn(a, b, false);
}

static int by_size(const void *a, const void *b)
{
	return by_turn(a, b, true);
}

/* Higher first, else as they were. Of pointers. */
static int by_priority(const void *a, const void *b)
{
	const struct candidate *x = *(struct candidate *const *)a;
	const struct candidate *y = *(struct candidate *const *)b;

	if (x->actions.Priority != y->actions.Priority)
		return x->actions.Priority > y->actions.Priority ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void sort(struct candidate *v, size_t n, int (*compare)(const void *, const void *))
{
	if (n > 0)
		qsort(v, n, sizeof *v, compare);
	for (size_t i = 0; i < n; i++)
		v[i].place = i;
}

/* True: pickup(8) has to know. */
static bool release(struct pass *p, struct candidate *c)
{
	struct log_id id = agent_id(c);

	c->release = false;
	if (!agent_release(&p->run, c))
		return false;
	log_info(&id, "queue agent: released%s, priority %lld: %.200s",
	    c->actions.ForceLastTry ? " for a last try" : "", (long long)c->actions.Priority,
	    agent_reason(c));
	return c->requeue;
}

/* What is not told looks for itself once in a minute. */
static void wake_pickup(const struct pass *p)
{
	char why[512];

	if (!queue_client_ask(p->run.config->agent.socket, QUEUE_PICKUP, "", NULL, why, sizeof why))
		log_debug(NULL, "queue agent: %s", why);
}

/* ---- a pass ---- */

static void find_turns(struct pass *p)
{
	for (size_t i = 0; i < p->n && p->memory->late.n > 0; i++)
		for (size_t k = 0; k < p->memory->late.n && p->v[i].turn == 0; k++)
			if (strcmp(p->memory->late.v[k], p->v[i].entry.id) == 0)
				p->v[i].turn = k + 1;
}

/* Release what is to be released by now. */
static void act(struct pass *p)
{
	struct candidate **due = NULL;
	size_t n = 0;
	bool requeued = false;

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].release) {
			due = xgrow(due, n, sizeof *due);
			due[n++] = &p->v[i];
		}
	if (n > 0)
		qsort(due, n, sizeof *due, by_priority);
	for (size_t i = 0; i < n && !is_stopped(p); i++)
		requeued |= release(p, due[i]);
	free(due);
	if (requeued)
		wake_pickup(p);
}

/* Those that were never late are asked about, whatever the others cost, and acted on after every
 * few late answers. */
static void ask_new(struct pass *p)
{
	for (size_t i = 0; i < p->n && !is_stopped(p); i++) {
		if (p->v[i].turn != 0 || p->v[i].ask == NULL)
			continue;
		agent_ask(&p->run, &p->v[i]);
		p->nlate += p->v[i].late;
		if (p->v[i].late && p->nlate % MOST_LATE == 0)
			act(p);
	}
	act(p);
}

/* Of those that were late last time only few cost a pass their time. */
static void ask_late(struct pass *p)
{
	size_t late = 0;

	for (size_t i = 0; i < p->n && !is_stopped(p); i++) {
		if (p->v[i].turn == 0 || p->v[i].ask == NULL) {
			p->v[i].turn = 0;
		} else if (late < MOST_LATE) {
			agent_ask(&p->run, &p->v[i]);
			late += p->v[i].late;
			p->v[i].turn = 0;
		} else {
			p->unasked++;
		}
	}
	p->nlate += late;
	act(p);
}

/* For the next pass: whose turn did not come, then those that were late in this one. */
static void note_late(struct pass *p)
{
	struct strlist late = STRLIST_INIT;

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].turn > 0)
			strlist_add(&late, p->v[i].entry.id);
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].late)
			strlist_add(&late, p->v[i].entry.id);
	strlist_clear(&p->memory->late);
	p->memory->late = late;
	if (p->unasked > 0)
		log_warn(NULL,
		    "queue agent: the scripts had no answer in their time (lua.hook_ms) about %zu "
		    "messages; %zu others are asked about in the next pass",
		    p->nlate, p->unasked);
}

static void run(struct pass *p)
{
	forget_gone(p);
	find_turns(p);
	sort(p->v, p->n, p->run.config->agent.smallest_first ? by_size : by_age);
	for (size_t i = 0; i < p->n && !is_stopped(p); i++)
		agent_look(&p->run, &p->v[i]);
	ask_new(p);
	ask_late(p);
	note_late(p);
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
	checkfile_close(p->run.checkfile);
	script_set_unref(p->run.set);
}

void agent_pass(
    const struct config *c, struct agent_memory *memory, bool (*stopped)(void *), void *arg)
{
	struct pass p = {.run = {.config = c, .now_ms = (int64_t)time(NULL) * 1000},
	    .memory = memory,
	    .stop = stopped,
	    .stop_arg = arg};

	if (!queue_record_list(c->agent.directory, &p.records))
		log_error(NULL, "queue agent: agent.directory = \"%s\": %s", c->agent.directory,
		    strerror(errno));
	p.run.set = script_set_current();
	if (p.records.n > 0 && p.run.set != NULL) {
		qsort(p.records.v, p.records.n, sizeof *p.records.v, by_text);
		p.seen = xcalloc(p.records.n, sizeof *p.seen);
		p.run.checkfile = checkfile_open(p.run.set);
		if (read_queue(&p))
			run(&p);
	}
	clear(&p);
}

void agent_memory_clear(struct agent_memory *m)
{
	clear_missing(m);
	strlist_clear(&m->late);
}
