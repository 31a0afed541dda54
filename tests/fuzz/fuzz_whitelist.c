/* White list entries of a script against names that a remote host chose, separated by line ends: an
 * entry about addresses never matches a name (R5, R6). Lines: entry, address, host name. */
#include "common/list.h"
#include "common/rbl.h"
#include "tests/fuzz/must.h"

#include <string.h>

static char *next_line(char **rest)
{
	char *line = strsep(rest, "\n");

	return line != NULL ? line : (char *)"";
}

/* Only digits, dots and wildcards, or a colon; and not only wildcards. */
static bool about_addresses(const char *entry)
{
	return strchr(entry, ':') != NULL || (entry[strspn(entry, "0123456789.*?")] == '\0' &&
						 strpbrk(entry, "0123456789") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip_address addr, nowhere = {.family = AF_UNSPEC};
	char *text = xstrndup((const char *)data, size), *rest = text;
	struct strlist list = STRLIST_INIT;
	const char *host;

	strlist_add(&list, next_line(&rest));
	ip_address_parse(&addr, next_line(&rest));
	host = next_line(&rest);
	rbl_whitelisted(&list, &addr, host);
	if (about_addresses(list.v[0]) && strpbrk(list.v[0], "*?") != NULL)
		MUST(!rbl_whitelisted(&list, &nowhere, host));
	strlist_clear(&list);
	free(text);
	return 0;
}
