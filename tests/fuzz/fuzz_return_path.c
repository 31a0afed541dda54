/* Addresses with tags of BATV and SRS, and key files (R5). The input is a key file up to the first
 * line that begins with "@", then an address. What is signed or rewritten is found again; what
 * comes out is one address that a command can carry (R10). */
#include "common/batv.h"
#include "common/list.h"
#include "common/outgoing.h"
#include "common/return_path/keys.h"
#include "common/srs.h"
#include "tests/fuzz/must.h"

#include <string.h>
#include <strings.h>

#define NOW ((time_t)1700000000)

static const char numbered[] = "1 0123456789abcdef\n2 fedcba9876543210\n";
static const char lines[] = "topsecret\nolder\n";

static void must_be_sendable(const char *address)
{
	MUST(outgoing_address(address) == NULL);
}

static void try_batv(const struct keys *k, const char *address)
{
	const char *why = NULL;
	char *original, *tagged;
	enum batv_tag tag = batv_check(k, address, NOW, &original);

	MUST((tag == BATV_VALID) == (original != NULL));
	if (original != NULL)
		must_be_sendable(original);
	free(original);
	tagged = batv_sign(k, address, NOW, 7, &why);
	MUST((tagged == NULL) == (why != NULL));
	if (tagged == NULL)
		return;
	must_be_sendable(tagged);
	MUST(batv_check(k, tagged, NOW, &original) == BATV_VALID);
	MUST(strcmp(original, address) == 0);
	free(original);
	free(tagged);
}

static void try_srs(const struct keys *k, const char *address)
{
	struct srs s = {k, "srs.test", '=', 4, 4, 21};
	const char *why;
	char *original, *rewritten;
	enum srs_tag tag = srs_reverse(&s, address, NOW, &original);

	MUST((tag == SRS_VALID) == (original != NULL));
	if (original != NULL)
		must_be_sendable(original);
	free(original);
	rewritten = srs_forward(&s, address, NOW, &why);
	if (rewritten == NULL)
		return;
	must_be_sendable(rewritten);
	MUST(srs_reverse(&s, rewritten, NOW, &original) == SRS_VALID);
	must_be_sendable(original);
	if (strncasecmp(address, "SRS", 3) != 0)
		MUST(strcmp(original, address) == 0);
	free(original);
	free(rewritten);
}

static void try_keys(enum keys_format format, const char *text, size_t n, const char *address)
{
	char error[256];
	struct keys *k = keys_parse(format, text, n, error, sizeof error);

	if (k == NULL)
		return;
	MUST(k->n > 0);
	for (size_t i = 0; i < k->n; i++)
		MUST(k->v[i].n > 0 && strlen(k->v[i].secret) == k->v[i].n);
	if (format == KEYS_NUMBERED)
		try_batv(k, address);
	else
		try_srs(k, address);
	keys_unref(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size), *address = text;
	size_t n = size;

	if (memchr(data, '\0', size) == NULL && (address = strstr(text, "\n@")) != NULL) {
		n = (size_t)(address - text);
		address += 2;
	} else {
		address = text;
	}
	try_keys(KEYS_NUMBERED, (const char *)data, n, address);
	try_keys(KEYS_LINES, (const char *)data, n, address);
	try_keys(KEYS_NUMBERED, numbered, sizeof numbered - 1, address);
	try_keys(KEYS_LINES, lines, sizeof lines - 1, address);
	free(text);
	return 0;
}
