/* mail_errors.c - errors.lua: the bounces and notices that the MTA itself writes.
 *
 * They come as local submissions by MAILER-DAEMON, from the null sender or from the address that
 * gets the bounces of bounces. ProcessMessage3() is asked, else ProcessError(): subject, text,
 * target and sender may be others, or nothing is sent. Only the part for people is replaced, so the
 * report stays one that programs read (RFC 3464). A script that fails leaves the notice as it is,
 * whatever lua.on_error says: a refused bounce would come again for days (observed). Source: VPOP3
 * manual and wiki; readings [R] are in doc/hooks-errors.md. What the notice says is read by
 * mail_notice.c. */
#include "common/dsn.h"
#include "common/limits.h"
#include "common/mime_words.h"
#include "common/patch.h"
#include "common/store/store_shared.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/mail/mail.h"
#include "lua-bindings/mail/mail_headers.h"
#include "lua-bindings/mail/mail_notice.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What else VPOP3 passes about each kind [R]. */
static const struct {
	int severity, component;
} kinds[] = {
    [NOTICE_FAILED] = {4, 1},
    [NOTICE_DELAYED] = {2, 1},
    [NOTICE_DELIVERED] = {1, 1},
    [NOTICE_POSTMASTER] = {4, 1},
    [NOTICE_OTHER] = {2, 4},
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
	struct instance instance;
	enum instance_end end = instance_open(
	    &instance, b->mail->set, SCRIPT_ERRORS, b->mail->id, b->mail->deadline_ms, NULL, NULL);

	if (!newer)
		b->old[MESSAGE] = template;
	if (end == INSTANCE_DONE)
		end = instance_call(&instance, &call);
	instance_close(&instance);
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

	if (!notice_is_one(m) || !notice_read(&b))
		return;
	if (call_hook(&b))
		carry_out(&b);
	notice_clear(&b);
}

const struct mail_stage mail_errors = {"errors.lua", needs, apply};
