/* maillog_postfix.c - what smtp(8), qmgr(8), cleanup(8) and postsuper(1) of Postfix write.
 *
 * Postfix makes unprintable bytes of remote text into "?" and puts the text last, but for what it
 * was in reply to, which comes after it: that is taken from the very end, unless the line is so
 * long that its end may be missing. */
#include "common/maillog/maillog_mta.h"
#include "common/maillog/maillog_text.h"

#include <stdio.h>
#include <string.h>

/* Postfix cuts what it gives to syslog(3) after 2000 bytes, and says nothing. */
#define CUT_BYTES 1900

/* ---- what happened with a host ---- */

enum tail { TAIL_REPLY_TO, TAIL_REPLY, TAIL_STAGE, TAIL_TEXT };

static const struct failure {
	const char *before, *after; /* of the host; before NULL: no host is named */
	enum tail tail;
	const char *stage, *code;
} failures[] = {
    {"host ", " said: ", TAIL_REPLY_TO, "", ""},
    {"host ", " refused to talk to me: ", TAIL_REPLY, "greeting", ""},
    {"lost connection with ", " while ", TAIL_STAGE, "", "4.4.2"},
    {"conversation with ", " timed out while ", TAIL_STAGE, "", "4.4.2"},
    {"TLS is required, but host ", " refused to start TLS: ", TAIL_REPLY, "STARTTLS", ""},
    {"TLS is required, but was not offered by host ", "", TAIL_TEXT, "STARTTLS", "4.7.4"},
    {"SASL authentication failed; server ", " said: ", TAIL_REPLY, "AUTH", ""},
    {"SASL authentication failed; cannot authenticate to server ", ": ", TAIL_TEXT, "AUTH",
	"4.7.0"},
    {"Protocol error: host ", " said: ", TAIL_REPLY_TO, "", ""},
    {"local data error while talking to ", "", TAIL_TEXT, "", "4.3.0"},
    {"connect to ", "", TAIL_TEXT, "connect", "4.4.1"},
    {NULL, "Server certificate not verified", TAIL_TEXT, "STARTTLS", "4.7.5"},
    {NULL, "Server certificate not trusted", TAIL_TEXT, "STARTTLS", "4.7.5"},
    {NULL, "Cannot start TLS: handshake failure", TAIL_TEXT, "STARTTLS", "4.7.5"},
};

static const struct {
	const char *said, *stage;
} stages[] = {
    {"receiving the initial server greeting", "greeting"},
    {"performing the EHLO handshake", "EHLO"},
    {"performing the HELO handshake", "HELO"},
    {"performing the LHLO handshake", "LHLO"},
    {"sending MAIL FROM", "MAIL FROM"},
    {"sending RCPT TO", "RCPT TO"},
    {"receiving the STARTTLS response", "STARTTLS"},
    {"sending DATA command", "DATA"},
    {"sending message body", "message"},
    {"sending end of data -- message may be sent more than once", "end of DATA"},
    {"sending final RSET", "RSET"},
    {"sending RSET probe", "RSET"},
    {"sending QUIT", "QUIT"},
};

/* "450 4.2.1 later (in reply to RCPT TO command)" */
static const char *in_reply_to(struct maillog_text *reply, bool cut)
{
	static const char *const commands[] = {"MAIL FROM", "RCPT TO", "DATA", "end of DATA",
	    "STARTTLS", "AUTH", "RSET", "QUIT", "XFORWARD", "EHLO", "HELO"};
	char end[64];

	for (size_t i = 0; !cut && i < sizeof commands / sizeof *commands; i++) {
		snprintf(end, sizeof end, " (in reply to %s command)", commands[i]);
		if (text_ends(*reply, end)) {
			reply->n -= strlen(end);
			return commands[i];
		}
	}
	return "";
}

static const char *stage_said(struct maillog_text said)
{
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (text_is(said, stages[i].said))
			return stages[i].stage;
	return "";
}

static bool fits(const struct failure *f, struct maillog_text *rest, struct maillog_text *server,
    struct maillog_text *address)
{
	*server = *address = (struct maillog_text){rest->s, 0};
	if (f->before != NULL && !(text_word(rest, f->before) && text_host(rest, server, address)))
		return false;
	return text_word(rest, f->after);
}

/* The text of a failure: fills in reply, stage and code, and the host it names. */
static bool failure_text(struct maillog_line *line, struct maillog_text text, bool cut)
{
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
		const struct failure *f = &failures[i];
		struct maillog_text rest = text, server, address;

		if (!fits(f, &rest, &server, &address))
			continue;
		line->server = server;
		line->address = address;
		line->stage = f->stage;
		snprintf(line->code, sizeof line->code, "%s", f->code);
		line->reply = f->tail == TAIL_REPLY_TO || f->tail == TAIL_REPLY ? rest : text;
		if (f->tail == TAIL_REPLY_TO)
			line->stage = in_reply_to(&line->reply, cut);
		else if (f->tail == TAIL_STAGE)
			line->stage = stage_said(rest);
		return true;
	}
	return false;
}

/* ---- smtp(8) ---- */

static bool same(struct maillog_text a, struct maillog_text b)
{
	return a.n == b.n && memcmp(a.s, b.s, a.n) == 0;
}

/* "(250 2.0.0 ok)": the reply, or what went wrong with the host that relay= names. */
static void outcome_text(struct maillog_line *line, struct maillog_text text, bool cut)
{
	struct maillog_line found = *line;

	if (!cut && text_ends(text, ")"))
		text.n--;
	line->reply = text;
	if (line->status == MAILLOG_SENT) {
		line->stage = "end of DATA";
		return;
	}
	if (!failure_text(&found, text, cut) ||
	    (found.address.n > 0 && !same(found.address, line->address)))
		return;
	line->stage = found.stage;
	if (text_has_code(found.reply))
		line->reply = found.reply;
}

static bool status_word(struct maillog_text *rest, enum maillog_status *status)
{
	static const struct {
		const char *word;
		enum maillog_status status;
	} words[] = {{"sent (", MAILLOG_SENT}, {"deferred (", MAILLOG_DEFERRED},
	    {"bounced (", MAILLOG_BOUNCED}, {"expired (", MAILLOG_BOUNCED}};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (text_word(rest, words[i].word)) {
			*status = words[i].status;
			return true;
		}
	}
	return false;
}

/* "relay=mx1.one.test[192.0.2.1]:25, " or "relay=none, "; another socket is no remote host. */
static bool relay(struct maillog_text *rest, struct maillog_line *line)
{
	struct maillog_text part;
	int64_t port;

	if (!text_word(rest, "relay="))
		return false;
	if (text_word(rest, "none, "))
		return true;
	if (text_host(rest, &line->server, &line->address))
		return text_word(rest, ":") && text_number(rest, &port) && text_word(rest, ", ");
	return text_until(rest, ", ", &part);
}

/* "to=<a@b>, orig_to=<c>, relay=..., delay=0.04, delays=0/0/0.04/0, dsn=2.0.0, status=sent (...)"
 */
static bool recipient(struct maillog_line *line, struct maillog_text rest, bool cut)
{
	struct maillog_text start = rest, address, part;
	int64_t uses;

	if (!text_angle(&rest, &address))
		return false;
	line->recipients = (struct maillog_text){start.s, (size_t)(rest.s - start.s)};
	if (text_word(&rest, ", orig_to=") && !text_angle(&rest, &part))
		return false;
	if (!text_word(&rest, ", ") || !relay(&rest, line))
		return false;
	if (text_word(&rest, "conn_use=") && !(text_number(&rest, &uses) && text_word(&rest, ", ")))
		return false;
	if (!text_word(&rest, "delay=") || !text_seconds(&rest, &line->delay_ms) ||
	    !text_word(&rest, ", delays=") || !text_until(&rest, ", ", &part) ||
	    !text_word(&rest, "dsn=") || !text_until(&rest, ", ", &part) || part.n >= 16 ||
	    !text_word(&rest, "status=") || !status_word(&rest, &line->status))
		return false;
	line->kind = MAILLOG_RECIPIENT;
	snprintf(line->code, sizeof line->code, "%.*s", (int)part.n, part.s);
	outcome_text(line, rest, cut);
	return true;
}

/* "Untrusted TLS connection established to mx1.one.test[192.0.2.1]:25: TLSv1.3 with cipher X (" */
static bool tls(struct maillog_line *line, struct maillog_text rest)
{
	static const char *const broken[] = {
	    "SSL_connect error to ", "certificate verification failed for "};
	struct maillog_text trust;

	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		if (text_word(&rest, broken[i]))
			return text_host(&rest, &line->server, &line->address);
	if (!text_until(&rest, " TLS connection established to ", &trust) || trust.n > 16 ||
	    text_name_bytes(trust) != trust.n || !text_host(&rest, &line->server, &line->address))
		return false;
	line->trust = trust;
	return text_until(&rest, ": ", &trust) && text_until(&rest, " with cipher ", &line->tls) &&
	       line->tls.n <= 16 && text_until(&rest, " ", &line->cipher);
}

static bool connecting(struct maillog_line *line, struct maillog_text text)
{
	struct maillog_text rest = text;

	if (!text_word(&rest, "connect to ") || !failure_text(line, text, false))
		return false;
	line->kind = MAILLOG_CONNECT;
	return true;
}

static bool smtp(struct maillog_line *line, struct maillog_text rest, bool cut)
{
	if (!text_queue_id(&rest, &line->queue_id)) {
		if (connecting(line, rest))
			return true;
		line->kind = MAILLOG_TLS;
		return tls(line, rest);
	}
	if (text_word(&rest, "to="))
		return recipient(line, rest, cut);
	line->kind = MAILLOG_HOST;
	return failure_text(line, rest, cut);
}

/* ---- the queue ---- */

/* "from=<a@b>, size=336, nrcpt=1 (queue active)" */
static bool queue(struct maillog_line *line, struct maillog_text rest, bool cut)
{
	(void)cut;
	if (!text_queue_id(&rest, &line->queue_id))
		return false;
	if (text_is(rest, "removed")) {
		line->kind = MAILLOG_REMOVED;
		return true;
	}
	line->kind = MAILLOG_ACTIVE;
	return text_word(&rest, "from=") && text_angle(&rest, &line->sender) &&
	       text_word(&rest, ", size=") && text_number(&rest, &line->size) &&
	       text_word(&rest, ", nrcpt=") && text_number(&rest, &line->recipients_total) &&
	       text_is(rest, " (queue active)");
}

/* "milter-reject: END-OF-MESSAGE from ...": a filter, perhaps one after ours, did not let it in. */
static bool refused(struct maillog_line *line, struct maillog_text rest, bool cut)
{
	static const char *const ends[] = {
	    "milter-reject: END-OF-MESSAGE from ", "milter-discard: END-OF-MESSAGE from "};

	(void)cut;
	line->kind = MAILLOG_REMOVED;
	if (!text_queue_id(&rest, &line->queue_id))
		return false;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (text_word(&rest, ends[i]))
			return true;
	return false;
}

/* error(8) and discard(8) contact no host, but say what became of recipients. */
static bool no_host(struct maillog_line *line, struct maillog_text rest, bool cut)
{
	return text_queue_id(&rest, &line->queue_id) && text_word(&rest, "to=") &&
	       recipient(line, rest, cut) && line->address.n == 0;
}

bool maillog_postfix(
    struct maillog_line *line, struct maillog_text service, struct maillog_text message)
{
	static const struct {
		const char *service;
		bool (*read)(struct maillog_line *, struct maillog_text, bool cut);
	} readers[] = {{"smtp", smtp}, {"qmgr", queue}, {"cleanup", refused}, {"postsuper", queue},
	    {"error", no_host}, {"retry", no_host}, {"discard", no_host}, {"local", no_host},
	    {"virtual", no_host}, {"pipe", no_host}, {"lmtp", no_host}};

	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
		if (text_is(service, readers[i].service))
			return readers[i].read(line, message, message.n >= CUT_BYTES);
	return false;
}
