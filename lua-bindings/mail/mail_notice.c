/* mail_notice.c - see mail_notice.h. Postfix's notices are multipart/report (RFC 6522), some are
 * plain text. */
#include "lua-bindings/mail/mail_notice.h"

#include "common/limits.h"
#include "common/mime_words.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Sender of Postfix's notices to the postmaster: double_bounce_sender, whose default this is. */
static bool from_double_bounce(const char *sender)
{
	static const char name[] = "double-bounce";

	return strncasecmp(sender, name, sizeof name - 1) == 0 &&
	       (sender[sizeof name - 1] == '\0' || sender[sizeof name - 1] == '@');
}

static char *header_text(const struct mail *m, const char *name)
{
	char *value = message_header_unfolded(m->message, name);

	return value != NULL ? value : xstrdup("");
}

/* A user's own mail from the null sender (a vacation notice) is none. */
bool notice_is_one(const struct mail *m)
{
	const char *sender = message_sender(m->message)->address;
	char *from;
	bool by_mta;

	if (!m->local_submission || (*sender != '\0' && !from_double_bounce(sender)))
		return false;
	from = header_text(m, "From");
	by_mta = strcasestr(from, "MAILER-DAEMON") != NULL;
	free(from);
	return by_mta;
}

/* RFC 3462, and its parts for addresses and headers beyond ASCII (RFC 6533). */
static const struct mime_section *find_type(
    const struct mime *mime, const char *const (*types)[2], size_t n)
{
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < mime_section_count(mime); i++) {
			const struct mime_section *s = mime_section(mime, i);

			if (strcmp(s->type, types[k][0]) == 0 &&
			    strcmp(s->subtype, types[k][1]) == 0)
				return s;
		}
	return NULL;
}

/* The beginning of a section's body as it stands in the message. */
static char *read_body(const struct mail *m, const struct mime_section *s, size_t *n)
{
	uint64_t size = s->end - s->body;
	size_t want = size < LIMIT_DSN_PART_BYTES ? (size_t)size : LIMIT_DSN_PART_BYTES;
	char *out = xmalloc(want + 1);
	ssize_t got;

	for (*n = 0; *n < want; *n += (size_t)got) {
		got = message_read(m->message, s->body + *n, out + *n, want - *n);
		if (got <= 0)
			break;
	}
	out[*n] = '\0';
	return out;
}

static void read_report(struct notice *b, const struct mime *mime)
{
	static const char *const types[][2] = {
	    {"message", "delivery-status"}, {"message", "global-delivery-status"}};
	const struct mime_section *s = find_type(mime, types, sizeof types / sizeof *types);
	size_t n = 0;
	char *text = s != NULL ? read_body(b->mail, s, &n) : xstrdup("");

	dsn_parse(&b->dsn, text, n);
	free(text);
}

static enum notice_kind kind_of(const struct notice *b)
{
	const char *action = b->dsn.n > 0 ? b->dsn.recipients[0].action : "";

	if (b->dsn.n == 0)
		return NOTICE_OTHER;
	if (from_double_bounce(message_sender(b->mail->message)->address))
		return NOTICE_POSTMASTER;
	if (strcmp(action, "failed") == 0)
		return NOTICE_FAILED;
	return strcmp(action, "delayed") == 0 ? NOTICE_DELAYED : NOTICE_DELIVERED;
}

/* The header of the message that the report is about: its part in the report is a message or the
 * header of one. */
static void add_original(struct notice *b, const struct mime *mime)
{
	static const char *const types[][2] = {{"message", "rfc822"}, {"text", "rfc822-headers"},
	    {"message", "global"}, {"message", "global-headers"}};
	const struct mime_section *s = find_type(mime, types, sizeof types / sizeof *types);
	size_t n = 0;
	char *header;

	header = s != NULL ? read_body(b->mail, s, &n) : xstrdup("");
	for (int i = 0; i < 2; i++) {
		char *value = dsn_header_field(header, n, i == 0 ? "Subject" : "Message-ID");
		char *text = mime_words_decode(value);

		strlist_add(&b->parameters, text);
		free(text);
		free(value);
	}
	free(header);
}

/* All recipients that the notice is about. */
static void add_everybody(struct notice *b)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < b->dsn.n; i++) {
		char *more =
		    xasprintf("%s%s%s", all, i > 0 ? ", " : "", b->dsn.recipients[i].final);

		free(all);
		all = more;
	}
	strlist_add(&b->parameters, all);
	free(all);
}

static void describe(struct notice *b, const struct mime *mime)
{
	static char empty[] = "";
	static const struct dsn_recipient none = {empty, empty, empty, empty, empty, empty};
	const struct dsn_recipient *r = b->dsn.n > 0 ? &b->dsn.recipients[0] : &none;

	b->kind = kind_of(b);
	b->error = xstrdup(r->diagnostic);
	b->connect_error =
	    b->dsn.n > 0 && *r->remote_mta == '\0' &&
	    (strncmp(r->status, "4.4.", 4) == 0 || strncmp(r->status, "5.4.", 4) == 0);
	strlist_add(&b->parameters, r->final);
	strlist_add(&b->parameters, r->diagnostic);
	strlist_add(&b->parameters, r->status);
	strlist_add(&b->parameters, r->remote_mta);
	strlist_add(&b->parameters, b->dsn.reporting_mta);
	add_original(b, mime);
	add_everybody(b);
}

static ssize_t read_message(void *arg, uint64_t offset, void *out, size_t n)
{
	return message_read(arg, offset, out, n);
}

/* The text of the part for people; none: "". */
static char *part_text(const struct notice *b)
{
	const struct mime_source source = {read_message, (struct message *)b->mail->message};

	return b->text != NULL ? dsn_part_text(&source, b->text) : xstrdup("");
}

bool notice_read(struct notice *b)
{
	const struct mime *mime = mail_mime(b->mail);

	if (mime == NULL || message_truncated(b->mail->message)) {
		log_warn(b->mail->id, "errors.lua not asked: the notice was not kept whole");
		return false;
	}
	read_report(b, mime);
	describe(b, mime);
	b->text = mime_find(mime, "1");
	if (b->text != NULL &&
	    (strcmp(b->text->type, "text") != 0 || strcmp(b->text->subtype, "plain") != 0))
		b->text = NULL;
	b->old[TITLE] = header_text(b->mail, "Subject");
	b->old[MESSAGE] = part_text(b);
	mail_recipients(b->mail, &b->targets);
	b->old[TARGET] = xstrdup(b->targets.n > 0 ? b->targets.v[0] : "");
	b->old[SENDER] = header_text(b->mail, "From");
	return true;
}

void notice_clear(struct notice *b)
{
	for (int i = 0; i < TEXTS; i++) {
		free(b->old[i]);
		free(b->now[i]);
	}
	free(b->error);
	strlist_clear(&b->parameters);
	strlist_clear(&b->targets);
	dsn_clear(&b->dsn);
}
