/* A message as one CRLF stream: offsets, folds, counting, spilling, limits. */
#include "common/limits.h"
#include "common/log.h"
#include "common/message.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/test_message.XXXXXX";

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

static struct message *new_message(size_t memory, uint64_t most)
{
	return message_new(&(struct message_options){memory, directory, most});
}

static void body(struct message *m, const char *text)
{
	assert_int_equal(message_body(m, text, strlen(text)), 0);
}

/* The readable part of m is exactly this, wherever and in whatever pieces it is read. */
static void expect_stream(const struct message *m, const char *expected)
{
	size_t size = strlen(expected);
	char out[400];

	for (size_t offset = 0; offset <= size; offset++) {
		for (size_t n = 0; n <= size + 3; n++) {
			ssize_t got, done = 0;

			while ((got = message_read(
				    m, offset + (size_t)done, out + done, n - (size_t)done)) > 0)
				done += got;
			assert_int_equal(got, 0);
			assert_int_equal(done, n < size - offset ? n : size - offset);
			assert_memory_equal(out, expected + offset, (size_t)done);
		}
	}
}

/* ---- envelope ---- */

static void test_envelope(void **state)
{
	struct message *m = new_message(100, 100);
	char from[] = "<a@b>", size[] = "SIZE=5", nobody[] = "<>";
	char to[] = "<x@y>", local[] = "z@y", notify[] = "NOTIFY=NEVER";
	char *sender[] = {from, size, NULL}, *null[] = {nobody, NULL};
	char *first[] = {to, NULL}, *second[] = {local, notify, NULL};

	(void)state;
	assert_null(message_sender(m));
	assert_null(message_recipient(m, 0));
	message_set_sender(m, null);
	assert_string_equal(message_sender(m)->address, "");
	message_set_sender(m, sender); /* replaces */
	assert_string_equal(message_sender(m)->address, "a@b");
	assert_string_equal(envelope_parameter(message_sender(m), "size"), "5");
	assert_true(message_add_recipient(m, first));
	assert_true(message_add_recipient(m, second));
	assert_int_equal(message_recipient_count(m), 2);
	assert_string_equal(message_recipient(m, 1)->address, "z@y");
	message_drop_last_recipient(m);
	assert_int_equal(message_recipient_count(m), 1);
	assert_string_equal(message_recipient(m, 0)->address, "x@y");
	assert_null(message_recipient(m, 1));
	assert_true(message_add_recipient(m, second));
	assert_string_equal(message_recipient(m, 1)->raw, "z@y NOTIFY=NEVER");
	message_free(m);
	message_free(NULL);
}

static void test_recipient_limit(void **state)
{
	struct message *m = new_message(100, 100);
	char to[] = "<x@y>", *argv[] = {to, NULL};

	(void)state;
	for (int i = 0; i < LIMIT_RECIPIENTS; i++)
		assert_true(message_add_recipient(m, argv));
	assert_false(message_add_recipient(m, argv));
	assert_int_equal(message_recipient_count(m), LIMIT_RECIPIENTS);
	message_drop_last_recipient(m);
	assert_true(message_add_recipient(m, argv));
	message_free(m);
}

/* ---- header and stream ---- */

static void test_stream(void **state)
{
	static const char expected[] = "Subject: folded\r\n\tcontinued\r\n  more\r\n"
				       "X-Nospace:val\r\n"
				       "X-Two:  two spaces\r\n"
				       "X-Empty:\r\n"
				       "subject: second\r\n fold\r\n"
				       "\r\n"
				       "not a header line\r\n\r\nlast";

	(void)state;
	/* the bound of the memory goes through all parts of the stream */
	for (size_t memory = 0; memory < sizeof expected + 3; memory++) {
		struct message *m = new_message(memory, 1000);

		assert_true(message_header(m, "Subject", " folded\n\tcontinued\n  more"));
		assert_true(message_header(m, "X-Nospace", "val"));
		assert_true(message_header(m, "X-Two", "  two spaces"));
		assert_true(message_header(m, "X-Empty", ""));
		assert_true(message_header(m, "subject", " second\r\n fold"));
		body(m, "not a header");
		body(m, "");
		body(m, " line\r");
		body(m, "\n\r\nlast");
		expect_stream(m, expected);
		assert_int_equal(message_size(m), strlen(expected));
		assert_int_equal(message_body_offset(m), strstr(expected, "not") - expected);
		assert_int_equal(message_longest_line(m), strlen("not a header line"));
		assert_false(message_truncated(m));
		message_free(m);
	}
}

static void test_header_fields(void **state)
{
	struct message *m = new_message(1000, 1000);
	char *text;

	(void)state;
	message_header(m, "Subject", " one");
	message_header(m, "X", "\r\n \r\n b\t ");
	message_header(m, "SUBJECT", " two\r\n\tthree\n four ");
	assert_int_equal(message_header_count(m), 3);
	assert_string_equal(message_header_field(m, 2)->name, "SUBJECT");
	assert_string_equal(message_header_field(m, 2)->value, " two\n\tthree\n four ");
	assert_null(message_header_field(m, 3));
	assert_int_equal(message_header_instances(m, "subject"), 2);
	assert_int_equal(message_header_instances(m, "Subjec"), 0);
	text = message_header_unfolded(m, "Subject");
	assert_string_equal(text, "two\tthree four");
	free(text);
	text = message_header_unfolded(m, "x");
	assert_string_equal(text, "b");
	free(text);
	assert_null(message_header_unfolded(m, "Y"));
	message_free(m);
}

/* Bytes that no MTA should let through stay what they are; only line breaks have one form. */
static void test_odd_values(void **state)
{
	struct message *m = new_message(1000, 1000);

	(void)state;
	message_header(m, "A", "\n");
	message_header(m, "B", "\r");
	message_header(m, "C", "a\r\r\n b\rc\xff");
	assert_string_equal(message_header_field(m, 0)->value, "\n");
	assert_string_equal(message_header_field(m, 1)->value, "\r");
	assert_string_equal(message_header_field(m, 2)->value, "a\r\n b\rc\xff");
	expect_stream(m, "A:\r\n\r\nB:\r\r\nC:a\r\r\n b\rc\xff\r\n\r\n");
	message_free(m);
}

static void test_empty_messages(void **state)
{
	struct message *m = new_message(1000, 1000);

	(void)state;
	expect_stream(m, "\r\n");
	assert_int_equal(message_size(m), 2);
	assert_int_equal(message_longest_line(m), 0);
	message_header(m, "A", " b");
	expect_stream(m, "A: b\r\n\r\n");
	assert_int_equal(message_size(m), 8);
	assert_int_equal(message_body_offset(m), 8);
	assert_false(message_truncated(m));
	message_free(m);
	m = new_message(1000, 1000);
	body(m, "only");
	expect_stream(m, "\r\nonly");
	message_free(m);
}

static void count_bugs(enum log_level level, const char *line, void *arg)
{
	int *bugs = arg;

	(void)line;
	*bugs += level == LOG_LVL_BUG;
}

static void test_wrong_use(void **state)
{
	struct message *m = new_message(1000, 1000);
	int bugs = 0;

	(void)state;
	log_capture(count_bugs, &bugs);
	message_drop_last_recipient(m);
	assert_int_equal(bugs, 1);
	body(m, "body");
	assert_false(message_header(m, "A", " late"));
	assert_int_equal(bugs, 2);
	log_capture(NULL, NULL);
	assert_int_equal(message_recipient_count(m), 0);
	expect_stream(m, "\r\nbody");
	assert_int_equal(message_size(m), 6);
	message_free(m);
}

/* ---- lines ---- */

/* The definition, written down once more in the slowest way. */
static uint64_t longest_line_of(const char *text, size_t n)
{
	uint64_t longest = 0, current = 0;

	for (size_t i = 0; i < n; i++) {
		bool ends = text[i] == '\n';

		if (!ends && !(text[i] == '\r' && i + 1 < n && text[i + 1] == '\n'))
			current++;
		if (current > longest)
			longest = current;
		if (ends)
			current = 0;
	}
	return longest;
}

static void test_longest_line_in_any_pieces(void **state)
{
	uint64_t seed = 7;
	char text[41];

	(void)state;
	for (int i = 0; i < 50000; i++) {
		struct message *m = new_message(16, i % 3 == 0 ? 1000 : 0);
		size_t n = random_bytes(&seed, text, 40, "ab\r\n\r\n", 6), at = 0;

		while (at < n) {
			size_t piece = 1 + random_next(&seed) % (n - at);

			assert_int_equal(message_body(m, text + at, piece), 0);
			at += piece;
		}
		assert_int_equal(message_longest_line(m), longest_line_of(text, n));
		assert_int_equal(message_size(m), n + 2);
		message_free(m);
	}
}

/* ---- limits ---- */

/* What can be read is the beginning of the stream, whatever the bound; the counts stay right. */
static void test_most(void **state)
{
	static const char stream[] = "A: b\r\n\r\n0123456789\r\nabc\r\n";

	(void)state;
	for (uint64_t most = 0; most < sizeof stream + 5; most++) {
		struct message *m = new_message(10, most);
		size_t readable = most < 8 ? 8 : most < 25 ? (size_t)most : 25;
		char expected[sizeof stream];

		message_header(m, "A", " b");
		body(m, "01234");
		body(m, "56789\r");
		body(m, "\nabc\r\n");
		snprintf(expected, sizeof expected, "%.*s", (int)readable, stream);
		expect_stream(m, expected);
		assert_int_equal(message_size(m), 25);
		assert_int_equal(message_longest_line(m), 10);
		assert_int_equal(message_truncated(m), most < 25);
		message_free(m);
	}
}

static void test_count_only(void **state)
{
	struct message *m = new_message(4, 1000);

	(void)state;
	message_header(m, "A", " b");
	body(m, "kept\r\n");
	message_count_only(m);
	assert_false(message_truncated(m));
	body(m, "not kept\r\n");
	expect_stream(m, "A: b\r\n\r\nkept\r\n");
	assert_int_equal(message_size(m), 24);
	assert_int_equal(message_longest_line(m), 8);
	assert_true(message_truncated(m));
	message_free(m);
}

static void test_field_limit(void **state)
{
	struct message_options options = {4, "/nonexistent/spill", UINT64_MAX};
	struct message *m = message_new(&options);
	char out[8];

	(void)state;
	for (int i = 0; i < LIMIT_HEADERS; i++)
		assert_true(message_header(m, "A", ""));
	assert_false(message_truncated(m));
	assert_true(message_header_whole(m));
	assert_false(message_header(m, "B", ""));
	assert_false(message_header_whole(m));
	body(m, "body"); /* never reaches the store */
	assert_int_equal(message_header_count(m), LIMIT_HEADERS);
	assert_int_equal(message_header_instances(m, "B"), 0);
	assert_int_equal(message_body_offset(m), 4 * LIMIT_HEADERS + 6);
	assert_int_equal(message_size(m), 4 * LIMIT_HEADERS + 10);
	assert_true(message_truncated(m));
	/* a hole in the stream would shift all offsets: it ends here instead */
	assert_int_equal(message_read(m, 4 * LIMIT_HEADERS - 4, out, sizeof out), 4);
	assert_int_equal(message_read(m, 4 * LIMIT_HEADERS, out, sizeof out), 0);
	message_free(m);
}

static void test_header_bytes_limit(void **state)
{
	struct message *m = new_message(4, UINT64_MAX);
	size_t size = 60000;
	char *value = calloc(1, size + 1);
	uint64_t seen = 0;

	(void)state;
	memset(value, 'v', size);
	while (seen + size + 4 <= LIMIT_HEADERS_BYTES) {
		assert_true(message_header(m, "A", value));
		seen += size + 4;
	}
	assert_false(message_header(m, "A", value));
	assert_false(message_header(m, "A", "")); /* would fit, but after a hole */
	seen += size + 4 + 4;
	assert_true(message_truncated(m));
	assert_int_equal(message_size(m), seen + 2);
	free(value);
	message_free(m);
}

static void test_store_fails(void **state)
{
	char *later = NULL;
	struct message_options options = {10, NULL, 1000};
	struct message *m;

	(void)state;
	assert_true(asprintf(&later, "%s/later", directory) > 0);
	options.directory = later;
	m = message_new(&options);
	message_header(m, "A", " b");
	body(m, "0123"); /* 6 bytes of header and 4 of body fit the memory */
	for (int i = 0; i < 2; i++) {
		errno = 0;
		assert_int_equal(message_body(m, "456", 3), -1);
		assert_int_equal(errno, ENOENT);
		/* what comes too late may not leave a hole before the next bytes */
		if (i == 0)
			assert_int_equal(mkdir(later, 0700), 0);
	}
	assert_int_equal(message_size(m), 18);
	assert_true(message_truncated(m));
	expect_stream(m, "A: b\r\n\r\n0123");
	assert_int_equal(rmdir(later), 0);
	message_free(m);
	free(later);
}

static void test_no_file_for_what_is_only_counted(void **state)
{
	struct message_options options = {0, "/nonexistent/spill", 0};
	struct message *m = message_new(&options);

	(void)state;
	body(m, "counted");
	message_free(m);
	options.most = 1000;
	m = message_new(&options);
	message_count_only(m);
	body(m, "counted");
	assert_int_equal(message_size(m), 9);
	message_free(m);
}

/* ---- size ---- */

static unsigned char byte_at(uint64_t i)
{
	return (unsigned char)((i * UINT64_C(0x9E3779B97F4A7C15)) >> 56);
}

static long peak_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* 50 MB with 1 MB of memory: what is on disk does not grow the process. */
static void test_big(void **state)
{
	enum { CHUNK = 65535, CHUNKS = 800, READS = 3000 };
	struct message *m = new_message(1u << 20, UINT64_MAX);
	unsigned char *chunk = malloc(CHUNK);
	uint64_t seed = 3, size = 0, start;
	long before = peak_kb();

	(void)state;
	message_header(m, "Subject", " big");
	start = message_body_offset(m);
	for (int i = 0; i < CHUNKS; i++) {
		for (int k = 0; k < CHUNK; k++)
			chunk[k] = byte_at(size++);
		assert_int_equal(message_body(m, chunk, CHUNK), 0);
	}
	assert_int_equal(message_size(m), start + size);
	for (int i = 0; i < READS; i++) {
		uint64_t offset = ((uint64_t)random_next(&seed) << 16) % size;
		size_t n = random_next(&seed) % 5000;
		ssize_t got = message_read(m, start + offset, chunk, n);

		if (n > size - offset)
			n = (size_t)(size - offset);
		assert_int_equal(got, n);
		for (size_t k = 0; k < n; k++)
			if (chunk[k] != byte_at(offset + k))
				fail_msg("byte %zu of the body is wrong", (size_t)offset + k);
	}
	assert_in_range(peak_kb() - before, 0, 12 * 1024);
	free(chunk);
	message_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_big), /* first: it looks at the peak of the process */
	    cmocka_unit_test(test_envelope),
	    cmocka_unit_test(test_recipient_limit),
	    cmocka_unit_test(test_stream),
	    cmocka_unit_test(test_header_fields),
	    cmocka_unit_test(test_odd_values),
	    cmocka_unit_test(test_empty_messages),
	    cmocka_unit_test(test_wrong_use),
	    cmocka_unit_test(test_longest_line_in_any_pieces),
	    cmocka_unit_test(test_most),
	    cmocka_unit_test(test_count_only),
	    cmocka_unit_test(test_field_limit),
	    cmocka_unit_test(test_header_bytes_limit),
	    cmocka_unit_test(test_store_fails),
	    cmocka_unit_test(test_no_file_for_what_is_only_counted),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
