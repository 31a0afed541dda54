/* http.h - fetch one web page, on libcurl, within time and size.
 *
 * http and https only; certificates and names are verified; no proxy of the environment, no
 * cookies, no compression. Redirects are followed here, one request each, so that every host is
 * looked up and judged like the first one. Thread-safe. */
#pragma once

#include "common/dns.h"
#include "common/list.h"
#include "common/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_options {
	int ms;		     /* everything together */
	size_t body_bytes;   /* what is longer is cut */
	const char *ca_file; /* PEM; "" or NULL: those of the system */
	const struct dns_options *dns;
	bool (*allowed)(const struct ip_address *); /* which addresses; NULL: all */
};

struct http_answer {		/* zero it before use */
	char *host, *file;	/* of the last request; file: path and query */
	struct strlist headers; /* lines without their ends, without the status line */
	char *body;
	size_t n;
	int status;
	int64_t stated;	 /* Content-Length; -1: none */
	char error[300]; /* "", or why the answer is not complete, or a redirect not followed */
};

/* False: there is no answer; error says why. Otherwise there are a status and all headers. */
bool http_get(const char *url, const struct http_options *, struct http_answer *);
void http_answer_clear(struct http_answer *);

/* An address on the public internet: not loopback, private, link-local, multicast, reserved or a
 * way to wrap one of these. */
bool http_public_address(const struct ip_address *);
