/* dialogues.c - see dialogues.h. */
#include "policy/dialogues.h"

#include "common/limits.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define uthash_malloc(size) xmalloc(size)
#include "policy/dialogues_private.h"

#define FORGET_MS 7200000 /* of log time: no dialogue is silent for longer than two hours */
#define IDLE_MS 600000	  /* the same: no connection is kept between messages for so long */
#define FORGET_LINES 1000 /* between two looks at that */

enum rank { RANK_NONE, RANK_SENT, RANK_REFUSED, RANK_PUT_OFF };

static char *copy(struct maillog_text t)
{
	return xstrndup(t.n > 0 ? t.s : "", t.n);
}

static bool is(const char *s, struct maillog_text t)
{
	return strlen(s) == t.n && strncasecmp(s, t.s, t.n) == 0;
}

/* ---- telling ---- */

static void fill_domain(struct dialogue *d, const char *recipient)
{
	const char *of = d->recipients.n > 0 ? d->recipients.v[0] : recipient;
	const char *at = of != NULL ? strrchr(of, '@') : NULL;

	if (at != NULL)
		xreplace(&d->domain, at + 1);
}

/* Tell of all that was not told of yet. */
static void tell(struct dialogues *g, struct process *p)
{
	const struct dialogues_listener *to = &g->listener;
	const char *id = p->queue_id != NULL ? p->queue_id : "";
	struct message *m = NULL;

	if (p->queue_id != NULL)
		HASH_FIND_STR(g->messages, p->queue_id, m);
	for (size_t i = 0; i < p->n; i++) {
		struct dialogue *d = p->v[i];

		if (d->handed)
			continue;
		if (d->recipients.n == 0 && p->recipient != NULL && m != NULL && m->total == 1) {
			strlist_add(&d->recipients, p->recipient);
			strlist_add(&d->results, d->result);
		}
		fill_domain(d, p->recipient);
		to->tried(id, d, m != NULL ? m->sender : NULL, to->arg);
		d->handed = true;
	}
	for (size_t i = 0; i < p->nlost; i++) {
		if (!p->lost[i]->handed)
			to->tried("", p->lost[i], NULL, to->arg);
		p->lost[i]->handed = true;
	}
	if (p->put_off.n > 0 && p->queue_id != NULL) {
		m = dialogues_message(g, p->queue_id);
		if (!m->deferred)
			to->deferred(id, m->run_ms != 0 ? m->run_ms : p->put_off_ms, to->arg);
		m->deferred = true;
	}
	p->loud = false;
}

/* The process has done with its message. */
static void end_delivery(struct dialogues *g, struct process *p)
{
	if (p->queue_id == NULL)
		return;
	/* a connection that failed after its last line may be the next message's */
	struct dialogue **lost = p->lost;
	size_t nlost = p->nlost;

	p->lost = NULL;
	p->nlost = 0;
	tell(g, p);
	p->lost = lost;
	p->nlost = nlost;
	for (size_t i = 0; i < p->n; i++)
		dialogues_drop(p->v[i]);
	free(p->v);
	p->v = NULL;
	p->n = 0;
	xreplace(&p->queue_id, NULL);
	xreplace(&p->recipient, NULL);
	strlist_clear(&p->put_off);
	p->put_off_ms = 0;
	p->loud = nlost > 0;
}

static void end_message(struct dialogues *g, const char *queue_id)
{
	struct process *p, *next;

	for (p = TAILQ_FIRST(&g->busy); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->queue_id == NULL || strcmp(p->queue_id, queue_id) != 0)
			continue;
		end_delivery(g, p);
		dialogues_sort(g, p, false);
	}
}

/* Tell of everything and begin anew. */
static void empty(struct dialogues *g, struct process *p)
{
	end_delivery(g, p);
	tell(g, p);
	for (size_t i = 0; i < p->nlost; i++)
		dialogues_drop(p->lost[i]);
	free(p->lost);
	p->lost = NULL;
	p->nlost = 0;
}

static void forget_process(struct dialogues *g, struct process *p)
{
	empty(g, p);
	dialogues_forget_tls(p);
	xreplace(&p->recipient, NULL); /* a loaded state may have them without a message */
	strlist_clear(&p->put_off);
	dialogues_sort(g, p, true);
	HASH_DEL(g->processes, p);
	free(p);
}

/* For how long a process is worth knowing after its last line. */
static int64_t keep_ms(const struct process *p)
{
	if (p->busy || p->nlost > 0)
		return FORGET_MS;
	return p->tls_server != NULL ? IDLE_MS : 0;
}

/* Processes end without a word, and Sendmail has one for each message. */
static void forget_old(struct dialogues *g, int64_t log_ms)
{
	struct process *p, *next;

	HASH_ITER (hh, g->processes, p, next)
		if (p->log_ms <= log_ms - keep_ms(p))
			forget_process(g, p);
	while (HASH_COUNT(g->processes) > DIALOGUES_PROCESSES)
		forget_process(g, g->processes);
	while (HASH_COUNT(g->messages) > DIALOGUES_MESSAGES)
		dialogues_forget_message(g, g->messages);
}

/* ---- reading ---- */

static bool same_host(
    const struct dialogue *d, struct maillog_text server, struct maillog_text address)
{
	if (d->address[0] != '\0' && address.n > 0 && !is(d->address, address))
		return false;
	return is(d->server, server);
}

static void take_tls(struct process *p, struct dialogue *d)
{
	if (p->tls == NULL || p->tls_server == NULL || strcasecmp(p->tls_server, d->server) != 0 ||
	    (p->tls_address[0] != '\0' && d->address[0] != '\0' &&
		strcmp(p->tls_address, d->address) != 0))
		return;
	xreplace(&d->tls, p->tls);
}

/* Most logs have whole seconds: dialogues of one second are told apart by milliseconds, so that
 * they keep their order. */
static int64_t order(struct dialogues *g, int64_t time_ms)
{
	int64_t second = time_ms - time_ms % 1000;

	if (time_ms == second && g->newest_ms >= second && g->newest_ms < second + 999)
		time_ms = g->newest_ms + 1;
	return g->newest_ms = time_ms;
}

static struct dialogue *new_dialogue(struct dialogues *g, struct dialogue ***v, size_t *n,
    const struct maillog_line *line, const char *key)
{
	struct dialogue *d = dialogues_add(v, n);

	d->key = xstrdup(key);
	d->time_ms = order(g, line->time_ms);
	d->server = copy(line->server);
	d->address = copy(line->address);
	d->connection = copy(line->connection);
	d->stage = xstrdup("");
	d->result = xstrdup("");
	return d;
}

static void begin_delivery(struct dialogues *g, struct process *p, const struct maillog_line *line)
{
	struct message *m;

	p->queue_id = copy(line->queue_id);
	if (line->mta != MAILLOG_SENDMAIL)
		return;
	/* Sendmail does not say that a run begins; one process has a message at a time. */
	HASH_FIND_STR(g->messages, p->queue_id, m);
	if (m != NULL)
		m->deferred = false;
}

/* The message that the line names becomes the one of the process. */
static void turn_to(struct dialogues *g, struct process *p, const struct maillog_line *line)
{
	if (p->queue_id != NULL && !is(p->queue_id, line->queue_id))
		end_delivery(g, p);
	if (p->queue_id == NULL)
		begin_delivery(g, p, line);
	for (size_t i = 0; i < p->nlost; i++) {
		p->v = xgrow(p->v, p->n, sizeof *p->v);
		p->v[p->n++] = p->lost[i];
	}
	free(p->lost);
	p->lost = NULL;
	p->nlost = 0;
}

static struct dialogue *find_dialogue(struct process *p, const struct maillog_line *line)
{
	for (size_t i = p->n; i-- > 0;)
		if (same_host(p->v[i], line->server, line->address))
			return p->v[i];
	return NULL;
}

/* A recipient has one outcome in a dialogue: a second one is that of the next try. */
static bool is_next_try(const struct dialogue *d, struct maillog_text recipients)
{
	struct maillog_text one;

	while (maillog_next_recipient(&recipients, &one))
		for (size_t i = 0; i < d->recipients.n; i++)
			if (is(d->recipients.v[i], one))
				return true;
	return false;
}

static enum rank rank_of(const struct maillog_line *line, const char *result)
{
	if (line->kind == MAILLOG_RECIPIENT)
		return line->status == MAILLOG_SENT	 ? RANK_SENT
		       : line->status == MAILLOG_BOUNCED ? RANK_REFUSED
							 : RANK_PUT_OFF;
	return result[0] == '5' ? RANK_REFUSED : RANK_PUT_OFF;
}

static void add_outcome(struct dialogue *d, const struct maillog_line *line)
{
	struct maillog_text list = line->recipients, one;
	char result[LIMIT_STORE_TEXT_BYTES + 1];
	enum rank rank;

	maillog_result(line, result, sizeof result);
	rank = rank_of(line, result);
	if ((int)rank > d->rank) {
		d->rank = (int)rank;
		xreplace(&d->result, result);
		xreplace(&d->stage, line->stage);
	}
	if (d->address[0] == '\0' && line->address.n > 0) {
		free(d->address);
		d->address = copy(line->address);
	}
	if (line->delay_ms >= 0)
		d->delay_ms = line->delay_ms;
	while (d->recipients.n < LIMIT_STORE_RECIPIENTS && maillog_next_recipient(&list, &one)) {
		strlist_addn(&d->recipients, one.s, one.n);
		strlist_add(&d->results, result);
	}
}

/* Something happened with the host that the line, or else the process, names. */
static void on_host(
    struct dialogues *g, struct process *p, const struct maillog_line *said, const char *key)
{
	struct maillog_line line = *said;
	struct dialogue *d;

	if (line.server.n == 0 && line.address.n == 0) {
		if (line.kind != MAILLOG_HOST || p->tls_server == NULL)
			return;
		line.server = (struct maillog_text){p->tls_server, strlen(p->tls_server)};
		line.address = (struct maillog_text){p->tls_address, strlen(p->tls_address)};
	}
	d = find_dialogue(p, &line);
	if (d != NULL && is_next_try(d, line.recipients)) {
		end_delivery(g, p);
		begin_delivery(g, p, &line);
		d = NULL;
	}
	if (d == NULL)
		d = new_dialogue(g, &p->v, &p->n, &line, key);
	take_tls(p, d);
	add_outcome(d, &line);
	p->loud = true;
}

static void message_removed(
    struct dialogues *g, const struct maillog_line *line, const char *queue_id)
{
	char *id = xstrdup(queue_id); /* may be the message's own */
	struct message *m;

	end_message(g, id);
	HASH_FIND_STR(g->messages, id, m);
	if (m != NULL)
		dialogues_forget_message(g, m);
	g->listener.removed(id, line->time_ms, g->listener.arg);
	free(id);
}

static void forget_put_off(struct process *p, struct maillog_text recipient)
{
	for (size_t i = p->put_off.n; i-- > 0;)
		if (is(p->put_off.v[i], recipient))
			strlist_remove(&p->put_off, i);
}

static void on_recipient(struct dialogues *g, struct process *p, const struct maillog_line *line)
{
	struct maillog_text list = line->recipients, one;
	struct message *m;

	HASH_FIND(hh, g->messages, p->queue_id, strlen(p->queue_id), m);
	while (maillog_next_recipient(&list, &one)) {
		if (p->recipient == NULL)
			p->recipient = copy(one);
		forget_put_off(p, one);
		if (line->status == MAILLOG_DEFERRED && p->put_off.n < LIMIT_STORE_RECIPIENTS) {
			strlist_addn(&p->put_off, one.s, one.n);
			p->loud = true;
			if (p->put_off_ms == 0)
				p->put_off_ms = line->time_ms;
		}
		/* Sendmail puts a recipient off at each host, so that says nothing. */
		if (m != NULL && (line->mta == MAILLOG_POSTFIX || line->status != MAILLOG_DEFERRED))
			m->done++;
	}
	if (m == NULL || m->total <= 0 || m->done < m->total)
		return;
	if (line->mta == MAILLOG_POSTFIX) {
		end_message(g, m->queue_id);
		dialogues_forget_message(g, m); /* the next run says all of it again */
	} else {
		message_removed(g, line, m->queue_id); /* said above its usual LogLevel only */
	}
}

static void on_delivery(
    struct dialogues *g, const struct maillog_line *line, const char *key, int64_t now_ms)
{
	struct process *p = dialogues_process(g, line->pid);

	p->touched_ms = now_ms;
	p->log_ms = line->time_ms;
	if (p->n + p->nlost >= DIALOGUES_HOSTS)
		empty(g, p);
	if (line->queue_id.n == 0) {
		add_outcome(new_dialogue(g, &p->lost, &p->nlost, line, key), line);
		p->loud = true;
	} else {
		turn_to(g, p, line);
		on_host(g, p, line, key);
	}
	dialogues_sort(g, p, false);
	if (line->queue_id.n > 0 && line->kind == MAILLOG_RECIPIENT)
		on_recipient(g, p, line);
}

static void on_tls(struct dialogues *g, const struct maillog_line *line)
{
	struct process *p = dialogues_process(g, line->pid);

	dialogues_forget_tls(p);
	p->log_ms = line->time_ms;
	p->tls_server = copy(line->server);
	p->tls_address = copy(line->address);
	if (line->tls.n > 0)
		p->tls = xasprintf("%.*s %.*s %.*s", (int)line->tls.n, line->tls.s,
		    (int)line->cipher.n, line->cipher.s, (int)line->trust.n, line->trust.s);
}

static void on_queued(struct dialogues *g, const struct maillog_line *line, const char *id)
{
	struct message *m;

	end_message(g, id);
	HASH_FIND_STR(g->messages, id, m);
	if (m != NULL)
		dialogues_forget_message(g, m); /* comes back as the newest */
	m = dialogues_message(g, id);
	m->sender = copy(line->sender);
	m->total = line->recipients_total;
	m->run_ms = line->kind == MAILLOG_ACTIVE ? line->time_ms : 0;
	g->listener.known(id, m->sender, line->size, line->time_ms, g->listener.arg);
}

void dialogues_line(
    struct dialogues *g, const struct maillog_line *line, const char *key, int64_t now_ms)
{
	char *id;

	if (++g->lines % FORGET_LINES == 0)
		forget_old(g, line->time_ms);
	switch (line->kind) {
	case MAILLOG_OTHER:
		break;
	case MAILLOG_TLS:
		on_tls(g, line);
		break;
	case MAILLOG_HOST:
	case MAILLOG_CONNECT:
	case MAILLOG_RECIPIENT:
		on_delivery(g, line, key, now_ms);
		break;
	case MAILLOG_ARRIVED:
	case MAILLOG_ACTIVE:
	case MAILLOG_REMOVED:
		id = copy(line->queue_id);
		(line->kind == MAILLOG_REMOVED ? message_removed : on_queued)(g, line, id);
		free(id);
		break;
	}
}

int64_t dialogues_quiet(struct dialogues *g, int64_t now_ms)
{
	struct process *p, *after;
	int64_t next = -1;

	for (p = TAILQ_FIRST(&g->busy); p != NULL; p = after) {
		int64_t left = p->touched_ms + DIALOGUES_QUIET_MS - now_ms;

		after = TAILQ_NEXT(p, entry);
		if (p->loud && left <= 0)
			tell(g, p);
		else if (p->loud && (next < 0 || left < next))
			next = left;
		dialogues_sort(g, p, false);
	}
	return next;
}

struct dialogues *dialogues_new(const struct dialogues_listener *listener)
{
	struct dialogues *g = xcalloc(1, sizeof *g);

	TAILQ_INIT(&g->busy);
	g->listener = *listener;
	return g;
}

static void hear_nothing(const char *id, const struct dialogue *d, const char *sender, void *arg)
{
	(void)id, (void)d, (void)sender, (void)arg;
}

static void hear_no_time(const char *id, int64_t time_ms, void *arg)
{
	(void)id, (void)time_ms, (void)arg;
}

void dialogues_free(struct dialogues *g)
{
	struct process *p, *next;
	struct message *m, *after;

	if (g == NULL)
		return;
	g->listener.tried = hear_nothing;
	g->listener.deferred = hear_no_time;
	HASH_ITER (hh, g->processes, p, next)
		forget_process(g, p);
	HASH_ITER (hh, g->messages, m, after)
		dialogues_forget_message(g, m);
	free(g);
}
