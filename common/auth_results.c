/* auth_results.c - see auth_results.h. */
#include "common/auth_results.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind blanks and comments, which may be nested; NULL when a comment has no end. */
static const char *skip_comments(const char *p)
{
	int depth = 0;

	for (; *p != '\0'; p++) {
		if (*p == '(')
			depth++;
		else if (*p == ')' && depth > 0)
			depth--;
		else if (*p == '\\' && depth > 0 && p[1] != '\0')
			p++;
		else if (depth == 0 && !is_blank(*p))
			break;
	}
	return depth == 0 ? p : NULL;
}

bool auth_results_claims(const char *value, const char *id)
{
	const char *start = skip_comments(value);
	size_t n;

	if (*id == '\0' || start == NULL)
		return true;
	if (*start == '"') {
		start++;
		n = strcspn(start, "\"\\"); /* an escape in a host name: nobody writes that */
		if (start[n] != '"')
			return true;
	} else {
		n = strcspn(start, " \t\r\n;(");
	}
	return n == 0 || (n == strlen(id) && strncasecmp(start, id, n) == 0);
}
