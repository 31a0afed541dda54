/* maillog_sendmail.c - what Sendmail writes.
 *
 * Remote text stands in reply= and again in stat=, and may itself contain ", stat=". So what
 * counts is taken from before it: to=, relay= and dsn=, whose class is the outcome. Where reply=
 * ends is then a matter of the text shown, never of the outcome. */
#include "common/maillog/maillog_mta.h"
#include "common/maillog/maillog_text.h"

#include <stdio.h>
#include <string.h>

#define SHORT_BYTES 160 /* Sendmail shortens texts above some 200 bytes */

/* Sendmail ends host names from the DNS with a dot. */
static void drop_dot(struct maillog_text *name)
{
	if (name->n > 0 && name->s[name->n - 1] == '.')
		name->n--;
}

/* The name of a host is next; its address is not said. False: there is no name. */
static bool server_name(struct maillog_line *line, struct maillog_text *rest)
{
	size_t n = text_name_bytes(*rest);

	line->server = (struct maillog_text){rest->s, n};
	line->address = (struct maillog_text){rest->s, 0};
	rest->s += n;
	rest->n -= n;
	drop_dot(&line->server);
	return n > 0;
}

/* "mx1.one.test. [192.0.2.1]": a host that was asked, or tried. */
static bool host(struct maillog_text *t, struct maillog_text *server, struct maillog_text *address)
{
	struct maillog_text rest = *t, inside;
	size_t n = text_name_bytes(rest);

	*server = (struct maillog_text){rest.s, n};
	rest.s += n;
	rest.n -= n;
	if (n == 0 && text_word(&rest, "[") && text_until(&rest, "]", &inside) &&
	    text_is_address(inside))
		*server = inside;
	if (!text_word(&rest, " [") || !text_until(&rest, "]", address) ||
	    !text_is_address(*address))
		return false;
	drop_dot(server);
	*t = rest;
	return true;
}

/* "00:00:01" or "1+02:03:04" */
static bool duration(struct maillog_text *t, int64_t *ms)
{
	int64_t days = 0, hours, minutes, seconds;
	struct maillog_text rest = *t;

	if (!text_number(&rest, &hours))
		return false;
	if (text_word(&rest, "+")) {
		days = hours;
		if (!text_number(&rest, &hours))
			return false;
	}
	if (!text_word(&rest, ":") || !text_number(&rest, &minutes) || !text_word(&rest, ":") ||
	    !text_number(&rest, &seconds) || days > 100000 || hours > 99 || minutes > 99 ||
	    seconds > 99)
		return false;
	*ms = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
	*t = rest;
	return true;
}

/* Over "<a@b>,<c@d>, " or "name, ". */
static bool recipients(struct maillog_text *t, struct maillog_text *list)
{
	struct maillog_text rest = *t, one;

	do {
		if (!text_angle(&rest, &one)) {
			size_t n = text_name_bytes(rest);

			if (n == 0)
				return false;
			rest.s += n;
			rest.n -= n;
		}
	} while (rest.n > 1 && rest.s[0] == ',' && rest.s[1] != ' ' && text_word(&rest, ","));
	*list = (struct maillog_text){t->s, (size_t)(rest.s - t->s)};
	*t = rest;
	return text_word(t, ", ");
}

/* Sendmail shortens long texts in their middle, each by itself. */
static bool repeats(struct maillog_text said, struct maillog_text reply)
{
	size_t ends = SHORT_BYTES / 4;

	if (said.n == reply.n && memcmp(said.s, reply.s, said.n) == 0)
		return true;
	return said.n >= SHORT_BYTES && reply.n >= SHORT_BYTES &&
	       memcmp(said.s, reply.s, ends) == 0 &&
	       memcmp(said.s + said.n - ends, reply.s + reply.n - ends, ends) == 0;
}

/* What is left is "reply=R, stat=S" or "stat=S". A deferral repeats R in S, which finds the comma
 * between them whatever R contains; a bounce has no remote text in S, so there it is the last. */
static void split(struct maillog_text rest, struct maillog_text *reply, struct maillog_text *stat)
{
	static const char between[] = ", stat=";
	struct maillog_text r, part;

	*reply = (struct maillog_text){rest.s, 0};
	*stat = rest;
	text_word(stat, "stat=");
	if (!text_word(&rest, "reply="))
		return;
	for (r = rest; text_until(&rest, between, &part);) {
		struct maillog_text said = rest;

		r.n = (size_t)(part.s + part.n - r.s);
		*reply = r;
		*stat = rest;
		if (text_word(&said, "Deferred: ") && repeats(said, r))
			return;
	}
}

static void outcome_text(struct maillog_line *line, struct maillog_text rest)
{
	struct maillog_text reply, stat, said;
	char dsn[16];

	split(rest, &reply, &stat);
	line->reply = said = stat;
	if (line->status == MAILLOG_SENT) {
		snprintf(dsn, sizeof dsn, "%.15s", line->code); /* is_dsn() */
		snprintf(line->code, sizeof line->code, "250 %s", dsn);
		line->stage = "end of DATA";
		if (text_word(&line->reply, "Sent (") && text_ends(line->reply, ")"))
			line->reply.n--;
	} else if (text_has_code(reply) && reply.s[0] == line->code[0]) {
		line->reply = reply; /* else it is the answer to an earlier command */
	} else if (text_word(&said, "Deferred: ")) {
		line->reply = said;
	}
}

/* "relay=mx1.one.test. [192.0.2.1], "; without an address no host was asked. */
static bool relay(struct maillog_line *line, struct maillog_text *rest)
{
	size_t n;

	if (!text_word(rest, "relay="))
		return true;
	if (host(rest, &line->server, &line->address))
		return text_word(rest, ", ");
	line->server = line->address = (struct maillog_text){rest->s, 0};
	n = text_name_bytes(*rest);
	rest->s += n;
	rest->n -= n;
	return text_word(rest, ", ");
}

/* "ctladdr=<ann@one.test> (1000/1000), " */
static bool controlling(struct maillog_text *rest)
{
	struct maillog_text part;

	if (!text_word(rest, "ctladdr="))
		return true;
	text_angle(rest, &part);
	return text_until(rest, ", ", &part);
}

static bool is_dsn(struct maillog_text t)
{
	return t.n >= 5 && t.n < 16 && memchr("245", t.s[0], 3) != NULL && t.s[1] == '.';
}

static bool recipient(struct maillog_line *line, struct maillog_text rest)
{
	struct maillog_text part;
	int64_t ms;

	if (!recipients(&rest, &line->recipients) || !controlling(&rest) ||
	    !text_word(&rest, "delay=") || !duration(&rest, &line->delay_ms) ||
	    !text_word(&rest, ", "))
		return false;
	if (text_word(&rest, "xdelay=") && !(duration(&rest, &ms) && text_word(&rest, ", ")))
		return false;
	if (text_word(&rest, "mailer=") && !text_until(&rest, ", ", &part))
		return false;
	if (text_word(&rest, "pri=") && !(text_number(&rest, &ms) && text_word(&rest, ", ")))
		return false;
	if (!relay(line, &rest) || !text_word(&rest, "dsn=") || !text_until(&rest, ", ", &part) ||
	    !is_dsn(part))
		return false;
	line->kind = MAILLOG_RECIPIENT;
	line->status = part.s[0] == '2'	  ? MAILLOG_SENT
		       : part.s[0] == '4' ? MAILLOG_DEFERRED
					  : MAILLOG_BOUNCED;
	snprintf(line->code, sizeof line->code, "%.*s", (int)part.n, part.s);
	outcome_text(line, rest);
	return true;
}

/* "makeconnection (mx2.one.test. [192.0.2.2].25 (2)) failed: Connection refused by ..." */
static bool connecting(struct maillog_line *line, struct maillog_text rest)
{
	struct maillog_text part;

	if (!text_word(&rest, "makeconnection (") || !host(&rest, &line->server, &line->address) ||
	    !text_until(&rest, ") failed: ", &part))
		return false;
	line->kind = MAILLOG_CONNECT;
	line->stage = "connect";
	line->reply = rest;
	snprintf(line->code, sizeof line->code, "4.4.1");
	return true;
}

/* "timeout waiting for input from mx1.one.test. during client RCPT" */
static bool timeout(struct maillog_line *line, struct maillog_text rest)
{
	static const struct {
		const char *said, *stage;
	} stages[] = {{"client greeting", "greeting"}, {"client EHLO", "EHLO"},
	    {"client HELO", "HELO"}, {"client MAIL", "MAIL FROM"}, {"client RCPT", "RCPT TO"},
	    {"client DATA 354", "DATA"}, {"client DATA status", "end of DATA"}};
	struct maillog_text text = rest;

	if (!text_word(&rest, "timeout waiting for input from ") || !server_name(line, &rest) ||
	    !text_word(&rest, " during client "))
		return false;
	rest.s -= strlen("client ");
	rest.n += strlen("client ");
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (text_is(rest, stages[i].said))
			line->stage = stages[i].stage;
	line->kind = MAILLOG_HOST;
	line->reply = text;
	snprintf(line->code, sizeof line->code, "4.4.2");
	return true;
}

/* "from=<a@b>, size=19, class=0, nrcpts=1, ..." */
static bool arrived(struct maillog_line *line, struct maillog_text rest)
{
	int64_t class;

	line->kind = MAILLOG_ARRIVED;
	return text_word(&rest, "from=") && text_angle(&rest, &line->sender) &&
	       text_word(&rest, ", size=") && text_number(&rest, &line->size) &&
	       text_word(&rest, ", class=") && (text_word(&rest, "-") || true) &&
	       text_number(&rest, &class) && text_word(&rest, ", nrcpts=") &&
	       text_number(&rest, &line->recipients_total);
}

/* "STARTTLS=client, relay=mx1.one.test., version=TLSv1.3, verify=OK, cipher=X, bits=256/256" */
static bool tls(struct maillog_line *line, struct maillog_text rest)
{
	line->kind = MAILLOG_TLS;
	return text_word(&rest, "STARTTLS=client, relay=") && server_name(line, &rest) &&
	       text_word(&rest, ", version=") && text_until(&rest, ", ", &line->tls) &&
	       text_word(&rest, "verify=") && text_until(&rest, ", ", &line->trust) &&
	       text_word(&rest, "cipher=") && text_until(&rest, ", ", &line->cipher);
}

/* It has left the queue, or a filter, perhaps one after ours, did not let it in. */
static bool is_end(struct maillog_text rest)
{
	static const char *const ends[] = {
	    "done; delay=", "Milter: data, reject=", "Milter: data, discard"};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (text_word(&rest, ends[i]))
			return true;
	return false;
}

bool maillog_sendmail(struct maillog_line *line, struct maillog_text message)
{
	static bool (*const readers[])(struct maillog_line *, struct maillog_text) = {
	    connecting, timeout, arrived};
	struct maillog_text rest = message;

	if (!text_queue_id(&rest, &line->queue_id))
		return tls(line, message);
	if (text_word(&rest, "to="))
		return recipient(line, rest);
	if (is_end(rest)) {
		line->kind = MAILLOG_REMOVED;
		return true;
	}
	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
		if (readers[i](line, rest))
			return true;
	return false;
}
