/* cells.h - private to lua-bindings/: the memory of one Lua state, small blocks in slabs of its
 * own.
 *
 * A state passes from thread to thread of libmilter, and the general allocator keeps its free
 * blocks by thread. Here they stay with the state: no lock, and the next life finds them warm
 * (measured: a fifth less for a session, a third less with 64 side by side). Slabs go back only all
 * at once, and a block that was freed serves its own size only: a script that fills and drops one
 * size after the other would take its memory many times over. So what is taken has a limit of its
 * own. Not synchronised. */
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
	size_t large;		  /* bytes of all blocks that are malloc()'s */
	size_t most;		  /* of bytes and large together; requests beyond it fail */
};

/* As realloc() and free(), for a caller that knows the old size; old NULL: there is none. new_size
 * 0 frees. NULL: no memory, old stays. Aligned for any type. */
void *cells_resize(struct cells *, void *old, size_t old_size, size_t new_size);
/* All memory that is taken, also what no block uses. */
size_t cells_taken(const struct cells *);
/* Gives the slabs back. No block of cells_resize() may be in use. */
void cells_clear(struct cells *);
