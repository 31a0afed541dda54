/* traffic.c - see traffic.h. */
#include "traffic.h"

#include <libmilter/mfapi.h>

#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define OFFERED_ACTIONS SMFI_CURR_ACTS
#define OFFERED_STEPS SMFI_CURR_PROT
#define CLIENT_NAME "client.bench.test"
#define CLIENT_ADDRESS "192.0.2.25"
#define CLIENT_PORT 50025
#define RECIPIENT_DOMAIN "rcpt.test"
#define TEXT_BYTES 512	   /* one header, address or macro name */
#define BODY_LINE_BYTES 78 /* with CR LF */

enum event {
	EVENT_CONNECT,
	EVENT_HELO,
	EVENT_MAIL,
	EVENT_RCPT,
	EVENT_DATA,
	EVENT_HEADER,
	EVENT_EOH,
	EVENT_BODY,
	EVENT_BODYEOB
};

/* smtpd(8) reports the SMTP commands, cleanup(8) the message; stage is the macro list in force. */
static const struct {
	char command;
	int stage;
	uint32_t declined, no_reply;
	bool smtpd;
} events[] = {
    [EVENT_CONNECT] = {SMFIC_CONNECT, SMFIM_CONNECT, SMFIP_NOCONNECT, SMFIP_NR_CONN, true},
    [EVENT_HELO] = {SMFIC_HELO, SMFIM_HELO, SMFIP_NOHELO, SMFIP_NR_HELO, true},
    [EVENT_MAIL] = {SMFIC_MAIL, SMFIM_ENVFROM, SMFIP_NOMAIL, SMFIP_NR_MAIL, true},
    [EVENT_RCPT] = {SMFIC_RCPT, SMFIM_ENVRCPT, SMFIP_NORCPT, SMFIP_NR_RCPT, true},
    [EVENT_DATA] = {SMFIC_DATA, SMFIM_DATA, SMFIP_NODATA, SMFIP_NR_DATA, true},
    [EVENT_HEADER] = {SMFIC_HEADER, SMFIM_EOH, SMFIP_NOHDRS, SMFIP_NR_HDR, false},
    [EVENT_EOH] = {SMFIC_EOH, SMFIM_EOH, SMFIP_NOEOH, SMFIP_NR_EOH, false},
    [EVENT_BODY] = {SMFIC_BODY, SMFIM_EOM, SMFIP_NOBODY, SMFIP_NR_BODY, false},
    [EVENT_BODYEOB] = {SMFIC_BODYEOB, SMFIM_EOM, 0, 0, false},
};

/* Postfix's defaults, less the names that have no value in a session without TLS and AUTH. */
static const char *const default_macros[WIRE_STAGES] = {
    [SMFIM_CONNECT] = "j {daemon_name} {daemon_addr} v _",
    [SMFIM_HELO] = "",
    [SMFIM_ENVFROM] = "i {mail_addr} {mail_host} {mail_mailer}",
    [SMFIM_ENVRCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
    [SMFIM_DATA] = "i",
    [SMFIM_EOM] = "i",
    [SMFIM_EOH] = "i",
};

enum macro_source { FIXED, SENDER, SENDER_DOMAIN, RECIPIENT };

/* When a macro has a value: from its first event on; cleanup(8) knows fewer of them. The queue
 * id is known once the first recipient is accepted. */
static const struct macro {
	const char *name, *value;
	enum macro_source source;
	enum event from;
	bool in_cleanup;
} macros[] = {
    {"j", "mx.bench.test", FIXED, EVENT_CONNECT, true},
    {"_", CLIENT_NAME " [" CLIENT_ADDRESS "]", FIXED, EVENT_CONNECT, true},
    {"v", "Postfix 3.7.11", FIXED, EVENT_CONNECT, true},
    {"i", "4Yk0bench00zQ1", FIXED, EVENT_DATA, true},
    {"{daemon_name}", "mx.bench.test", FIXED, EVENT_CONNECT, true},
    {"{daemon_addr}", "192.0.2.1", FIXED, EVENT_CONNECT, true},
    {"{daemon_port}", "25", FIXED, EVENT_CONNECT, true},
    {"{client_addr}", CLIENT_ADDRESS, FIXED, EVENT_CONNECT, true},
    {"{client_name}", CLIENT_NAME, FIXED, EVENT_CONNECT, true},
    {"{client_port}", "50025", FIXED, EVENT_CONNECT, true},
    {"{client_ptr}", CLIENT_NAME, FIXED, EVENT_CONNECT, true},
    {"{client_resolve}", "OK", FIXED, EVENT_CONNECT, false},
    {"{client_connections}", "0", FIXED, EVENT_CONNECT, false},
    {"{mail_addr}", NULL, SENDER, EVENT_MAIL, false},
    {"{mail_host}", NULL, SENDER_DOMAIN, EVENT_MAIL, false},
    {"{mail_mailer}", "smtp", FIXED, EVENT_MAIL, false},
    {"{rcpt_addr}", NULL, RECIPIENT, EVENT_RCPT, false},
    {"{rcpt_host}", RECIPIENT_DOMAIN, FIXED, EVENT_RCPT, false},
    {"{rcpt_mailer}", "smtp", FIXED, EVENT_RCPT, false},
};

static const struct {
	const char *name, *value;
} common_headers[] = {
    {"Received",
	"from mail.client.test (mail.client.test [198.51.100.7])\n\tby out.client.test "
	"with ESMTPS id 7f3a91c2\n\tfor <user0@rcpt.test>; Sat, 3 Jan 2026 10:11:12 +0000"},
    {"From", "\"A. Sender\" <sender@bench.test>"},
    {"To", "\"The Recipient\" <user0@rcpt.test>"},
    {"Subject", "Minutes of the meeting, and what is left to do"},
    {"Date", "Sat, 3 Jan 2026 10:11:12 +0000"},
    {"Message-ID", "<20260103101112.7F3A91C2@out.client.test>"},
    {"MIME-Version", "1.0"},
    {"Content-Type", "text/plain; charset=utf-8"},
    {"Content-Transfer-Encoding", "7bit"},
    {"User-Agent", "bench"},
};

struct builder {
	struct traffic *traffic;
	const struct traffic_shape *shape;
	const struct wire_negotiation *answer;
	unsigned recipient; /* the one that {rcpt_addr} names */
};

void traffic_add_offer(struct wire_buffer *packets)
{
	size_t start = wire_open(packets, SMFIC_OPTNEG);

	wire_add_u32(packets, SMFI_PROT_VERSION);
	wire_add_u32(packets, OFFERED_ACTIONS);
	wire_add_u32(packets, OFFERED_STEPS);
	wire_close(packets, start);
}

bool traffic_acceptable(const struct wire_negotiation *answer)
{
	return answer->version <= SMFI_PROT_VERSION && (answer->actions & ~OFFERED_ACTIONS) == 0 &&
	       (answer->steps & ~OFFERED_STEPS) == 0;
}

static const char *macro_value(const struct builder *b, const struct macro *macro, char *text)
{
	const char *at;

	switch (macro->source) {
	case FIXED:
		return macro->value;
	case SENDER:
		return b->shape->sender;
	case SENDER_DOMAIN:
		at = strrchr(b->shape->sender, '@');
		return at == NULL ? "" : at + 1;
	case RECIPIENT:
		snprintf(text, TEXT_BYTES, "user%u@" RECIPIENT_DOMAIN, b->recipient);
		return text;
	}
	return NULL;
}

static bool macro_known(const struct builder *b, const struct macro *macro, enum event event)
{
	if (strcmp(macro->name, "i") == 0 && event == EVENT_RCPT)
		return b->recipient > 0;
	return event >= macro->from && (events[event].smtpd || macro->in_cleanup);
}

static void add_macro(struct builder *b, enum event event, const char *name, size_t length)
{
	char text[TEXT_BYTES];

	for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++) {
		if (strncmp(macros[i].name, name, length) != 0 || macros[i].name[length] != '\0' ||
		    !macro_known(b, &macros[i], event))
			continue;
		wire_add_string(&b->traffic->packets, macros[i].name);
		wire_add_string(&b->traffic->packets, macro_value(b, &macros[i], text));
	}
}

static void add_macros(struct builder *b, enum event event)
{
	int stage = events[event].stage;
	const char *names = b->answer->macros[stage];
	struct wire_buffer *packets = &b->traffic->packets;
	size_t start = wire_open(packets, SMFIC_MACRO), length;

	wire_add_bytes(packets, &events[event].command, 1);
	if (names == NULL)
		names = default_macros[stage];
	for (; *names != '\0'; names += length) {
		names += strspn(names, ", ");
		length = strcspn(names, ", ");
		add_macro(b, event, names, length);
	}
	wire_close(packets, start);
}

/* The steps array has room for all steps of the shape, see traffic_build(). */
static struct traffic_step *add_step(struct builder *b, char command)
{
	struct traffic_step *step = &b->traffic->steps[b->traffic->nsteps++];

	*step = (struct traffic_step){.offset = b->traffic->packets.size, .command = command};
	return step;
}

static void end_step(struct builder *b, struct traffic_step *step)
{
	step->size = b->traffic->packets.size - step->offset;
}

static void add_event(struct builder *b, enum event event, const void *data, size_t size)
{
	bool declined = (b->answer->steps & events[event].declined) != 0;
	struct wire_buffer *packets = &b->traffic->packets;
	struct traffic_step *step;
	size_t start;

	if (declined && !events[event].smtpd)
		return;
	step = add_step(b, events[event].command);
	step->reply = !declined && (b->answer->steps & events[event].no_reply) == 0;
	step->flush = event == EVENT_DATA;
	step->smtp_command = events[event].smtpd && event != EVENT_CONNECT;
	add_macros(b, event);
	if (!declined) {
		start = wire_open(packets, events[event].command);
		wire_add_bytes(packets, data, size);
		wire_close(packets, start);
	}
	end_step(b, step);
}

static void add_plain(struct builder *b, char command)
{
	struct traffic_step *step = add_step(b, command);

	wire_close(&b->traffic->packets, wire_open(&b->traffic->packets, command));
	end_step(b, step);
}

static void add_head(struct builder *b)
{
	struct wire_buffer data = {0};
	uint16_t port = htons(CLIENT_PORT);
	char family = SMFIA_INET;

	wire_add_string(&data, CLIENT_NAME);
	wire_add_bytes(&data, &family, 1);
	wire_add_bytes(&data, &port, sizeof(port));
	wire_add_string(&data, CLIENT_ADDRESS);
	add_event(b, EVENT_CONNECT, data.bytes, data.size);
	add_event(b, EVENT_HELO, CLIENT_NAME, sizeof(CLIENT_NAME));
	wire_free(&data);
}

static void add_envelope(struct builder *b)
{
	struct wire_buffer data = {0};
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "<%s>", b->shape->sender);
	wire_add_string(&data, text);
	snprintf(text, sizeof(text), "SIZE=%zu", b->shape->body_bytes);
	wire_add_string(&data, text);
	add_event(b, EVENT_MAIL, data.bytes, data.size);
	for (b->recipient = 0; b->recipient < b->shape->recipients; b->recipient++) {
		data.size = 0;
		snprintf(text, sizeof(text), "<user%u@" RECIPIENT_DOMAIN ">", b->recipient);
		wire_add_string(&data, text);
		add_event(b, EVENT_RCPT, data.bytes, data.size);
	}
	b->recipient = 0; /* {rcpt_addr} is the first one's from here on */
	add_event(b, EVENT_DATA, NULL, 0);
	wire_free(&data);
}

static void add_headers(struct builder *b)
{
	size_t common = sizeof(common_headers) / sizeof(common_headers[0]);
	const char *space = (b->answer->steps & SMFIP_HDR_LEADSPC) != 0 ? " " : "";
	struct wire_buffer data = {0};
	char text[TEXT_BYTES];

	for (unsigned i = 0; i < b->shape->headers; i++) {
		data.size = 0;
		if (i < common) {
			wire_add_string(&data, common_headers[i].name);
			snprintf(text, sizeof(text), "%s%s", space, common_headers[i].value);
		} else {
			snprintf(text, sizeof(text), "X-Bench-%u", i);
			wire_add_string(&data, text);
			snprintf(text, sizeof(text), "%svalue number %u of a header", space, i);
		}
		wire_add_string(&data, text);
		add_event(b, EVENT_HEADER, data.bytes, data.size);
	}
	wire_free(&data);
}

static void add_body(struct builder *b)
{
	size_t size = b->shape->body_bytes, chunk;
	struct wire_buffer body = {0};

	wire_reserve(&body, size + 1);
	for (size_t i = 0; i < size; i++) {
		if (i % BODY_LINE_BYTES == BODY_LINE_BYTES - 2)
			body.bytes[i] = '\r';
		else if (i % BODY_LINE_BYTES == BODY_LINE_BYTES - 1)
			body.bytes[i] = '\n';
		else
			body.bytes[i] = (unsigned char)(i % 7 == 6 ? ' ' : 'a' + i % 26);
	}
	for (size_t done = 0; done < size; done += chunk) {
		chunk = size - done < MILTER_CHUNK_SIZE ? size - done : MILTER_CHUNK_SIZE;
		add_event(b, EVENT_BODY, body.bytes + done, chunk);
	}
	wire_free(&body);
}

/* The client sends the message's text after DATA: it pauses before the first packet of it. */
static void add_message(struct builder *b)
{
	size_t first = b->traffic->nsteps;

	add_headers(b);
	add_event(b, EVENT_EOH, NULL, 0);
	add_body(b);
	add_event(b, EVENT_BODYEOB, NULL, 0);
	b->traffic->steps[first].smtp_command = true;
}

struct traffic *traffic_build(
    const struct traffic_shape *shape, const struct wire_negotiation *answer)
{
	size_t chunks = shape->body_bytes / MILTER_CHUNK_SIZE + 1;
	size_t room = (size_t)shape->recipients + shape->headers + chunks + 10;
	struct traffic *traffic = calloc(1, sizeof(*traffic));
	struct builder b = {.traffic = traffic, .shape = shape, .answer = answer};

	if (traffic == NULL || (traffic->steps = calloc(room, sizeof(*traffic->steps))) == NULL)
		err(EX_OSERR, "%zu events", room);
	add_head(&b);
	traffic->head.end = traffic->mail.first = traffic->nsteps;
	add_envelope(&b);
	add_message(&b);
	add_plain(&b, SMFIC_ABORT);
	traffic->mail.end = traffic->tail.first = traffic->nsteps;
	add_plain(&b, SMFIC_ABORT);
	add_plain(&b, SMFIC_QUIT);
	traffic->steps[traffic->nsteps - 1].flush = true;
	traffic->tail.end = traffic->nsteps;
	return traffic;
}

void traffic_free(struct traffic *traffic)
{
	if (traffic == NULL)
		return;
	wire_free(&traffic->packets);
	free(traffic->steps);
	free(traffic);
}
