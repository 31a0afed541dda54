/* provider.c - see provider.h. */
#include "common/provider.h"

#include "common/limits.h"

#include <libpsl.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const psl_ctx_t *list; /* for the life of the process */

static void load(void)
{
	list = psl_latest(NULL);
	if (list == NULL)
		list = psl_builtin();
}

/* Lower case, without the dot at the end of a DNS name. False: not a host name of ASCII. */
static bool normal(const char *host, char name[static LIMIT_DNS_NAME_BYTES + 1])
{
	size_t n = strlen(host);
	const char *label;

	if (n > 0 && host[n - 1] == '.')
		n--;
	if (n == 0 || n > LIMIT_DNS_NAME_BYTES)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = host[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			(c == '.' && i > 0 && name[i - 1] != '.')))
			return false;
		name[i] = c;
	}
	name[n] = '\0';
	label = strrchr(name, '.') != NULL ? strrchr(name, '.') + 1 : name;
	return strspn(label, "0123456789") < strlen(label); /* an address is no name (RFC 3696 2) */
}

bool provider_of(const char *host, char *out, size_t size)
{
	char name[LIMIT_DNS_NAME_BYTES + 1];
	const char *domain = NULL;

	pthread_once(&once, load);
	out[0] = '\0';
	if (list != NULL && normal(host, name))
		domain = psl_registrable_domain(list, name);
	if (domain == NULL || strlen(domain) >= size)
		return false;
	snprintf(out, size, "%s", domain);
	return true;
}
