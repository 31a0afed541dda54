/* dns_lookup.c - see dns_lookup.h. Every server has channels of its own, so that it is known which
 * one said what; c-ares alone would only tell that all of them failed. */
#include "common/dns/dns_lookup.h"

#include "common/breaker.h"
#include "common/clock.h"
#include "common/dns/dns_channels.h"
#include "common/dns_known.h"
#include "common/dns/dns_name.h"
#include "common/limits.h"

#include <ares.h>

#include <arpa/nameser.h>
#include <string.h>

bool dns_lookup_valid(const char *name, int type)
{
	/* RFC 6895 3.1: 41 is no question, 249 to 254 are about transactions and transfers */
	return type >= 1 && type <= UINT16_MAX && type != ns_t_opt && (type < 249 || type > 254) &&
	       dns_name_valid(name);
}

/* ---- one question to one server ---- */

struct question {
	const char *name;
	int type;
	struct dns_records *out;
	bool done, over, answered, refused;
};

static void on_answer(void *arg, int status, int timeouts, unsigned char *message, int len)
{
	struct question *q = arg;

	if (q->over)
		return; /* ares_cancel() */
	q->done = true;
	if (message != NULL) {
		q->answered = true;
		dns_records_read(message, (size_t)len, q->name, q->type, q->out);
	} else if (status == ARES_ENOTFOUND) { /* c-ares answers .onion itself (RFC 7686) */
		q->out->code = ns_r_nxdomain;
		q->refused = true;
	} else {
		q->out->code = status == ARES_EBADRESP ? DNS_CODE_NONSENSE : DNS_CODE_NO_ANSWER;
		q->refused = timeouts == 0;
	}
}

static void on_probe(void *arg, int status, int timeouts, unsigned char *message, int len)
{
	struct question *q = arg;

	(void)status, (void)timeouts, (void)len;
	if (!q->over && message != NULL)
		q->answered = true;
}

/* The probe asks what every working server knows, where the root is: silence about a name that a
 * stranger chose does not speak against the server. */
static enum breaker_outcome put(
    struct question *q, struct dns_channel *channel, int64_t deadline, bool probe)
{
	int64_t start = clock_ms(), left;

	if (probe)
		ares_query(channel->ares, ".", ns_c_in, ns_t_ns, on_probe, q);
	ares_query(channel->ares, q->name, ns_c_in, q->type, on_answer, q);
	while (!q->done && (left = deadline - clock_ms()) > 0)
		dns_channel_wait(channel, left);
	q->over = true;
	ares_cancel(channel->ares);
	if (q->answered)
		return BREAKER_OK;
	return q->refused || clock_ms() - start < BREAKER_EVIDENCE_MS ? BREAKER_NO_EVIDENCE
								      : BREAKER_FAILED;
}

/* The server, or with NULL those of resolv.conf. */
static struct dns_known *get_one(
    const struct dns_options *options, const char *server, char *why, size_t size)
{
	struct dns_options one = *options;
	struct dns_known *known;

	one.servers = (struct strlist)STRLIST_INIT;
	one.every_answer = true;
	if (server != NULL)
		strlist_add(&one.servers, server);
	known = dns_known_get(&one, why, size);
	strlist_clear(&one.servers);
	return known;
}

static void ask_server(struct dns_known *s, struct question *q, int64_t deadline)
{
	enum breaker_outcome outcome = BREAKER_NO_EVIDENCE;
	int64_t left = deadline - clock_ms();
	struct dns_channel *channel;
	bool probe;

	q->out->code = DNS_CODE_NOT_ASKED;
	if (left <= 0 || !dns_known_allows(s, &probe))
		return;
	channel = dns_channels_take(dns_known_channels(s), (int)left);
	if (channel != NULL) {
		q->out->code = DNS_CODE_NO_ANSWER;
		outcome = put(q, channel, deadline, probe);
		dns_channels_give(dns_known_channels(s), channel);
	}
	dns_known_report(s, outcome);
}

/* ---- all servers ---- */

static bool responded(const struct dns_records *r)
{
	return r->code == ns_r_noerror || r->code == ns_r_nxdomain;
}

/* Each may take its share of the time that is left. */
static bool ask_all(const struct dns_options *options, const struct strlist *servers,
    struct question *q, int64_t deadline, char *why, size_t size)
{
	int worst = DNS_CODE_NOT_ASKED;

	for (size_t i = 0; i < servers->n; i++) {
		int64_t now = clock_ms(), share = (deadline - now) / (int64_t)(servers->n - i);
		struct question each = *q;
		struct dns_known *s = get_one(options, servers->v[i], why, size);

		if (s == NULL)
			return false;
		ask_server(s, &each, now + share);
		dns_known_put(s);
		if (responded(q->out))
			return true;
		if (q->out->code != DNS_CODE_NOT_ASKED)
			worst = q->out->code;
	}
	q->out->code = worst;
	return true;
}

static bool list_resolv_conf(
    const struct dns_options *options, struct strlist *out, char *why, size_t size)
{
	struct dns_known *s = get_one(options, NULL, why, size);

	if (s == NULL)
		return false;
	dns_channels_list(dns_known_channels(s), out);
	dns_known_put(s);
	return true;
}

bool dns_lookup(const struct dns_options *options, const char *name, int type,
    struct dns_records *out, int ms, char *why, size_t size)
{
	struct question q = {.name = name, .type = type, .out = out};
	int64_t deadline = clock_ms() + ms;
	struct strlist servers = STRLIST_INIT;
	bool fine = true;

	memset(out, 0, sizeof *out);
	out->code = DNS_CODE_NOT_ASKED;
	if (!dns_lookup_valid(name, type))
		return true;
	strlist_copy(&servers, &options->servers);
	if (servers.n == 0)
		fine = list_resolv_conf(options, &servers, why, size);
	while (servers.n > LIMIT_DNS_SERVERS)
		strlist_remove(&servers, servers.n - 1);
	if (fine)
		fine = ask_all(options, &servers, &q, deadline, why, size);
	strlist_clear(&servers);
	if (!fine)
		out->code = DNS_CODE_NOT_ASKED;
	return fine;
}
