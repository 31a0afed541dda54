/* cells.c - see cells.h.
 *
 * By hand, because allocators in libraries serve whole processes: with mimalloc and jemalloc in
 * place of malloc() the milter took more time, not less (threads that end hand their heaps over).
 */
#include "lua-bindings/cells.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SLAB_BYTES (16 * 1024)

struct cells_slab {
	struct cells_slab *next;
	max_align_t blocks[];
};

static size_t kind_of(size_t size)
{
	return (size - 1) / CELLS_GRAIN;
}

size_t cells_taken(const struct cells *c)
{
	return c->bytes + c->large;
}

static bool may_take(const struct cells *c, size_t more)
{
	size_t taken = cells_taken(c);

	return taken <= c->most && more <= c->most - taken;
}

static bool add_slab(struct cells *c)
{
	struct cells_slab *s = may_take(c, SLAB_BYTES) ? malloc(SLAB_BYTES) : NULL;

	if (s == NULL)
		return false;
	s->next = c->slabs;
	c->slabs = s;
	c->bytes += SLAB_BYTES;
	c->at = (char *)s->blocks;
	c->end = (char *)s + SLAB_BYTES;
	return true;
}

static void *take(struct cells *c, size_t size)
{
	size_t kind = kind_of(size), bytes = (kind + 1) * CELLS_GRAIN;
	void *block = c->free[kind];

	if (block != NULL) {
		memcpy(&c->free[kind], block, sizeof block);
		return block;
	}
	if ((size_t)(c->end - c->at) < bytes && !add_slab(c))
		return NULL;
	block = c->at;
	c->at += bytes;
	return block;
}

static void give(struct cells *c, void *block, size_t size)
{
	size_t kind = kind_of(size);

	memcpy(block, &c->free[kind], sizeof block);
	c->free[kind] = block;
}

static bool same_cell(const struct cells *c, size_t a, size_t b)
{
	return a <= c->largest && b <= c->largest && kind_of(a) == kind_of(b);
}

/* As realloc(). */
static void *resize_large(struct cells *c, void *old, size_t old_size, size_t size)
{
	void *block = NULL;

	if (size <= old_size || may_take(c, size - old_size))
		block = realloc(old, size);
	if (block != NULL)
		c->large += size - old_size; /* wraps where it shrinks */
	return block;
}

static void *get(struct cells *c, size_t size)
{
	return size > c->largest ? resize_large(c, NULL, 0, size) : take(c, size);
}

static void put(struct cells *c, void *block, size_t size)
{
	if (size <= c->largest) {
		give(c, block, size);
		return;
	}
	free(block);
	c->large -= size;
}

void *cells_resize(struct cells *c, void *old, size_t old_size, size_t new_size)
{
	size_t smaller = old_size < new_size ? old_size : new_size;
	void *block;

	if (old == NULL)
		return new_size == 0 ? NULL : get(c, new_size);
	if (new_size == 0) {
		put(c, old, old_size);
		return NULL;
	}
	if (same_cell(c, old_size, new_size))
		return old;
	if (smaller > c->largest)
		return resize_large(c, old, old_size, new_size);
	block = get(c, new_size);
	if (block != NULL) {
		memcpy(block, old, smaller);
		put(c, old, old_size);
	}
	return block;
}

void cells_clear(struct cells *c)
{
	while (c->slabs != NULL) {
		struct cells_slab *next = c->slabs->next;

		free(c->slabs);
		c->slabs = next;
	}
	*c = (struct cells){.largest = c->largest, .most = c->most};
}
