/* test_maillog_state.c - where the follower of the log is: a file that is whole or not used. */
#include "common/list.h"
#include "policy/maillog_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SOURCE "file:/var/log/mail.log"

static char directory[64], path[80];

static void hear_dialogue(const char *id, const struct dialogue *d, const char *sender, void *arg)
{
	(void)id, (void)d, (void)sender, (void)arg;
}

static void hear_known(const char *id, const char *sender, int64_t size, int64_t ms, void *arg)
{
	(void)id, (void)sender, (void)size, (void)ms, (void)arg;
}

static void hear_time(const char *id, int64_t ms, void *arg)
{
	(void)id, (void)ms, (void)arg;
}

static const struct dialogues_listener deaf = {
    hear_dialogue, hear_known, hear_time, hear_time, NULL};

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof directory, "/tmp/maillog_state.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/maillog.state", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(rmdir(directory), 0); /* nothing else was left there */
	return 0;
}

/* Returns whether it was loaded; *why is not NULL. */
static bool load(const char *source, char *position, size_t size, const char **why)
{
	struct dialogues *g = dialogues_new(&deaf);
	bool loaded = maillog_state_load(path, source, position, size, g, 0, why);

	dialogues_free(g);
	assert_non_null(*why);
	return loaded;
}

static void save(const char *position)
{
	struct dialogues *g = dialogues_new(&deaf);

	assert_true(maillog_state_save(path, SOURCE, position, g));
	dialogues_free(g);
}

static void test_saved_and_loaded(void **state)
{
	char position[100];
	const char *why;

	(void)state;
	assert_false(load(SOURCE, position, sizeof position, &why));
	assert_string_equal(why, ""); /* the first start */
	save("file 1 abc 7 0 0");
	save("file 1 abc 9 0 0");
	assert_true(load(SOURCE, position, sizeof position, &why));
	assert_string_equal(position, "file 1 abc 9 0 0");
	assert_false(load("journal", position, sizeof position, &why));
	assert_string_equal(why, ""); /* another source begins anew */
	assert_false(load(SOURCE, position, 5, &why));
}

static void test_damaged(void **state)
{
	char position[100], *whole;
	const char *why;
	size_t n;
	FILE *f;

	(void)state;
	save("file 1 abc 7 0 0");
	f = fopen(path, "r");
	whole = xcalloc(1, 1000);
	n = fread(whole, 1, 999, f);
	fclose(f);
	for (size_t i = 0; i < n; i++) {
		f = fopen(path, "w");
		fwrite(whole, 1, i, f);
		fclose(f);
		assert_false(load(SOURCE, position, sizeof position, &why));
		assert_string_not_equal(why, "");
	}
	free(whole);
}

/* Nothing is read from it, and that is told. */
static void test_too_large(void **state)
{
	char position[100];
	const char *why;

	(void)state;
	save("file 1 abc 7 0 0");
	assert_int_equal(truncate(path, 100 << 20), 0);
	assert_false(load(SOURCE, position, sizeof position, &why));
	assert_string_not_equal(why, "");
}

static void test_directory_that_is_not_there(void **state)
{
	struct dialogues *g = dialogues_new(&deaf);

	(void)state;
	assert_false(maillog_state_save("/nonexistent/maillog.state", SOURCE, "x", g));
	dialogues_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_saved_and_loaded, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
	    cmocka_unit_test(test_directory_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
