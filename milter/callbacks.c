/* callbacks.c - libmilter's callbacks: turn each into an event of the session, and its verdict into
 * the answer. Nothing is decided here. */
#include "common/list.h"
#include "common/verdict.h"
#include "milter/session.h"
#include "milter/wake.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char *listen_address;

static struct session *of(SMFICTX *ctx)
{
	return smfi_getpriv(ctx);
}

static char *macro(SMFICTX *ctx, const char *name)
{
	return smfi_getsymval(ctx, (char *)name);
}

/* The queue id comes with MAIL on Sendmail, later on Postfix (observed). */
static void note_queue_id(SMFICTX *ctx, struct session *s)
{
	const char *i;

	if (s->id.queue[0] != '\0' || (i = macro(ctx, "i")) == NULL)
		return;
	strncat(s->id.queue, i, sizeof s->id.queue - 1);
}

static sfsistat answer(SMFICTX *ctx, struct session *s, enum stage stage, struct verdict *v)
{
	sfsistat r = apply(ctx, s, stage, v);

	verdict_reset(v);
	return r;
}

/* Postfix hands local submissions over as connection from localhost, port 0 (observed, trap T17).
 */
static bool is_local_submission(const struct session *s, const struct ip_address *a)
{
	static const unsigned char loopback[] = {127, 0, 0, 1};

	return s->mta == MTA_POSTFIX && a->family == AF_INET && a->port == 0 &&
	       memcmp(a->bytes, loopback, sizeof loopback) == 0;
}

/* Sendmail on standard input (-bs) gives no address for its client, this host (observed). */
static void note_client(struct ip_address *a, const _SOCK_ADDR *given, const char *hostname)
{
	ip_address_from_sockaddr(a, (const struct sockaddr *)given);
	if (a->family == AF_UNSPEC && hostname != NULL && strcmp(hostname, "localhost") == 0)
		ip_address_parse(a, "127.0.0.1");
}

/* Hooks whose command never reaches a milter of this MTA (observed); said once for each loading. */
static void note_silent_hooks(const struct session *s)
{
	static const struct {
		const char *hook, *command;
		bool on_postfix;
	} silent[] = {
	    {"DoNOOP", "NOOP", true},
	    {"DoQUIT", "QUIT", true},
	    {"DoVRFY", "VRFY", true},
	    {"DoEXPN", "EXPN", false},
	    {"DoHELP", "HELP", false},
	};
	const char *name = s->mta == MTA_POSTFIX ? "Postfix" : "Sendmail";

	if (!script_set_first(s->set, name))
		return;
	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
		if ((silent[i].on_postfix || s->mta != MTA_POSTFIX) &&
		    script_set_has_hook(s->set, SCRIPT_SMTPSVR, silent[i].hook))
			log_warn(NULL, "script %s, %s: not called, %s does not tell a milter of %s",
			    script_set_path(s->set, SCRIPT_SMTPSVR), silent[i].hook, name,
			    silent[i].command);
}

static sfsistat on_connect(SMFICTX *ctx, char *hostname, _SOCK_ADDR *address)
{
	struct session *s = of(ctx);
	struct smtpsvr_client client = {.hostname = hostname, .listen = listen_address};
	const char *version = macro(ctx, "v");
	struct verdict v;

	if (s == NULL)
		return SMFIS_CONTINUE;
	s->mta =
	    version != NULL && strncmp(version, "Postfix", 7) == 0 ? MTA_POSTFIX : MTA_SENDMAIL;
	if (!smtpsvr_needs(s->set)->session)
		return SMFIS_CONTINUE;
	note_silent_hooks(s);
	note_client(&client.address, address, hostname);
	client.daemon_name = macro(ctx, "{daemon_name}");
	client.local_submission = is_local_submission(s, &client.address);
	s->smtp = smtpsvr_open(s->set, resolvers_rbl(s->resolvers), &s->id);
	verdict_init(&v);
	smtpsvr_connect(s->smtp, &client, &v);
	return answer(ctx, s, STAGE_CONNECT, &v);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	struct session *s = of(ctx);
	struct smtpsvr_tls tls = {
	    .version = macro(ctx, "{tls_version}"), .cipher = macro(ctx, "{cipher}")};
	struct verdict v;

	if (s == NULL || s->smtp == NULL)
		return SMFIS_CONTINUE;
	tls.on = tls.version != NULL && *tls.version != '\0';
	session_end_message(s);
	verdict_init(&v);
	/* the protocol does not say HELO or EHLO; nearly all clients of today say EHLO */
	smtpsvr_helo(s->smtp, name, true, &tls, &v);
	return answer(ctx, s, STAGE_HELO, &v);
}

static sfsistat on_mail(SMFICTX *ctx, char **argv)
{
	struct session *s = of(ctx);
	struct verdict v;
	sfsistat r;

	if (s == NULL || s->smtp == NULL)
		return SMFIS_CONTINUE;
	session_end_message(s);
	session_begin_message(s);
	note_queue_id(ctx, s);
	verdict_init(&v);
	smtpsvr_mail(s->smtp, argv, macro(ctx, "{auth_authen}"), &v);
	r = answer(ctx, s, STAGE_MAIL, &v);
	if (r != SMFIS_CONTINUE && r != SMFIS_NOREPLY)
		session_end_message(s);
	return r;
}

/* Mailers that hand a message to another host by SMTP: the names of both MTAs, and what
 * administrators make of them ("smtp-slow", "relay_out"). */
static bool is_remote(const char *mailer)
{
	static const char *const remote[] = {"smtp", "esmtp", "dsmtp", "relay"};

	for (size_t i = 0; mailer != NULL && i < sizeof remote / sizeof *remote; i++)
		if (strncmp(mailer, remote[i], strlen(remote[i])) == 0)
			return true;
	return false;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
	struct session *s = of(ctx);
	struct verdict v;

	if (s == NULL || s->smtp == NULL)
		return SMFIS_CONTINUE;
	note_queue_id(ctx, s);
	verdict_init(&v);
	smtpsvr_rcpt(s->smtp, argv, is_remote(macro(ctx, "{rcpt_mailer}")), &v);
	return answer(ctx, s, STAGE_RCPT, &v);
}

static sfsistat on_data(SMFICTX *ctx)
{
	struct session *s = of(ctx);
	struct verdict v;
	sfsistat r;

	if (s == NULL || s->smtp == NULL)
		return SMFIS_CONTINUE;
	note_queue_id(ctx, s);
	verdict_init(&v);
	smtpsvr_data(s->smtp, &v);
	r = answer(ctx, s, STAGE_DATA, &v);
	if (r != SMFIS_CONTINUE && r != SMFIS_NOREPLY)
		session_end_message(
		    s); /* libmilter forgets it too: no abort will come (observed) */
	return r;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *s = of(ctx);
	char *spaced = NULL;
	struct verdict v;

	if (s == NULL || s->smtp == NULL)
		return SMFIS_CONTINUE;
	note_queue_id(ctx, s);
	if (!s->leading_space) /* an old MTA took the blank away */
		spaced = xasprintf(" %s", value);
	verdict_init(&v);
	smtpsvr_header(s->smtp, name, spaced != NULL ? spaced : value, &v);
	free(spaced);
	return answer(ctx, s, STAGE_HEADER, &v);
}

static sfsistat on_end_of_header(SMFICTX *ctx)
{
	struct session *s = of(ctx);

	return s != NULL && s->no_reply[STAGE_END_OF_HEADER] ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *bytes, size_t n)
{
	struct session *s = of(ctx);
	struct verdict v;

	if (s == NULL || s->smtp == NULL)
		return SMFIS_CONTINUE;
	verdict_init(&v);
	smtpsvr_body(s->smtp, bytes, n, &v);
	return answer(ctx, s, STAGE_BODY, &v);
}

static sfsistat on_end_of_message(SMFICTX *ctx)
{
	struct session *s = of(ctx);
	struct verdict v;
	sfsistat r;

	if (s == NULL || s->smtp == NULL)
		return SMFIS_CONTINUE;
	note_queue_id(ctx, s);
	verdict_init(&v);
	smtpsvr_end_of_message(s->smtp, &v);
	r = answer(ctx, s, STAGE_END, &v);
	session_end_message(s);
	return r;
}

static sfsistat on_abort(SMFICTX *ctx)
{
	struct session *s = of(ctx);

	if (s != NULL && s->smtp != NULL) {
		smtpsvr_abort(s->smtp);
		session_end_message(s);
	}
	return SMFIS_CONTINUE;
}

static sfsistat on_unknown(SMFICTX *ctx, const char *line)
{
	struct session *s = of(ctx);
	struct verdict v;

	if (s == NULL || s->smtp == NULL)
		return SMFIS_CONTINUE;
	verdict_init(&v);
	smtpsvr_unknown(s->smtp, line, &v);
	return answer(ctx, s, STAGE_UNKNOWN, &v);
}

static sfsistat on_close(SMFICTX *ctx)
{
	session_free(of(ctx));
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

/* Every callback that may run a script is watched (wake.h). */
#define WATCHED(callback, parameters, arguments)      \
	static sfsistat watched_##callback parameters \
	{                                             \
		sfsistat r;                           \
                                                      \
		wake_enter();                         \
		r = callback arguments;               \
		wake_leave();                         \
		return r;                             \
	}

WATCHED(on_connect, (SMFICTX * ctx, char *hostname, _SOCK_ADDR *a), (ctx, hostname, a))
WATCHED(on_helo, (SMFICTX * ctx, char *name), (ctx, name))
WATCHED(on_mail, (SMFICTX * ctx, char **argv), (ctx, argv))
WATCHED(on_rcpt, (SMFICTX * ctx, char **argv), (ctx, argv))
WATCHED(on_data, (SMFICTX * ctx), (ctx))
WATCHED(on_header, (SMFICTX * ctx, char *name, char *value), (ctx, name, value))
WATCHED(on_body, (SMFICTX * ctx, unsigned char *bytes, size_t n), (ctx, bytes, n))
WATCHED(on_end_of_message, (SMFICTX * ctx), (ctx))
WATCHED(on_abort, (SMFICTX * ctx), (ctx))
WATCHED(on_unknown, (SMFICTX * ctx, const char *line), (ctx, line))
WATCHED(on_close, (SMFICTX * ctx), (ctx))

bool callbacks_register(const char *address)
{
	struct smfiDesc d = {
	    .xxfi_name = (char *)"mailhooks",
	    .xxfi_version = SMFI_VERSION,
	    /* what any script could need; negotiate() asks for less */
	    .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_ADDRCPT | SMFIF_ADDRCPT_PAR |
			  SMFIF_DELRCPT | SMFIF_CHGFROM | SMFIF_CHGBODY | SMFIF_QUARANTINE |
			  SMFIF_SETSYMLIST,
	    .xxfi_connect = watched_on_connect,
	    .xxfi_helo = watched_on_helo,
	    .xxfi_envfrom = watched_on_mail,
	    .xxfi_envrcpt = watched_on_rcpt,
	    .xxfi_header = watched_on_header,
	    .xxfi_eoh = on_end_of_header,
	    .xxfi_body = watched_on_body,
	    .xxfi_eom = watched_on_end_of_message,
	    .xxfi_abort = watched_on_abort,
	    .xxfi_close = watched_on_close,
	    .xxfi_unknown = watched_on_unknown,
	    .xxfi_data = watched_on_data,
	    .xxfi_negotiate = negotiate,
	};

	listen_address = address;
	return smfi_register(d) == MI_SUCCESS;
}
