/* The allocator of a Lua state: contents survive any sequence of sizes, blocks do not overlap, are
 * aligned, and are used again; what is larger than its largest cell is malloc()'s. */
#include "lua-bindings/cells.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCKS 200
#define STEPS 100000

struct block {
	unsigned char *p;
	size_t size;
	unsigned char fill;
};

static bool is_intact(const struct block *b)
{
	for (size_t i = 0; i < b->size; i++)
		if (b->p[i] != b->fill)
			return false;
	return true;
}

/* b gets a new size; what it held is still there. */
static void step(struct cells *c, struct block *b, size_t size, unsigned char fill)
{
	size_t kept = b->size < size ? b->size : size;

	assert_true(is_intact(b));
	b->p = cells_resize(c, b->p, b->size, size);
	b->size = kept;
	if (size == 0) {
		assert_null(b->p);
		return;
	}
	assert_non_null(b->p);
	assert_int_equal((uintptr_t)b->p % _Alignof(max_align_t), 0);
	assert_true(is_intact(b));
	memset(b->p, fill, size);
	b->size = size;
	b->fill = fill;
}

static void try_sizes(size_t largest_cell, size_t largest_size)
{
	struct cells c = {.largest = largest_cell};
	struct block blocks[BLOCKS] = {{NULL, 0, 0}};
	unsigned seed = 1;

	for (int i = 0; i < STEPS; i++) {
		struct block *b = &blocks[(unsigned)rand_r(&seed) % BLOCKS];
		size_t size = rand_r(&seed) % 4 == 0 ? 0 : (unsigned)rand_r(&seed) % largest_size;

		step(&c, b, size, (unsigned char)i);
	}
	for (int i = 0; i < BLOCKS; i++)
		step(&c, &blocks[i], 0, 0);
	assert_true(largest_cell > 0 || c.bytes == 0);
	cells_clear(&c);
	assert_int_equal(c.bytes, 0);
	assert_int_equal(c.largest, largest_cell);
}

static void test_any_sizes(void **state)
{
	(void)state;
	try_sizes(CELLS_LARGEST, 2 * CELLS_LARGEST);
	try_sizes(CELLS_LARGEST, 40);
	try_sizes(64, 200);
	try_sizes(0, 200);
}

static void test_blocks_are_used_again(void **state)
{
	struct cells c = {.largest = CELLS_LARGEST};
	size_t bytes = 0;

	(void)state;
	for (int round = 0; round < 10; round++) {
		void *p[1000];

		for (int i = 0; i < 1000; i++)
			p[i] = cells_resize(&c, NULL, 0, (size_t)i % CELLS_LARGEST + 1);
		for (int i = 0; i < 1000; i++)
			cells_resize(&c, p[i], (size_t)i % CELLS_LARGEST + 1, 0);
		assert_true(round == 0 || c.bytes == bytes);
		bytes = c.bytes;
	}
	cells_clear(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_sizes),
	    cmocka_unit_test(test_blocks_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
