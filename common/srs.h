/* srs.h - the Sender Rewriting Scheme: forwarded mail with a return path in a domain of ours.
 *
 * ann@example.com becomes SRS0=HHHH=TT=example.com=ann@our.domain, with a hash (HMAC-SHA1) and a
 * day; what is SRS0 or SRS1 of another host already becomes SRS1=HHHH=that.host==...@our.domain.
 * The same addresses as postsrsd, libsrs2 and Mail::SRS with the same secrets and settings. Pure,
 * thread-safe. */
#pragma once

#include <time.h>

#define SRS_MOST_HASH_CHARS 27 /* of an HMAC-SHA1 in base64, padding left out */
#define SRS_MOST_DAYS 300      /* that an address may be valid; its day comes again after 1024 */

struct keys; /* common/return_path/keys.h */

struct srs {
	const struct keys *keys;
	const char *domain;   /* of the rewritten addresses */
	char separator;	      /* behind SRS0 and SRS1: = + or - */
	int hash_chars;	      /* of the hash in new addresses */
	int least_hash_chars; /* accepted in addresses that come back */
	int days;	      /* that an address is valid */
};

enum srs_tag {
	SRS_UNTAGGED, /* no SRS address of this domain */
	SRS_VALID,
	SRS_EXPIRED, /* ours, but too old */
	SRS_FORGED,  /* not made with one of the secrets, or damaged */
};

/* The rewritten address, malloc'ed; NULL: *why says why there is none. An address of the domain
 * itself is not rewritten. */
char *srs_forward(const struct srs *, const char *address, time_t now, const char **why);
/* *original: where the address points to, malloc'ed, when it is VALID; else NULL. */
enum srs_tag srs_reverse(const struct srs *, const char *address, time_t now, char **original);
