/* srs.c - see srs.h. Hand-written: Debian has postsrsd as a daemon and modules for Perl and Python,
 * but no library for C. */
#include "common/srs.h"

#include "common/digest.h"
#include "common/list.h"
#include "common/return_path/keys.h"
#include "common/return_path/tagged.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS "=+-"
#define KIND_N 4   /* SRS0, SRS1 */
#define SLOTS 1024 /* days that two base-32 digits tell apart */
#define DAY_SECONDS 86400
#define HASH_BYTES 32 /* SHA-1 in base64 with its padding and a NUL: 29 */

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

struct part { /* of an address; not terminated */
	const char *s;
	size_t n;
};

/* ---- hash ---- */

/* The parts one after the other in small letters, as base64. False: OpenSSL has failed. */
static bool make_hash(const struct key *key, const struct part *parts, char out[HASH_BYTES])
{
	unsigned char digest[DIGEST_BYTES];
	char *text = xstrdup("");
	size_t n;

	for (; parts->s != NULL; parts++) {
		char *lower = tagged_lower(parts->s, parts->n);
		char *longer = xasprintf("%s%s", text, lower);

		free(lower);
		free(text);
		text = longer;
	}
	n = digest_hmac(DIGEST_SHA1, key->secret, key->n, text, strlen(text), digest);
	free(text);
	if (n == 0)
		return false;
	EVP_EncodeBlock((unsigned char *)out, digest, (int)n);
	return true;
}

/* Servers on the way may have changed case, so it does not count; which key it was, and how much of
 * it was right, does not show in the time this takes. */
static bool is_signed(const struct srs *srs, struct part hash, const struct part *parts)
{
	char right[HASH_BYTES], given[HASH_BYTES];
	int least =
	    srs->least_hash_chars < srs->hash_chars ? srs->least_hash_chars : srs->hash_chars;
	bool found = false;

	if (hash.n < (size_t)least || hash.n > SRS_MOST_HASH_CHARS)
		return false;
	for (size_t i = 0; i < hash.n; i++)
		given[i] = tagged_fold(hash.s[i]);
	for (size_t k = 0; k < srs->keys->n; k++) {
		if (!make_hash(&srs->keys->v[k], parts, right))
			return false;
		for (size_t i = 0; i < hash.n; i++)
			right[i] = tagged_fold(right[i]);
		found |= CRYPTO_memcmp(given, right, hash.n) == 0;
	}
	return found;
}

/* ---- days ---- */

static int day_of(time_t now)
{
	return (int)(now / DAY_SECONDS % SLOTS);
}

/* -1: not two digits. */
static int stamp_day(struct part stamp)
{
	int day = 0;

	if (stamp.n != 2)
		return -1;
	for (size_t i = 0; i < 2; i++) {
		char c = stamp.s[i];
		const char *at;

		if (c >= 'a' && c <= 'z')
			c = (char)(c & ~0x20);
		at = c != '\0' ? strchr(base32, c) : NULL;
		if (at == NULL)
			return -1;
		day = day * 32 + (int)(at - base32);
	}
	return day;
}

/* Clocks of several machines may differ by some seconds, which can be another day. */
static bool is_fresh(int day, time_t now, int days)
{
	int age = (day_of(now) - day + SLOTS) % SLOTS;

	return age <= days || age == SLOTS - 1;
}

/* ---- parts ---- */

/* "SRS0=" and the like, any case. */
static bool has_kind(const char *local, char digit)
{
	return strncasecmp(local, "SRS", 3) == 0 && local[3] == digit && local[KIND_N] != '\0' &&
	       strchr(SEPARATORS, local[KIND_N]) != NULL;
}

/* Cut what stands before the next "=" off rest. False: there is none, or nothing before it. */
static bool cut(struct part *rest, struct part *out)
{
	const char *equals = memchr(rest->s, '=', rest->n);

	if (equals == NULL || equals == rest->s)
		return false;
	*out = (struct part){rest->s, (size_t)(equals - rest->s)};
	rest->s = equals + 1;
	rest->n -= out->n + 1;
	return rest->n > 0;
}

/* ---- forward ---- */

static char *forward_plain(const struct srs *srs, struct part local, const char *host, time_t now)
{
	int day = day_of(now);
	const char stamp[] = {base32[day / 32], base32[day % 32], '\0'};
	const struct part parts[] = {{stamp, 2}, {host, strlen(host)}, local, {NULL, 0}};
	char hash[HASH_BYTES];

	if (!make_hash(&srs->keys->v[0], parts, hash))
		return NULL;
	return xasprintf("SRS0%c%.*s=%s=%s=%.*s@%s", srs->separator, srs->hash_chars, hash, stamp,
	    host, (int)local.n, local.s, srs->domain);
}

/* host: the first one of the chain, which made the SRS0 address; user: what it wrote behind SRS0,
 * separator included. */
static char *forward_again(const struct srs *srs, struct part host, struct part user)
{
	const struct part parts[] = {host, user, {NULL, 0}};
	char hash[HASH_BYTES];

	if (!make_hash(&srs->keys->v[0], parts, hash))
		return NULL;
	return xasprintf("SRS1%c%.*s=%.*s=%.*s@%s", srs->separator, srs->hash_chars, hash,
	    (int)host.n, host.s, (int)user.n, user.s, srs->domain);
}

/* Would the way back through the first host be an address? */
static bool leads_back(struct part host, struct part user)
{
	char *address;
	bool fine;

	if (strchr(SEPARATORS, user.s[0]) == NULL)
		return false;
	address = xasprintf("SRS0%.*s@%.*s", (int)user.n, user.s, (int)host.n, host.s);
	fine = tagged_refused(address) == NULL;
	free(address);
	return fine;
}

static char *forward_any(
    const struct srs *srs, struct part local, const char *domain, time_t now, const char **why)
{
	struct part rest, ignored, host;

	*why = "OpenSSL does not do HMAC-SHA1";
	if (has_kind(local.s, '0'))
		return forward_again(srs, (struct part){domain, strlen(domain)},
		    (struct part){local.s + KIND_N, local.n - KIND_N});
	if (!has_kind(local.s, '1'))
		return forward_plain(srs, local, domain, now);
	rest = (struct part){local.s + KIND_N + 1, local.n - KIND_N - 1};
	if (cut(&rest, &ignored) && cut(&rest, &host) && leads_back(host, rest))
		return forward_again(srs, host, rest);
	*why = "it is no complete SRS1 address";
	return NULL;
}

char *srs_forward(const struct srs *srs, const char *address, time_t now, const char **why)
{
	const char *at = strrchr(address, '@');
	char *out;

	*why = tagged_refused(address);
	if (*why == NULL && strcasecmp(at + 1, srs->domain) == 0)
		*why = "it is in the domain of SRS already";
	if (*why != NULL)
		return NULL;
	out = forward_any(srs, (struct part){address, (size_t)(at - address)}, at + 1, now, why);
	if (out != NULL && strlen(out) > TAGGED_MOST_BYTES) {
		*why = "the address would be longer than 254 bytes";
		free(out);
		out = NULL;
	}
	return out;
}

/* ---- reverse ---- */

static enum srs_tag reverse_plain(
    const struct srs *srs, struct part rest, time_t now, char **original)
{
	struct part hash, stamp, host;

	if (!cut(&rest, &hash) || !cut(&rest, &stamp) || !cut(&rest, &host) || stamp_day(stamp) < 0)
		return SRS_FORGED;
	if (!is_signed(srs, hash, (const struct part[]){stamp, host, rest, {NULL, 0}}))
		return SRS_FORGED;
	if (!is_fresh(stamp_day(stamp), now, srs->days))
		return SRS_EXPIRED;
	*original = xasprintf("%.*s@%.*s", (int)rest.n, rest.s, (int)host.n, host.s);
	return SRS_VALID;
}

/* The first host of the chain checks the day. */
static enum srs_tag reverse_again(const struct srs *srs, struct part rest, char **original)
{
	struct part hash, host;

	if (!cut(&rest, &hash) || !cut(&rest, &host) || strchr(SEPARATORS, rest.s[0]) == NULL)
		return SRS_FORGED;
	if (!is_signed(srs, hash, (const struct part[]){host, rest, {NULL, 0}}))
		return SRS_FORGED;
	*original = xasprintf("SRS0%.*s@%.*s", (int)rest.n, rest.s, (int)host.n, host.s);
	return SRS_VALID;
}

enum srs_tag srs_reverse(const struct srs *srs, const char *address, time_t now, char **original)
{
	const char *at = tagged_too_long(address) ? NULL : strrchr(address, '@');
	struct part rest;
	enum srs_tag tag;

	*original = NULL;
	if (at == NULL || strcasecmp(at + 1, srs->domain) != 0 ||
	    (!has_kind(address, '0') && !has_kind(address, '1')) ||
	    (size_t)(at - address) <= KIND_N + 1)
		return SRS_UNTAGGED;
	rest = (struct part){address + KIND_N + 1, (size_t)(at - address) - KIND_N - 1};
	tag = has_kind(address, '0') ? reverse_plain(srs, rest, now, original)
				     : reverse_again(srs, rest, original);
	/* A secret that others know must not make a second command of an address. */
	if (tag == SRS_VALID && tagged_refused(*original) != NULL) {
		free(*original);
		*original = NULL;
		tag = SRS_FORGED;
	}
	return tag;
}
