/* signing_bytes.h - bytes that grow. Private to common/signing*. What is kept in one is bounded by
 * LIMIT_SIGNING_*. */
#pragma once

#include "common/list.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct signing_bytes {
	char *s; /* terminated by a NUL that n does not count; NULL when empty */
	size_t n, cap;
};

static inline void signing_bytes_add(struct signing_bytes *b, const void *bytes, size_t n)
{
	if (b->n + n + 1 > b->cap) {
		b->cap = 2 * (b->n + n + 1);
		b->s = xrealloc(b->s, b->cap);
	}
	if (n > 0)
		memcpy(b->s + b->n, bytes, n);
	b->n += n;
	b->s[b->n] = '\0';
}

static inline void signing_bytes_text(struct signing_bytes *b, const char *text)
{
	signing_bytes_add(b, text, strlen(text));
}

static inline void signing_bytes_free(struct signing_bytes *b)
{
	free(b->s);
	*b = (struct signing_bytes){NULL, 0, 0};
}
