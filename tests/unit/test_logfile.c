/* test_logfile.c - a log file that is written, rotated both ways, cut and left while it is read:
 * each line once, under a key that stays, and gaps are told (R18). */
#include "common/list.h"
#include "common/log.h"
#include "policy/logfile.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define POSITION_BYTES 200

static char directory[64], path[80];
static unsigned warnings;

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)line, (void)arg;
	warnings += level <= LOG_LVL_WARN;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof directory, "/tmp/logfile.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/mail.log", directory);
	warnings = 0;
	log_capture(hear, NULL);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const ends[] = {"", ".1", ".2", ".1.gz", "-20261121", ".bak"};

	(void)state;
	log_capture(NULL, NULL);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		char *file = xasprintf("%s%s", path, ends[i]);

		unlink(file);
		free(file);
	}
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

/* ---- the writer and the rotator ---- */

static void append(const char *text)
{
	FILE *f = fopen(path, "a");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* mtimes are told apart by the grain of the file system's clock. */
static void next_tick(void)
{
	struct timespec t = {.tv_nsec = 12000000};

	nanosleep(&t, NULL);
}

static void rename_to(const char *end)
{
	char *to = xasprintf("%s%s", path, end);

	assert_int_equal(rename(path, to), 0);
	free(to);
	next_tick();
}

static void copy_to(const char *end)
{
	char *to = xasprintf("%s%s", path, end), text[70000];
	FILE *in = fopen(path, "r"), *out = fopen(to, "w");
	size_t n = fread(text, 1, sizeof text, in);

	fwrite(text, 1, n, out);
	fclose(in);
	fclose(out);
	free(to);
}

static void copy_and_cut(const char *end)
{
	copy_to(end);
	next_tick();
	assert_int_equal(truncate(path, 0), 0);
}

/* ---- the reader ---- */

/* All lines that can be read now, joined by "|"; keys (may be NULL) gets one for each. */
static char *read_on(struct logfile *f, struct strlist *keys)
{
	char *all = NULL, key[LOGFILE_KEY_BYTES];
	size_t size;
	FILE *out = open_memstream(&all, &size);
	struct maillog_text line;

	while (logfile_next(f, &line, key)) {
		fprintf(out, "%.*s|", (int)line.n, line.s);
		if (keys != NULL)
			strlist_add(keys, key);
	}
	fclose(out);
	return all;
}

static void assert_reads(struct logfile *f, const char *expected)
{
	char *got = read_on(f, NULL);

	assert_string_equal(got, expected);
	free(got);
}

static struct logfile *reopen(struct logfile *f)
{
	char position[POSITION_BYTES];

	logfile_position(f, position, sizeof position);
	logfile_close(f);
	return logfile_open(path, position);
}

/* ---- tests ---- */

static void test_absent_then_written(void **state)
{
	struct logfile *f = logfile_open(path, NULL);

	(void)state;
	assert_reads(f, "");
	assert_reads(f, "");
	assert_int_equal(warnings, 1); /* said once */
	append("one\ntwo\nthr");
	assert_reads(f, "one|two|");
	append("ee");
	assert_reads(f, "");
	append("\nfour\n");
	assert_reads(f, "three|four|");
	assert_int_equal(warnings, 1);
	logfile_close(f);
}

static void test_half_first_line(void **state)
{
	struct logfile *f;

	(void)state;
	append("on");
	f = logfile_open(path, NULL);
	assert_reads(f, "");
	f = reopen(f);
	append("e\n");
	assert_reads(f, "one|");
	logfile_close(f);
}

static void test_renamed(void **state)
{
	struct logfile *f = logfile_open(path, NULL);
	char *old_path = xasprintf("%s.1", path);

	(void)state;
	append("one\ntwo\n");
	assert_reads(f, "one|two|");
	rename_to(".1");
	assert_reads(f, "");
	/* the writer still has the old file */
	FILE *old = fopen(old_path, "a");
	fputs("three\n", old);
	fflush(old);
	assert_reads(f, "three|");
	append(""); /* the new one is there, and empty */
	fputs("four\n", old);
	fclose(old);
	assert_reads(f, "four|");
	append("five\n");
	assert_reads(f, "five|");
	assert_int_equal(warnings, 0);
	logfile_close(f);
	free(old_path);
}

#define ROUNDS 100

static atomic_uint rounds_read;
static atomic_bool gave_up;

/* A writer that is told to turn to the new file between two lines, at any moment. */
static void *write_and_turn(void *arg)
{
	char *old_path = xasprintf("%s.1", path);

	(void)arg;
	for (unsigned i = 0; i < ROUNDS && !atomic_load(&gave_up); i++) {
		struct timespec pause = {.tv_nsec = 37000L * (i % 17)};
		char text[32];
		FILE *old = fopen(path, "a");

		fprintf(old, "last %u\n", i);
		rename(path, old_path);
		append("");
		nanosleep(&pause, NULL);
		snprintf(text, sizeof text, "first %u\n", i);
		fflush(old);
		append(text);
		fclose(old);
		while (atomic_load(&rounds_read) <= i && !atomic_load(&gave_up))
			nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
	}
	free(old_path);
	return NULL;
}

/* R18: the last line of the old file and the first of the new come while we look from one to the
 * other. */
static void test_renamed_at_any_moment(void **state)
{
	struct logfile *f = logfile_open(path, NULL);
	struct maillog_text line;
	char key[LOGFILE_KEY_BYTES], expected[32];
	time_t end = time(NULL) + 60;
	unsigned read = 0;
	pthread_t writer;

	(void)state;
	append("begin\n");
	assert_reads(f, "begin|");
	atomic_store(&rounds_read, 0);
	assert_int_equal(pthread_create(&writer, NULL, write_and_turn, NULL), 0);
	while (read < 2 * ROUNDS && time(NULL) < end) {
		if (!logfile_next(f, &line, key))
			continue;
		snprintf(
		    expected, sizeof expected, "%s %u", read % 2 == 0 ? "last" : "first", read / 2);
		if (line.n != strlen(expected) || memcmp(line.s, expected, line.n) != 0)
			break;
		read++;
		atomic_store(&rounds_read, read / 2);
	}
	atomic_store(&gave_up, true);
	pthread_join(writer, NULL);
	assert_int_equal(read, 2 * ROUNDS);
	logfile_close(f);
}

/* R18: a day was compressed while we waited in the one before: what is lost is told. */
static void test_compressed_before_it_was_read(void **state)
{
	struct logfile *f = logfile_open(path, NULL);

	(void)state;
	append("one\n");
	assert_reads(f, "one|");
	next_tick();
	rename_to(".2");
	append("lost\n");
	rename_to(".1.gz");
	append("two\n");
	assert_reads(f, "two|");
	assert_int_equal(warnings, 1);
	append("three\n");
	next_tick();
	rename_to(".1"); /* and told once */
	append("four\n");
	assert_reads(f, "three|four|");
	assert_int_equal(warnings, 1);
	logfile_close(f);
}

/* R18: logrotate compresses at the turn: the file that it reads is there until it has done. */
static void test_compressed_at_the_turn(void **state)
{
	char *compressed = xasprintf("%s.1.gz", path);
	struct logfile *f = logfile_open(path, NULL);
	FILE *gz;

	(void)state;
	append("one\n");
	assert_reads(f, "one|");
	append("two\n");
	next_tick();
	rename_to(".1");
	append("three\n");
	gz = fopen(compressed, "w");
	assert_non_null(gz);
	fclose(gz);
	assert_reads(f, "two|three|");
	assert_int_equal(warnings, 0);
	logfile_close(f);
	free(compressed);
}

static void test_copied_and_cut(void **state)
{
	struct logfile *f = logfile_open(path, NULL);

	(void)state;
	append("one\ntwo\n");
	assert_reads(f, "one|two|");
	append("three\n"); /* not read before it is cut */
	copy_and_cut(".1");
	append("four\n");
	assert_reads(f, "three|four|");
	/* grown beyond where we were: only the first line tells */
	copy_and_cut(".1");
	append("five with much more text than there was before\n");
	assert_reads(f, "five with much more text than there was before|");
	logfile_close(f);
}

static void test_cut_without_a_copy(void **state)
{
	struct logfile *f;

	(void)state;
	append("one\ntwo\n");
	f = logfile_open(path, NULL);
	assert_reads(f, "one|two|");
	assert_int_equal(warnings, 0);
	append("lost\n");
	assert_int_equal(truncate(path, 0), 0);
	append("three\n");
	assert_reads(f, "three|");
	assert_int_equal(warnings, 1); /* the gap */
	logfile_close(f);
}

static void test_rotated_while_away(void **state)
{
	struct logfile *f;

	(void)state;
	append("one\ntwo\nthree\n");
	f = logfile_open(path, NULL);
	struct maillog_text line;
	char key[LOGFILE_KEY_BYTES], position[POSITION_BYTES];
	assert_true(logfile_next(f, &line, key));
	logfile_position(f, position, sizeof position);
	logfile_close(f);

	next_tick();
	rename_to(".2");
	append("four\n");
	next_tick();
	copy_and_cut(".1");
	append("five\n");
	f = logfile_open(path, position);
	assert_reads(f, "two|three|four|five|");
	assert_int_equal(warnings, 0);
	logfile_close(f);
}

static void test_compressed_while_away(void **state)
{
	struct logfile *f;

	(void)state;
	append("one\ntwo\n");
	f = logfile_open(path, NULL);
	assert_reads(f, "one|two|");
	rename_to(".1.gz");
	append("three\n");
	f = reopen(f);
	assert_int_equal(warnings, 1); /* the gap */
	assert_reads(f, "three|");
	logfile_close(f);
}

/* A copy that somebody made is not read instead, and not twice. */
static void test_copy_beside_it(void **state)
{
	struct logfile *f;

	(void)state;
	append("one\n");
	f = logfile_open(path, NULL);
	assert_reads(f, "one|");
	copy_to(".bak");
	f = reopen(f);
	append("two\n");
	assert_reads(f, "two|");
	f = reopen(f);
	assert_reads(f, "");
	append("three\n");
	assert_reads(f, "three|");
	logfile_close(f);
}

static void test_huge_line(void **state)
{
	char *huge = xmalloc(3 * LOGFILE_LINE_BYTES);
	struct logfile *f;

	(void)state;
	memset(huge, 'x', 3 * LOGFILE_LINE_BYTES - 1);
	huge[3 * LOGFILE_LINE_BYTES - 1] = '\0';
	append("one\n");
	f = logfile_open(path, NULL);
	append(huge);
	assert_reads(f, "one|");
	f = reopen(f); /* in its middle */
	append(huge);
	assert_reads(f, "");
	append("\ntwo\n");
	assert_reads(f, "two|");
	assert_int_equal(warnings, 1);
	logfile_close(f);
	free(huge);
}

/* R18: left and taken up again at every byte of what is written, rotated on the way: every line
 * once, under the key that a reader has who was never away. */
static void test_left_at_every_byte(void **state)
{
	static const char text[] = "alpha 1\nbeta 22\n\ngamma 333\nx\n";
	struct logfile *f = logfile_open(path, NULL), *always = logfile_open(path, NULL);
	struct strlist keys = STRLIST_INIT, expected = STRLIST_INIT;
	char *all = xstrdup(""), *next;

	(void)state;
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof text - 1; i++) {
			char byte[2] = {text[i], '\0'};
			char *seen;

			if (i == 0) { /* another first line in each */
				char *first = xasprintf("round %zu\n", round);
				append(first);
				free(first);
			}
			append(byte);
			seen = read_on(f, &keys);
			next = xasprintf("%s%s", all, seen);
			free(all);
			free(seen);
			all = next;
			free(read_on(always, &expected));
			f = reopen(f);
		}
		next_tick();
		if (round == 0)
			rename_to(".2");
		else if (round == 1)
			copy_and_cut(".1");
	}
	assert_string_equal(all, "round 0|alpha 1|beta 22||gamma 333|x|"
				 "round 1|alpha 1|beta 22||gamma 333|x|"
				 "round 2|alpha 1|beta 22||gamma 333|x|");
	assert_int_equal(keys.n, expected.n);
	for (size_t i = 0; i < keys.n; i++) {
		assert_string_equal(keys.v[i], expected.v[i]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(keys.v[i], keys.v[k]);
	}
	free(all);
	strlist_clear(&keys);
	strlist_clear(&expected);
	logfile_close(f);
	logfile_close(always);
}

static void test_positions_that_are_none(void **state)
{
	static const char *const positions[] = {"", "x", "file 1", "file 1 - 0 0 0",
	    "file 1 0123456789abcdef0123456789abcdef -5 0 0", "file 9 a 1 0 0"};

	(void)state;
	append("one\n");
	for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
		struct logfile *f = logfile_open(path, positions[i]);

		assert_reads(f, "one|");
		logfile_close(f);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_absent_then_written),
	    TEST(test_half_first_line),
	    TEST(test_renamed),
	    TEST(test_renamed_at_any_moment),
	    TEST(test_compressed_before_it_was_read),
	    TEST(test_compressed_at_the_turn),
	    TEST(test_copied_and_cut),
	    TEST(test_cut_without_a_copy),
	    TEST(test_rotated_while_away),
	    TEST(test_compressed_while_away),
	    TEST(test_copy_beside_it),
	    TEST(test_huge_line),
	    TEST(test_left_at_every_byte),
	    TEST(test_positions_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
