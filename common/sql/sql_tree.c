/* sql_tree.c - see sql_tree.h: memory, and errors with their place. */
#include "common/sql/sql_tree.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 8192

struct sql_block {
	struct sql_block *next;
	size_t used, size;
	max_align_t bytes[];
};

void *sql_new(struct sql_tree *t, size_t n)
{
	struct sql_block *b = t->blocks;
	void *p;

	n = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (b == NULL || b->size - b->used < n) {
		size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;

		b = xcalloc(1, sizeof *b + size);
		b->size = size;
		b->next = t->blocks;
		t->blocks = b;
	}
	p = (char *)b->bytes + b->used;
	b->used += n;
	return p;
}

const char *sql_keep(struct sql_tree *t, const char *s, size_t n)
{
	char *kept = sql_new(t, n + 1);

	memcpy(kept, s, n);
	return kept;
}

void sql_tree_clear(struct sql_tree *t)
{
	while (t->blocks != NULL) {
		struct sql_block *b = t->blocks;

		t->blocks = b->next;
		free(b);
	}
}

/* "line 1, column 8: near "foo"" for people, with what stands there. */
static void place(const struct sql_tree *t, size_t at, char *out, size_t size)
{
	size_t line = 1, column = 1, n;

	for (size_t i = 0; i < at && i < t->n; i++) {
		column++;
		if (t->text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	if (at >= t->n) {
		snprintf(out, size, "line %zu, column %zu, at the end", line, column);
		return;
	}
	n = t->n - at;
	snprintf(out, size, "line %zu, column %zu, near \"%.*s\"", line, column,
	    (int)(n < 24 ? n : 24), t->text + at);
}

bool sql_wrong(struct sql_tree *t, size_t at, const char *fmt, ...)
{
	char what[240], where[120];
	va_list ap;

	if (t->failed)
		return false;
	t->failed = true;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	place(t, at, where, sizeof where);
	snprintf(t->why, sizeof t->why, "%s (%s)", what, where);
	return false;
}

bool sql_enter(struct sql_tree *t, size_t at)
{
	if (++t->depth > LIMIT_SQL_DEPTH)
		return sql_wrong(t, at, "too many things inside of each other");
	return !t->failed;
}

void sql_leave(struct sql_tree *t)
{
	t->depth--;
}
