/* delivery_dialogue.c - the dialogue of a delivery, as far as its replies tell it; see delivery.h.
 *
 * Postfix shows the lines of replies and nothing of what it says itself. In an SMTP session the
 * replies come in the order of the commands (RFC 5321), so the code of a reply mostly tells which
 * command it answers. Two things cannot be told: a refused DATA from a refused RCPT, when the
 * number of recipients is not known (what Postfix reports of the recipient tells it afterwards),
 * and what is left of a pipeline whose MAIL was refused. */
#include "policy/delivery.h"

#include "common/limits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- lines ---- */

static bool has_code(const char *line, size_t n)
{
	return n >= 3 && isdigit((unsigned char)line[0]) && isdigit((unsigned char)line[1]) &&
	       isdigit((unsigned char)line[2]);
}

bool delivery_reply_line(struct delivery *d, const char *line, size_t n)
{
	size_t old = d->reply != NULL ? strlen(d->reply) : 0;

	size_t kept = old == 0 && n >= LIMIT_REPLY_BYTES ? LIMIT_REPLY_BYTES - 1 : n;

	delivery_forget_refusal(d);
	if (old + kept < LIMIT_REPLY_BYTES) { /* what is longer is no reply that means anything */
		char *longer = xasprintf(
		    "%s%s%.*s", old > 0 ? d->reply : "", old > 0 ? "\r\n" : "", (int)kept, line);

		free(d->reply);
		d->reply = longer;
	}
	return has_code(line, n) && (n == 3 || line[3] == ' ');
}

/* ---- which command ---- */

/* After EHLO: STARTTLS, AUTH or MAIL, or the connection ended and this is another one's banner. */
static enum command after_hello(const struct delivery *d, int code)
{
	static const int auth_codes[] = {235, 334, 432, 534, 535, 538};

	if (code == 220)
		return d->offers_tls && !d->secure ? COMMAND_STARTTLS : COMMAND_CONNECT;
	if (code == 454 && d->offers_tls && !d->secure)
		return COMMAND_STARTTLS;
	for (size_t i = 0; i < sizeof auth_codes / sizeof *auth_codes; i++)
		if (code == auth_codes[i] && d->offers_auth)
			return COMMAND_AUTH;
	return COMMAND_MAIL;
}

enum command delivery_answered(const struct delivery *d, int code)
{
	if (d->stage != DELIVERY_DIALOGUE)
		return COMMAND_CONNECT;
	switch (d->command) {
	case COMMAND_MAIL:
		return after_hello(d, code);
	case COMMAND_RCPT:
		if (code == 354 ||
		    (d->recipients.n > 0 && d->answered >= d->recipients.n && code != 220))
			return COMMAND_DATA;
		if (d->accepted && d->recipients.n == 0 && code / 100 >= 4)
			return COMMAND_RCPT_OR_DATA;
		return code == 220 ? COMMAND_CONNECT : COMMAND_RCPT;
	case COMMAND_QUIT:
		return code == 221 ? COMMAND_QUIT : code == 250 ? COMMAND_RSET : COMMAND_CONNECT;
	default:
		return d->command;
	}
}

char *delivery_command_text(const struct delivery *d, enum command c)
{
	static const char *const names[] = {
	    [COMMAND_CONNECT] = "CONNECT",
	    [COMMAND_EHLO] = "EHLO",
	    [COMMAND_HELO] = "HELO",
	    [COMMAND_STARTTLS] = "STARTTLS",
	    [COMMAND_AUTH] = "AUTH",
	    [COMMAND_MAIL] = "MAIL FROM:",
	    [COMMAND_RCPT] = "RCPT TO:",
	    [COMMAND_RCPT_OR_DATA] = "RCPT TO: or DATA",
	    [COMMAND_DATA] = "DATA",
	    [COMMAND_DOT] = ".",
	    [COMMAND_RSET] = "RSET",
	    [COMMAND_QUIT] = "QUIT",
	};

	if (c == COMMAND_MAIL && d->sender != NULL)
		return xasprintf("MAIL FROM:<%s>", d->sender);
	if (c == COMMAND_RCPT && d->answered < d->recipients.n)
		return xasprintf("RCPT TO:<%s>", d->recipients.v[d->answered]);
	return xstrdup(names[c]);
}

/* ---- moving on ---- */

/* Does the reply to EHLO have this keyword? */
static bool offers(const char *reply, const char *keyword)
{
	size_t n = strlen(keyword);

	while (reply != NULL && *reply != '\0') {
		if (strlen(reply) >= 4 + n && strncasecmp(reply + 4, keyword, n) == 0 &&
		    !isalnum((unsigned char)reply[4 + n]))
			return true;
		reply = strchr(reply, '\n');
		reply = reply != NULL ? reply + 1 : NULL;
	}
	return false;
}

static void hello_answered(struct delivery *d, int code)
{
	d->offers_tls = offers(d->reply, "STARTTLS");
	d->offers_auth = offers(d->reply, "AUTH");
	d->command = code / 100 == 2 ? COMMAND_MAIL : COMMAND_HELO;
}

static void starttls_answered(struct delivery *d, int code)
{
	d->secure = code == 220;
	d->offers_tls = false;
	d->command = d->secure ? COMMAND_EHLO : COMMAND_MAIL;
}

void delivery_went_on(struct delivery *d, enum command c, int code)
{
	bool yes = code / 100 == 2;

	if (c == COMMAND_CONNECT)
		delivery_connect(d);
	switch (c) {
	case COMMAND_CONNECT:
		d->command = yes ? COMMAND_EHLO : COMMAND_CONNECT;
		break;
	case COMMAND_EHLO:
		hello_answered(d, code);
		break;
	case COMMAND_HELO:
		d->command = yes ? COMMAND_MAIL : COMMAND_CONNECT;
		break;
	case COMMAND_STARTTLS:
		starttls_answered(d, code);
		break;
	case COMMAND_AUTH:
		d->offers_auth = code == 334;
		break;
	case COMMAND_MAIL:
		d->command = COMMAND_RCPT;
		break;
	case COMMAND_RCPT:
	case COMMAND_RCPT_OR_DATA:
		d->answered++;
		d->accepted |= yes;
		d->command = COMMAND_RCPT;
		break;
	case COMMAND_DATA:
		d->command = code == 354 ? COMMAND_DOT : COMMAND_QUIT;
		break;
	case COMMAND_DOT:
	case COMMAND_RSET:
	case COMMAND_QUIT:
		d->command = COMMAND_QUIT;
		break;
	}
	xreplace(&d->reply, NULL);
}

void delivery_forget_refusal(struct delivery *d)
{
	xreplace(&d->refusal.reply, NULL);
}

/* The sender comes first; of a null sender Postfix asks nothing, and then the first recipient would
 * stand in its place: only an address that is not of the domain to be reached is taken for one. */
void delivery_envelope(struct delivery *d, const char *address)
{
	const char *at = strrchr(address, '@');
	bool there = at != NULL && d->domain != NULL && strcasecmp(at + 1, d->domain) == 0;

	if (d->stage != DELIVERY_DIALOGUE ||
	    (d->command != COMMAND_MAIL && d->command != COMMAND_RCPT))
		return;
	if (d->command == COMMAND_MAIL && d->sender == NULL && d->recipients.n == 0 && !there)
		d->sender = xstrdup(address);
	else if (d->recipients.n < LIMIT_STORE_RECIPIENTS)
		strlist_add(&d->recipients, address);
}
