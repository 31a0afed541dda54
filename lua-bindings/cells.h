/* cells.h - private to lua-bindings/: the memory of one Lua state, small blocks in slabs of its
 * own.
 *
 * A state passes from thread to thread of libmilter, and the general allocator keeps its free
 * blocks by thread. Here they stay with the state: no lock, and the next life finds them warm
 * (measured: a fifth less for a session, a third less with 64 side by side). Slabs go back only all
 * at once. Not synchronised. */
#pragma once

#include <stddef.h>

#define CELLS_GRAIN 16
#define CELLS_KINDS 32
#define CELLS_LARGEST ((size_t)CELLS_KINDS * CELLS_GRAIN)

struct cells {
	size_t largest; /* CELLS_LARGEST, or less; larger blocks are malloc()'s. 0: all of them */
	void
	    *free[CELLS_KINDS]; /* blocks of (i + 1) * CELLS_GRAIN bytes, each points to the next */
	char *at, *end;		/* what is left of the newest slab */
	struct cells_slab *slabs; /* newest first */
	size_t bytes;		  /* of all slabs */
};

/* As realloc() and free(), for a caller that knows the old size; old NULL: there is none. new_size
 * 0 frees. NULL: no memory, old stays. Aligned for any type. */
void *cells_resize(struct cells *, void *old, size_t old_size, size_t new_size);
/* Gives the slabs back. No block of cells_resize() may be in use. */
void cells_clear(struct cells *);
