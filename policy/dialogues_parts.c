/* dialogues_parts.c - what dialogues.h knows: messages, processes and their dialogues. */
#include "policy/dialogues.h"

#include <stdlib.h>
#include <string.h>

#define uthash_malloc(size) xmalloc(size)
#include "policy/dialogues_private.h"

struct dialogue *dialogues_add(struct dialogue ***v, size_t *n)
{
	struct dialogue *d = xcalloc(1, sizeof *d);

	*v = xgrow(*v, *n, sizeof **v);
	(*v)[(*n)++] = d;
	d->delay_ms = -1;
	return d;
}

void dialogues_drop(struct dialogue *d)
{
	free(d->key);
	free(d->server);
	free(d->address);
	free(d->domain);
	free(d->connection);
	free(d->tls);
	free(d->stage);
	free(d->result);
	strlist_clear(&d->recipients);
	strlist_clear(&d->results);
	free(d);
}

struct message *dialogues_message(struct dialogues *g, const char *queue_id)
{
	struct message *m;

	HASH_FIND_STR(g->messages, queue_id, m);
	if (m != NULL)
		return m;
	m = xcalloc(1, sizeof *m);
	m->queue_id = xstrdup(queue_id);
	m->total = -1;
	HASH_ADD_KEYPTR(hh, g->messages, m->queue_id, strlen(m->queue_id), m);
	return m;
}

void dialogues_forget_message(struct dialogues *g, struct message *m)
{
	HASH_DEL(g->messages, m);
	free(m->queue_id);
	free(m->sender);
	free(m);
}

struct process *dialogues_process(struct dialogues *g, unsigned long pid)
{
	struct process *p;

	HASH_FIND(hh, g->processes, &pid, sizeof pid, p);
	if (p != NULL)
		return p;
	p = xcalloc(1, sizeof *p);
	p->pid = pid;
	HASH_ADD(hh, g->processes, pid, sizeof p->pid, p);
	return p;
}

void dialogues_forget_tls(struct process *p)
{
	xreplace(&p->tls_server, NULL);
	xreplace(&p->tls_address, NULL);
	xreplace(&p->tls, NULL);
}

void dialogues_sort(struct dialogues *g, struct process *p, bool last)
{
	bool busy = !last && (p->queue_id != NULL || p->loud);

	if (busy && !p->busy)
		TAILQ_INSERT_TAIL(&g->busy, p, entry);
	else if (!busy && p->busy)
		TAILQ_REMOVE(&g->busy, p, entry);
	p->busy = busy;
}
