/* replay.c - `mailhooks replay`: an SMTP dialogue from a file through smtpsvr.lua, without an MTA.
 *
 * Input: the client's side of a dialogue, one command a line. Before it, optional lines set the
 * scene:
 *
 *   *client 192.0.2.7 mail.example.com      *tls TLSv1.3 TLS_AES_256_GCM_SHA384      *auth user
 *
 * DATA is followed by the message up to a line with a single dot. Output: each command, and below
 * it what the scripts decided. The same engine as in the milter; what an MTA adds or refuses by
 * itself is not shown. */
#include "cli/cli.h"

#include "common/dns.h"
#include "common/list.h"
#include "common/rbl.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/script_set.h"
#include "lua-bindings/smtpsvr.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#define MAX_WORDS 66 /* an address and LIMIT_PARAMETERS parameters */

struct replay {
	struct smtpsvr *smtp;
	struct log_id id;
	struct smtpsvr_client client;
	struct smtpsvr_tls tls;
	char *hostname, *auth, *tls_version, *tls_cipher;
	bool connected, refused;
	FILE *in;
};

static void show(struct replay *r, struct verdict *v)
{
	char *text = verdict_describe(v);

	r->refused = v->action == VERDICT_REPLY;
	for (char *p = text, *line; (line = strsep(&p, "\n")) != NULL;)
		if (*line != '\0')
			printf("    %s\n", line);
	free(text);
	verdict_reset(v);
}

static void connect_once(struct replay *r)
{
	char ip[INET6_ADDRSTRLEN];
	struct verdict v;

	if (r->connected)
		return;
	r->connected = true;
	r->client.hostname = r->hostname;
	printf("connection from %s\n", ip_address_text(&r->client.address, ip, sizeof ip));
	verdict_init(&v);
	smtpsvr_connect(r->smtp, &r->client, &v);
	show(r, &v);
}

/* ---- lines that set the scene ---- */

static void set_scene(struct replay *r, char *line)
{
	char *word = strsep(&line, " "), *first = strsep(&line, " ");

	if (strcmp(word, "*client") == 0 && first != NULL) {
		struct ip_address address;

		if (ip_address_parse(&address, first))
			r->client.address = address;
		else
			fprintf(stderr, "mailhooks: \"%s\" is not an IP address; ignored\n", first);
		xreplace(&r->hostname, line);
	} else if (strcmp(word, "*auth") == 0) {
		xreplace(&r->auth, first);
	} else if (strcmp(word, "*tls") == 0) {
		xreplace(&r->tls_version, first);
		xreplace(&r->tls_cipher, line);
		r->tls = (struct smtpsvr_tls){first != NULL, r->tls_version, r->tls_cipher};
	} else {
		fprintf(stderr, "mailhooks: \"%s\" is none of *client *auth *tls\n", word);
	}
}

/* ---- commands ---- */

static void helo(struct replay *r, char *arguments, bool esmtp)
{
	struct verdict v;

	verdict_init(&v);
	smtpsvr_helo(r->smtp, arguments, esmtp, &r->tls, &v);
	show(r, &v);
}

/* "FROM:<a@b> SIZE=5" to the vector that libmilter would give. */
static void split_address(char *arguments, char **argv)
{
	char *colon = strchr(arguments, ':'), *rest = colon != NULL ? colon + 1 : arguments, *word;
	int n = 0;

	while (n < MAX_WORDS - 1 && (word = strsep(&rest, " ")) != NULL)
		if (*word != '\0')
			argv[n++] = word;
	if (n == 0)
		argv[n++] = rest != NULL ? rest : colon != NULL ? colon + 1 : arguments;
	argv[n] = NULL;
}

static void mail(struct replay *r, char *arguments, bool is_recipient)
{
	char *argv[MAX_WORDS];
	struct verdict v;

	split_address(arguments, argv);
	verdict_init(&v);
	if (is_recipient)
		smtpsvr_rcpt(r->smtp, argv, false, &v);
	else
		smtpsvr_mail(r->smtp, argv, r->auth, &v);
	show(r, &v);
}

struct reader { /* the lines of a message */
	char *line;
	size_t cap;
	ssize_t n;
};

static bool next_line(struct replay *r, struct reader *in)
{
	in->n = getline(&in->line, &in->cap, r->in);
	if (in->n < 0)
		return false;
	while (in->n > 0 && strchr("\r\n", in->line[in->n - 1]) != NULL)
		in->line[--in->n] = '\0';
	if (strcmp(in->line, ".") == 0)
		return false;
	if (in->line[0] == '.') /* RFC 5321 4.5.2 */
		memmove(in->line, in->line + 1, (size_t)in->n--);
	return true;
}

static void header_field(struct replay *r, char **field, struct verdict *v)
{
	char *colon = *field != NULL ? strchr(*field, ':') : NULL;

	if (colon != NULL) {
		*colon = '\0';
		smtpsvr_header(r->smtp, *field, colon + 1, v);
	}
	free(*field);
	*field = NULL;
}

/* True: an empty line follows and the body after it. */
static bool read_header(struct replay *r, struct reader *in, struct verdict *v)
{
	char *field = NULL, *more;
	bool body = false;

	while (!body && next_line(r, in)) {
		if ((in->line[0] == ' ' || in->line[0] == '\t') && field != NULL) {
			more = xasprintf("%s\n%s", field, in->line);
			free(field);
			field = more;
			continue;
		}
		header_field(r, &field, v);
		if (in->n == 0)
			body = true;
		else
			field = xstrdup(in->line);
	}
	header_field(r, &field, v);
	return body;
}

static void data(struct replay *r)
{
	struct reader in = {0};
	struct verdict v;

	verdict_init(&v);
	smtpsvr_data(r->smtp, &v);
	show(r, &v);
	if (!r->refused) {
		if (read_header(r, &in, &v))
			while (next_line(r, &in)) {
				smtpsvr_body(r->smtp, in.line, (size_t)in.n, &v);
				smtpsvr_body(r->smtp, "\r\n", 2, &v);
			}
		printf(".\n");
		verdict_reset(&v);
		smtpsvr_end_of_message(r->smtp, &v);
		show(r, &v);
	}
	free(in.line);
}

static void other(struct replay *r, const char *line)
{
	struct verdict v;

	verdict_init(&v);
	smtpsvr_unknown(r->smtp, line, &v);
	show(r, &v);
}

static bool has_prefix(const char *line, const char *word)
{
	return strncasecmp(line, word, strlen(word)) == 0;
}

static void command(struct replay *r, char *line)
{
	connect_once(r);
	printf("%s\n", line);
	if (has_prefix(line, "HELO ") || has_prefix(line, "EHLO "))
		helo(r, line + 5, (line[0] | 0x20) == 'e');
	else if (has_prefix(line, "MAIL FROM:"))
		mail(r, line + 5, false);
	else if (has_prefix(line, "RCPT TO:"))
		mail(r, line + 5, true);
	else if (strcasecmp(line, "DATA") == 0)
		data(r);
	else if (strcasecmp(line, "RSET") == 0)
		smtpsvr_abort(r->smtp);
	else if (strcasecmp(line, "QUIT") != 0)
		other(r, line);
}

static void play(struct replay *r)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	while ((n = getline(&line, &cap, r->in)) >= 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '*')
			set_scene(r, line);
		else if (line[0] != '\0' && line[0] != '#')
			command(r, line);
	}
	connect_once(r);
	free(line);
}

static void print_line(const char *text, size_t n, void *arg)
{
	(void)arg;
	printf("    print: %.*s\n", (int)n, text);
}

static int replay(struct replay *r, struct config *cfg)
{
	struct dns_options o = {.breaker_failures = 0};
	char error[1024];
	struct script_set *set = script_set_load(cfg, error, sizeof error);
	struct dns *dns;
	struct rbl *rbl = NULL;

	if (set == NULL) {
		fprintf(stderr, "mailhooks: %s\n", error);
		return EX_CONFIG;
	}
	strlist_copy(&o.servers, &cfg->dns.servers);
	dns = dns_new(&o, error, sizeof error);
	if (dns != NULL)
		rbl = rbl_new(dns);
	luaout_configure(cfg);
	luaout_capture(print_line, NULL);
	r->smtp = smtpsvr_open(set, rbl, &r->id);
	play(r);
	smtpsvr_close(r->smtp);
	luaout_capture(NULL, NULL);
	rbl_free(rbl);
	dns_free(dns);
	strlist_clear(&o.servers);
	script_set_unref(set);
	return EXIT_SUCCESS;
}

int cmd_replay(struct config *cfg, int argc, char **argv)
{
	struct replay r = {.in = stdin, .client.listen = ""};
	int status;

	if (argc > 1) {
		fputs("usage: mailhooks replay [FILE]\n", stderr);
		return EXIT_USAGE;
	}
	if (argc == 1 && (r.in = fopen(argv[0], "re")) == NULL) {
		fprintf(stderr, "mailhooks: %s: %m\n", argv[0]);
		return EXIT_FAILURE;
	}
	ip_address_parse(&r.client.address, "127.0.0.1");
	snprintf(r.id.session, sizeof r.id.session, "replay");
	status = replay(&r, cfg);
	if (r.in != stdin)
		fclose(r.in);
	free(r.hostname);
	free(r.auth);
	free(r.tls_version);
	free(r.tls_cipher);
	return status;
}
