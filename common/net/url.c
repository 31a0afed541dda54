/* url.c - see url.h. */
#include "common/url.h"

#include "common/limits.h"
#include "common/list.h"

#include <curl/curl.h>

#include <stdlib.h>
#include <string.h>

static char *part(CURLU *u, CURLUPart which, unsigned flags)
{
	char *value = NULL, *out;

	if (curl_url_get(u, which, &value, flags) != CURLUE_OK)
		return NULL;
	out = xstrdup(value);
	curl_free(value);
	return out;
}

bool url_parse(const char *url, struct url_parts *out)
{
	CURLU *u;
	bool fine;

	*out = (struct url_parts){0};
	if (strlen(url) > LIMIT_HTTP_URL_BYTES)
		return false;
	u = curl_url();
	fine =
	    u != NULL && curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
	if (fine) {
		out->scheme = part(u, CURLUPART_SCHEME, 0);
		out->user = part(u, CURLUPART_USER, 0);
		out->password = part(u, CURLUPART_PASSWORD, 0);
		out->host = part(u, CURLUPART_HOST, 0);
		out->port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
		out->path = part(u, CURLUPART_PATH, 0);
		out->query = part(u, CURLUPART_QUERY, 0);
		out->fragment = part(u, CURLUPART_FRAGMENT, 0);
	}
	curl_url_cleanup(u);
	return fine;
}

void url_parts_clear(struct url_parts *p)
{
	char **const all[] = {&p->scheme, &p->user, &p->password, &p->host, &p->port, &p->path,
	    &p->query, &p->fragment};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		free(*all[i]);
		*all[i] = NULL;
	}
}
