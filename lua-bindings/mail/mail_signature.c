/* mail_signature.c - signature.lua: the signature of what local users send.
 *
 * A message is outgoing when a local user sends it and a recipient is on another host, internal
 * when all recipients are local. GetSignature() or GetInternalSignature() is asked once for each
 * format that the message has; common/signing.h puts the texts in. A message that cannot be signed
 * goes out as it is. Source: VPOP3 manual; readings [R] are in doc/hooks-signature.md. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/outgoing.h"
#include "common/signing.h"
#include "common/users.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/mail/mail.h"
#include "lua-bindings/script_set_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NO_SIGNATURE "<blank>"

enum direction { NOT_OURS, INTERNAL, OUTGOING };

static const char *const hooks[] = {
    [INTERNAL] = "GetInternalSignature",
    [OUTGOING] = "GetSignature",
};

/* One message on its way through the hooks. */
struct signature {
	struct mail *mail;
	enum direction direction;
	struct instance instance;
	char *subject;
	struct strlist settings;      /* of the authenticated sender: name, value ... */
	enum signing_format format;   /* of the call */
	char *texts[SIGNING_FORMATS]; /* NULL: none */
};

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	const struct config *c = script_set_config(set);
	bool wanted = *c->signature.plain_file != '\0' || *c->signature.html_file != '\0' ||
		      script_set_has_hook(set, SCRIPT_SIGNATURE, hooks[INTERNAL]) ||
		      script_set_has_hook(set, SCRIPT_SIGNATURE, hooks[OUTGOING]);

	if (wanted)
		n->headers = n->body = n->body_stored = n->header_changes = n->body_changes = true;
	return wanted;
}

/* ---- whose mail ---- */

static bool in_local_domain(const struct config *c, const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL || strlist_has_nocase(&c->local_domains, at + 1);
}

/* What the MTA says, unless the configuration knows better. */
static bool is_remote(const struct mail *m, const char *recipient)
{
	return m->config->local_domains.n > 0 ? !in_local_domain(m->config, recipient)
					      : mail_is_remote(m, recipient);
}

/* Bounces and reports have no sender, the MTA's notices one of these. */
static bool is_mta(const char *sender)
{
	static const char *const names[] = {"", "double-bounce", "mailer-daemon"};
	size_t n = strcspn(sender, "@");

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (n == strlen(names[i]) && strncasecmp(sender, names[i], n) == 0)
			return true;
	return false;
}

/* A client of this host or network may be a filter that hands incoming mail back, so where the
 * local domains are known the sender must be in one. */
static bool from_local_user(const struct mail *m)
{
	const char *sender = message_sender(m->message)->address;

	if (is_mta(sender))
		return false;
	if (*m->auth_user != '\0')
		return true;
	return (m->local_client || m->local_submission) &&
	       (m->config->local_domains.n == 0 || in_local_domain(m->config, sender));
}

static enum direction direction_of(const struct mail *m)
{
	enum direction d = INTERNAL;
	struct strlist recipients = STRLIST_INIT;

	if (!from_local_user(m))
		return NOT_OURS;
	mail_recipients(m, &recipients);
	for (size_t i = 0; i < recipients.n; i++)
		if (is_remote(m, recipients.v[i]))
			d = OUTGOING;
	strlist_clear(&recipients);
	return d;
}

/* What is known of the authenticated sender. False: he has his signature switched off. */
static bool look_up_sender(struct signature *s)
{
	static const char *const off[] = {"0", "no", "off", "false"};
	const struct mail *m = s->mail;
	struct users *users = script_set_users(m->set);
	int64_t left = m->deadline_ms - clock_ms();
	char *name = NULL;
	const char *value;

	if (*m->auth_user == '\0' || users_are_off(users))
		return true;
	/* "ann", an address of hers, or "ann@realm" */
	if (users_find(users, m->auth_user, &name) != USERS_YES)
		name = xstrndup(m->auth_user, strcspn(m->auth_user, "@"));
	(void)users_settings(users, name, &s->settings,
	    left < LIMIT_SIGNING_SETTINGS_MS ? (int)left : LIMIT_SIGNING_SETTINGS_MS);
	free(name);
	value = users_pair(&s->settings, "Signature");
	for (size_t i = 0; value != NULL && i < sizeof off / sizeof *off; i++)
		if (strcasecmp(value, off[i]) == 0)
			return false;
	return true;
}

/* ---- the script ---- */

static int l_args(lua_State *L, void *arg)
{
	const struct signature *s = arg;

	lua_pushstring(L, s->format == SIGNING_HTML ? "HTML" : "PLAIN");
	lua_pushstring(L, s->mail->auth_user);
	lua_pushstring(L, message_sender(s->mail->message)->address);
	lua_pushstring(L, s->subject);
	lua_newtable(L);
	for (size_t i = 0; i + 1 < s->settings.n; i += 2) {
		lua_pushstring(L, s->settings.v[i]);
		lua_pushstring(L, s->settings.v[i + 1]);
		lua_rawset(L, -3);
	}
	l_iterable(L, -1);
	return 5;
}

static void l_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct signature *s = arg;
	const char *text;
	size_t length;

	if (n == 0)
		return;
	switch (l_to_string(L, first, &text, &length)) {
	case NOT_GIVEN:
		break;
	case GIVEN_WRONG:
		in->wanted = "text";
		break;
	case GIVEN:
		if (length > LIMIT_SIGNING_TEXT_BYTES || strlen(text) != length)
			in->wanted = "a text of at most 256 KiB without zero bytes";
		else if (length > 0)
			xreplace(&s->texts[s->format], text);
		break;
	}
}

/* ---- the settings ---- */

static char *read_file(const struct mail *m, const char *path)
{
	char *text = xmalloc(LIMIT_SIGNING_TEXT_BYTES + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t got = 1;
	size_t n = 0;

	while (fd >= 0 && got > 0 && n < LIMIT_SIGNING_TEXT_BYTES) {
		got = read(fd, text + n, LIMIT_SIGNING_TEXT_BYTES - n);
		n += got > 0 ? (size_t)got : 0;
	}
	if (fd < 0 || got < 0)
		log_error(m->id, "signature file %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	text[n] = '\0';
	return text;
}

/* What the script left open for outgoing mail; "<blank>" is no signature at all. */
static void fill(struct signature *s, const char *const files[SIGNING_FORMATS])
{
	char **text = &s->texts[s->format];

	if (*text == NULL && s->direction == OUTGOING && *files[s->format] != '\0')
		*text = read_file(s->mail, files[s->format]);
	if (*text != NULL && strcasecmp(*text, NO_SIGNATURE) == 0) {
		free(*text);
		*text = NULL;
	}
}

/* The texts for the formats that the message has. False: the script failed. */
static bool get_texts(struct signature *s, const struct signing *g)
{
	const struct config *c = s->mail->config;
	const char *const files[SIGNING_FORMATS] = {
	    c->signature.plain_file, c->signature.html_file};
	const struct instance_call call = {
	    .hook = hooks[s->direction], .l_args = l_args, .l_results = l_results, .arg = s};
	enum instance_end end = INSTANCE_ABSENT;

	if (script_set_has_hook(s->mail->set, SCRIPT_SIGNATURE, call.hook))
		end = instance_open(&s->instance, s->mail->set, SCRIPT_SIGNATURE, s->mail->id,
		    s->mail->deadline_ms, NULL, NULL);
	for (int f = 0; f < SIGNING_FORMATS && end != INSTANCE_FAILED; f++) {
		s->format = (enum signing_format)f;
		if (!signing_wants(g, s->format))
			continue;
		if (end == INSTANCE_DONE)
			end = instance_call(&s->instance, &call);
		if (end != INSTANCE_FAILED)
			fill(s, files);
	}
	instance_close(&s->instance);
	return end != INSTANCE_FAILED;
}

/* ---- the message ---- */

static ssize_t read_message(void *arg, uint64_t offset, void *out, size_t n)
{
	return message_read(arg, offset, out, n);
}

/* Another stage or script has already changed what the structure was read from. */
static const char *changed_before(const struct verdict *v)
{
	if (verdict_has_body(v))
		return "its body was replaced before";
	for (size_t i = 0; i < v->nheaders; i++)
		if (strncasecmp(v->headers[i].name, "Content-", 8) == 0 ||
		    strcasecmp(v->headers[i].name, "MIME-Version") == 0)
			return "a script has changed its Content-* fields";
	return NULL;
}

/* Body and header belong together: nothing is changed unless all of it can be. */
static const char *wrong_fields(const struct verdict *v, const struct signing_changes *c)
{
	const char *why = NULL;

	if (v->nheaders + c->nfields > LIMIT_HEADER_CHANGES)
		return "there are too many header changes";
	for (size_t i = 0; i < c->nfields && why == NULL; i++)
		free(outgoing_header_value(c->fields[i].value, &why));
	return why;
}

static const char *take(struct verdict *v, const struct message *m, struct signing_changes *c)
{
	const char *why = wrong_fields(v, c);
	struct patch *patch = c->body;

	if (why != NULL)
		return why;
	c->body = NULL;
	if (!verdict_patch(v, patch, m, &why))
		return why;
	for (size_t i = 0; i < c->nfields; i++)
		(void)verdict_header(v, c->fields[i].present ? HEADER_CHANGE : HEADER_APPEND,
		    c->fields[i].name, 1, c->fields[i].value, &why);
	return why;
}

/* NULL: done, or nothing to do. */
static const char *sign(struct signature *s)
{
	struct mail *m = s->mail;
	const struct mime_source source = {read_message, (struct message *)m->message};
	const struct mime *mime;
	struct signing_changes changes;
	const char *why = changed_before(m->verdict);
	struct signing *g;

	if (why == NULL && (message_truncated(m->message) || !message_header_whole(m->message)))
		why = "the message was not kept whole";
	if (why == NULL && (mime = mail_mime(m)) == NULL)
		why = "it cannot be read";
	if (why != NULL)
		return why;
	if (!look_up_sender(s))
		return NULL;
	g = signing_look(mime, &source, &why);
	if (g == NULL)
		return why;
	if (!get_texts(s, g))
		mail_script_failed(m);
	else if ((s->texts[SIGNING_PLAIN] != NULL || s->texts[SIGNING_HTML] != NULL) &&
		 signing_add(g, (const char *const *)s->texts, &changes, &why)) {
		why = take(m->verdict, m->message, &changes);
		signing_changes_clear(&changes);
	}
	signing_free(g);
	return why;
}

static void apply(struct mail *m)
{
	struct signature s = {.mail = m, .direction = direction_of(m)};
	const char *why;

	if (s.direction == NOT_OURS ||
	    (s.direction == INTERNAL &&
		!script_set_has_hook(m->set, SCRIPT_SIGNATURE, hooks[INTERNAL])))
		return;
	s.subject = message_header_unfolded(m->message, "Subject");
	if (s.subject == NULL)
		s.subject = xstrdup("");
	why = sign(&s);
	if (why != NULL)
		log_info(m->id, "no signature put into the message: %s", why);
	for (int f = 0; f < SIGNING_FORMATS; f++)
		free(s.texts[f]);
	free(s.subject);
	strlist_clear(&s.settings);
}

const struct mail_stage mail_signature = {"signature.lua", needs, apply};
