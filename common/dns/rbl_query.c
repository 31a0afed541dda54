/* rbl_query.c - see rbl_query.h. */
#include "common/dns/rbl_query.h"

#include "common/dns/dns_name.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Addresses of no host on the Internet (RFC 6890). */
static const struct ip_network not_global[] = {
    {{AF_INET, {0}, 0}, 8},	    /* "this" network */
    {{AF_INET, {10}, 0}, 8},	    /* private */
    {{AF_INET, {100, 64}, 0}, 10},  /* shared, behind a provider's NAT */
    {{AF_INET, {127}, 0}, 8},	    /* loopback */
    {{AF_INET, {169, 254}, 0}, 16}, /* link local */
    {{AF_INET, {172, 16}, 0}, 12},  /* private */
    {{AF_INET, {192, 168}, 0}, 16}, /* private */
    {{AF_INET, {224}, 0}, 3},	    /* multicast, reserved, broadcast */
};

/* All that has been given out so far; fc00::/7, fe80::/10 and ::1 lie outside. */
static const struct ip_network global_v6 = {{AF_INET6, {0x20}, 0}, 3};

bool rbl_query_wanted(const struct ip_address *addr)
{
	if (addr->family == AF_INET6)
		return ip_network_has(&global_v6, addr);
	if (addr->family != AF_INET)
		return false;
	for (size_t i = 0; i < sizeof not_global / sizeof *not_global; i++)
		if (ip_network_has(&not_global[i], addr))
			return false;
	return true;
}

/* At most 64 bytes. */
static size_t reverse(const struct ip_address *addr, char out[static RBL_NAME_BYTES])
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *b = addr->bytes;
	char *p = out;

	if (addr->family == AF_INET)
		return (size_t)snprintf(
		    out, RBL_NAME_BYTES, "%u.%u.%u.%u.", b[3], b[2], b[1], b[0]);
	for (int i = 15; i >= 0; i--) {
		*p++ = hex[b[i] & 15];
		*p++ = '.';
		*p++ = hex[b[i] >> 4];
		*p++ = '.';
	}
	return (size_t)(p - out);
}

size_t rbl_query_name(
    const struct ip_address *addr, const char *zone, char out[static RBL_NAME_BYTES])
{
	size_t len, front;

	if (!dns_name_valid(zone))
		return 0;
	len = strlen(zone);
	if (zone[len - 1] == '.')
		len--;
	front = reverse(addr, out);
	if (front + len >= RBL_NAME_BYTES)
		return 0;
	for (size_t i = 0; i < len; i++) {
		char c = zone[i];

		out[front + i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
	out[front + len] = '\0';
	return front;
}

enum rbl_meaning rbl_query_judge(const struct dns_answer *answer, unsigned char code[static 4])
{
	enum rbl_meaning meaning = RBL_FOREIGN;

	if (answer->status != DNS_FOUND)
		return answer->status == DNS_ABSENT ? RBL_NOT_LISTED : RBL_UNKNOWN;
	for (size_t i = 0; i < answer->values.n; i++) {
		unsigned char a[4];

		if (inet_pton(AF_INET, answer->values.v[i], a) != 1 || a[0] != 127)
			continue;
		if (a[1] != 255 || a[2] != 255) {
			memcpy(code, a, sizeof a);
			return RBL_LISTED;
		}
		meaning = RBL_REFUSING;
	}
	return meaning;
}
