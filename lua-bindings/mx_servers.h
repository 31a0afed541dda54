/* mx_servers.h - a list of mail servers for a domain, as DNS or a script gives it.
 *
 * Pure. Every host in a list is a name that dns_name.h allows, in lower case and without a dot at
 * the end, or an IP address, so it may stand in a log, a map's answer or a database key (R17). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct mx_server {
	char *host;
	unsigned priority;
	unsigned short port; /* 0: the MTA's own */
};

struct mx_servers { /* zero it before use */
	struct mx_server *v;
	size_t n;
};

/* Host "name", "name:port", "192.0.2.1", "[2001:db8::1]:25". False: not fit, nothing is added; nor
 * beyond LIMIT_MX_SERVERS. */
bool mx_servers_add(struct mx_servers *, const char *host, unsigned priority, unsigned short port);
void mx_servers_copy(struct mx_servers *to, const struct mx_servers *from); /* to is cleared */
bool mx_servers_same(const struct mx_servers *, const struct mx_servers *);
void mx_servers_sort(struct mx_servers *); /* by priority; equal ones stay in order */
void mx_servers_clear(struct mx_servers *);

/* The host, or the domain, as a list would have it (one in UTF-8 in A-labels), malloc'ed; NULL: not
 * fit. */
char *mx_server_host(const char *host);
