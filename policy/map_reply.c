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

static int code_of(const char *line)
{
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

static void note(const struct delivery *d, enum command c, int code, const char *reply, int sender,
    struct delivery_said *out)
{
	const char *host = delivery_host(d);

	*out = (struct delivery_said){.reply = xstrdup(reply),
	    .command = delivery_command_text(d, c),
	    .server = host != NULL ? xstrdup(host) : NULL,
	    .domain = d->domain != NULL ? xstrdup(d->domain) : NULL,
	    .answers = c,
	    .code = code,
	    .sender = sender};
	ip_address_text(&d->remote, out->address, sizeof out->address);
}

/* For whoever answers; false: nothing was said, or time is up. To be cleared. */
static bool take(const struct map_query *q, struct delivery_said *out)
{
	struct delivery *d = delivery_enter_for(&q->peer, q->question);
	bool said = d != NULL && d->said.reply != NULL;

	if (said) {
		*out = d->said;
		d->said = (struct delivery_said){0};
	}
	delivery_leave(d);
	return said;
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
    const struct map_query *q, const struct sender_config *sender, const struct delivery_said *h)
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
static void correct(const struct map_query *q, const struct delivery_said *h, const char *line)
{
	struct delivery *d = delivery_enter_for(&q->peer, q->question);

	if (d == NULL)
		return;
	delivery_forget_refusal(d); /* decided */
	if (code_of(line) != h->code && d->stage == DELIVERY_DIALOGUE && d->reply == NULL &&
	    h->answers != COMMAND_RCPT && h->answers != COMMAND_RCPT_OR_DATA)
		delivery_went_on(d, h->answers, code_of(line));
	delivery_leave(d);
}

/* NULL: none, or there is no such sender. */
static const struct sender_config *sender_of(const struct map_query *q, int number)
{
	return number >= 0 ? relayout_sender_by_id(script_set_config(q->set), number) : NULL;
}

static bool is_wanted(const struct map_query *q, int number, const struct sender_config *sender)
{
	if (number < 0)
		return script_set_has_hook(q->set, SCRIPT_MXOUT, "ReturnCodeHandler");
	return sender != NULL &&
	       (script_set_has_hook(q->set, SCRIPT_RELAYOUT, "ReturnCodeHandler") ||
		   script_set_has_hook(q->set, SCRIPT_RELAYOUT, "ServerConnected"));
}

/* Every line counts, also one that is answered late: the next reply is not of the same command. */
void map_reply_heard(const struct map_query *q, int number, struct delivery *d)
{
	struct delivery_said said;
	int code;

	delivery_said_clear(&d->said);
	if (!is_wanted(q, number, sender_of(q, number)) || memchr(q->key, '\0', q->key_n) != NULL ||
	    !delivery_reply_line(d, q->key, q->key_n))
		return;
	code = code_of(q->key);
	if (d->stage == DELIVERY_NONE && d->missed &&
	    code != 220) { /* in the middle of a dialogue */
		xreplace(&d->reply, NULL);
		return;
	}
	note(d, delivery_answered(d, code), code, d->reply, number, &said);
	delivery_went_on(d, said.answers, code);
	if (said.answers == COMMAND_RCPT_OR_DATA)
		d->refusal = (struct delivery_refusal){xstrdup(said.reply), code, number};
	d->said = said;
}

struct map_answer map_reply_answer(const struct map_query *q, int number)
{
	const struct sender_config *sender = sender_of(q, number);
	struct delivery_said said;
	char *line;

	if (number >= 0 && sender == NULL)
		maps_notice(q, "no sender of the configuration has this number");
	if (!is_wanted(q, number, sender) || !maps_need_peer(q) || !take(q, &said))
		return not_found();
	line = ask(q, sender, &said);
	if (line != NULL)
		correct(q, &said, line);
	delivery_said_clear(&said);
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

/* Said is a reply whose command was not known, and which the hook has left as it was. */
void map_status_heard(const struct map_query *q, int number, struct delivery *d)
{
	struct delivery_said said = {0};
	enum command c;
	const char *end;

	(void)number;
	delivery_said_clear(&d->said);
	if (q->key_n == 0 || memchr(q->key, '\0', q->key_n) != NULL)
		return;
	c = command_of(q, &end);
	if (c != COMMAND_CONNECT && d->refusal.reply != NULL && q->key[0] == d->refusal.reply[0]) {
		note(d, c, d->refusal.code, d->refusal.reply, d->refusal.sender, &said);
		said.again = true;
	}
	delivery_reported(d, c);
	d->said = said;
}

struct map_answer map_status_answer(const struct map_query *q, int number)
{
	const struct sender_config *sender;
	struct delivery_said said;
	char *line = NULL, *text = NULL;
	const char *end;

	(void)number;
	if (!take(q, &said))
		return not_found();
	sender = sender_of(q, said.sender);
	if (is_wanted(q, said.sender, sender))
		line = ask(q, sender, &said);
	if (line != NULL) {
		command_of(q, &end);
		text = status_text(q, line, end);
	}
	delivery_said_clear(&said);
	free(line);
	return text != NULL ? (struct map_answer){SOCKETMAP_OK, text} : not_found();
}

/* ---- listener ---- */

void map_generic_heard(const struct map_query *q, int number, struct delivery *d)
{
	(void)number;
	if (q->key_n <= LIMIT_ADDRESS_BYTES && strlen(q->key) == q->key_n)
		delivery_envelope(d, q->key);
}

struct map_answer map_generic_answer(const struct map_query *q, int number)
{
	(void)q, (void)number;
	return not_found();
}
