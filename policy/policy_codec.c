/* policy_codec.c - see policy_codec.h. */
#include "policy/policy_codec.h"

#include "common/list.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 1024 /* a request of Postfix 3.7 fits */

void policy_reader_clear(struct policy_reader *r)
{
	free(r->text);
	r->text = NULL;
	r->n = r->cap = r->nattributes = r->nduplicates = 0;
	r->complete = false;
	r->why = NULL;
}

bool policy_reader_idle(const struct policy_reader *r)
{
	return r->complete || r->n == 0;
}

static enum codec broken(struct policy_reader *r, const char *why)
{
	r->why = why;
	return CODEC_BROKEN;
}

static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n > 0;
}

const char *policy_attribute(const struct policy_attribute *a, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(a[i].name, name) == 0)
			return a[i].value;
	return "";
}

static bool has_attribute(const struct policy_reader *r, const char *name)
{
	for (size_t i = 0; i < r->nattributes; i++)
		if (strcmp(r->attributes[i].name, name) == 0)
			return true;
	return false;
}

static const char *add_line(struct policy_reader *r, char *line)
{
	char *equals = strchr(line, '=');

	if (equals == NULL || !is_name(line, (size_t)(equals - line)))
		return "a line that is not name=value";
	*equals = '\0';
	if (has_attribute(r, line)) {
		r->nduplicates++;
		return NULL;
	}
	if (r->nattributes == LIMIT_POLICY_ATTRIBUTES)
		return "too many attributes";
	r->attributes[r->nattributes++] = (struct policy_attribute){line, equals + 1};
	return NULL;
}

/* The whole request, with the empty line, is in the buffer. */
static enum codec split(struct policy_reader *r)
{
	char *line = r->text, *end = r->text + r->n - 1;

	if (memchr(r->text, '\0', r->n) != NULL)
		return broken(r, "a zero byte in the request");
	while (line < end) {
		char *stop = memchr(line, '\n', (size_t)(end - line) + 1);
		const char *why;

		*stop = '\0';
		why = add_line(r, line);
		if (why != NULL)
			return broken(r, why);
		line = stop + 1;
	}
	if (r->nattributes == 0)
		return broken(r, "a request without attributes");
	r->complete = true;
	return CODEC_MESSAGE;
}

static void append(struct policy_reader *r, const char *p, size_t n)
{
	if (r->n + n > r->cap) {
		size_t cap = r->cap > 0 ? r->cap : FIRST_BYTES;

		while (cap < r->n + n)
			cap *= 2;
		r->text = xrealloc(r->text, cap);
		r->cap = cap;
	}
	memcpy(r->text + r->n, p, n);
	r->n += n;
}

enum codec policy_feed(struct policy_reader *r, const char **p, size_t *n)
{
	if (r->complete)
		policy_reader_clear(r);
	while (*n > 0) {
		const char *stop = memchr(*p, '\n', *n);
		size_t part = stop != NULL ? (size_t)(stop - *p) + 1 : *n;
		bool line_begins = r->n == 0 || r->text[r->n - 1] == '\n';

		if (part > LIMIT_POLICY_REQUEST_BYTES - r->n)
			return broken(r, "the request is too long");
		append(r, *p, part);
		*p += part;
		*n -= part;
		if (line_begins && part == 1 && stop != NULL)
			return split(r);
	}
	return CODEC_MORE;
}

char *policy_reply(const char *action, size_t n, size_t *size)
{
	static const char head[] = "action=";
	char *out;

	if (n == 0 || n > LIMIT_POLICY_ACTION_BYTES)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)action[i] < ' ' || action[i] == 0x7f)
			return NULL;
	*size = sizeof head - 1 + n + 2;
	out = xmalloc(*size);
	memcpy(out, head, sizeof head - 1);
	memcpy(out + sizeof head - 1, action, n);
	memcpy(out + *size - 2, "\n\n", 2);
	return out;
}
