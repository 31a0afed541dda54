/* compat_edit.c - edits of a text, collected in any order and applied at once. */
#include "lua-bindings/compat/compat_private.h"

#include <stdlib.h>
#include <string.h>

#define MOST_EDITS                                                                              \
	200000 /* of one text, some 16 MiB: a script that makes texts must not take memory this \
		  way */

bool edits_grow(void **v, size_t n, size_t *cap, size_t element)
{
	size_t more = *cap > 0 ? 2 * *cap : 16;
	void *grown;

	if (n < *cap)
		return true;
	grown = realloc(*v, more * element);
	if (grown == NULL)
		return false;
	*v = grown;
	*cap = more;
	return true;
}

static bool keep_text(struct edits *edits, const char *text, size_t n)
{
	while (edits->pool_cap - edits->pool_n < n) {
		void *pool = edits->pool;

		if (!edits_grow(&pool, edits->pool_cap, &edits->pool_cap, 1))
			return false;
		edits->pool = pool;
	}
	if (n > 0)
		memcpy(edits->pool + edits->pool_n, text, n);
	edits->pool_n += n;
	return true;
}

size_t edits_add(
    struct edits *edits, enum edit_kind kind, size_t at, size_t removes, const char *text)
{
	void *v = edits->v;
	size_t n = strlen(text);

	if (edits->n >= MOST_EDITS) {
		edits->too_many = true;
		return 0;
	}
	if (!edits_grow(&v, edits->n, &edits->cap, sizeof *edits->v)) {
		edits->no_memory = true;
		return 0;
	}
	edits->v = v;
	if (!keep_text(edits, text, n)) {
		edits->no_memory = true;
		return 0;
	}
	edits->v[edits->n] = (struct edit){at, removes, edits->pool_n - n, n, edits->n, 0, kind};
	return ++edits->n;
}

void edits_free(struct edits *edits)
{
	free(edits->v);
	free(edits->pool);
	*edits = (struct edits){0};
}

static int by_place(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->kind == EDIT_OPEN) /* what was noted later begins further out */
		return x->order > y->order ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static char *append(char *out, const char *s, size_t n)
{
	memcpy(out, s, n);
	return out + n;
}

char *edits_apply(struct edits *edits, const char *text, size_t n, const char *head,
    const char *tail, size_t *size)
{
	size_t all = strlen(head) + n + edits->pool_n + strlen(tail), at = 0;
	char *out = malloc(all + 1), *p = out;

	if (out == NULL)
		return NULL;
	if (edits->n > 0)
		qsort(edits->v, edits->n, sizeof *edits->v, by_place);
	p = append(p, head, strlen(head));
	for (size_t i = 0; i < edits->n; i++) {
		const struct edit *e = &edits->v[i];

		p = append(p, text + at, e->at - at);
		if (e->n > 0)
			p = append(p, edits->pool + e->text, e->n);
		at = e->at + e->removes;
	}
	p = append(p, text + at, n - at);
	p = append(p, tail, strlen(tail));
	*p = '\0';
	*size = (size_t)(p - out);
	return out;
}
