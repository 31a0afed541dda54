/* agent_queue.c - see agent_queue.h. */
#include "policy/agent_queue.h"

#include "common/list.h"
#include "common/queue_list_sendmail.h"
#include "common/queue_record.h"
#include "policy/queue_client.h"
#include "policy/queue_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct reading {
	const struct config *config;
	struct queue_reader *reader; /* of Postfix's lines */
	const char *queue;	     /* of Sendmail's */
	void (*entry)(struct queue_entry *, void *arg);
	bool (*stopped)(void *arg);
	void *arg;
};

static bool is_stopped(void *arg)
{
	const struct reading *r = arg;

	return r->stopped(r->arg);
}

static void on_postfix_line(const char *text, size_t n, void *arg)
{
	struct reading *r = arg;
	struct queue_entry e = {0};

	if (queue_reader_line(r->reader, text, n, &e))
		r->entry(&e, r->arg);
}

static bool read_postfix(struct reading *r, char *why, size_t size)
{
	const struct queue_listener listener = {on_postfix_line, is_stopped, r};
	bool fine;

	r->reader = queue_reader_new();
	if (r->reader == NULL) {
		snprintf(why, size, "no memory to read the queue");
		return false;
	}
	fine = queue_client_ask(r->config->agent.socket, QUEUE_LIST, "", &listener, why, size);
	queue_reader_free(r->reader);
	return fine;
}

static void on_sendmail_line(const char *text, size_t n, void *arg)
{
	struct reading *r = arg;
	struct queue_record record = {0};
	char id[QUEUE_LIST_ID_BYTES];
	struct queue_entry e;

	if (!queue_list_sendmail_line(text, n, id))
		return;
	if (!queue_record_load(r->config->agent.directory, id, &record) && errno != EBADMSG)
		return; /* of a damaged one the id is enough: nobody is asked about it */
	e = (struct queue_entry){.queue = xstrdup(r->queue),
	    .id = xstrdup(id),
	    .sender = xstrdup(record.sender != NULL ? record.sender : ""),
	    .size = record.size,
	    .arrival_ms = record.noted_ms};
	strlist_copy(&e.recipients, &record.recipients);
	queue_record_clear(&record);
	r->entry(&e, r->arg);
}

/* The held ones last: one that is held meanwhile is seen twice rather than never. */
static bool read_sendmail(struct reading *r, char *why, size_t size)
{
	const struct queue_listener listener = {on_sendmail_line, is_stopped, r};
	const char *socket = r->config->agent.socket;

	r->queue = "deferred";
	if (!queue_client_ask(socket, QUEUE_LIST, "", &listener, why, size))
		return false;
	r->queue = "hold";
	return queue_client_ask(socket, QUEUE_LIST_HELD, "", &listener, why, size);
}

bool agent_queue_read(const struct config *c, void (*entry)(struct queue_entry *, void *arg),
    bool (*stopped)(void *arg), void *arg, char *why, size_t size)
{
	struct reading r = {.config = c, .entry = entry, .stopped = stopped, .arg = arg};

	return c->agent.mta == AGENT_SENDMAIL ? read_sendmail(&r, why, size)
					      : read_postfix(&r, why, size);
}
