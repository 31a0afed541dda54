/* batv.h - Bounce Address Tag Validation: return paths that only we can have made.
 *
 * The scheme "prvs" of draft-levine-smtp-batv: ann@example.com becomes
 * prvs=KDDDSSSSSS=ann@example.com, with the number of a key, the day on which the tag expires
 * (days since 1970, modulo 1000) and the first three bytes of an HMAC-SHA1. A bounce to an address
 * without a tag, or with a wrong one, answers mail that we did not send. Pure, thread-safe. */
#pragma once

#include <time.h>

#define BATV_MOST_DAYS 60 /* that a tag may be valid; its day comes again after 1000 */

struct keys; /* common/return_path/keys.h */

enum batv_tag {
	BATV_UNTAGGED, /* no tag of this scheme */
	BATV_VALID,
	BATV_EXPIRED, /* ours, but of the past */
	BATV_FORGED,  /* not made with one of the keys, or damaged */
};

/* The address with a tag that expires after so many days, malloc'ed; NULL: *why says why there is
 * none. ASCII capitals count as small letters in the signature, so that a tag survives servers
 * that change case. */
char *batv_sign(const struct keys *, const char *address, time_t now, int days, const char **why);
/* *original: the address without its tag, malloc'ed, when it is VALID; else NULL. */
enum batv_tag batv_check(const struct keys *, const char *address, time_t now, char **original);
