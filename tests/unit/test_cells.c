/* The allocator of a Lua state: contents survive any sequence of sizes, blocks do not overlap, are
 * aligned, and are used again; what is larger than its largest cell is malloc()'s. What a state
 * takes is bounded and counted, also when no object uses it any more (R5). */
#include "lua-bindings/cells.h"
#include "lua-bindings/guard.h"

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
	struct cells c = {.largest = largest_cell, .most = SIZE_MAX};
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
	assert_int_equal(c.large, 0);
	cells_clear(&c);
	assert_int_equal(cells_taken(&c), 0);
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

/* A block stays where it is as long as its cell has room: no copy, and shrinking cannot fail. */
static void test_a_cell_has_room(void **state)
{
	struct cells c = {.largest = 4 * CELLS_GRAIN, .most = SIZE_MAX};
	char *p = cells_resize(&c, NULL, 0, CELLS_GRAIN + 1), *other;

	(void)state;
	c.most = 0; /* nothing more */
	memset(p, 'a', CELLS_GRAIN + 1);
	assert_ptr_equal(cells_resize(&c, p, CELLS_GRAIN + 1, 2 * CELLS_GRAIN), p);
	memset(p, 'b', 2 * CELLS_GRAIN);
	assert_ptr_equal(cells_resize(&c, p, 2 * CELLS_GRAIN, CELLS_GRAIN + 1), p);
	assert_int_equal(p[CELLS_GRAIN], 'b');
	other = cells_resize(&c, p, CELLS_GRAIN + 1, CELLS_GRAIN);
	assert_ptr_not_equal(other, p);
	assert_ptr_equal(cells_resize(&c, NULL, 0, 2 * CELLS_GRAIN), p); /* free again */
	c.most = SIZE_MAX;
	other = cells_resize(&c, other, CELLS_GRAIN, 4 * CELLS_GRAIN + 1); /* no cell's */
	assert_non_null(other);
	assert_int_equal(c.large, 4 * CELLS_GRAIN + 1);
	assert_null(cells_resize(&c, other, 4 * CELLS_GRAIN + 1, 0));
	assert_null(cells_resize(&c, p, 2 * CELLS_GRAIN, 0));
	cells_clear(&c);
}

static void test_blocks_are_used_again(void **state)
{
	struct cells c = {.largest = CELLS_LARGEST, .most = SIZE_MAX};
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

/* ---- what a state takes ---- */

#define MIB ((size_t)1024 * 1024)
#define CAP (4 * MIB)

/* Blocks of this size until there are no more, at most n. */
static size_t fill(struct guard *g, void **blocks, size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++) {
		blocks[i] = guard_alloc(g, NULL, 0, size);
		if (blocks[i] == NULL)
			return i;
	}
	return n;
}

static void drop(struct guard *g, void **blocks, size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++)
		guard_alloc(g, blocks[i], size, 0);
}

/* One size after the other, from the largest to the smallest cell: a script can do that. */
static void test_one_size_after_the_other(void **state)
{
	static void *blocks[CAP / CELLS_GRAIN];
	size_t most = sizeof blocks / sizeof *blocks, n = 0;
	struct guard g = {0};

	(void)state;
	guard_init(&g, CELLS_LARGEST);
	guard_limit(&g, 0, CAP, INT64_MAX);
	for (size_t size = CELLS_LARGEST; size > 0; size -= CELLS_GRAIN) {
		n = fill(&g, blocks, most, size);
		drop(&g, blocks, n, size);
		assert_int_equal(g.used, 0);
		assert_true(cells_taken(&g.cells) <= 2 * CAP + GUARD_SPARE_BYTES);
		assert_true(size < CELLS_LARGEST || n == CAP / CELLS_LARGEST); /* all of the cap */
	}
	assert_int_equal(n, 0); /* no more slabs */
	blocks[0] = guard_alloc(&g, NULL, 0, CAP);
	assert_null(blocks[0]); /* nor anything else */
	assert_int_equal(fill(&g, blocks, most, CELLS_LARGEST), CAP / CELLS_LARGEST);
	drop(&g, blocks, CAP / CELLS_LARGEST, CELLS_LARGEST);
	guard_clear(&g);
}

/* The sum of the process knows of memory that no object uses, until it goes back. */
static void test_the_sum(void **state)
{
	static void *blocks[4 * MIB / CELLS_LARGEST];
	size_t most = sizeof blocks / sizeof *blocks;
	struct guard one = {0}, other = {0};

	(void)state;
	guard_limit_total(6 * MIB);
	for (int round = 0; round < 3; round++) {
		guard_init(&one, CELLS_LARGEST);
		guard_limit(&one, 0, 64 * MIB, INT64_MAX);
		guard_init(&other, CELLS_LARGEST);
		guard_limit(&other, 0, 64 * MIB, INT64_MAX);
		assert_int_equal(fill(&one, blocks, most, CELLS_LARGEST), most);
		drop(&one, blocks, most, CELLS_LARGEST);
		most = fill(&other, blocks, most, CELLS_LARGEST);
		assert_in_range(most * CELLS_LARGEST, MIB, 2 * MIB + MIB / 2);
		drop(&other, blocks, most, CELLS_LARGEST);
		guard_clear(&one);
		most = sizeof blocks / sizeof *blocks;
		assert_int_equal(fill(&other, blocks, most, CELLS_LARGEST), most);
		drop(&other, blocks, most, CELLS_LARGEST);
		guard_clear(&other);
	}
	guard_limit_total(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_sizes),
	    cmocka_unit_test(test_a_cell_has_room),
	    cmocka_unit_test(test_blocks_are_used_again),
	    cmocka_unit_test(test_one_size_after_the_other),
	    cmocka_unit_test(test_the_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
