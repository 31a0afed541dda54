/* maillog.c - see common/maillog.h: what is in front of the message, and what both MTAs share. */
#include "common/maillog.h"

#include "common/list.h"
#include "common/maillog/maillog_mta.h"
#include "common/maillog/maillog_text.h"
#include "common/maillog/maillog_time.h"

#include <stdio.h>
#include <string.h>

static bool is_one_of(struct maillog_text program, const struct strlist *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (text_is(program, names->v[i]))
			return true;
	return false;
}

/* "postfix/relay/smtp" of syslog_name "postfix/relay": service "smtp", connection "relay". */
static bool postfix_program(struct maillog_text program, const struct strlist *names,
    struct maillog_text *connection, struct maillog_text *service)
{
	for (size_t i = 0; i < names->n; i++) {
		struct maillog_text rest = program, part;

		if (!text_word(&rest, names->v[i]) || !text_word(&rest, "/"))
			continue;
		*service = rest;
		*connection = (struct maillog_text){rest.s, 0};
		while (text_until(service, "/", &part))
			connection->n = (size_t)(part.s + part.n - rest.s);
		return true;
	}
	return false;
}

bool maillog_read_message(struct maillog_line *line, struct maillog_text program, unsigned long pid,
    int64_t time_ms, struct maillog_text message, const struct maillog_names *names)
{
	struct maillog_text service;

	*line = (struct maillog_line){.time_ms = time_ms,
	    .pid = pid,
	    .size = -1,
	    .recipients_total = -1,
	    .delay_ms = -1,
	    .stage = ""};
	if (postfix_program(program, names->postfix, &line->connection, &service)) {
		line->mta = MAILLOG_POSTFIX;
		if (maillog_postfix(line, service, message))
			return true;
	} else if (is_one_of(program, names->sendmail)) {
		line->mta = MAILLOG_SENDMAIL;
		if (maillog_sendmail(line, message))
			return true;
	}
	line->kind = MAILLOG_OTHER;
	return false;
}

static size_t program_bytes(struct maillog_text t)
{
	size_t n = 0;

	while (n < t.n && n < 128 && t.s[n] != '\0' &&
	       strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./@",
		   t.s[n]) != NULL)
		n++;
	return n;
}

/* "postfix/smtp[6063]: " */
static bool tag(struct maillog_text *t, struct maillog_text *program, unsigned long *pid)
{
	struct maillog_text rest = *t;
	size_t n = program_bytes(rest);
	int64_t number;

	*program = (struct maillog_text){rest.s, n};
	rest.s += n;
	rest.n -= n;
	if (n == 0 || !text_word(&rest, "[") || !text_number(&rest, &number) ||
	    !text_word(&rest, "]: "))
		return false;
	*pid = (unsigned long)number;
	*t = rest;
	return true;
}

bool maillog_read_line(struct maillog_line *line, const char *s, size_t n,
    const struct maillog_names *names, int64_t now_ms)
{
	struct maillog_text rest = {s, n}, program, part;
	int64_t time_ms, priority;
	unsigned long pid;

	*line = (struct maillog_line){.kind = MAILLOG_OTHER, .stage = ""};
	if (text_word(&rest, "<") && !(text_number(&rest, &priority) && text_word(&rest, ">")))
		return false;
	if (!maillog_time(&rest, now_ms, &time_ms))
		return false;
	if (!tag(&rest, &program, &pid)) {
		/* the name of the host comes first */
		if (!text_until(&rest, " ", &part) || part.n == 0 || part.n > 255 ||
		    !tag(&rest, &program, &pid))
			return false;
	}
	return maillog_read_message(line, program, pid, time_ms, rest, names);
}

bool maillog_next_recipient(struct maillog_text *list, struct maillog_text *address)
{
	struct maillog_text rest = *list;

	text_word(&rest, ",");
	if (!text_angle(&rest, address)) {
		/* a local name, as Sendmail has them */
		if (rest.n == 0)
			return false;
		if (!text_until(&rest, ",", address)) {
			*address = rest;
			rest.n = 0;
		}
	}
	*list = rest;
	return true;
}

void maillog_result(const struct maillog_line *line, char *out, size_t size)
{
	if (text_has_code(line->reply))
		snprintf(out, size, "%.*s", (int)line->reply.n, line->reply.s);
	else
		snprintf(out, size, "%s%s%.*s", line->code, *line->code != '\0' ? " " : "",
		    (int)line->reply.n, line->reply.s);
}
