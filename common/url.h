/* url.h - a URL in its parts (RFC 3986), by libcurl. Pure: nothing is asked of anybody. */
#pragma once

#include <stdbool.h>

struct url_parts { /* NULL: there is no such part */
	char *scheme, *user, *password, *host, *port, *path, *query, *fragment;
};

/* Parts as they stand in the URL, %XX included; host in lower case is the caller's business. port
 * is the scheme's own when none is given and the scheme has one. False: it is no URL with a scheme
 * and a host, or longer than LIMIT_HTTP_URL_BYTES; *out is empty then. */
bool url_parse(const char *url, struct url_parts *out);
void url_parts_clear(struct url_parts *);
