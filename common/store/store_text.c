/* store_text.c - see store_text.h. */
#include "common/store/store_text.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"

#include <openssl/evp.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COMPLAIN_EVERY_MS 10000

const char *store_text(struct strlist *copies, const char *s, size_t most)
{
	strlist_addn(copies, s != NULL ? s : "", most);
	return copies->v[copies->n - 1];
}

static const char *digest(struct strlist *copies, const char *s)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	char text[7 + 2 * EVP_MAX_MD_SIZE + 1] = "sha256:";
	unsigned n = 0;

	if (EVP_Digest(s, strlen(s), md, &n, EVP_sha256(), NULL) != 1) {
		log_bug(NULL, "store: SHA-256 failed");
		return store_text(copies, s, LIMIT_STORE_EVENT_BYTES);
	}
	for (unsigned i = 0; i < n; i++)
		snprintf(text + 7 + (size_t)2 * i, 3, "%02x", md[i]);
	return store_text(copies, text, sizeof text);
}

const char *store_key(struct strlist *copies, const char *s, size_t most)
{
	if (s == NULL || strnlen(s, most + 1) <= most)
		return store_text(copies, s, most);
	return digest(copies, s);
}

const char *store_name(struct strlist *copies, const char *s, size_t most)
{
	size_t n = s != NULL ? strlen(s) : 0;
	char *folded = xstrndup(s != NULL ? s : "", n);
	const char *key;

	for (size_t i = 0; i < n; i++)
		if (folded[i] >= 'A' && folded[i] <= 'Z')
			folded[i] = (char)(folded[i] - 'A' + 'a');
	key = store_key(copies, folded, most);
	free(folded);
	return key;
}

static size_t digits(const char *s)
{
	size_t n = 0;

	while (n < 3 && s[n] >= '0' && s[n] <= '9')
		n++;
	return n;
}

void store_code(const char *result, char code[static 4])
{
	size_t n = digits(result);

	memcpy(code, "---", 4);
	memcpy(code, result, n);
}

void store_code_range(const char *result, struct store_code_range *range)
{
	size_t n = digits(result);

	*range = (struct store_code_range){.high = ":"}; /* after '9': any code */
	if (result[0] == '\0')
		return;
	range->compare = result[n] != '\0';
	if (range->compare) { /* a code cut short by other text can only be that one */
		store_code(result, range->low);
		n = 3;
	} else {
		memcpy(range->low, result, n);
	}
	memcpy(range->high, range->low, sizeof range->high);
	range->high[n - 1]++;
}

int64_t store_now(const struct store_options *o)
{
	struct timespec now;

	if (o->clock != NULL)
		return o->clock(o->clock_arg);
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void store_complain(const char *fmt, ...)
{
	static _Atomic int64_t next;
	static _Atomic unsigned silent;
	int64_t now = clock_ms(), due = atomic_load(&next);
	char text[512];
	unsigned unsaid;
	va_list ap;

	if (now < due || !atomic_compare_exchange_strong(&next, &due, now + COMPLAIN_EVERY_MS)) {
		atomic_fetch_add(&silent, 1);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	unsaid = atomic_exchange(&silent, 0);
	if (unsaid > 0)
		log_warn(NULL, "store: %s (and %u more complaints before)", text, unsaid);
	else
		log_warn(NULL, "store: %s", text);
}
