/* digest.h - message digests and HMAC, on OpenSSL. Thread-safe, no state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_BYTES 64 /* of the longest one */

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512 };

/* "SHA256", "sha-256" ...; false: none of these. */
bool digest_parse(const char *name, enum digest *);

/* Both return the length, 0 when OpenSSL does not do it (MD5 in FIPS mode). */
size_t digest_make(enum digest, const void *text, size_t n, unsigned char out[DIGEST_BYTES]);
size_t digest_hmac(enum digest, const void *key, size_t nkey, const void *text, size_t n,
    unsigned char out[DIGEST_BYTES]);
