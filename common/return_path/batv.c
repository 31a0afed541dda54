/* batv.c - see batv.h. Hand-written: Debian has no library for it. */
#include "common/batv.h"

#include "common/digest.h"
#include "common/list.h"
#include "common/return_path/keys.h"
#include "common/return_path/tagged.h"

#include <openssl/crypto.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX "prvs="
#define PREFIX_N (sizeof PREFIX - 1)
#define STAMP_N 4 /* K and DDD */
#define HASH_N 6  /* hexadecimal digits */
#define TAG_N (PREFIX_N + STAMP_N + HASH_N + 1)
#define DAYS 1000 /* that DDD tells apart */
#define DAY_SECONDS 86400

/* stamp is "KDDD". False: OpenSSL has failed. */
static bool make_hash(
    const struct key *key, const char *stamp, const char *address, char hash[HASH_N + 1])
{
	unsigned char out[DIGEST_BYTES];
	char *text = xasprintf("%.*s%s", STAMP_N, stamp, address);
	size_t n = digest_hmac(DIGEST_SHA1, key->secret, key->n, text, strlen(text), out);

	free(text);
	if (n < HASH_N / 2)
		return false;
	snprintf(hash, HASH_N + 1, "%02x%02x%02x", out[0], out[1], out[2]);
	return true;
}

static int day_of(time_t now)
{
	return (int)(now / DAY_SECONDS % DAYS);
}

static bool is_tagged(const char *address)
{
	if (tagged_too_long(address) || strncasecmp(address, PREFIX, PREFIX_N) != 0 ||
	    strlen(address) <= TAG_N)
		return false;
	return strspn(address + PREFIX_N, "0123456789") >= STAMP_N &&
	       strspn(address + PREFIX_N + STAMP_N, "0123456789abcdefABCDEF") >= HASH_N &&
	       address[TAG_N - 1] == '=' && address[TAG_N] != '@';
}

char *batv_sign(
    const struct keys *keys, const char *address, time_t now, int days, const char **why)
{
	const struct key *key = &keys->v[0];
	char stamp[STAMP_N + 1], hash[HASH_N + 1], *lower;
	bool made;

	*why = tagged_refused(address);
	if (*why == NULL && strlen(address) + TAG_N > TAGGED_MOST_BYTES)
		*why = "the address would be longer than 254 bytes";
	if (*why == NULL && strncasecmp(address, PREFIX, PREFIX_N) == 0)
		*why = "the address begins with prvs= already";
	if (*why != NULL)
		return NULL;
	snprintf(stamp, sizeof stamp, "%u%03u", (unsigned)key->number % 10,
	    (unsigned)(day_of(now) + days) % DAYS);
	lower = tagged_lower(address, strlen(address));
	made = make_hash(key, stamp, lower, hash);
	free(lower);
	if (!made) {
		*why = "OpenSSL does not do HMAC-SHA1";
		return NULL;
	}
	return xasprintf(PREFIX "%s%s=%s", stamp, hash, address);
}

static const struct key *key_of(const struct keys *keys, char digit)
{
	for (size_t i = 0; i < keys->n; i++)
		if (keys->v[i].number == digit - '0')
			return &keys->v[i];
	return NULL;
}

/* Others sign capitals as they are; what we have signed is in small letters. */
static bool is_signed(const struct key *key, const char *stamp, const char *original)
{
	char given[HASH_N + 1], as_is[HASH_N + 1], folded[HASH_N + 1];
	char *lower = tagged_lower(original, strlen(original));
	int as_it_is = 1, in_small_letters = 1;

	for (int i = 0; i < HASH_N; i++)
		given[i] = tagged_fold(stamp[STAMP_N + i]);
	if (make_hash(key, stamp, lower, folded) && make_hash(key, stamp, original, as_is)) {
		in_small_letters = CRYPTO_memcmp(given, folded, HASH_N);
		as_it_is = CRYPTO_memcmp(given, as_is, HASH_N);
	}
	free(lower);
	return in_small_letters == 0 || as_it_is == 0;
}

enum batv_tag batv_check(const struct keys *keys, const char *address, time_t now, char **original)
{
	const char *stamp;
	const struct key *key;
	int left;

	*original = NULL;
	if (!is_tagged(address))
		return BATV_UNTAGGED;
	stamp = address + PREFIX_N;
	key = key_of(keys, stamp[0]);
	if (key == NULL || tagged_refused(address + TAG_N) != NULL ||
	    !is_signed(key, stamp, address + TAG_N))
		return BATV_FORGED;
	left = (stamp[1] - '0') * 100 + (stamp[2] - '0') * 10 + (stamp[3] - '0') - day_of(now);
	if ((left + DAYS) % DAYS > BATV_MOST_DAYS)
		return BATV_EXPIRED;
	*original = xstrdup(address + TAG_N);
	return BATV_VALID;
}
