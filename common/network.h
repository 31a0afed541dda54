/* network.h - IP addresses and networks. Pure. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct ip_address {
	int family; /* AF_INET, AF_INET6; AF_UNSPEC when unknown */
	unsigned char bytes[16];
	unsigned short port; /* 0 when unknown */
};

struct ip_network {
	struct ip_address base;
	int bits;
};

/* IPv4-mapped IPv6 addresses become IPv4. "IPv6:..." as MTAs write it is understood. */
bool ip_address_parse(struct ip_address *, const char *text);
void ip_address_from_sockaddr(struct ip_address *, const struct sockaddr *);
const char *ip_address_text(const struct ip_address *, char *out, size_t size); /* "" if unknown */

/* "192.0.2.0/24", "2001:db8::/32", a bare address. False: not a network, host bits are set, or
 * the prefix is out of range; *why is then a constant text. */
bool ip_network_parse(struct ip_network *, const char *text, const char **why);
bool ip_network_has(const struct ip_network *, const struct ip_address *);
