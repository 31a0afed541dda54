/* request.c - see request.h. */
#include "policy/request.h"

#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/script_set.h"
#include "policy/maps.h"
#include "policy/policy_rules.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
	struct task task;
	enum service service;
	struct request_reader reader;
	struct script_set *set;
	const char *listen;
	struct log_id id;
	struct peer peer;
	uint64_t question;
	void (*answered)(void *arg, const char *reply, size_t n); /* NULL: forgotten */
	void *arg;

	/* of the worker until it is done */
	char *reply;
	size_t reply_n;
};

/* ---- reading ---- */

bool request_reader_idle(const struct request_reader *r, enum service service)
{
	return service == SERVICE_POLICY ? policy_reader_idle(&r->policy)
					 : socketmap_reader_idle(&r->socketmap);
}

enum codec request_reader_feed(
    struct request_reader *r, enum service service, const char **p, size_t *n)
{
	return service == SERVICE_POLICY ? policy_feed(&r->policy, p, n)
					 : socketmap_feed(&r->socketmap, p, n);
}

const char *request_reader_why(const struct request_reader *r, enum service service)
{
	return service == SERVICE_POLICY ? r->policy.why : r->socketmap.why;
}

void request_reader_clear(struct request_reader *r, enum service service)
{
	if (service == SERVICE_POLICY)
		policy_reader_clear(&r->policy);
	else
		socketmap_reader_clear(&r->socketmap);
}

/* ---- answering ---- */

static char *answer_policy(struct request *r, size_t *size)
{
	const struct policy_reader *p = &r->reader.policy;
	struct policy_query q = {
	    r->set, r->listen, p->attributes, p->nattributes, r->task.deadline_ms, &r->id};

	snprintf(r->id.queue, sizeof r->id.queue, "%s",
	    policy_attribute(p->attributes, p->nattributes, "queue_id"));
	return policy_rules_answer(&q, size);
}

static struct map_query map_query(const struct request *r)
{
	const struct socketmap_reader *m = &r->reader.socketmap;

	return (struct map_query){.set = r->set,
	    .name = m->name,
	    .key = m->key,
	    .key_n = m->key_n,
	    .deadline_ms = r->task.deadline_ms,
	    .id = &r->id,
	    .peer = r->peer,
	    .question = r->question};
}

static void hear(struct request *r)
{
	struct map_query q = map_query(r);

	maps_heard(&q);
	r->question = q.question;
}

static char *answer_map(struct request *r, size_t *size)
{
	struct map_query q = map_query(r);

	return maps_answer(&q, size);
}

static char *default_reply(const struct request *r, size_t *size)
{
	struct map_query q;

	if (r->service == SERVICE_POLICY)
		return policy_reply(POLICY_DEFAULT_ACTION, strlen(POLICY_DEFAULT_ACTION), size);
	q = map_query(r);
	return maps_default(&q, size);
}

static int deadline_ms(const struct request *r)
{
	const struct config *c = script_set_config(r->set);

	return r->service == SERVICE_POLICY ? c->policy.deadline_ms
					    : maps_deadline_ms(c, r->reader.socketmap.name);
}

/* ---- the task ---- */

static void work(struct task *t)
{
	struct request *r = (struct request *)t;

	r->reply = r->service == SERVICE_POLICY ? answer_policy(r, &r->reply_n)
						: answer_map(r, &r->reply_n);
}

static void finish(struct task *t, enum task_end end)
{
	struct request *r = (struct request *)t;
	char *reply;
	size_t n;

	if (r->answered == NULL)
		return;
	if (end == TASK_DONE) {
		r->answered(r->arg, r->reply, r->reply_n);
	} else {
		reply = default_reply(r, &n);
		r->answered(r->arg, reply, n);
		free(reply);
	}
	r->answered = NULL;
}

static void free_request(struct task *t)
{
	struct request *r = (struct request *)t;

	request_reader_clear(&r->reader, r->service);
	script_set_unref(r->set);
	free(r->reply);
	free(r);
}

struct request *request_new(struct request_reader *reader, enum service service, const char *listen,
    const struct log_id *id, const struct peer *peer,
    void (*answered)(void *arg, const char *reply, size_t n), void *arg)
{
	struct request *r = xcalloc(1, sizeof *r);

	r->service = service;
	r->reader = *reader; /* the texts are on the heap: pointers into them stay right */
	memset(reader, 0, sizeof *reader);
	r->set = script_set_current();
	r->listen = listen;
	r->id = *id;
	r->peer = *peer;
	r->answered = answered;
	r->arg = arg;
	r->task = (struct task){.work = work,
	    .finish = finish,
	    .free = free_request,
	    .deadline_ms = clock_ms() + deadline_ms(r)};
	if (service != SERVICE_POLICY)
		hear(r);
	return r;
}

struct task *request_task(struct request *r)
{
	return &r->task;
}

void request_forget(struct request *r)
{
	r->answered = NULL;
}
