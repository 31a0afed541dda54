/* mx_servers.c - see mx_servers.h. */
#include "lua-bindings/mx_servers.h"

#include "common/dns/dns_name.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/network.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *mx_server_host(const char *host)
{
	struct ip_address ip;
	char text[INET6_ADDRSTRLEN];

	if (ip_address_parse(&ip, host))
		return xstrdup(ip_address_text(&ip, text, sizeof text));
	return dns_name_plain(host);
}

static bool take_port(const char *text, unsigned short *port)
{
	size_t n = strlen(text);
	long value;

	if (n == 0 || n > 5 || strspn(text, "0123456789") != n)
		return false;
	value = strtol(text, NULL, 10);
	*port = (unsigned short)value;
	return value >= 1 && value <= 65535;
}

/* "host", "host:port", "[address]", "[address]:port"; a bare IPv6 address is all colons. */
static char *split(const char *text, unsigned short *port)
{
	bool bracket = text[0] == '[';
	const char *end = bracket ? strchr(text, ']') : strrchr(text, ':'), *after;
	char *part, *host;

	if (bracket && end == NULL)
		return NULL;
	if (!bracket && (end == NULL || strchr(text, ':') != end))
		return mx_server_host(text);
	after = end + bracket;
	if (*after != '\0' && (*after != ':' || !take_port(after + 1, port)))
		return NULL;
	part = xstrndup(text + bracket, (size_t)(end - text) - bracket);
	host = mx_server_host(part);
	free(part);
	return host;
}

bool mx_servers_add(
    struct mx_servers *list, const char *text, unsigned priority, unsigned short port)
{
	char *host = list->n < LIMIT_MX_SERVERS ? split(text, &port) : NULL;

	if (host == NULL)
		return false;
	list->v = xgrow(list->v, list->n, sizeof *list->v);
	list->v[list->n++] = (struct mx_server){host, priority, port};
	return true;
}

void mx_servers_copy(struct mx_servers *to, const struct mx_servers *from)
{
	mx_servers_clear(to);
	for (size_t i = 0; i < from->n; i++) {
		to->v = xgrow(to->v, to->n, sizeof *to->v);
		to->v[to->n] = from->v[i];
		to->v[to->n++].host = xstrdup(from->v[i].host);
	}
}

bool mx_servers_same(const struct mx_servers *a, const struct mx_servers *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].host, b->v[i].host) != 0 || a->v[i].port != b->v[i].port)
			return false;
	return true;
}

/* Insertion: qsort(3) is not stable, and there are few. */
void mx_servers_sort(struct mx_servers *list)
{
	for (size_t i = 1; i < list->n; i++) {
		struct mx_server s = list->v[i];
		size_t k = i;

		for (; k > 0 && list->v[k - 1].priority > s.priority; k--)
			list->v[k] = list->v[k - 1];
		list->v[k] = s;
	}
}

void mx_servers_clear(struct mx_servers *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i].host);
	free(list->v);
	*list = (struct mx_servers){0};
}
