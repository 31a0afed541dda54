/* dns_servers.h - DNS servers on loopback for tests: dnsmasq, which is real, and a responder that
 * misbehaves as no real server can be told to. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct dnsmasq {
	pid_t pid;
	unsigned port;
	char address[32];    /* "127.0.0.1:port", for dns_options.servers */
	char address_v6[32]; /* "[::1]:port"; "" without IPv6 */
	char log[64];
};

/* args: what it serves, NULL at the end. False: dnsmasq is not installed; the reason is printed. */
bool dnsmasq_start(struct dnsmasq *, const char *const args[]);
/* How many questions it was asked about names that contain `name`. */
unsigned dnsmasq_asked(const struct dnsmasq *, const char *name);
void dnsmasq_stop(struct dnsmasq *);

/* A name that begins with "dead" is never answered, whatever the manners. */
enum manners {
	SAYS_NOTHING,
	SAYS_LISTED, /* A 127.0.0.2, 60 seconds */
	SAYS_SERVFAIL,
	SAYS_REFUSED,
	SAYS_FORMERR,
	SAYS_LOOP,	 /* a name that is an alias of itself */
	SAYS_LIE,	 /* records cut off in the middle */
	SAYS_NONSENSE,	 /* the question's id, then random bytes */
	SAYS_OTHER_NAME, /* a fine answer to a question nobody asked */
	SAYS_TRUNCATED,	 /* "ask by TCP", where nobody listens */
};

struct responder {
	int fd;
	pthread_t thread;
	_Atomic enum manners manners;
	atomic_uint questions;
	char address[32];
};

/* host is an IPv4 address, port 0 any. False: it cannot be bound. */
bool responder_start(struct responder *, const char *host, unsigned port, enum manners);
void responder_stop(struct responder *);
