/* digest.c - see digest.h. */
#include "common/digest.h"

#include <openssl/evp.h>

#include <strings.h>

static const struct name {
	const char *name, *dashed; /* the first is OpenSSL's */
} names[] = {
    [DIGEST_MD5] = {"MD5", "MD-5"},
    [DIGEST_SHA1] = {"SHA1", "SHA-1"},
    [DIGEST_SHA256] = {"SHA256", "SHA-256"},
    [DIGEST_SHA512] = {"SHA512", "SHA-512"},
};

bool digest_parse(const char *name, enum digest *digest)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcasecmp(name, names[i].name) == 0 ||
		    strcasecmp(name, names[i].dashed) == 0) {
			*digest = (enum digest)i;
			return true;
		}
	return false;
}

size_t digest_make(enum digest digest, const void *text, size_t n, unsigned char out[DIGEST_BYTES])
{
	size_t length = 0;

	if (EVP_Q_digest(NULL, names[digest].name, NULL, text, n, out, &length) != 1)
		return 0;
	return length;
}

size_t digest_hmac(enum digest digest, const void *key, size_t nkey, const void *text, size_t n,
    unsigned char out[DIGEST_BYTES])
{
	size_t length = 0;

	if (EVP_Q_mac(NULL, "HMAC", NULL, names[digest].name, NULL, nkey > 0 ? key : "", nkey, text,
		n, out, DIGEST_BYTES, &length) == NULL)
		return 0;
	return length;
}
