/* whois.h - one WHOIS question (RFC 3912): a line to port 43, text until the server closes.
 *
 * Bounded in time and size. The port is fixed, so that a server's name that came out of a mail
 * reaches WHOIS servers only. Thread-safe. */
#pragma once

#include "common/dns.h"
#include "common/network.h"

#include <stdbool.h>
#include <stddef.h>

struct whois_options {
	const struct dns_options *dns;
	bool (*allowed)(const struct ip_address *); /* addresses that may be asked; NULL: all */
};

/* True: *text is the answer, n bytes and a zero byte behind them, the caller's to free. False: why
 * it is none; a query that is no line is one of the reasons. */
bool whois_ask(const struct whois_options *, const char *server, const char *query, char **text,
    size_t *n, int ms, char *why, size_t size);
