/* setup.c - `mailhooks setup`: what Postfix needs for the maps and the senders that are in use.
 *
 * Prints lines for main.cf and master.cf, or with --write puts them into two files of a directory
 * for the administrator to take over; the files of Postfix itself are never touched. Which maps are
 * in use follows from the hooks that the scripts define. The limits and the certificate check of a
 * sender are what its Start() in relayout.lua leaves behind: they are properties of a prepared
 * transport, so a script that changes its mind needs another run of this command. */
#include "cli/cli.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "common/queue_record.h"
#include "lua-bindings/profile.h"
#include "lua-bindings/relayout.h"
#include "lua-bindings/route.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define QUEUE_DIRECTORY "/var/spool/postfix" /* Debian's; where chrooted services live */
#define STEP_MS 10000			     /* a person waits */
#define COUNT(array) (sizeof(array) / sizeof *(array))

struct setup {
	const struct config *cfg;
	struct script_set *set;
	char *socket;	     /* as Postfix spells it: "socketmap:unix:PATH" */
	bool chroot;	     /* the socket is within the queue directory */
	bool dialogue;	     /* a hook sees the dialogue with a remote server */
	bool relay_dialogue; /* the same of relayout.lua */
};

/* ---- which maps ---- */

static bool has(const struct setup *s, enum script_id script, const char *hook)
{
	return script_set_has_hook(s->set, script, hook);
}

static bool wants_mx(const struct setup *s)
{
	return has(s, SCRIPT_MXSERVERRULES, "CheckServer") || route_wanted(s->set);
}

static bool wants_transport(const struct setup *s)
{
	return route_wanted(s->set) || profile_wanted(s->set);
}

static bool wants_tls(const struct setup *s)
{
	return has(s, SCRIPT_MXOUT, "ServerDetails");
}

static bool wants_reply(const struct setup *s)
{
	return has(s, SCRIPT_MXOUT, "ReturnCodeHandler");
}

static bool wants_ehlo_in(const struct setup *s)
{
	return has(s, SCRIPT_SMTPSVR, "GetEHLOCapabilities");
}

static bool wants_header(const struct setup *s)
{
	bool wanted = false;

	for (size_t i = 0; i < s->cfg->nsenders; i++)
		wanted |= s->cfg->senders[i].relay[0] != '\0';
	return wanted;
}

/* Messages that every sender skips are asked about again, and may go by another one then. */
static bool wants_requeue(const struct setup *s)
{
	return wants_header(s) && s->cfg->agent.mta == AGENT_POSTFIX;
}

static bool wants_srs(const struct setup *s)
{
	return s->cfg->batv.key_file[0] != '\0' || s->cfg->srs.secret_file[0] != '\0';
}

static const struct map_line {
	const char *parameter, *map, *reason;
	bool (*wanted)(const struct setup *);
} map_lines[] = {
    {"smtp_dns_reply_filter", "mx", "mxserverrules.lua, and holds", wants_mx},
    {"transport_maps", "transport",
	"mxserverrules.lua: GetOverrides, FinalOverrides; mxout.lua: profiles; in front of other "
	"tables; mail that it routes does not go by relayhost",
	wants_transport},
    {"smtp_tls_policy_maps", "tls", "mxout.lua: ServerDetails", wants_tls},
    {"smtp_discard_ehlo_keyword_address_maps", "ehlo_out", "mxout.lua: ServerDetails", wants_tls},
    {"smtp_reply_filter", "reply", "mxout.lua: ReturnCodeHandler", wants_reply},
    {"smtp_delivery_status_filter", "status",
	"mxout.lua: ReturnCodeHandler, when the refused command is known", wants_reply},
    {"smtpd_discard_ehlo_keyword_address_maps", "ehlo_in", "smtpsvr.lua: GetEHLOCapabilities",
	wants_ehlo_in},
    {"recipient_canonical_maps", "srs", "return paths that come back", wants_srs},
    {"milter_header_checks", "header", "relayout.lua: the choice of the sender", wants_header},
};

static void print_maps(FILE *out, const struct setup *s)
{
	for (size_t i = 0; i < COUNT(map_lines); i++)
		if (map_lines[i].wanted(s))
			fprintf(out, "# %s\n%s = %s:%s\n", map_lines[i].reason,
			    map_lines[i].parameter, s->socket, map_lines[i].map);
	if (wants_srs(s))
		fputs("recipient_canonical_classes = envelope_recipient\n", out);
	if (wants_requeue(s)) /* no other field of any message asks the socket */
		fprintf(out,
		    "# relayout.lua: messages that every sender skipped. In front of what the two "
		    "have already, with a\n"
		    "# comma: of two lines the last one counts. Postfix 3.7\n"
		    "header_checks = pipemap:{regexp:{{/^(" RELAYOUT_HELD_FIELD
		    ": [0-9A-Za-z]+-[0-9a-f]{%d})$$/ $$1}},%s:requeue}\n"
		    "smtp_header_checks = regexp:{{/^" RELAYOUT_HELD_FIELD ":/ IGNORE}}\n",
		    QUEUE_RECORD_TOKEN_BYTES - 1, s->socket);
	if (s->dialogue)
		fputs(
		    "# a reused connection does not show its host; servers are tried in the order "
		    "they are told in\n"
		    "smtp_connection_cache_on_demand = no\n"
		    "smtp_randomize_addresses = no\n",
		    out);
	fputs("# ids in the log are not used twice\nenable_long_queue_ids = yes\n", out);
}

/* ---- senders ---- */

/* The smaller one; 0 is none. */
static int64_t least(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

struct limits {		    /* 0: none */
	int64_t recipients; /* of a message */
	int64_t messages;   /* of a connection */
};

/* Postfix has no limit for the recipients of a connection, but for the two it is made of. */
static struct limits limits_of(const struct relayout_properties *p)
{
	struct limits l = {
	    .recipients = least(p->MaxRecipientsPerMessage, p->MaxRecipientsPerConnection),
	    .messages = p->MaxMessagesPerConnection};

	if (p->MaxRecipientsPerConnection > 0)
		l.messages = least(l.messages, p->MaxRecipientsPerConnection / l.recipients);
	return l;
}

static const char *tls_level(const struct sender_config *c, const struct relayout_properties *p)
{
	static const char *const levels[] = {[SENDER_TLS_NONE] = "none",
	    [SENDER_TLS_MAY] = "may",
	    [SENDER_TLS_ENCRYPT] = "encrypt",
	    [SENDER_TLS_WRAPPED] = "encrypt"};

	return p->VerifyCertificate ? "secure" : levels[c->tls];
}

static void print_reuse(FILE *out, const struct setup *s, int64_t messages)
{
	if (messages == 1 || s->relay_dialogue)
		fputs("  -o smtp_connection_cache_on_demand=no\n", out);
	else if (messages > 1)
		fprintf(out,
		    "  -o smtp_connection_cache_on_demand=yes\n"
		    "  -o smtp_connection_reuse_count_limit=%lld\n",
		    (long long)messages - 1);
}

/* The maps of mxserverrules.lua and mxout.lua are for direct deliveries, so they are off here. */
static void print_service(FILE *out, const struct setup *s, const struct sender_config *c,
    const struct relayout_properties *p)
{
	fprintf(out, "# sender \"%s\"\n%s unix - - %s - - smtp\n", c->name, c->transport,
	    s->chroot ? "y" : "n");
	fprintf(out, "  -o smtp_tls_security_level=%s\n", tls_level(c, p));
	if (c->tls == SENDER_TLS_WRAPPED)
		fputs("  -o smtp_tls_wrappermode=yes\n", out);
	if (c->helo_name[0] != '\0')
		fprintf(out, "  -o smtp_helo_name=%s\n", c->helo_name);
	print_reuse(out, s, limits_of(p).messages);
	fputs("  -o smtp_dns_reply_filter=\n"
	      "  -o smtp_tls_policy_maps=\n"
	      "  -o smtp_discard_ehlo_keyword_address_maps=\n",
	    out);
	if (s->relay_dialogue)
		fprintf(out,
		    "  -o smtp_reply_filter=%s:reply.%d\n"
		    "  -o smtp_delivery_status_filter=%s:status\n",
		    s->socket, c->id, s->socket);
	else
		fputs("  -o smtp_reply_filter=\n", out);
}

static bool print_sender(
    FILE *main_cf, FILE *master_cf, const struct setup *s, const struct sender_config *c)
{
	static const struct log_id id;
	struct relayout_properties p;
	struct limits l;

	if (c->relay[0] == '\0')
		return true;
	if (!relayout_start(s->set, c, &id, clock_ms() + STEP_MS, &p)) {
		fprintf(
		    stderr, "mailhooks: sender \"%s\": Start() of relayout.lua failed\n", c->name);
		return false;
	}
	l = limits_of(&p);
	if (l.recipients > 0)
		fprintf(main_cf, "# sender \"%s\"\n%s_destination_recipient_limit = %lld\n",
		    c->name, c->transport, (long long)l.recipients);
	print_service(master_cf, s, c, &p);
	return true;
}

/* ---- profiles ---- */

static void print_timeouts(FILE *out, int seconds, const char *const *parameters)
{
	for (; seconds > 0 && *parameters != NULL; parameters++)
		fprintf(out, "  -o %s=%ds\n", *parameters, seconds);
}

/* Everything else, the maps too, is as in main.cf. */
static void print_profile(FILE *out, const struct setup *s, const struct profile_config *p)
{
	static const char *const connect[] = {"smtp_connect_timeout", NULL};
	static const char *const command[] = {"smtp_helo_timeout", "smtp_starttls_timeout",
	    "smtp_mail_timeout", "smtp_rcpt_timeout", "smtp_data_init_timeout", "smtp_quit_timeout",
	    NULL};
	static const char *const data[] = {
	    "smtp_data_xfer_timeout", "smtp_data_done_timeout", NULL};

	fprintf(out, "# profile \"%s\"\n%s unix - - %s - - smtp\n", p->name, p->transport,
	    s->chroot ? "y" : "n");
	if (p->helo_name[0] != '\0')
		fprintf(out, "  -o smtp_helo_name=%s\n", p->helo_name);
	if (!p->esmtp)
		fputs("  -o smtp_never_send_ehlo=yes\n", out);
	print_timeouts(out, p->connect_seconds, connect);
	print_timeouts(out, p->command_seconds, command);
	print_timeouts(out, p->data_seconds, data);
}

/* ---- mail that waits ---- */

/* The answer names an address (ROUTE_NOWHERE), and what TLS it demands cannot be found out: so
 * nothing is connected to, and mail waits. No server that has a name has an address there. */
static void print_wait(FILE *out, const struct setup *s)
{
	const char *name = s->cfg->outbound.wait_transport;

	if (route_wanted(s->set))
		fprintf(out,
		    "# mail to domains whose servers may not be used now; what Postfix warns of is "
		    "meant\n"
		    "%s unix - - %s - - smtp\n"
		    "  -o smtp_dns_reply_filter=static:IGNORE\n"
		    "  -o smtp_tls_policy_maps=fail:%s\n"
		    "  -o inet_protocols=ipv4\n"
		    "  -o smtp_fallback_relay=\n",
		    name, s->chroot ? "y" : "n", name);
}

/* ---- the whole ---- */

/* unix:/path, inet:port@host or inet6:port@host, as Postfix spells it. NULL: there is none. */
static char *socket_of(const struct config *c, bool *chroot)
{
	static const char prefix[] = "unix:" QUEUE_DIRECTORY "/";
	const char *listen, *port, *at;

	*chroot = false;
	if (c->socketmap.listen.n == 0)
		return NULL;
	listen = c->socketmap.listen.v[0];
	if (strncmp(listen, prefix, sizeof prefix - 1) == 0) {
		*chroot = true; /* every service of Postfix begins in its queue directory */
		return xasprintf("socketmap:unix:%s", listen + sizeof prefix - 1);
	}
	if (strncmp(listen, "unix:", 5) == 0)
		return xasprintf("socketmap:%s", listen);
	port = strchr(listen, ':') + 1;
	at = strchrnul(port, '@');
	return xasprintf("socketmap:inet:%s%s%s:%.*s", strchr(at, ':') != NULL ? "[" : "", at + 1,
	    strchr(at, ':') != NULL ? "]" : "", (int)(at - port), port);
}

static bool print_all(FILE *main_cf, FILE *master_cf, const struct setup *s)
{
	bool fine = true;

	print_maps(main_cf, s);
	for (size_t i = 0; fine && i < s->cfg->nsenders; i++)
		fine = print_sender(main_cf, master_cf, s, &s->cfg->senders[i]);
	for (size_t i = 0; i < s->cfg->nprofiles; i++)
		if (profile_has_values(&s->cfg->profiles[i]))
			print_profile(master_cf, s, &s->cfg->profiles[i]);
	print_wait(master_cf, s);
	return fine;
}

static bool write_file(const char *directory, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", directory, name);
	FILE *f = fopen(path, "we");
	bool fine = f != NULL && fputs(text, f) >= 0;

	if (f != NULL)
		fine &= fclose(f) == 0;
	if (fine)
		printf("%s written\n", path);
	else
		fprintf(stderr, "mailhooks: %s cannot be written: %s\n", path, strerror(errno));
	free(path);
	return fine;
}

static bool hand_over(const char *directory, const char *main_cf, const char *master_cf)
{
	if (directory != NULL)
		return write_file(directory, "main.cf.mailhooks", main_cf) &&
		       write_file(directory, "master.cf.mailhooks", master_cf);
	printf("# ---- for main.cf ----\n%s", main_cf);
	if (master_cf[0] != '\0')
		printf("# ---- for master.cf ----\n%s", master_cf);
	return true;
}

/* Debian's master.cf has chroots. */
static void notice_chroot(const struct setup *s)
{
	if (!s->chroot && strstr(s->socket, ":unix:") != NULL)
		fprintf(stderr,
		    "mailhooks: %s is out of reach for services of Postfix in a chroot, as Debian "
		    "has them: let socketmap.listen name a socket below " QUEUE_DIRECTORY
		    ", also where systemd opens it\n",
		    s->socket);
}

static int run(struct setup *s, const char *directory)
{
	char *texts[2] = {NULL, NULL};
	size_t sizes[2];
	FILE *out[2] = {open_memstream(&texts[0], &sizes[0]), open_memstream(&texts[1], &sizes[1])};
	bool fine = out[0] != NULL && out[1] != NULL;

	s->relay_dialogue = has(s, SCRIPT_RELAYOUT, "ReturnCodeHandler") ||
			    has(s, SCRIPT_RELAYOUT, "ServerConnected");
	s->dialogue = wants_mx(s) || wants_tls(s) || wants_reply(s);
	fine = fine && print_all(out[0], out[1], s);
	for (size_t i = 0; i < COUNT(out); i++)
		if (out[i] != NULL)
			fine &= fclose(out[i]) == 0;
	fine = fine && hand_over(directory, texts[0], texts[1]);
	notice_chroot(s);
	free(texts[0]);
	free(texts[1]);
	return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_setup(struct config *cfg, int argc, char **argv)
{
	struct setup s = {.cfg = cfg};
	const char *directory = argc == 2 && strcmp(argv[0], "--write") == 0 ? argv[1] : NULL;
	char error[1024];
	int status;

	if (argc != 0 && directory == NULL) {
		fputs("usage: mailhooks setup [--write DIRECTORY]\n", stderr);
		return EXIT_USAGE;
	}
	s.socket = socket_of(cfg, &s.chroot);
	if (s.socket == NULL) {
		fputs("mailhooks: socketmap.listen is empty: name the address that Postfix is to "
		      "ask, such as \"unix:" QUEUE_DIRECTORY "/mailhooks/socketmap.sock\"\n",
		    stderr);
		return EX_CONFIG;
	}
	s.set = script_set_load(cfg, error, sizeof error);
	if (s.set == NULL)
		fprintf(stderr, "mailhooks: %s\n", error);
	status = s.set != NULL ? run(&s, directory) : EX_CONFIG;
	script_set_unref(s.set);
	free(s.socket);
	return status;
}
