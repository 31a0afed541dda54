/* TNEF: which files are found, and that no length, count or depth leads outside (R15). */
#include "common/limits.h"
#include "common/mime/tnef.h"
#include "tests/unit/container_rig.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Reads a copy of exactly n bytes, so that a byte too far is seen by the sanitizer. */
static struct made copy_of(const struct made *m, size_t n)
{
	struct made c = {xmalloc(n), n};

	if (n > 0)
		memcpy(c.s, m->s, n);
	return c;
}

static void check_inside(const struct tnef *t, const struct made *m)
{
	for (size_t i = 0; i < t->nfiles; i++) {
		const struct tnef_file *f = &t->files[i];
		const struct tnef_text *texts[] = {&f->name, &f->type};

		assert_true(f->offset <= m->n && f->size <= m->n - f->offset);
		for (int k = 0; k < 2; k++)
			assert_true(
			    texts[k]->s == NULL
				? texts[k]->n == 0
				: texts[k]->s >= m->s && texts[k]->s + texts[k]->n <= m->s + m->n);
	}
}

static void check_file(
    const struct made *m, const struct tnef *t, size_t i, const char *name, const char *data)
{
	const struct tnef_file *f = &t->files[i];

	assert_true(i < t->nfiles);
	assert_int_equal(f->name.n, strlen(name));
	assert_memory_equal(f->name.s != NULL ? (const char *)f->name.s : "", name, f->name.n);
	assert_int_equal(f->size, strlen(data));
	assert_memory_equal(m->s + f->offset, data, f->size);
}

static void test_files(void **state)
{
	struct made m = made_tnef();
	struct tnef t;

	(void)state;
	made_attribute(&m, 1, 0x00089006, "\0\0\1\0", 4); /* version */
	made_attribute(&m, 1, 0x00078008, "IPM.Note", 9); /* class */
	made_file(&m, "a.txt", "alpha", 5, NULL, 0);
	made_file(&m, "b.txt", "", 0, NULL, 0);
	made_file(&m, NULL, "gamma", 5, NULL, 0);
	made_attribute(&m, 2, 0x00018010, "late.txt", 9); /* a title after the data */
	tnef_read(&t, m.s, m.n);
	assert_true(t.is_tnef);
	assert_false(t.damaged || t.wrong_sum || t.too_many || t.too_deep);
	assert_int_equal(t.nfiles, 3);
	check_file(&m, &t, 0, "a.txt", "alpha");
	check_file(&m, &t, 1, "b.txt", "");
	check_file(&m, &t, 2, "late.txt", "gamma");
	assert_int_equal(t.files[0].name.codepage, 1252);
	tnef_clear(&t);
	tnef_clear(&t);
	free(m.s);
}

/* Properties of every kind before those that count, so that each must be skipped rightly. */
static unsigned add_all_types(struct made *p)
{
	static const struct {
		unsigned type, size;
	} fixed[] = {{0x02, 4}, {0x03, 4}, {0x04, 4}, {0x05, 8}, {0x06, 8}, {0x07, 8}, {0x0a, 4},
	    {0x0b, 4}, {0x14, 8}, {0x40, 8}, {0x48, 16}};
	unsigned count = 0;

	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++, count += 2) {
		made_low(p, fixed[i].type, 2);
		made_low(p, 0x3000, 2);
		made_low(p, 0xaa, (int)fixed[i].size);
		made_low(p, fixed[i].type | 0x1000, 2); /* three values */
		made_low(p, 0x3000, 2);
		made_low(p, 3, 4);
		for (int k = 0; k < 3; k++)
			made_low(p, 0xbb, (int)fixed[i].size);
	}
	/* names of their own: a number, and a text */
	made_low(p, 0x03, 2);
	made_low(p, 0x8001, 2);
	made_add(p, "0123456789abcdef", 16);
	made_low(p, 0, 4);
	made_low(p, 42, 4);
	made_low(p, 1, 4);
	made_low(p, 0x1e, 2);
	made_low(p, 0x8002, 2);
	made_add(p, "0123456789abcdef", 16);
	made_low(p, 1, 4);
	made_low(p, 6, 4);
	made_add(p, "a\0b\0\0\0\0\0", 8);
	made_low(p, 2, 4); /* two values */
	made_low(p, 3, 4);
	made_add(p, "xyz\0", 4);
	made_low(p, 5, 4);
	made_add(p, "12345\0\0\0", 8);
	return count + 2;
}

static void test_properties(void **state)
{
	struct made m = made_tnef(), p = {NULL, 0};
	unsigned count = add_all_types(&p);
	struct tnef t;

	(void)state;
	made_property(&p, 0x1e, 0x3001, "shown", 6);
	made_property(&p, 0x1e, 0x3704, "SHORT~1.PDF", 12);
	made_property(&p, 0x1f, 0x3707, "l\0\xf6\0n\0g\0\0\0", 10);
	made_property(&p, 0x1e, 0x370e, "application/pdf", 16);
	made_attribute(&m, 1, 0x00069007, "\xe4\x04\0\0\0\0\0\0", 8); /* code page 1252 */
	made_file(&m, "TITLE.PDF", "data", 4, &p, count + 4);
	tnef_read(&t, m.s, m.n);
	assert_false(t.damaged || t.wrong_sum);
	assert_int_equal(t.nfiles, 1);
	assert_int_equal(t.files[0].name.codepage, 1200);
	assert_int_equal(t.files[0].name.n, 8);
	assert_memory_equal(t.files[0].name.s, "l\0\xf6\0n\0g\0", 8);
	assert_int_equal(t.files[0].type.n, 15);
	assert_memory_equal(t.files[0].type.s, "application/pdf", 15);
	tnef_clear(&t);
	free(m.s);
	free(p.s);
}

static void test_code_page(void **state)
{
	struct made m = made_tnef();
	struct tnef t;

	(void)state;
	made_attribute(&m, 1, 0x00069007, "\xa4\x03\0\0\0\0\0\0", 8);
	made_file(&m, "\x83\x65.txt", "data", 4, NULL, 0);
	tnef_read(&t, m.s, m.n);
	assert_int_equal(t.files[0].name.codepage, 932);
	check_file(&m, &t, 0, "\x83\x65.txt", "data");
	tnef_clear(&t);
	free(m.s);
}

/* An embedded message: `inner` as the data object of an attachment. */
static struct made embed(const struct made *inner, const char *name)
{
	struct made m = made_tnef(), object = {NULL, 0}, p = {NULL, 0};

	made_add(&object, "\x07\x03\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", 16);
	made_add(&object, inner->s, inner->n);
	made_property(&p, 0x0d, 0x3701, object.s, object.n);
	made_property(&p, 0x1e, 0x3001, name, strlen(name) + 1);
	made_file(&m, NULL, NULL, 0, &p, 2);
	free(object.s);
	free(p.s);
	return m;
}

static void test_embedded(void **state)
{
	struct made inner = made_tnef(), m;
	struct tnef t;

	(void)state;
	made_file(&inner, "inside.txt", "deep", 4, NULL, 0);
	m = embed(&inner, "a message");
	made_file(&m, "after.txt", "flat", 4, NULL, 0);
	tnef_read(&t, m.s, m.n);
	assert_false(t.damaged || t.too_deep);
	assert_int_equal(t.nfiles, 3);
	assert_true(t.files[0].message);
	assert_int_equal(t.files[0].size, inner.n);
	assert_memory_equal(t.files[0].name.s, "a message", 9);
	check_file(&m, &t, 1, "inside.txt", "deep");
	check_file(&m, &t, 2, "after.txt", "flat");
	tnef_clear(&t);
	free(inner.s);
	free(m.s);
}

static void test_limits(void **state)
{
	struct made m = made_tnef(), outer;
	struct tnef t;

	(void)state;
	for (int i = 0; i < LIMIT_TNEF_FILES; i++)
		made_file(&m, "x", "y", 1, NULL, 0);
	tnef_read(&t, m.s, m.n);
	assert_int_equal(t.nfiles, LIMIT_TNEF_FILES);
	assert_false(t.too_many);
	tnef_clear(&t);
	made_file(&m, "x", "y", 1, NULL, 0);
	tnef_read(&t, m.s, m.n);
	assert_int_equal(t.nfiles, LIMIT_TNEF_FILES);
	assert_true(t.too_many);
	tnef_clear(&t);
	free(m.s);

	m = made_tnef();
	for (int depth = 1; depth < LIMIT_TNEF_DEPTH + 2; depth++) {
		outer = embed(&m, "m");
		free(m.s);
		m = outer;
		tnef_read(&t, m.s, m.n);
		assert_false(t.damaged);
		assert_int_equal(t.too_deep, depth >= LIMIT_TNEF_DEPTH);
		assert_int_equal(t.nfiles, depth < LIMIT_TNEF_DEPTH ? depth : LIMIT_TNEF_DEPTH);
		tnef_clear(&t);
	}
	free(m.s);
}

static void test_two_data(void **state)
{
	struct made m = made_tnef();
	struct tnef t;

	(void)state;
	made_file(&m, "harmless.txt", "one", 3, NULL, 0);
	made_attribute(&m, 2, 0x0006800f, "second", 6);
	tnef_read(&t, m.s, m.n);
	assert_int_equal(t.nfiles, 2);
	check_file(&m, &t, 0, "harmless.txt", "one");
	check_file(&m, &t, 1, "harmless.txt", "second");
	tnef_clear(&t);
	free(m.s);
}

static void test_damaged(void **state)
{
	struct made m = made_tnef(), p = {NULL, 0};
	struct tnef t;

	(void)state;
	made_file(&m, "good.txt", "data", 4, NULL, 0);
	m.s[m.n - 1] ^= 0xff; /* the checksum of the data */
	tnef_read(&t, m.s, m.n);
	assert_true(t.wrong_sum && !t.damaged);
	check_file(&m, &t, 0, "good.txt", "data");
	tnef_clear(&t);

	made_property(&p, 0x77, 0x3707, "x", 1); /* no such type */
	made_file(&m, "bad.txt", "more", 4, &p, 1);
	made_attribute(&m, 3, 0x00018010, "level", 6); /* no such level */
	made_file(&m, "never.txt", "seen", 4, NULL, 0);
	tnef_read(&t, m.s, m.n);
	assert_true(t.damaged);
	assert_int_equal(t.nfiles, 2);
	check_file(&m, &t, 1, "bad.txt", "more");
	tnef_clear(&t);
	free(p.s);
	free(m.s);

	tnef_read(&t, "\x78\x9f\x3e\x23\1\0", 6);
	assert_false(t.is_tnef);
	tnef_read(&t, "", 0);
	assert_false(t.is_tnef);
}

static struct made everything(void)
{
	struct made inner = made_tnef(), p = {NULL, 0}, m;
	unsigned count = add_all_types(&p);

	made_property(&p, 0x1f, 0x3707, "l\0o\0n\0g\0\0\0", 10);
	made_property(&p, 0x102, 0x3701, "binary", 6);
	made_property(&p, 0x1e, 0x370e, "a/b", 4);
	made_file(&inner, "inside.txt", "deep", 4, &p, count + 3);
	m = embed(&inner, "message");
	made_file(&m, "file", "contents", 8, &p, count + 3);
	free(inner.s);
	free(p.s);
	return m;
}

/* Every length that the stream can be cut to, and every byte of it changed. */
static void test_hostile(void **state)
{
	static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct made m = everything(), c;
	struct tnef t;
	uint64_t seed = 15;

	(void)state;
	for (size_t n = 0; n <= m.n; n++) {
		c = copy_of(&m, n);
		tnef_read(&t, c.s, c.n);
		check_inside(&t, &c);
		assert_int_equal(t.is_tnef, n >= 4);
		tnef_clear(&t);
		free(c.s);
	}
	for (size_t i = 0; i < m.n * 6; i++) {
		c = copy_of(&m, m.n);
		c.s[i / 6] = i % 6 < 5 ? values[i % 6] : (unsigned char)random_next(&seed);
		tnef_read(&t, c.s, c.n);
		check_inside(&t, &c);
		tnef_clear(&t);
		free(c.s);
	}
	free(m.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_properties),
	    cmocka_unit_test(test_code_page),
	    cmocka_unit_test(test_embedded),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_two_data),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
