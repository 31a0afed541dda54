/* The store of a message: memory, then a file without a name; and what happens when the disk fails.
 * The system calls, in the 64-bit form that meson chooses, go through the wrappers below (see this
 * folder's meson.build). */
#include "common/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the next calls do; zeroed before each test. */
static struct {
	int open_error; /* of O_TMPFILE */
	int opens;
	int last_fd;
	int write_error, writes_before_error;
	bool short_writes, interrupted;
	int read_error;
	bool no_memory;
} fail;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t offset);
ssize_t __real_pread64(int fd, void *bytes, size_t n, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t n, off_t offset);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	assert_int_equal(flags & O_TMPFILE, O_TMPFILE);
	assert_int_equal(mode, 0600);
	fail.opens++;
	if (fail.open_error != 0) {
		errno = fail.open_error;
		return -1;
	}
	return fail.last_fd = __real_open64(path, flags, mode);
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off_t offset)
{
	if (fail.write_error != 0 && fail.writes_before_error-- <= 0) {
		errno = fail.write_error;
		return fail.write_error == EIO ? 0 : -1;
	}
	if (fail.interrupted) {
		fail.interrupted = false;
		errno = EINTR;
		return -1;
	}
	return __real_pwrite64(fd, bytes, fail.short_writes ? (n + 1) / 2 : n, offset);
}

ssize_t __wrap_pread64(int fd, void *bytes, size_t n, off_t offset)
{
	if (fail.interrupted) {
		fail.interrupted = false;
		errno = EINTR;
		return -1;
	}
	if (fail.read_error != 0) {
		errno = fail.read_error;
		return -1;
	}
	return __real_pread64(fd, bytes, n, offset);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fail.no_memory ? NULL : __real_realloc(p, n);
}

static char directory[] = "/tmp/test_spool.XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory); /* fails when something was left in it */
}

static int reset(void **state)
{
	(void)state;
	memset(&fail, 0, sizeof fail);
	return 0;
}

static void expect_empty_directory(void)
{
	DIR *d = opendir(directory);
	const struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		assert_int_equal(e->d_name[0], '.');
	closedir(d);
}

static void append(struct spool *s, const char *text)
{
	assert_int_equal(spool_append(s, text, strlen(text)), 0);
}

static void expect_content(const struct spool *s, const char *expected)
{
	size_t size = strlen(expected);
	char out[100];

	assert_int_equal(spool_size(s), size);
	for (size_t offset = 0; offset <= size; offset++) {
		for (size_t n = 1; n <= size + 1; n++) {
			size_t done = 0, want = n < size - offset ? n : size - offset;

			while (done < want) {
				ssize_t got = spool_read(s, offset + done, out + done, n - done);

				assert_in_range(got, 1, n - done);
				done += (size_t)got;
			}
			assert_int_equal(done, want);
			assert_memory_equal(out, expected + offset, want);
		}
	}
	assert_int_equal(spool_read(s, size, out, 1), 0);
	assert_int_equal(spool_read(s, UINT64_MAX, out, 1), 0);
}

/* Every bound from "all in the file" to "all in memory". */
static void test_memory_and_file(void **state)
{
	(void)state;
	for (size_t memory = 0; memory < 20; memory++) {
		struct spool *s = spool_new(directory, memory);

		fail.opens = 0;
		expect_content(s, "");
		append(s, "");
		append(s, "0123");
		expect_content(s, "0123");
		append(s, "4");
		append(s, "56789abcd");
		expect_content(s, "0123456789abcd");
		assert_int_equal(fail.opens, memory < 14);
		expect_empty_directory();
		spool_free(s);
	}
	spool_free(NULL);
}

/* R4: no name that anybody could have guessed or opened, and nobody else may read it. */
static void test_r4_no_name(void **state)
{
	struct spool *s = spool_new(directory, 2);
	struct stat st;

	(void)state;
	append(s, "spilled");
	assert_int_equal(fstat(fail.last_fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fcntl(fail.last_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	expect_empty_directory();
	spool_free(s);
	assert_int_equal(fcntl(fail.last_fd, F_GETFD), -1);
}

static void test_file_system_without_tmpfile(void **state)
{
	static const int errors[] = {EOPNOTSUPP, EISDIR, EINVAL};

	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct spool *s = spool_new(directory, 3);

		fail.open_error = errors[i];
		append(s, "0123456789");
		expect_content(s, "0123456789");
		expect_empty_directory();
		spool_free(s);
	}
}

static void test_no_directory(void **state)
{
	static const char *const directories[] = {"/nonexistent/spool", "/dev/null"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct spool *s = spool_new(directories[i], 4);

		append(s, "0123");
		assert_int_equal(spool_append(s, "4", 1), -1);
		assert_int_equal(errno, i == 0 ? ENOENT : ENOTDIR);
		expect_content(s, "0123");
		spool_free(s);
	}
	fail.open_error = EOPNOTSUPP; /* the second way fails as well */
	{
		struct spool *s = spool_new("/nonexistent/spool", 0);

		assert_int_equal(spool_append(s, "4", 1), -1);
		assert_int_equal(errno, ENOENT);
		spool_free(s);
	}
}

static void test_full_disk(void **state)
{
	static const int errors[] = {ENOSPC, EDQUOT, EIO /* a write of nothing */};

	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		for (int before = 0; before < 3; before++) {
			struct spool *s = spool_new(directory, 3);

			fail.short_writes = true;
			append(s, "01234567");
			fail.write_error = errors[i];
			fail.writes_before_error = before;
			assert_int_equal(spool_append(s, "lost lost", 9), -1);
			assert_int_equal(errno, errors[i]);
			expect_content(s, "01234567");
			fail.write_error = 0; /* somebody made room */
			append(s, "89");
			expect_content(s, "0123456789");
			spool_free(s);
		}
	}
}

/* Nothing of a piece that straddles the bound is kept when its second half cannot be. */
static void test_all_or_nothing(void **state)
{
	struct spool *s = spool_new(directory, 6);

	(void)state;
	append(s, "0123");
	fail.write_error = ENOSPC;
	assert_int_equal(spool_append(s, "xxxxxx", 6), -1);
	expect_content(s, "0123");
	append(s, "45");
	fail.write_error = 0;
	append(s, "6");
	expect_content(s, "0123456");
	spool_free(s);
}

static void test_interrupted_and_short(void **state)
{
	struct spool *s = spool_new(directory, 0);
	char out[10];

	(void)state;
	fail.short_writes = fail.interrupted = true;
	append(s, "0123456789");
	assert_false(fail.interrupted);
	fail.interrupted = true;
	assert_int_equal(spool_read(s, 0, out, sizeof out), 10);
	assert_false(fail.interrupted);
	expect_content(s, "0123456789");
	spool_free(s);
}

static void test_read_errors(void **state)
{
	struct spool *s = spool_new(directory, 2);
	char out[10];

	(void)state;
	append(s, "0123456789");
	fail.read_error = EIO;
	assert_int_equal(spool_read(s, 0, out, 10), 2); /* memory still can be read */
	assert_int_equal(spool_read(s, 2, out, 8), -1);
	assert_int_equal(errno, EIO);
	fail.read_error = 0;
	assert_int_equal(ftruncate(fail.last_fd, 0), 0);
	errno = 0;
	assert_int_equal(spool_read(s, 2, out, 8), -1); /* never "the end" */
	assert_int_equal(errno, EIO);
	spool_free(s);
}

static void test_no_memory_goes_to_the_file(void **state)
{
	struct spool *s = spool_new(directory, 1u << 20);
	char block[4096], out[4096];

	(void)state;
	memset(block, 'a', sizeof block);
	assert_int_equal(spool_append(s, block, sizeof block), 0);
	fail.no_memory = true;
	memset(block, 'b', sizeof block);
	assert_int_equal(spool_append(s, block, sizeof block), 0);
	fail.no_memory = false;
	memset(block, 'c', sizeof block);
	assert_int_equal(spool_append(s, block, sizeof block), 0);
	assert_int_equal(fail.opens, 1);
	for (int i = 0; i < 3; i++) {
		memset(block, 'a' + i, sizeof block);
		assert_int_equal(
		    spool_read(s, (uint64_t)i * sizeof out, out, sizeof out), sizeof out);
		assert_memory_equal(out, block, sizeof out);
	}
	spool_free(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, reset)
	const struct CMUnitTest tests[] = {
	    TEST(test_memory_and_file),
	    TEST(test_r4_no_name),
	    TEST(test_file_system_without_tmpfile),
	    TEST(test_no_directory),
	    TEST(test_full_disk),
	    TEST(test_all_or_nothing),
	    TEST(test_interrupted_and_short),
	    TEST(test_read_errors),
	    TEST(test_no_memory_goes_to_the_file),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
