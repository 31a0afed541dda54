/* LUA.OUT and LUAERRORS.LOG: whole lines from many threads, rotation, failures, no forged lines
 * (R19). */
#include "common/log.h"
#include "lua-bindings/luaout.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 8
#define LINES 400

static char directory[] = "/tmp/mailhooks-luaout-XXXXXX";
static char out[64], errors[64], moved[64];
static char warnings[4096];

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level;
	(void)arg;
	strncat(warnings, line, sizeof warnings - strlen(warnings) - 1);
}

static void configure(const char *out_path, const char *errors_path)
{
	struct config c = {.lua = {.out = (char *)out_path, .errors = (char *)errors_path}};

	luaout_configure(&c);
}

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(out, sizeof out, "%s/LUA.OUT", directory);
	snprintf(errors, sizeof errors, "%s/LUAERRORS.LOG", directory);
	snprintf(moved, sizeof moved, "%s/LUA.OUT.1", directory);
	log_capture(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	configure("", "");
	unlink(out);
	unlink(errors);
	unlink(moved);
	return rmdir(directory);
}

static char *content(const char *path)
{
	static char text[1 << 20];
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static void print(const char *text)
{
	luaout_print(text, strlen(text));
}

static void test_nothing_before_configuration(void **state)
{
	(void)state;
	print("lost");
	luaout_error(NULL, "x", "y", "lost");
	assert_string_equal(warnings, "");
	configure(out, errors);
	assert_string_equal(content(out), "");
}

static void test_lines(void **state)
{
	(void)state;
	print("one");
	print("two\nthree");
	print("");
	luaout_print("a\0b", 3);
	assert_memory_equal(content(out), "one\ntwo\nthree\n\na\0b\n", 19);
}

static void *print_many(void *arg)
{
	char line[200];
	int c = 'a' + (int)(intptr_t)arg;

	memset(line, c, sizeof line);
	for (int i = 0; i < LINES; i++) {
		luaout_print(line, sizeof line);
		if (i % 50 == 0)
			luaout_reopen();
	}
	return NULL;
}

static void test_threads_do_not_mix(void **state)
{
	pthread_t threads[THREADS];
	int lines = 0;

	(void)state;
	assert_int_equal(truncate(out, 0), 0);
	for (intptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, print_many, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (char *line = content(out); *line != '\0'; lines++) {
		size_t n = strcspn(line, "\n");

		assert_int_equal(n, 200);
		assert_int_equal(strspn(line, (char[]){line[0], '\0'}), 200);
		line += n + 1;
	}
	assert_int_equal(lines, THREADS * LINES);
}

static void test_rotation(void **state)
{
	(void)state;
	assert_int_equal(rename(out, moved), 0);
	luaout_reopen();
	print("after");
	assert_string_equal(content(out), "after\n");
	/* and without a signal, within about a second */
	assert_int_equal(unlink(out), 0);
	for (int i = 0; i < 40 && access(out, F_OK) != 0; i++) {
		usleep(100000);
		print("again");
	}
	assert_string_equal(content(out), "again\n");
}

static void test_error_entry(void **state)
{
	const struct log_id id = {.session = "5f3a01", .queue = "4XyZ1"};
	char *text, *line;

	(void)state;
	luaout_error(&id, "smtpsvr.lua", "DoMAILFROM",
	    "smtpsvr.lua:3: boom\nstack traceback:\n\t[C]: in function 'error'\n\tsmtpsvr.lua:3: in f");
	luaout_error(NULL, NULL, NULL, "evil \x1b[2J\r\nscript=\xff forged\n\n");
	text = content(errors);
	line =
	    strstr(text, " session=5f3a01 queue=4XyZ1 script=smtpsvr.lua hook=DoMAILFROM\n"
			 "\tsmtpsvr.lua:3: boom\n\tstack traceback:\n\t[C]: in function 'error'\n"
			 "\tsmtpsvr.lua:3: in f\n");
	assert_non_null(line);
	assert_int_equal(line - text, strlen("2026-01-01 00:00:00 +0000"));
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\r'));
	assert_null(strchr(text, '\xff'));
	assert_non_null(strstr(text, "\n\tscript=")); /* indented: no heading of its own */
	assert_null(strstr(text, "\nscript="));
}

static void test_long_traceback_is_cut(void **state)
{
	static char text[100000];

	(void)state;
	memset(text, '\x01', sizeof text - 1); /* the longest escapes */
	assert_int_equal(truncate(errors, 0), 0);
	luaout_error(NULL, "s", "h", text);
	assert_true(strlen(content(errors)) < 20000);
}

static void test_failure_is_logged_once(void **state)
{
	char nowhere[] = "/nonexistent/LUA.OUT", full[] = "/dev/full";
	const char *first;

	(void)state;
	warnings[0] = '\0';
	configure(nowhere, errors);
	for (int i = 0; i < 5; i++)
		print("lost");
	first = strstr(
	    warnings, "cannot write lua.out = \"/nonexistent/LUA.OUT\": No such file or directory");
	assert_non_null(first);
	assert_null(strstr(first + 1, "cannot write lua.out"));
	warnings[0] = '\0';
	configure(full, errors);
	print("lost");
	assert_non_null(strstr(warnings, "No space left on device"));
	warnings[0] = '\0';
	configure("", ""); /* thrown away on purpose */
	print("lost");
	assert_string_equal(warnings, "");
}

/* A FIFO that nobody reads must not stop a session. */
static void test_fifo_does_not_block(void **state)
{
	(void)state;
	unlink(moved);
	assert_int_equal(mkfifo(moved, 0600), 0);
	configure(moved, errors);
	for (int i = 0; i < 3; i++)
		print("lost");
	configure(out, errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_before_configuration),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_threads_do_not_mix),
	    cmocka_unit_test(test_rotation),
	    cmocka_unit_test(test_error_entry),
	    cmocka_unit_test(test_long_traceback_is_cut),
	    cmocka_unit_test(test_failure_is_logged_once),
	    cmocka_unit_test(test_fifo_does_not_block),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
