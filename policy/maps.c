/* maps.c - see maps.h. */
#include "policy/maps.h"

#include "common/list.h"
#include "lua-bindings/relayout.h"
#include "policy/delivery.h"
#include "policy/ehlo_in.h"
#include "policy/map_access.h"
#include "policy/map_header.h"
#include "policy/map_mx.h"
#include "policy/map_reply.h"
#include "policy/map_requeue.h"
#include "policy/map_sendmail.h"
#include "policy/map_srs.h"
#include "policy/map_tls.h"
#include "policy/map_transport.h"

#include <stdlib.h>
#include <string.h>

static const struct map {
	const char *name;
	struct map_answer (*answer)(const struct map_query *, int number); /* 0: without number */
	bool senders; /* the number is that of a sender, which may be 0; -1: without number */
	bool soon;    /* outbound.deadline_ms instead of policy.deadline_ms */
	/* When time is up; waits for nothing. NULL: not found. */
	struct map_answer (*late)(const struct map_query *, int number);
	/* What the question itself says about its delivery; waits for nothing. */
	void (*heard)(const struct map_query *, int number, struct delivery *);
} maps[] = {
    {"access", .answer = map_access_answer, .late = map_access_late},
    {"ehlo_in", .answer = ehlo_in_answer},
    {"ehlo_out", .answer = map_ehlo_out_answer, .heard = map_ehlo_out_heard},
    {"generic", .answer = map_generic_answer, .heard = map_generic_heard},
    {"header", .answer = map_header_answer, .late = map_header_late},
    {"local_rule", .answer = map_local_rule_answer, .soon = true, .late = map_local_rule_late},
    {"mailertable", .answer = map_mailertable_answer, .soon = true, .late = map_mailertable_late},
    {"mx", .answer = map_mx_answer, .soon = true, .late = map_mx_late, .heard = map_mx_heard},
    {"reply", .answer = map_reply_answer, .senders = true, .heard = map_reply_heard},
    {"requeue", .answer = map_requeue_answer, .late = map_requeue_late},
    {"server_tls", .answer = map_access_answer, .late = map_access_late},
    {"srs", .answer = map_srs_answer, .late = map_srs_answer},
    {"status", .answer = map_status_answer, .heard = map_status_heard},
    {"tls", .answer = map_tls_answer, .late = map_tls_late, .heard = map_tls_heard},
    {"transport", .answer = map_transport_answer, .soon = true, .late = map_transport_late},
};

/* The map and the number behind its name; NULL: there is no such map. */
static const struct map *find(const char *name, int *number)
{
	size_t n = strcspn(name, ".");
	const char *digits = name[n] == '.' ? name + n + 1 : NULL;

	*number = 0;
	if (digits != NULL) {
		size_t many = strspn(digits, "0123456789");

		if (many == 0 || many > 5 || digits[many] != '\0')
			return NULL;
		*number = (int)strtol(digits, NULL, 10);
	}
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		if (strlen(maps[i].name) == n && strncmp(maps[i].name, name, n) == 0) {
			if (digits == NULL && maps[i].senders)
				*number = -1;
			return &maps[i];
		}
	return NULL;
}

/* ---- for the maps ---- */

void maps_notice(const struct map_query *q, const char *what)
{
	char *key = xasprintf("map: %s", what);

	if (script_set_first(q->set, key))
		log_warn(q->id, "map \"%.100s\": %s (logged once for each loading of the scripts)",
		    q->name, what);
	free(key);
}

bool maps_need_peer(const struct map_query *q)
{
	if (q->peer.pid != 0)
		return true;
	maps_notice(q, "served on unix sockets only: over the network nobody knows which delivery "
		       "asks");
	return false;
}

const char *maps_connection_name(const struct map_query *q, int number)
{
	const struct sender_config *s = relayout_sender_by_id(script_set_config(q->set), number);

	if (number == 0)
		return "direct";
	return s != NULL ? s->name : "";
}

/* ---- answers ---- */

static char *encode(const struct map_query *q, struct map_answer *a, size_t *size)
{
	char *out =
	    socketmap_reply(a->status, a->value, a->value != NULL ? strlen(a->value) : 0, size);

	if (out == NULL) {
		maps_notice(q, "an answer cannot be sent: line break in it, too long or empty");
		out = socketmap_reply(SOCKETMAP_NOTFOUND, NULL, 0, size);
	}
	free(a->value);
	return out;
}

void maps_heard(struct map_query *q)
{
	int number;
	const struct map *m = find(q->name, &number);
	struct delivery *d = m != NULL && m->heard != NULL ? delivery_enter(&q->peer) : NULL;

	if (d == NULL)
		return;
	q->question = ++d->question;
	m->heard(q, number, d);
	delivery_leave(d);
}

/* A worker that still has the question is not to note anything in its delivery any more. */
static void end_question(const struct map_query *q)
{
	struct delivery *d = q->question != 0 ? delivery_enter_for(&q->peer, q->question) : NULL;

	if (d != NULL)
		d->question++;
	delivery_leave(d);
}

char *maps_answer(const struct map_query *q, size_t *size)
{
	struct map_answer a = {SOCKETMAP_NOTFOUND, NULL};
	int number;
	const struct map *m = find(q->name, &number);

	if (m == NULL)
		maps_notice(q, "there is no such map; nothing is ever found in it");
	else
		a = m->answer(q, number);
	return encode(q, &a, size);
}

char *maps_default(const struct map_query *q, size_t *size)
{
	struct map_answer a = {SOCKETMAP_NOTFOUND, NULL};
	int number;
	const struct map *m = find(q->name, &number);

	end_question(q);
	if (m != NULL && m->late != NULL)
		a = m->late(q, number);
	return encode(q, &a, size);
}

int maps_deadline_ms(const struct config *c, const char *name)
{
	int number;
	const struct map *m = find(name, &number);

	return m != NULL && m->soon ? c->outbound.deadline_ms : c->policy.deadline_ms;
}
