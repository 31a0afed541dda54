/* network.c - see network.h.
 *
 * inet_pton(3) does the reading; everything longer than an address can be is refused before it is
 * looked at (R5). */
#include "common/network.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define MAPPED_BITS 96 /* prefix of ::ffff:0:0/96, the IPv4-mapped addresses */

static const char ipv6_tag[] = "IPv6:"; /* RFC 5321 4.1.3 */

static int address_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

/* ::ffff:192.0.2.1 is 192.0.2.1 that came through an IPv6 socket. */
static void unmap(struct ip_address *a)
{
	static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (a->family != AF_INET6 || memcmp(a->bytes, mapped, sizeof mapped) != 0)
		return;
	a->family = AF_INET;
	memmove(a->bytes, a->bytes + sizeof mapped, 4);
	memset(a->bytes + 4, 0, sizeof a->bytes - 4);
}

bool ip_address_parse(struct ip_address *a, const char *text)
{
	*a = (struct ip_address){.family = AF_UNSPEC};
	if (strncasecmp(text, ipv6_tag, sizeof ipv6_tag - 1) == 0)
		text += sizeof ipv6_tag - 1;
	if (strnlen(text, INET6_ADDRSTRLEN) == INET6_ADDRSTRLEN)
		return false;
	if (inet_pton(AF_INET, text, a->bytes) == 1)
		a->family = AF_INET;
	else if (inet_pton(AF_INET6, text, a->bytes) == 1)
		a->family = AF_INET6;
	else
		memset(a->bytes, 0, sizeof a->bytes);
	unmap(a);
	return a->family != AF_UNSPEC;
}

void ip_address_from_sockaddr(struct ip_address *a, const struct sockaddr *sa)
{
	*a = (struct ip_address){.family = AF_UNSPEC};
	if (sa == NULL)
		return;
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in); /* sa need not be aligned for it */
		a->family = AF_INET;
		a->port = ntohs(in.sin_port);
		memcpy(a->bytes, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		a->family = AF_INET6;
		a->port = ntohs(in6.sin6_port);
		memcpy(a->bytes, &in6.sin6_addr, 16);
		unmap(a);
	}
}

const char *ip_address_text(const struct ip_address *a, char *out, size_t size)
{
	if (size == 0)
		return "";
	out[0] = '\0';
	if (a->family == AF_INET || a->family == AF_INET6)
		inet_ntop(a->family, a->bytes, out, (socklen_t)size);
	return out;
}

/* A decimal number of at most three digits; -1 when it is anything else. */
static int parse_bits(const char *text)
{
	int bits = 0;
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 3 || text[n] != '\0')
		return -1;
	for (size_t i = 0; i < n; i++)
		bits = 10 * bits + (text[i] - '0');
	return bits;
}

static unsigned char byte_mask(int bits, size_t i)
{
	int here = bits - 8 * (int)i;

	return here >= 8 ? 0xff : here <= 0 ? 0 : (unsigned char)(0xff << (8 - here));
}

static bool has_host_bits(const struct ip_address *a, int bits)
{
	for (size_t i = 0; i < sizeof a->bytes; i++)
		if (a->bytes[i] & (unsigned char)~byte_mask(bits, i))
			return true;
	return false;
}

bool ip_network_parse(struct ip_network *network, const char *text, const char **why)
{
	char address[sizeof ipv6_tag + INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");
	int bits;

	*why = "not an IP address: write 192.0.2.0/24, 2001:db8::/32 or an address";
	*network = (struct ip_network){.base.family = AF_UNSPEC};
	if (n >= sizeof address)
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	if (!ip_address_parse(&network->base, address))
		return false;
	network->bits = address_bits(network->base.family);
	if (text[n] == '\0')
		return true;

	bits = parse_bits(text + n + 1);
	if (network->base.family == AF_INET && strchr(address, ':') != NULL)
		bits = bits >= MAPPED_BITS ? bits - MAPPED_BITS : -1; /* it was written as mapped */
	*why = "the length of the prefix is out of range: 0 to 32 for IPv4, 0 to 128 for IPv6 "
	       "(96 to 128 for ::ffff: addresses)";
	if (bits < 0 || bits > network->bits)
		return false;
	network->bits = bits;
	*why =
	    "the address has bits set behind the prefix: set them to zero to mean the network, or "
	    "leave the prefix out to mean this one address";
	return !has_host_bits(&network->base, bits);
}

bool ip_network_has(const struct ip_network *network, const struct ip_address *a)
{
	if (a->family == AF_UNSPEC || a->family != network->base.family)
		return false;
	for (size_t i = 0; 8 * (int)i < network->bits; i++)
		if ((a->bytes[i] ^ network->base.bytes[i]) & byte_mask(network->bits, i))
			return false;
	return true;
}
