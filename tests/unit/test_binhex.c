/* BinHex 4.0: what is decoded, and that damage is reported and never more than that (R15). */
#include "common/mime/binhex.h"
#include "common/limits.h"
#include "tests/unit/container_rig.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static bool collect(void *arg, const void *bytes, size_t n)
{
	made_add(arg, bytes, n);
	return true;
}

static bool count(void *arg, const void *bytes, size_t n)
{
	(void)bytes;
	*(uint64_t *)arg += n;
	return true;
}

static bool refuse(void *arg, const void *bytes, size_t n)
{
	(void)arg;
	(void)bytes;
	(void)n;
	return false;
}

/* Feeds the text in pieces of the given size. */
static enum binhex_state decode(
    const struct made *text, size_t piece, struct made *out, struct binhex_info *info)
{
	struct binhex *b = binhex_new(collect, out);
	enum binhex_state state = BINHEX_MORE;

	for (size_t at = 0; at < text->n; at += piece)
		state = binhex_feed(b, text->s + at, piece < text->n - at ? piece : text->n - at);
	*info = *binhex_info(b);
	binhex_free(b);
	return state;
}

static void check(const struct binhex_recipe *r, size_t piece)
{
	struct made text = made_binhex(r), out = {NULL, 0};
	struct binhex_info info;

	assert_int_equal(decode(&text, piece, &out, &info), BINHEX_DONE);
	assert_true(info.header && info.complete);
	assert_false(info.too_large);
	assert_int_equal(info.wrong_sum, r->spoil_head != 0 || r->spoil_data != 0);
	assert_int_equal(info.name_size, strlen(r->name));
	assert_memory_equal(info.name, r->name, info.name_size);
	assert_memory_equal(info.type, "TEXT", 4);
	assert_int_equal(info.data_size, r->size);
	assert_int_equal(info.resource_size, 0);
	assert_int_equal(info.data_got, r->size);
	assert_int_equal(out.n, r->size);
	if (r->size > 0)
		assert_memory_equal(out.s, r->data, r->size);
	free(text.s);
	free(out.s);
}

static void test_files(void **state)
{
	static char bytes[70000], zeros[1000];
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = random_next(&seed) % 4 ? (char)random_next(&seed) : (char)0x90;
	for (int runs = 0; runs < 2; runs++) {
		for (size_t size = 0; size < 40; size++)
			check(
			    &(struct binhex_recipe){"f", bytes, size, .runs = runs}, 1 + size % 5);
		check(&(struct binhex_recipe){"big", bytes, sizeof bytes, .runs = runs}, 1000);
		check(&(struct binhex_recipe){"zeros", zeros, sizeof zeros, .runs = runs}, 64);
		check(&(struct binhex_recipe){"\x90\x90\x90\x90", bytes, 100, .runs = runs}, 64);
		check(
		    &(struct binhex_recipe){
			"a name of the sixty-three characters that a Macintosh allowed..", bytes,
			100, .runs = runs},
		    7);
	}
}

/* "hello" as the binhex program of Debian's macutils writes it: not made by our own encoder. */
static void test_foreign(void **state)
{
	static const char text[] = "(This file must be converted; you knew that already.)\n\n"
				   ":!Q*i!&4&@&40380\"!*!&\"3!!!!\"Q'@KPE'a[`f)!!!:\n";
	struct made bytes = {NULL, 0}, out = {NULL, 0};
	struct binhex_info info;

	(void)state;
	made_add(&bytes, text, sizeof text - 1);
	assert_int_equal(decode(&bytes, 5, &out, &info), BINHEX_DONE);
	assert_true(info.complete && !info.wrong_sum);
	assert_memory_equal(info.name, "bx", 2);
	assert_int_equal(out.n, 5);
	assert_memory_equal(out.s, "hello", 5);
	free(bytes.s);
	free(out.s);
}

static void test_sums(void **state)
{
	(void)state;
	check(&(struct binhex_recipe){"f", "data", 4, .spoil_head = 1}, 64);
	check(&(struct binhex_recipe){"f", "data", 4, .spoil_data = 0x8000}, 64);
}

static void test_cut_short(void **state)
{
	struct made text = made_binhex(&(struct binhex_recipe){
			.name = "name", .data = "some data here", .size = 14}),
		    part;

	(void)state;
	for (part = text; part.n > 0; part.n--) {
		struct made out = {NULL, 0};
		struct binhex_info info;

		(void)decode(&part, 64, &out, &info);
		assert_true(out.n <= 14);
		assert_int_equal(out.n, info.data_got);
		assert_memory_equal("some data here", out.n ? (char *)out.s : "", out.n);
		free(out.s);
	}
	free(text.s);
}

static void test_no_binhex(void **state)
{
	static const char *const texts[] = {
	    "::",		      /* nothing */
	    ": some words: and more", /* characters outside of the alphabet */
	    ":!!!!!!!!!!!!!!!!!!!!:", /* a name of no length */
	    ":rrrrrrrrrrrrrrrrrrrr:", /* one of 255 characters */
	    ":N!!!!!!!!!!!!!!!!!!!:", /* a run of nothing */
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct made text = {(unsigned char *)texts[i], strlen(texts[i])};
		struct made out = {NULL, 0};
		struct binhex_info info;

		assert_int_equal(decode(&text, 3, &out, &info), BINHEX_WRONG);
		assert_false(info.header);
		assert_int_equal(out.n, 0);
	}
	binhex_free(NULL);
}

/* A hundred bytes for each one of the text: stops at the limit, in bounded time. */
static void test_bomb(void **state)
{
	/* 24 bytes with the CRC, so 32 characters after the colon; the data fork comes next */
	struct made start = made_binhex(&(struct binhex_recipe){"bo", "", 0, .stated = 0xffffffff});
	static const char runs[] = "N2q3rj$r"; /* three runs of 255 */
	uint64_t got = 0;
	struct binhex *b = binhex_new(count, &got);
	enum binhex_state now = binhex_feed(b, start.s, 33);

	(void)state;
	assert_true(binhex_info(b)->header);
	for (size_t i = 0; now == BINHEX_MORE && i < LIMIT_BINHEX_FILE_BYTES / 254; i++)
		now = binhex_feed(b, runs, sizeof runs - 1);
	assert_int_equal(now, BINHEX_WRONG);
	assert_true(binhex_info(b)->too_large);
	assert_int_equal(binhex_info(b)->data_got, LIMIT_BINHEX_FILE_BYTES);
	assert_int_equal(got, LIMIT_BINHEX_FILE_BYTES);
	binhex_free(b);
	free(start.s);
}

static void test_sink_refuses(void **state)
{
	struct made text =
	    made_binhex(&(struct binhex_recipe){.name = "f", .data = "data", .size = 4});
	struct binhex *b = binhex_new(refuse, NULL);

	(void)state;
	assert_int_equal(binhex_feed(b, text.s, text.n), BINHEX_WRONG);
	assert_int_equal(binhex_feed(b, text.s, text.n), BINHEX_WRONG);
	binhex_free(b);
	b = binhex_new(NULL, NULL);
	assert_int_equal(binhex_feed(b, text.s, text.n), BINHEX_DONE);
	assert_int_equal(binhex_info(b)->data_got, 4);
	binhex_free(b);
	free(text.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_foreign),
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_cut_short),
	    cmocka_unit_test(test_no_binhex),
	    cmocka_unit_test(test_bomb),
	    cmocka_unit_test(test_sink_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
