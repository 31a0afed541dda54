/* rbl_whitelist.c - rbl_whitelisted() of rbl.h. Pure.
 *
 * An entry is for addresses or for host names, never for both: the owner of a host names it as he
 * likes, and "192.0.2.9.example" must not pass for "192.0.2.*".
 *
 * Wildcards by hand although fnmatch(3) exists: its time grows exponentially with the number of `*`
 * in a pattern, and it takes brackets and backslashes for more than themselves. */
#include "common/limits.h"
#include "common/rbl.h"

#include <string.h>

/* Longer than any name with a `*` at each dot. */
#define PATTERN_BYTES (2 * LIMIT_DNS_NAME_BYTES)

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* On a mismatch only the last `*` takes one more character: whatever an earlier one could take
 * instead, the last one can take as well. So the time is at most the product of the two lengths. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == '?' || lower(*pattern) == lower(*text)) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

enum subject { SUBJECT_ADDRESS = 1, SUBJECT_HOST = 2 };

/* What an entry with wildcards is about. A host name holds a letter other than in an IPv6 address.
 */
static unsigned subjects(const char *pattern)
{
	if (strchr(pattern, ':') != NULL)
		return SUBJECT_ADDRESS;
	if (pattern[strspn(pattern, "*?.")] == '\0')
		return SUBJECT_ADDRESS | SUBJECT_HOST;
	return pattern[strspn(pattern, "0123456789.*?")] == '\0' ? SUBJECT_ADDRESS : SUBJECT_HOST;
}

static bool entry_matches(
    const char *entry, const struct ip_address *addr, const char *addr_text, const char *host)
{
	struct ip_network network;
	const char *why;
	unsigned about;

	if (strpbrk(entry, "*?") == NULL) {
		if (ip_network_parse(&network, entry, &why))
			return ip_network_has(&network, addr);
		return *host != '\0' && matches(entry, host);
	}
	about = subjects(entry);
	return ((about & SUBJECT_ADDRESS) && *addr_text != '\0' && matches(entry, addr_text)) ||
	       ((about & SUBJECT_HOST) && *host != '\0' && matches(entry, host));
}

bool rbl_whitelisted(
    const struct strlist *whitelist, const struct ip_address *addr, const char *hostname)
{
	char addr_text[INET6_ADDRSTRLEN], host[LIMIT_DNS_NAME_BYTES + 1] = "";
	size_t len = hostname != NULL ? strnlen(hostname, sizeof host + 1) : 0;

	if (len > 0 && hostname[len - 1] == '.')
		len--;
	if (len < sizeof host) { /* a longer one is no host name */
		memcpy(host, len > 0 ? hostname : "", len);
		host[len] = '\0';
	}
	ip_address_text(addr, addr_text, sizeof addr_text);
	for (size_t i = 0; i < whitelist->n; i++) {
		const char *entry = whitelist->v[i];

		if (strnlen(entry, PATTERN_BYTES + 1) <= PATTERN_BYTES &&
		    entry_matches(entry, addr, addr_text, host))
			return true;
	}
	return false;
}
