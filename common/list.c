/* list.c - see list.h.
 *
 * By hand although utarray exists: its elements are reached through untyped macros over a byte
 * buffer; these few lines let callers write list->v[i] and have the compiler check it. */
#include "common/list.h"

#include "common/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

static _Noreturn void out_of_memory(size_t n)
{
	log_fatal(EX_OSERR, "out of memory: %zu bytes refused", n);
}

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (p == NULL)
		out_of_memory(n);
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL)
		out_of_memory(n * size);
	return p;
}

void *xrealloc(void *old, size_t n)
{
	void *p = realloc(old, n ? n : 1);

	if (p == NULL)
		out_of_memory(n);
	return p;
}

void *xgrow(void *v, size_t n, size_t size)
{
	if ((n & (n - 1)) != 0)
		return v;
	if (n > SIZE_MAX / 2 / size)
		out_of_memory(SIZE_MAX);
	return xrealloc(v, (n ? 2 * n : 1) * size);
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(strlen(fmt));
	return p;
}

void xreplace(char **p, const char *s)
{
	char *copy = s != NULL ? xstrdup(s) : NULL; /* s may point into *p */

	free(*p);
	*p = copy;
}

void strlist_addn(struct strlist *l, const char *s, size_t n)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 8;

		if (cap > SIZE_MAX / sizeof *l->v)
			out_of_memory(SIZE_MAX);
		l->v = xrealloc(l->v, cap * sizeof *l->v);
		l->cap = cap;
	}
	l->v[l->n++] = xstrndup(s, n);
}

void strlist_add(struct strlist *l, const char *s)
{
	strlist_addn(l, s, strlen(s));
}

void strlist_copy(struct strlist *to, const struct strlist *from)
{
	struct strlist copy = STRLIST_INIT;

	for (size_t i = 0; i < from->n; i++)
		strlist_add(&copy, from->v[i]);
	strlist_clear(to);
	*to = copy;
}

void strlist_remove(struct strlist *l, size_t i)
{
	if (i >= l->n)
		return;
	free(l->v[i]);
	l->n--;
	memmove(&l->v[i], &l->v[i + 1], (l->n - i) * sizeof *l->v);
}

bool strlist_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

bool strlist_has_nocase(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcasecmp(l->v[i], s) == 0)
			return true;
	return false;
}

void strlist_clear(struct strlist *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strlist)STRLIST_INIT;
}
