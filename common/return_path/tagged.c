/* tagged.c - see tagged.h. */
#include "common/return_path/tagged.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/outgoing.h"

#include <string.h>

char tagged_fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

char *tagged_lower(const char *s, size_t n)
{
	char *out = xstrndup(s, n);

	for (char *p = out; *p != '\0'; p++)
		*p = tagged_fold(*p);
	return out;
}

bool tagged_too_long(const char *address)
{
	return strnlen(address, LIMIT_ADDRESS_BYTES + 1) > LIMIT_ADDRESS_BYTES;
}

/* A domain becomes part of a local part: it may not look like the end of its place in there. */
static bool plain_domain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		char c = tagged_fold(*s);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' &&
		    c != '_' && ((unsigned char)c & 0x80) == 0)
			return false;
	}
	return true;
}

const char *tagged_refused(const char *address)
{
	const char *at = tagged_too_long(address) ? NULL : strrchr(address, '@');

	if (at == NULL || at == address || outgoing_address(address) != NULL)
		return "this is no address of the form name@domain";
	if (address[0] == '"' || memchr(address, '@', (size_t)(at - address)) != NULL)
		return "its local part is quoted";
	if (!plain_domain(at + 1))
		return "its domain is no name";
	return NULL;
}
