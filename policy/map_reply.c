/* map_reply.c - see map_reply.h. */
#include "policy/map_reply.h"

#include "common/list.h"
#include "lua-bindings/mxout.h"
#include "lua-bindings/relayout.h"
#include "policy/delivery.h"
#include "policy/reply_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct map_answer not_found(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

/* ---- replies ---- */

struct heard { /* a complete reply, taken out of the delivery */
	char *reply, *command, *server, *domain;
	char address[INET6_ADDRSTRLEN];
	enum command answers;
	int code;
};

static int code_of(const char *line)
{
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

/* False: the reply goes on. */
static bool hear(const struct map_query *q, struct heard *h)
{
	struct delivery *d = delivery_enter(&q->peer);
	bool complete = delivery_reply_line(d, q->key, q->key_n);
	const char *host;

	*h = (struct heard){0};
	if (complete) {
		host = delivery_host(d);
		h->code = code_of(q->key);
		h->reply = xstrdup(d->reply);
		h->answers = delivery_answered(d, h->code);
		h->command = delivery_command_text(d, h->answers);
		h->server = host != NULL ? xstrdup(host) : NULL;
		h->domain = d->domain != NULL ? xstrdup(d->domain) : NULL;
		ip_address_text(&d->remote, h->address, sizeof h->address);
		/* at once: a script that is late must not leave half a state behind */
		delivery_went_on(d, h->answers, h->code);
	}
	delivery_leave(d);
	return complete;
}

static void forget(struct heard *h)
{
	free(h->reply);
	free(h->command);
	free(h->server);
	free(h->domain);
}

/* Once per script and reason, and each change that takes effect. */
static void complain(const struct map_query *q, const char *why)
{
	char *text = xasprintf("ReturnCodeHandler: a result is not passed on: %s", why);

	maps_notice(q, text);
	free(text);
}

/* sender: that the delivery goes through, NULL = none. */
static char *ask(
    const struct map_query *q, const struct sender_config *sender, const struct heard *h)
{
	char *host = sender != NULL ? relayout_host(sender) : NULL;
	const struct mxout_connection c = {.server = h->server != NULL ? h->server : host,
	    .domain = h->domain,
	    .address = h->address,
	    .name = maps_connection_name(q, 0),
	    .relay = sender};
	bool any = script_set_config(q->set)->outbound.any_reply;
	const char *why = NULL;
	char *wanted = NULL, *line = NULL;

	if (mxout_return_code(q->set, &c, h->command, h->reply, h->answers == COMMAND_CONNECT,
		q->id, q->deadline_ms, &wanted) == MXOUT_DECIDED)
		line = reply_line_replace(h->code, h->reply, wanted, any, &why);
	if (why != NULL)
		complain(q, why);
	if (line != NULL)
		log_info(q->id,
		    "ReturnCodeHandler: %s%s%s: the reply \"%.200s\" becomes \"%.200s\"",
		    h->server != NULL ? h->server : h->address, h->server != NULL ? ", " : " ",
		    h->command, h->reply, line);
	free(wanted);
	free(host);
	return line;
}

/* The code that was passed on decides what Postfix does next. */
static void correct(const struct map_query *q, const struct heard *h, const char *line)
{
	struct delivery *d;

	if (code_of(line) == h->code)
		return;
	d = delivery_enter(&q->peer);
	if (d->stage == DELIVERY_DIALOGUE && d->reply == NULL && h->answers != COMMAND_RCPT)
		delivery_went_on(d, h->answers, code_of(line));
	delivery_leave(d);
}

static bool is_wanted(const struct map_query *q, int number, const struct sender_config *sender)
{
	if (number < 0)
		return script_set_has_hook(q->set, SCRIPT_MXOUT, "ReturnCodeHandler");
	return sender != NULL &&
	       (script_set_has_hook(q->set, SCRIPT_RELAYOUT, "ReturnCodeHandler") ||
		   script_set_has_hook(q->set, SCRIPT_RELAYOUT, "ServerConnected"));
}

struct map_answer map_reply_answer(const struct map_query *q, int number)
{
	const struct sender_config *sender = NULL;
	struct heard h;
	char *line = NULL;

	if (number >= 0) {
		sender = relayout_sender_by_id(script_set_config(q->set), number);
		if (sender == NULL)
			maps_notice(q, "no sender of the configuration has this number");
	}
	if (!is_wanted(q, number, sender) || !maps_need_peer(q) ||
	    memchr(q->key, '\0', q->key_n) != NULL || !hear(q, &h))
		return not_found();
	line = ask(q, sender, &h);
	if (line != NULL)
		correct(q, &h, line);
	forget(&h);
	return line != NULL ? (struct map_answer){SOCKETMAP_OK, line} : not_found();
}

/* ---- listeners ---- */

struct map_answer map_status_answer(const struct map_query *q, int number)
{
	struct delivery *d = delivery_enter(&q->peer);

	(void)number;
	if (d != NULL)
		delivery_over(d);
	delivery_leave(d);
	return not_found();
}

struct map_answer map_generic_answer(const struct map_query *q, int number)
{
	struct delivery *d = delivery_enter(&q->peer);

	(void)number;
	if (d != NULL && q->key_n <= LIMIT_ADDRESS_BYTES && strlen(q->key) == q->key_n)
		delivery_envelope(d, q->key);
	delivery_leave(d);
	return not_found();
}
