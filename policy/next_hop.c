/* next_hop.c - see next_hop.h. */
#include "policy/next_hop.h"

#include "common/list.h"
#include "lua-bindings/mx_servers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *next_hop_name(const char *text, bool *host)
{
	size_t n;
	char *part, *name;

	*host = text[0] == '[';
	text += *host;
	n = strcspn(text, *host ? "]" : ":");
	if (*host && text[n] != ']')
		return NULL;
	if (*host && strncasecmp(text, "ipv6:", 5) == 0) {
		text += 5;
		n -= 5;
	}
	part = xstrndup(text, n);
	name = mx_server_host(part);
	free(part);
	return name;
}
