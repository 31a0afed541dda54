/* dns_host.c - see dns_host.h. Not getaddrinfo(3): it has no deadline. */
#include "common/dns_host.h"

#include "common/clock.h"
#include "common/dns/dns_channels.h"
#include "common/dns_known.h"
#include "common/dns/dns_name.h"
#include "common/log.h"

#include <ares.h>

#include <arpa/nameser.h>
#include <string.h>

struct search {
	struct ip_address *out;
	size_t most, n;
	enum dns_status status;
	bool done, over, answered, refused;
};

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
	struct search *s = arg;

	if (!s->over) {
		s->done = true;
		s->refused = timeouts == 0; /* or SERVFAIL: c-ares reports both alike */
		for (const struct ares_addrinfo_node *node = found != NULL ? found->nodes : NULL;
		     node != NULL && s->n < s->most; node = node->ai_next)
			ip_address_from_sockaddr(&s->out[s->n++], node->ai_addr);
		if (status == ARES_SUCCESS && s->n > 0)
			s->status = DNS_FOUND;
		else if (status == ARES_ENOTFOUND || status == ARES_ENODATA)
			s->status = DNS_ABSENT;
		s->answered = s->answered || s->status != DNS_UNKNOWN;
	}
	if (found != NULL)
		ares_freeaddrinfo(found);
}

static void on_probe(void *arg, int status, int timeouts, unsigned char *message, int len)
{
	struct search *s = arg;

	(void)status, (void)timeouts, (void)len;
	if (!s->over && message != NULL)
		s->answered = true;
}

/* The probe: see dns_lookup.c. */
static enum breaker_outcome search(
    struct search *s, struct dns_channel *channel, const char *host, int ms, bool probe)
{
	const struct ares_addrinfo_hints hints = {
	    .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	int64_t start = clock_ms(), left;

	if (probe)
		ares_query(channel->ares, ".", ns_c_in, ns_t_ns, on_probe, s);
	ares_getaddrinfo(channel->ares, host, NULL, &hints, on_addresses, s);
	while (!s->done && (left = start + ms - clock_ms()) > 0)
		dns_channel_wait(channel, left);
	s->over = true;
	ares_cancel(channel->ares);
	if (s->answered)
		return BREAKER_OK;
	return (s->done && s->refused) || clock_ms() - start < BREAKER_EVIDENCE_MS
		   ? BREAKER_NO_EVIDENCE
		   : BREAKER_FAILED;
}

static enum dns_status find(struct search *s, struct dns_known *known, const char *host, int ms)
{
	enum breaker_outcome outcome = BREAKER_NO_EVIDENCE;
	struct dns_channel *channel;
	bool probe;

	if (!dns_known_allows(known, &probe))
		return DNS_UNKNOWN;
	channel = dns_channels_take(dns_known_channels(known), ms);
	if (channel != NULL) {
		outcome = search(s, channel, host, ms, probe);
		dns_channels_give(dns_known_channels(known), channel);
	}
	dns_known_report(known, outcome);
	return s->status;
}

enum dns_status dns_host_find(const struct dns_options *options, const char *host,
    struct ip_address *out, size_t most, size_t *n, int ms)
{
	struct search s = {.out = out, .most = most, .status = DNS_UNKNOWN};
	struct dns_known *known;
	char why[256];

	*n = 0;
	if (most > 0 && ip_address_parse(out, host)) {
		*n = 1;
		return DNS_FOUND;
	}
	if (ms <= 0 || !dns_name_valid(host))
		return ms <= 0 ? DNS_UNKNOWN : DNS_ABSENT;
	known = dns_known_get(options, why, sizeof why);
	if (known == NULL) {
		log_error(NULL, "dns: %s", why);
		return DNS_UNKNOWN;
	}
	find(&s, known, host, ms);
	dns_known_put(known);
	*n = s.n;
	return s.status;
}
