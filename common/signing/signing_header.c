/* signing_header.c - see signing_header.h. By hand: a MIME library would write the whole field
 * anew. Linear time. */
#include "common/signing/signing_header.h"

#include "common/limits.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

bool signing_header_read(
    struct signing_bytes *out, const struct mime_source *source, uint64_t from, uint64_t to)
{
	char buffer[4096];

	if (to - from > LIMIT_SIGNING_HEADER_BYTES)
		return false;
	signing_bytes_add(out, "", 0);
	while (from < to) {
		uint64_t left = to - from;
		ssize_t got = source->read(
		    source->arg, from, buffer, left < sizeof buffer ? (size_t)left : sizeof buffer);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		signing_bytes_add(out, buffer, (size_t)got);
		from += (uint64_t)got;
	}
	return true;
}

const char *signing_header_value(const struct signing_bytes *h, const char *name, size_t *n)
{
	size_t length = strlen(name);

	for (const char *p = h->s, *end = h->s + h->n; p < end;) {
		const char *next = p;

		do { /* the field with its folds */
			next = memchr(next, '\n', (size_t)(end - next));
			next = next != NULL ? next + 1 : end;
		} while (next < end && (*next == ' ' || *next == '\t'));
		if ((size_t)(next - p) > length && p[length] == ':' &&
		    strncasecmp(p, name, length) == 0) {
			p += length + 1;
			while (next > p && (next[-1] == '\n' || next[-1] == '\r'))
				next--;
			*n = (size_t)(next - p);
			return p;
		}
		p = next;
	}
	return NULL;
}

/* ---- parameters ---- */

static size_t after_quoted(const char *s, size_t n, size_t i)
{
	for (i++; i < n && s[i] != '"'; i++)
		i += s[i] == '\\';
	return i < n ? i + 1 : n;
}

static bool is_token(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

enum parameter { PARAMETER_NONE, PARAMETER_FOUND, PARAMETER_ODD };

/* [*from, *to) is the parameter's value with its quotes. */
static enum parameter find_parameter(
    const char *s, size_t n, const char *name, size_t *from, size_t *to)
{
	size_t length = strlen(name), i = 0;

	for (;;) {
		size_t word;

		while (i < n && s[i] != ';')
			i = s[i] == '"' ? after_quoted(s, n, i) : i + 1;
		while (i < n && (s[i] == ';' || isspace((unsigned char)s[i])))
			i++;
		if (i >= n)
			return PARAMETER_NONE;
		for (word = i; i < n && is_token(s[i]);)
			i++;
		if (i - word < length || strncasecmp(s + word, name, length) != 0 ||
		    (i - word > length && s[word + length] != '*'))
			continue;
		if (i - word > length || i >= n || s[i] != '=')
			return PARAMETER_ODD;
		*from = ++i;
		if (i < n && s[i] == '"')
			i = after_quoted(s, n, i);
		while (i < n && is_token(s[i]))
			i++;
		*to = i;
		return *to > *from ? PARAMETER_FOUND : PARAMETER_ODD;
	}
}

/* Is [from, to) that value, with or without quotes? */
static bool is_value(const char *s, size_t from, size_t to, const char *value)
{
	if (s[from] == '"') {
		from++;
		to -= to > from && s[to - 1] == '"';
	}
	return to - from == strlen(value) && strncasecmp(s + from, value, to - from) == 0;
}

bool signing_header_parameter_is(
    const struct signing_bytes *h, const char *parameter, const char *value)
{
	size_t n, from, to;
	const char *type = signing_header_value(h, "Content-Type", &n);

	return type != NULL && find_parameter(type, n, parameter, &from, &to) == PARAMETER_FOUND &&
	       is_value(type, from, to, value);
}

char *signing_header_new_type(const struct signing_bytes *h, const char *old, const char *charset)
{
	size_t n, from, to;
	const char *type = signing_header_value(h, "Content-Type", &n);

	if (type == NULL)
		return xasprintf(" text/plain; charset=%s", charset);
	switch (find_parameter(type, n, "charset", &from, &to)) {
	case PARAMETER_FOUND:
		if (!is_value(type, from, to, old))
			break;
		return xasprintf("%.*s%s%.*s", (int)from, type, charset, (int)(n - to), type + to);
	case PARAMETER_NONE:
		if (*old != '\0')
			break;
		while (n > 0 && (isspace((unsigned char)type[n - 1]) || type[n - 1] == ';'))
			n--;
		return xasprintf("%.*s; charset=%s", (int)n, type, charset);
	case PARAMETER_ODD:
		break;
	}
	return NULL;
}

void signing_header_set(struct signing_bytes *h, const char *name, const char *value)
{
	struct signing_bytes out = {NULL, 0, 0};
	size_t n;
	const char *old = signing_header_value(h, name, &n);

	if (old != NULL) {
		signing_bytes_add(&out, h->s, (size_t)(old - h->s));
		signing_bytes_text(&out, value);
		signing_bytes_add(&out, old + n, h->n - (size_t)(old - h->s) - n);
	} else {
		signing_bytes_text(&out, name);
		signing_bytes_text(&out, ":");
		signing_bytes_text(&out, value);
		signing_bytes_text(&out, "\r\n");
		signing_bytes_add(&out, h->s, h->n);
	}
	signing_bytes_free(h);
	*h = out;
}
