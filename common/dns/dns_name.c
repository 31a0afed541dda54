/* dns_name.c - see dns_name.h. */
#include "common/dns/dns_name.h"

#include "common/limits.h"
#include "common/list.h"

#include <idn2.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LABEL_BYTES 63 /* RFC 1035 2.3.4 */

/* Not isalnum(): it asks the locale. */
static bool label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* Length without the dot at the end. */
static size_t bare_length(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

bool dns_name_valid(const char *name)
{
	size_t len = bare_length(name), label = 0;

	if (len == 0 || len > LIMIT_DNS_NAME_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (!label_char(name[i]) || ++label > LABEL_BYTES) {
			return false;
		}
	}
	return label > 0;
}

/* Whether char is signed or not. */
static bool is_ascii(const char *name)
{
	while (*name != '\0' && ((unsigned char)*name & 0x80) == 0)
		name++;
	return *name == '\0';
}

char *dns_name_plain(const char *name)
{
	char *found = NULL, *out = NULL;

	if (!is_ascii(name)) {
		if (idn2_to_ascii_8z(name, &found, IDN2_NONTRANSITIONAL) != IDN2_OK)
			return NULL;
		name = found;
	}
	if (dns_name_valid(name)) {
		out = xstrndup(name, bare_length(name));
		for (char *p = out; *p != '\0'; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p - 'A' + 'a');
	}
	idn2_free(found);
	return out;
}

bool dns_name_same(const char *a, const char *b)
{
	size_t len = bare_length(a);

	return len == bare_length(b) && strncasecmp(a, b, len) == 0;
}
