/* dns.h - DNS questions with one deadline for all of them, on c-ares.
 *
 * A resolver may be used by many threads at once; each call owns a c-ares channel while it
 * runs. No call takes longer than its deadline. A resolver whose servers let callers wait in vain
 * is skipped for a while (breaker): calls then return at once with DNS_UNKNOWN. What a single name
 * suffers (SERVFAIL, its own servers silent) does not open it: remote people choose names. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dns_status {
	DNS_FOUND,   /* at least one record of the type asked for */
	DNS_ABSENT,  /* the name does not exist, or has no record of that type */
	DNS_UNKNOWN, /* timeout, SERVFAIL, refused, breaker open: never to be taken for "absent" */
};

struct dns_options {
	struct strlist servers;	   /* "192.0.2.1", "[2001:db8::1]:5353"; empty: /etc/resolv.conf */
	unsigned breaker_failures; /* consecutive failed calls that open the breaker; 0 = never */
	unsigned breaker_ms;	   /* how long it stays open */
	bool every_answer; /* SERVFAIL and the like are answers, and no other server is asked */
	const char *resolv_conf; /* read when there are no servers; NULL: /etc/resolv.conf */
};

struct dns_question {
	char *name; /* owned */
	int type;   /* RFC 1035 TYPE number: 1 A, 16 TXT, 28 AAAA ...; no QTYPE such as ANY */
};

struct dns_answer {
	enum dns_status status;
	uint32_t ttl;		  /* seconds; for DNS_ABSENT from the SOA (RFC 2308), else 0 */
	struct strlist values;	  /* A/AAAA as address text, TXT as joined text up to a NUL byte;
				   * none for other types: they are found or absent */
	unsigned char first_a[4]; /* first A record, network order; zero if none */
	int error;		  /* c-ares code for logs; ARES_SUCCESS when found, ARES_EBADNAME
				   * when the name cannot be asked, ARES_ECANCELLED when it was
				   * not asked (breaker) or no longer waited for */
};

struct dns;

struct dns *dns_new(const struct dns_options *, char *why, size_t size); /* NULL: why is set */
void dns_free(struct dns *);

/* Ask n questions in parallel (n <= LIMIT_DNS_PARALLEL). answers[i] belongs to questions[i];
 * free each with dns_answer_clear(). If stop is given it is called after each answer and may
 * return true to end early: unanswered questions are then DNS_UNKNOWN. deadline_ms is measured on
 * the monotonic clock from now. */
void dns_ask(struct dns *, const struct dns_question *questions, size_t n,
    struct dns_answer *answers, int deadline_ms,
    bool (*stop)(const struct dns_answer *, size_t i, void *), void *arg);
void dns_answer_clear(struct dns_answer *);

/* False while the last calls got no answer at all: a timeout is then nobody's fault but the
 * servers'. */
bool dns_healthy(struct dns *);
