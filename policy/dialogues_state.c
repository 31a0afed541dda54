/* dialogues_state.c - the state of dialogues.h as bytes: one netstring ("5:hello,") after the
 * other, in an order that the reader knows. Numbers are decimal texts. */
#include "policy/dialogues.h"

#include "common/limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define uthash_malloc(size) xmalloc(size)
#include "policy/dialogues_private.h"

#define VERSION "dialogues 1"

/* ---- writing ---- */

static void put(FILE *out, const char *s)
{
	if (s == NULL)
		fputs("-,", out); /* no text at all */
	else
		fprintf(out, "%zu:%s,", strlen(s), s);
}

static void put_number(FILE *out, int64_t n)
{
	char text[32];

	snprintf(text, sizeof text, "%" PRId64, n);
	put(out, text);
}

static void put_list(FILE *out, const struct strlist *list)
{
	put_number(out, (int64_t)list->n);
	for (size_t i = 0; i < list->n; i++)
		put(out, list->v[i]);
}

static void put_dialogues(FILE *out, struct dialogue **v, size_t n)
{
	put_number(out, (int64_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct dialogue *d = v[i];
		const char *const texts[] = {d->key, d->server, d->address, d->domain,
		    d->connection, d->tls, d->stage, d->result};
		const int64_t numbers[] = {d->time_ms, d->delay_ms, d->rank, d->handed};

		for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
			put(out, texts[k]);
		for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
			put_number(out, numbers[k]);
		put_list(out, &d->recipients);
		put_list(out, &d->results);
	}
}

static void put_process(FILE *out, const struct process *p)
{
	put_number(out, (int64_t)p->pid);
	put(out, p->queue_id);
	put(out, p->tls_server);
	put(out, p->tls_address);
	put(out, p->tls);
	put(out, p->recipient);
	put_number(out, p->put_off_ms);
	put_number(out, p->log_ms);
	put_number(out, p->loud);
	put_list(out, &p->put_off);
	put_dialogues(out, p->v, p->n);
	put_dialogues(out, p->lost, p->nlost);
}

void dialogues_save(const struct dialogues *g, FILE *out)
{
	put(out, VERSION);
	put_number(out, HASH_COUNT(g->messages));
	for (const struct message *m = g->messages; m != NULL; m = m->hh.next) {
		put(out, m->queue_id);
		put(out, m->sender);
		put_number(out, m->total);
		put_number(out, m->done);
		put_number(out, m->run_ms);
		put_number(out, m->deferred);
	}
	put_number(out, g->newest_ms);
	put_number(out, HASH_COUNT(g->processes));
	for (const struct process *p = g->processes; p != NULL; p = p->hh.next)
		put_process(out, p);
	put(out, VERSION);
}

/* ---- reading: what is left, and whether all was well so far ---- */

struct reader {
	const char *s;
	size_t n;
	bool well;
};

static void failed(struct reader *r)
{
	r->well = false;
	r->n = 0;
}

/* NULL: no text, or the input is wrong. */
static char *get(struct reader *r)
{
	size_t digits = 0, n = 0;
	char *text;

	if (r->n >= 2 && memcmp(r->s, "-,", 2) == 0) {
		r->s += 2;
		r->n -= 2;
		return NULL;
	}
	while (digits < r->n && digits < 9 && r->s[digits] >= '0' && r->s[digits] <= '9')
		n = n * 10 + (size_t)(r->s[digits++] - '0');
	if (digits == 0 || r->n < digits + n + 2 || r->s[digits] != ':' ||
	    r->s[digits + 1 + n] != ',' || memchr(r->s + digits + 1, '\0', n) != NULL) {
		failed(r);
		return NULL;
	}
	text = xstrndup(r->s + digits + 1, n);
	r->s += digits + n + 2;
	r->n -= digits + n + 2;
	return text;
}

/* A text that must be there. */
static char *need(struct reader *r)
{
	char *text = get(r);

	if (text == NULL)
		failed(r);
	return text != NULL ? text : xstrdup("");
}

static int64_t get_number(struct reader *r)
{
	char *text = get(r), *end = NULL;
	int64_t n = text != NULL ? strtoll(text, &end, 10) : 0;

	if (text == NULL || end == text || *end != '\0')
		failed(r);
	free(text);
	return n;
}

/* Of things that take at least a byte each. */
static size_t get_count(struct reader *r)
{
	int64_t n = get_number(r);

	if (n < 0 || (uint64_t)n > r->n) {
		failed(r);
		return 0;
	}
	return (size_t)n;
}

static void get_list(struct reader *r, struct strlist *list)
{
	for (size_t n = get_count(r); n > 0 && r->well; n--) {
		char *text = need(r);

		strlist_add(list, text);
		free(text);
	}
}

static void get_dialogues(struct reader *r, struct dialogue ***v, size_t *n)
{
	for (size_t left = get_count(r); left > 0 && r->well; left--) {
		struct dialogue *d = dialogues_add(v, n);

		d->key = need(r);
		d->server = need(r);
		d->address = need(r);
		d->domain = get(r);
		d->connection = need(r);
		d->tls = get(r);
		d->stage = need(r);
		d->result = need(r);
		d->time_ms = get_number(r);
		d->delay_ms = get_number(r);
		d->rank = (int)get_number(r);
		d->handed = get_number(r) != 0;
		get_list(r, &d->recipients);
		get_list(r, &d->results);
		if (d->recipients.n != d->results.n)
			failed(r);
	}
}

static void get_message(struct reader *r, struct dialogues *g)
{
	char *id = need(r);
	struct message *m = dialogues_message(g, id);

	free(id);
	free(m->sender);
	m->sender = get(r);
	m->total = get_number(r);
	m->done = get_number(r);
	m->run_ms = get_number(r);
	m->deferred = get_number(r) != 0;
}

static void get_process(struct reader *r, struct dialogues *g, int64_t now_ms)
{
	unsigned known = HASH_COUNT(g->processes);
	struct process *p = dialogues_process(g, (unsigned long)get_number(r));

	if (!r->well || HASH_COUNT(g->processes) == known) { /* twice the same */
		failed(r);
		return;
	}
	p->queue_id = get(r);
	p->tls_server = get(r);
	p->tls_address = get(r);
	p->tls = get(r);
	p->recipient = get(r);
	p->put_off_ms = get_number(r);
	p->log_ms = get_number(r);
	p->loud = get_number(r) != 0;
	p->touched_ms = now_ms;
	get_list(r, &p->put_off);
	get_dialogues(r, &p->v, &p->n);
	get_dialogues(r, &p->lost, &p->nlost);
	if (p->queue_id == NULL && p->n > 0) {
		p->queue_id = xstrdup("");
		failed(r);
	}
	if ((p->tls_server == NULL) != (p->tls_address == NULL))
		failed(r);
	dialogues_sort(g, p, false);
}

static void get_version(struct reader *r)
{
	char *text = need(r);

	if (strcmp(text, VERSION) != 0)
		failed(r);
	free(text);
}

bool dialogues_load(struct dialogues *g, const char *saved, size_t n, int64_t now_ms)
{
	struct reader r = {saved, n, true};

	get_version(&r);
	for (size_t left = get_count(&r); left > 0 && r.well; left--)
		get_message(&r, g);
	g->newest_ms = get_number(&r);
	for (size_t left = get_count(&r); left > 0 && r.well; left--)
		get_process(&r, g, now_ms);
	get_version(&r);
	return r.well && r.n == 0;
}
