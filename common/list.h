/* list.h - list of owned strings,.
 *
 * A struct strlist owns copies of its strings. Zero it (or STRLIST_INIT) before use and
 * strlist_clear() it after. Not synchronised. Running out of memory ends the process: the
 * lists are bounded by limits.h, and the supervising parent starts a new worker. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct strlist {
	char **v;
	size_t n, cap;
};

#define STRLIST_INIT       \
	{                  \
		NULL, 0, 0 \
	}

void strlist_add(struct strlist *, const char *);
void strlist_addn(struct strlist *, const char *, size_t n);
void strlist_copy(struct strlist *to, const struct strlist *from); /* replaces what `to` held */
void strlist_remove(struct strlist *, size_t i);
bool strlist_has(const struct strlist *, const char *);	       /* byte for byte */
bool strlist_has_nocase(const struct strlist *, const char *); /* ASCII case folded */
void strlist_clear(struct strlist *);

/* malloc family that never returns NULL: logs and ends the process instead. For sizes bounded
 * by limits.h only; buffers whose size a peer chooses go through message.h or check malloc. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *, size_t n);
/* v, an array of n elements, with room for one more: doubled whenever n is a power of two, so the
 * caller need not keep a capacity. */
void *xgrow(void *v, size_t n, size_t size);
char *xstrdup(const char *);
char *xstrndup(const char *, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Free *p and put a copy of s (may be NULL) in its place. */
void xreplace(char **p, const char *s);
