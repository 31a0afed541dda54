/* mail_errors.c - errors.lua: the bounces and notices that the MTA itself writes.
 *
 * They come as local submissions by MAILER-DAEMON, from the null sender or from the address that
 * gets the bounces of bounces. ProcessMessage3() is asked, else ProcessError(): subject, text,
 * target and sender may be others, or nothing is sent. Only the part for people is replaced, so the
 * report stays one that programs read (RFC 3464). A script that fails leaves the notice as it is,
 * whatever lua.on_error says: a refused bounce would come again for days (observed). Source: VPOP3
 * manual and wiki; readings [R] are in doc/hooks-errors.md. */
#include "common/clock.h"
#include "common/dsn.h"
#include "common/limits.h"
#include "common/mime_words.h"
#include "common/patch.h"
#include "common/store/store_shared.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/mail/mail.h"
#include "lua-bindings/mail/mail_headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { KIND_FAILED = 1, KIND_DELAYED, KIND_DELIVERED, KIND_POSTMASTER, KIND_NOTICE };

/* What the numbers that VPOP3 passes are here [R]. */
static const struct {
	const char *action; /* of the first recipient in the report */
	int severity, component;
} kinds[] = {
    [KIND_FAILED] = {"failed", 4, 1},
    [KIND_DELAYED] = {"delayed", 2, 1},
    [KIND_DELIVERED] = {"", 1, 1}, /* delivered, relayed, expanded */
    [KIND_POSTMASTER] = {NULL, 4, 1},
    [KIND_NOTICE] = {NULL, 2, 4},
};

enum text { TITLE, MESSAGE, TARGET, SENDER, TEXTS };

struct notice {
	struct mail *mail;
	struct instance instance;
	enum kind kind;
	struct dsn dsn;
	char *error;			 /* what the remote host or the MTA said */
	bool connect_error;		 /* no host answered */
	struct strlist parameters;	 /* for %1, %2 ... */
	struct strlist targets;		 /* recipients of the notice as they stand */
	const struct mime_section *text; /* the part for people */
	char *old[TEXTS], *now[TEXTS];	 /* now: NULL = unchanged */
	bool force;
};

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	bool wanted = script_set_has_hook(set, SCRIPT_ERRORS, "ProcessMessage3") ||
		      script_set_has_hook(set, SCRIPT_ERRORS, "ProcessError");

	if (wanted)
		n->headers = n->body = n->body_stored = n->header_changes = n->body_changes =
		    n->recipient_changes = true;
	return wanted;
}

/* ---- what the notice says ---- */

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
static bool is_notice(const struct mail *m)
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

static enum kind kind_of(const struct notice *b)
{
	const char *action = b->dsn.n > 0 ? b->dsn.recipients[0].action : "";

	if (b->dsn.n == 0)
		return KIND_NOTICE;
	if (from_double_bounce(message_sender(b->mail->message)->address))
		return KIND_POSTMASTER;
	for (int k = KIND_FAILED; k <= KIND_DELAYED; k++)
		if (strcmp(action, kinds[k].action) == 0)
			return (enum kind)k;
	return KIND_DELIVERED;
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

static bool read_notice(struct notice *b)
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

/* ---- the templates of ProcessError() ---- */

/* A text as a template: each % doubled. */
static char *as_template(const char *text)
{
	char *out = xmalloc(2 * strlen(text) + 1), *q = out;

	for (; *text != '\0'; text++) {
		if (*text == '%')
			*q++ = '%';
		*q++ = *text;
	}
	*q = '\0';
	return out;
}

/* %1 ... %9 are parameters, %% is a %; anything else stands for itself. */
static char *expand(const char *format, const struct strlist *parameters)
{
	char *out = xstrdup("");
	size_t n = 0;

	while (*format != '\0' && n < LIMIT_DSN_PART_BYTES) {
		const char *piece = format;
		size_t length = strcspn(format, "%"), number;

		if (length > 0) {
			format += length;
		} else if (format[1] == '%') {
			length = 1;
			format += 2;
		} else if (format[1] >= '1' && format[1] <= '9' &&
			   (number = (size_t)(format[1] - '1')) < parameters->n) {
			piece = parameters->v[number];
			length = strlen(piece);
			format += 2;
		} else {
			length = 1;
			format++;
		}
		out = xrealloc(out, n + length + 1);
		memcpy(out + n, piece, length);
		n += length;
		out[n] = '\0';
	}
	return out;
}

/* ---- the hooks ---- */

/* ProcessMessage3(component, id, type, severity, error, connect_error, title_id, title,
 * template_id, message, target, sender) */
static int l_message3_args(lua_State *L, void *arg)
{
	const struct notice *b = arg;

	lua_pushinteger(L, kinds[b->kind].component);
	lua_pushinteger(L, 1);
	lua_pushinteger(L, b->kind);
	lua_pushinteger(L, kinds[b->kind].severity);
	lua_pushstring(L, b->error);
	lua_pushboolean(L, b->connect_error);
	lua_pushinteger(L, b->kind);
	lua_pushstring(L, b->old[TITLE]);
	lua_pushinteger(L, b->kind);
	lua_pushstring(L, b->old[MESSAGE]);
	lua_pushstring(L, b->old[TARGET]);
	lua_pushstring(L, b->old[SENDER]);
	return 12;
}

/* ProcessError(itemid, errortext, connectionerror, subjectid, subject, formatid, format,
 * parameters, target, sender) */
static int l_error_args(lua_State *L, void *arg)
{
	const struct notice *b = arg;

	lua_pushinteger(L, 1);
	lua_pushstring(L, b->error);
	lua_pushboolean(L, b->connect_error);
	lua_pushinteger(L, b->kind);
	lua_pushstring(L, b->old[TITLE]);
	lua_pushinteger(L, b->kind);
	lua_pushstring(L, b->old[MESSAGE]);
	l_push_list(L, &b->parameters);
	lua_pushstring(L, b->old[TARGET]);
	lua_pushstring(L, b->old[SENDER]);
	return 10;
}

static void l_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct notice *b = arg;
	const char *text;
	size_t length;

	(void)n;
	lua_settop(L, first + TEXTS); /* what is missing is nil */
	for (int i = 0; i < TEXTS; i++) {
		enum given given = l_to_string(L, first + i, &text, &length);

		if (given == GIVEN_WRONG ||
		    (given == GIVEN && (length > LIMIT_DSN_PART_BYTES || strlen(text) != length)))
			in->wanted = "a text of at most 64 KiB without zero bytes";
		else if (given == GIVEN && strcmp(text, b->old[i]) != 0)
			xreplace(&b->now[i], text);
	}
	if (l_to_bool(L, first + TEXTS, &b->force) == GIVEN_WRONG)
		in->wanted = "true or false";
}

/* ProcessError() gets and gives a template, ProcessMessage3() the text itself. False: it failed. */
static bool call_hook(struct notice *b)
{
	bool newer = script_set_has_hook(b->mail->set, SCRIPT_ERRORS, "ProcessMessage3");
	struct instance_call call = {.hook = newer ? "ProcessMessage3" : "ProcessError",
	    .l_args = newer ? l_message3_args : l_error_args,
	    .l_results = l_results,
	    .arg = b};
	char *text = b->old[MESSAGE], *template = as_template(text);
	enum instance_end end = instance_open(&b->instance, b->mail->set, SCRIPT_ERRORS,
	    b->mail->id, b->mail->deadline_ms, NULL, NULL);

	if (!newer)
		b->old[MESSAGE] = template;
	if (end == INSTANCE_DONE)
		end = instance_call(&b->instance, &call);
	instance_close(&b->instance);
	b->old[MESSAGE] = text;
	free(template);
	if (end != INSTANCE_DONE)
		return false;
	if (!newer && b->now[MESSAGE] != NULL) {
		template = b->now[MESSAGE];
		b->now[MESSAGE] = expand(template, &b->parameters);
		free(template);
	}
	return true;
}

/* ---- what becomes of it ---- */

static bool is_suppressed(const struct notice *b)
{
	const char *target = b->now[TARGET], *message = b->now[MESSAGE];

	return (message != NULL && *message == '\0' && *b->old[MESSAGE] != '\0') ||
	       (target != NULL && (*target == '\0' || strcasecmp(target, "<blank>") == 0));
}

/* errors.per_hour notices to one address; a store that does not answer lets them through. */
static bool is_too_many(const struct notice *b)
{
	const struct config *c = b->mail->config;
	const char *target = b->now[TARGET] != NULL ? b->now[TARGET] : b->old[TARGET];
	struct store_rate_window window = {
	    .count = (uint64_t)c->errors.per_hour, .period_ms = 3600000};
	char *key = xasprintf("errors %s", target);
	struct store_rate_limit limit = {key, &window, 1};
	struct store *store = NULL;
	enum store_rate rate = STORE_RATE_PASS;

	if (c->errors.per_hour > 0 && !b->force)
		store = store_shared_get(c->store);
	if (store != NULL) {
		rate = store_rate_take(store, &limit, 1, NULL, LIMIT_FACTS_MS);
		store_shared_put(store);
	}
	free(key);
	return rate == STORE_RATE_OVER;
}

static void complain(const struct notice *b, const char *what, const char *why)
{
	log_warn(b->mail->id, "%s of the notice not changed: %s", what, why);
}

static void change_header(struct notice *b, const char *name, char *value)
{
	char *line = xasprintf("%s: %s", name, value);

	mail_modify_header(b->mail, line);
	free(line);
	free(value);
}

/* "<ann@b>" and " ann@b" are ann@b. */
static char *bare(const char *address)
{
	static const char around[] = " \t\r\n<>";
	size_t from = strspn(address, around), n = strlen(address);

	while (n > from && strchr(around, address[n - 1]) != NULL)
		n--;
	return xstrndup(address + from, n - from);
}

/* Who is a recipient already stays; with no address that is sound nobody is removed. */
static void change_target(struct notice *b)
{
	char *copy = xstrdup(b->now[TARGET]), *rest = copy, *piece;
	struct strlist keep = STRLIST_INIT;
	const char *why = "no address is given";
	int added = 0;

	while ((piece = strsep(&rest, ",;")) != NULL) {
		char *address = bare(piece);

		if (strlist_has_nocase(&b->targets, address))
			strlist_add(&keep, address);
		else if (*address != '\0')
			added += verdict_recipient(b->mail->verdict, true, address, NULL, &why);
		free(address);
	}
	if (added == 0 && keep.n == 0)
		complain(b, "target", why);
	for (size_t i = 0; (added > 0 || keep.n > 0) && i < b->targets.n; i++)
		if (!strlist_has_nocase(&keep, b->targets.v[i]))
			(void)verdict_recipient(
			    b->mail->verdict, false, b->targets.v[i], NULL, &why);
	strlist_clear(&keep);
	free(copy);
}

/* A notice that is one text, without parts: its header says what the text is. */
static void describe_text(struct notice *b, const char *part, size_t n)
{
	static const char *const names[] = {"Content-Type", "Content-Transfer-Encoding"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *value = dsn_header_field(part, n, names[i]);

		if (*value == '\0')
			xreplace(&value, "7bit");
		change_header(b, names[i], value);
	}
	if (message_header_instances(b->mail->message, "MIME-Version") == 0)
		change_header(b, "MIME-Version", xstrdup("1.0"));
}

static void change_text(struct notice *b)
{
	const struct mime_section *s = b->text;
	const char *why = "there is no text in it", *body;
	struct patch *patch;
	size_t n;
	char *part;

	if (s == NULL || verdict_has_body(b->mail->verdict)) {
		complain(b, "text", why);
		return;
	}
	part = dsn_text_part(b->now[MESSAGE], &n);
	patch = patch_new();
	if (s->parent != 0) {
		patch_replace(patch, s->start, s->end - s->start, part, n);
	} else {
		body = strstr(part, "\r\n\r\n") + 4;
		describe_text(b, part, n);
		patch_replace(patch, s->body, s->end - s->body, body, n - (size_t)(body - part));
	}
	if (!verdict_patch(b->mail->verdict, patch, b->mail->message, &why))
		complain(b, "text", why);
	free(part);
}

static void change(struct notice *b)
{
	if (b->now[TITLE] != NULL)
		change_header(b, "Subject", mime_words_encode(b->now[TITLE]));
	if (b->now[SENDER] != NULL && *b->now[SENDER] != '\0')
		change_header(b, "From", mime_words_encode_addresses(b->now[SENDER]));
	if (b->now[TARGET] != NULL)
		change_target(b);
	if (b->now[MESSAGE] != NULL && *b->now[MESSAGE] != '\0')
		change_text(b);
}

static void carry_out(struct notice *b)
{
	const struct log_id *id = b->mail->id;

	if (is_suppressed(b)) {
		log_info(id, "notice to <%.200s> suppressed by errors.lua", b->old[TARGET]);
		verdict_discard(b->mail->verdict); /* a refused bounce comes again (observed) */
	} else if (is_too_many(b)) {
		log_info(id, "notice to <%.200s> suppressed: errors.per_hour", b->old[TARGET]);
		verdict_discard(b->mail->verdict);
	} else {
		change(b);
	}
}

static void apply(struct mail *m)
{
	struct notice b = {.mail = m};

	if (!is_notice(m) || !read_notice(&b))
		return;
	if (call_hook(&b))
		carry_out(&b);
	for (int i = 0; i < TEXTS; i++) {
		free(b.old[i]);
		free(b.now[i]);
	}
	free(b.error);
	strlist_clear(&b.parameters);
	strlist_clear(&b.targets);
	dsn_clear(&b.dsn);
}

const struct mail_stage mail_errors = {"errors.lua", needs, apply};
