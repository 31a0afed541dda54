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
	bool again; /* asked about before, when the command was not known */
};

static int code_of(const char *line)
{
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

static void note(
    const struct delivery *d, enum command c, int code, const char *reply, struct heard *h)
{
	const char *host = delivery_host(d);

	h->answers = c;
	h->code = code;
	h->reply = xstrdup(reply);
	h->command = delivery_command_text(d, c);
	h->server = host != NULL ? xstrdup(host) : NULL;
	h->domain = d->domain != NULL ? xstrdup(d->domain) : NULL;
	ip_address_text(&d->remote, h->address, sizeof h->address);
}

/* False: the reply goes on. */
static bool hear(const struct map_query *q, int number, struct heard *h)
{
	struct delivery *d = delivery_enter(&q->peer);
	bool complete = delivery_reply_line(d, q->key, q->key_n);
	int code;

	*h = (struct heard){0};
	if (complete) {
		code = code_of(q->key);
		note(d, delivery_answered(d, code), code, d->reply, h);
		/* at once: a script that is late must not leave half a state behind */
		delivery_went_on(d, h->answers, code);
		if (h->answers == COMMAND_RCPT_OR_DATA)
			d->refusal = (struct delivery_refusal){xstrdup(h->reply), code, number};
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
	    .again = h->again,
	    .relay = sender};
	bool any = script_set_config(q->set)->outbound.any_reply;
	const char *why = NULL;
	char *wanted = NULL, *line = NULL;

	if (mxout_return_code(q->set, &c, h->command, h->reply, h->answers == COMMAND_CONNECT,
		q->id, q->deadline_ms, &wanted) == MXOUT_DECIDED)
		line = reply_line_replace(h->code, h->reply, wanted, any, &why);
	if (line != NULL && h->answers == COMMAND_RCPT_OR_DATA && !any && h->code / 100 == 4 &&
	    line[0] == '5') {
		why = "a 4xx that may be of the next RCPT or of DATA is not made a 5xx, which may "
		      "bounce the mail of all recipients; when no server is left the hook is "
		      "asked again, if the map \"status\" is attached";
		xreplace(&line, NULL);
	}
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

	d = delivery_enter(&q->peer);
	delivery_forget_refusal(d); /* decided */
	if (code_of(line) != h->code && d->stage == DELIVERY_DIALOGUE && d->reply == NULL &&
	    h->answers != COMMAND_RCPT && h->answers != COMMAND_RCPT_OR_DATA)
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
	    memchr(q->key, '\0', q->key_n) != NULL || !hear(q, number, &h))
		return not_found();
	line = ask(q, sender, &h);
	if (line != NULL)
		correct(q, &h, line);
	forget(&h);
	return line != NULL ? (struct map_answer){SOCKETMAP_OK, line} : not_found();
}

/* ---- what becomes of a recipient ---- */

/* The key is a status and a text such as "4.2.1 host a.example[192.0.2.1] said: 450 4.2.1 later (in
 * reply to RCPT TO command)". Its end is Postfix's own; whatever a server said stands before it. */
static enum command command_of(const struct map_query *q, const char **end)
{
	static const struct {
		const char *end;
		enum command command;
	} rows[] = {
	    {" (in reply to RCPT TO command)", COMMAND_RCPT},
	    {" (in reply to DATA command)", COMMAND_DATA},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = strlen(rows[i].end);

		*end = rows[i].end;
		if (q->key_n > n && strcmp(q->key + q->key_n - n, rows[i].end) == 0)
			return rows[i].command;
	}
	return COMMAND_CONNECT;
}

/* Moves the delivery on. True: the reason is a reply whose command was not known, and which the
 * hook has left as it was. */
static bool recall(const struct map_query *q, enum command c, struct heard *h, int *number)
{
	struct delivery *d = delivery_enter(&q->peer);
	bool found = false;

	*h = (struct heard){.again = true};
	if (d != NULL) {
		found = c != COMMAND_CONNECT && d->refusal.reply != NULL &&
			q->key[0] == d->refusal.reply[0];
		if (found) {
			note(d, c, d->refusal.code, d->refusal.reply, h);
			*number = d->refusal.sender;
		}
		delivery_reported(d, c);
	}
	delivery_leave(d);
	return found;
}

/* "550 5.1.1 unknown" as status and text; NULL: that is none of a refusal. */
static char *status_text(const struct map_query *q, const char *line, const char *end)
{
	static const char said[] = " said: ";
	const char *text = strchr(q->key, ' '), *before = strstr(q->key, said);
	size_t xcode;

	if (text == NULL || before == NULL || (line[0] != '4' && line[0] != '5'))
		return NULL;
	xcode = strcspn(line + 4, " ");
	return xasprintf(
	    "%.*s%.*s%s%s%s", (int)xcode, line + 4, (int)(before - text), text, said, line, end);
}

struct map_answer map_status_answer(const struct map_query *q, int number)
{
	const struct sender_config *sender = NULL;
	char *line = NULL, *text = NULL;
	const char *end;
	struct heard h;

	if (q->key_n == 0 || memchr(q->key, '\0', q->key_n) != NULL ||
	    !recall(q, command_of(q, &end), &h, &number))
		return not_found();
	if (number >= 0)
		sender = relayout_sender_by_id(script_set_config(q->set), number);
	if (is_wanted(q, number, sender))
		line = ask(q, sender, &h);
	if (line != NULL)
		text = status_text(q, line, end);
	forget(&h);
	free(line);
	return text != NULL ? (struct map_answer){SOCKETMAP_OK, text} : not_found();
}

/* ---- listener ---- */

struct map_answer map_generic_answer(const struct map_query *q, int number)
{
	struct delivery *d = delivery_enter(&q->peer);

	(void)number;
	if (d != NULL && q->key_n <= LIMIT_ADDRESS_BYTES && strlen(q->key) == q->key_n)
		delivery_envelope(d, q->key);
	delivery_leave(d);
	return not_found();
}
