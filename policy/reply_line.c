/* reply_line.c - see reply_line.h. */
#include "policy/reply_line.h"

#include "common/list.h"
#include "common/reply.h"

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 500 /* RFC 5321 4.5.3.1.5: a reply line has 512 with its CR LF */

static bool refuses(int code)
{
	return code / 100 == 4 || code / 100 == 5;
}

static char *join(const struct reply *r)
{
	char *out = xasprintf("%d%s%s", r->code, r->xcode[0] != '\0' ? " " : "", r->xcode);

	for (int i = 0; i < r->nlines; i++) {
		char *longer = xasprintf("%s %s", out, r->lines[i]);

		free(out);
		out = longer;
	}
	if (strlen(out) > LINE_BYTES)
		out[LINE_BYTES] = '\0';
	return out;
}

char *reply_line_replace(
    int code, const char *reply, const char *wanted, bool any, const char **why)
{
	struct reply r;
	char *out = NULL;

	*why = NULL;
	if (strcmp(reply, wanted) == 0)
		return NULL;
	if (reply_parse(&r, wanted, strlen(wanted), NULL) != REPLY_OK) {
		*why = "it does not begin with a reply code";
		return NULL;
	}
	if ((refuses(code) && refuses(r.code)) || any)
		out = join(&r);
	else
		*why = "only 4xx and 5xx may become each other: anything else loses or doubles "
		       "mail; see outbound.any_reply";
	reply_free(&r);
	return out;
}
