/* dns_records.h - every record of a DNS answer, with its section. Pure: no socket, clock or log.
 *
 * The bytes come from the network: whatever they are, the reading is bounded (limits.h). Names are
 * checked before anybody sees them (R17): a record that is about a name, or whose value is a name,
 * that could not be a host's is left out. "." stands for the root. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum dns_section { DNS_SECTION_ANSWER, DNS_SECTION_AUTHORITY, DNS_SECTION_ADDITIONAL };

/* dns_records.code: 0, the response code of RFC 1035 (3 = no such name), or one of these. */
#define DNS_CODE_NO_ANSWER (-1) /* in time */
#define DNS_CODE_NONSENSE (-2)	/* an answer that cannot be understood */
#define DNS_CODE_NOT_ASKED (-3) /* no such question, or the servers are skipped (breaker) */

struct dns_soa {
	char *primary, *mailbox; /* name server; address "user@domain", "" when it is none */
	uint32_t serial, refresh, retry, expire, minimum;
};

struct dns_record {
	char *domain;
	enum dns_section section;
	int type;
	uint32_t ttl;
	char *value;	     /* text; for types that are not known here as RFC 3597 writes them */
	size_t n;	     /* its length: TXT may contain zero bytes */
	unsigned preference; /* MX */
	struct dns_soa *soa; /* SOA, else NULL */
};

struct dns_records { /* zero it before use */
	struct dns_record *v;
	size_t n;
	int code;
};

void dns_records_clear(struct dns_records *);

/* Read the answer to (name, type) into *out, which it sets completely. There are no records unless
 * code is 0. */
void dns_records_read(
    const unsigned char *message, size_t len, const char *name, int type, struct dns_records *out);
