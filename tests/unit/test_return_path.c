/* Key files and their rotation, and what the settings of return paths mean. */
#include "common/list.h"
#include "common/log.h"
#include "common/return_path.h"
#include "common/return_path/keys.h"
#include "tests/unit/config_rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void must_be(char *got, const char *expected)
{
	if (expected == NULL)
		assert_null(got);
	else
		assert_string_equal(got, expected);
	free(got);
}

/* ---- key files ---- */

static void test_key_texts(void **state)
{
	static const struct {
		enum keys_format format;
		const char *text, *wrong; /* NULL: fine */
	} cases[] = {
	    {KEYS_NUMBERED, "1 0123456789abcdef", NULL},
	    {KEYS_NUMBERED, "1\t 0123456789 abcdef \r\n", NULL},
	    {KEYS_NUMBERED, "", "no key"},
	    {KEYS_NUMBERED, "# nothing\n\n", "no key"},
	    {KEYS_NUMBERED, "1 0123456789abcde", "line 1"},
	    {KEYS_NUMBERED, "\n10123456789abcdef0", "line 2"},
	    {KEYS_NUMBERED, "a 0123456789abcdef", "line 1"},
	    {KEYS_NUMBERED, "10 123456789abcdef", "line 1"},
	    {KEYS_NUMBERED, "1 0123456789abcdef\n1 fedcba9876543210\n", "line 2"},
	    {KEYS_LINES, "a\n\nb\r\n", NULL},
	    {KEYS_LINES, "\n\n", "no key"},
	};
	char error[256], huge[2000];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct keys *k = keys_parse(
		    cases[i].format, cases[i].text, strlen(cases[i].text), error, sizeof error);

		if ((k == NULL) != (cases[i].wrong != NULL) ||
		    (k == NULL && strstr(error, cases[i].wrong) == NULL))
			fail_msg("\"%s\": %s", cases[i].text, k == NULL ? error : "taken");
		keys_unref(k);
	}
	memset(huge, 'x', sizeof huge);
	assert_null(keys_parse(KEYS_LINES, huge, sizeof huge, error, sizeof error));
	assert_null(keys_parse(KEYS_LINES, "a\0b", 3, error, sizeof error));
	memset(huge, '\n', sizeof huge);
	for (int i = 0; i < 1000; i++)
		huge[2 * i] = 'x';
	assert_null(keys_parse(KEYS_LINES, huge, sizeof huge, error, sizeof error));
}

static char directory[] = "/tmp/return-path.XXXXXX";
static char key_path[64], secret_path[64];

static void write_file(const char *path, const char *text, mode_t mode)
{
	char new[80];
	FILE *f;

	snprintf(new, sizeof new, "%s.new", path);
	f = fopen(new, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(new, mode), 0);
	assert_int_equal(rename(new, path), 0);
}

static int make_directory(void **state)
{
	if (rig_setup(state) != 0 || mkdtemp(directory) == NULL)
		return -1;
	snprintf(key_path, sizeof key_path, "%s/batv", directory);
	snprintf(secret_path, sizeof secret_path, "%s/srs", directory);
	return 0;
}

static int remove_directory(void **state)
{
	unlink(key_path);
	unlink(secret_path);
	return rmdir(directory) | rig_teardown(state);
}

static struct config *settings(const char *more)
{
	char *text =
	    xasprintf("batv { key_file = \"%s\" domains = { \"ours.test\", \".ours.test\" } %s }\n"
		      "srs { secret_file = \"%s\" domain = \"srs.test\" "
		      "exclude = { \"kept.test\" } }\n",
		key_path, more, secret_path);
	struct config *c = rig_load_ok(text, NULL);

	free(text);
	return c;
}

static void test_key_file_modes(void **state)
{
	static const mode_t refused[] = {0644, 0604, 0660, 0602}, fine[] = {0600, 0640, 0400};
	char error[256];
	struct keys *k;

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		write_file(secret_path, "secret", refused[i]);
		assert_null(keys_read(KEYS_LINES, secret_path, error, sizeof error));
		assert_non_null(strstr(error, "chmod"));
	}
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		write_file(secret_path, "secret", fine[i]);
		k = keys_read(KEYS_LINES, secret_path, error, sizeof error);
		assert_non_null(k);
		keys_unref(k);
	}
	assert_null(keys_read(KEYS_LINES, directory, error, sizeof error));
	assert_null(keys_read(KEYS_LINES, "/nonexistent/keys", error, sizeof error));
	assert_non_null(strstr(error, "No such file"));
	if (geteuid() == 0) {
		write_file(secret_path, "secret", 0600);
		assert_int_equal(chown(secret_path, 12345, 0), 0);
		assert_null(keys_read(KEYS_LINES, secret_path, error, sizeof error));
		assert_non_null(strstr(error, "chown"));
	}
}

static unsigned complaints;

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)arg;
	assert_null(strstr(line, "0123456789"));
	complaints += level == LOG_LVL_ERROR;
}

static enum return_path check(const struct config *c, const char *address)
{
	char *original;
	enum return_path answer =
	    return_path_do(c, RETURN_PATH_BATV_CHECK, address, &original, NULL);

	free(original);
	return answer;
}

/* A new key above the old one, then without the old one; then a file that is no good. */
static void test_rotation(void **state)
{
	struct config *c = settings("");
	char *first, *second, *third;

	(void)state;
	complaints = 0;
	log_capture(hear, NULL);
	write_file(key_path, "1 0123456789abcdef\n", 0600);
	return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &first, NULL);
	assert_memory_equal(first, "prvs=1", 6);
	write_file(key_path, "2 0123456789ABCDEF\n1 0123456789abcdef\n", 0600);
	return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &second, NULL);
	assert_memory_equal(second, "prvs=2", 6);
	assert_int_equal(check(c, first), RETURN_PATH_DONE);
	assert_int_equal(check(c, second), RETURN_PATH_DONE);
	write_file(key_path, "2 0123456789ABCDEF\n", 0600);
	assert_int_equal(check(c, first), RETURN_PATH_FORGED);
	assert_int_equal(check(c, second), RETURN_PATH_DONE);
	assert_int_equal(complaints, 0);

	write_file(key_path, "2 short\n", 0600); /* the keys before stay, said once */
	assert_int_equal(check(c, second), RETURN_PATH_DONE);
	unlink(key_path);
	assert_int_equal(check(c, second), RETURN_PATH_DONE);
	return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &third, NULL);
	assert_string_equal(third, second);
	assert_int_equal(complaints, 2);
	log_capture(NULL, NULL);
	free(first);
	free(second);
	free(third);
	config_unref(c);
}

/* Several threads sign and check while the file is replaced again and again. */
static atomic_bool stop;

static void *use_keys(void *arg)
{
	const struct config *c = arg;
	char *tagged, *original;
	uintptr_t wrong = 0;

	while (!atomic_load(&stop)) {
		if (return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &tagged, NULL) !=
		    RETURN_PATH_DONE)
			return (void *)(uintptr_t)1;
		wrong += return_path_do(c, RETURN_PATH_BATV_CHECK, tagged, &original, NULL) !=
			 RETURN_PATH_DONE;
		free(original);
		free(tagged);
	}
	return (void *)wrong;
}

static void test_threads(void **state)
{
	struct config *c = settings("");
	pthread_t threads[4];
	void *wrong;

	(void)state;
	log_capture(hear, NULL);
	write_file(key_path, "1 0123456789abcdef\n", 0600);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_keys, c), 0);
	for (int i = 0; i < 100; i++) /* both keys are always there, in turn on top */
		write_file(key_path,
		    i % 2 == 0 ? "2 0123456789ABCDEF\n1 0123456789abcdef\n"
			       : "1 0123456789abcdef\n2 0123456789ABCDEF\n",
		    0600);
	atomic_store(&stop, true);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	log_capture(NULL, NULL);
	config_unref(c);
}

/* ---- settings ---- */

static void note_unusable(void *arg, const char *path, const char *why)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 1000 - n, "%s: %s\n", path, why);
}

static void test_off_and_unknown(void **state)
{
	struct config *off = rig_load_ok("", NULL), *on = settings("");
	char *out, error[1000] = "";

	(void)state;
	assert_int_equal(
	    return_path_do(off, RETURN_PATH_BATV_SIGN, "a@b.test", &out, NULL), RETURN_PATH_OFF);
	assert_int_equal(
	    return_path_do(off, RETURN_PATH_SRS_FORWARD, "a@b.test", &out, NULL), RETURN_PATH_OFF);
	return_path_check(off, note_unusable, error);
	assert_string_equal(error, "");

	complaints = 0;
	log_capture(hear, NULL);
	unlink(secret_path); /* never readable: we do not know, and say so once */
	for (int i = 0; i < 3; i++)
		assert_int_equal(return_path_reverse(on, "SRS0=R8ha=G3=a.example=b@srs.test", &out),
		    RETURN_PATH_UNKNOWN);
	assert_int_equal(return_path_reverse(on, "ann@ours.test", &out), RETURN_PATH_NOT);
	assert_int_equal(return_path_reverse(on, "SRS0=x@elsewhere.test", &out), RETURN_PATH_NOT);
	assert_int_equal(complaints, 1);
	return_path_check(on, note_unusable, error);
	assert_non_null(strstr(error, secret_path));
	assert_non_null(strstr(error, "No such file"));
	log_capture(NULL, NULL);
	config_unref(off);
	config_unref(on);
}

static void test_reverse_both(void **state)
{
	struct config *c = settings("");
	char *tagged, *rewritten, *out;

	(void)state;
	write_file(key_path, "1 0123456789abcdef\n", 0600);
	write_file(secret_path, "topsecret\n", 0600);
	assert_int_equal(return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &tagged, NULL),
	    RETURN_PATH_DONE);
	assert_int_equal(
	    return_path_do(c, RETURN_PATH_SRS_FORWARD, "bob@there.test", &rewritten, NULL),
	    RETURN_PATH_DONE);
	assert_int_equal(return_path_reverse(c, tagged, &out), RETURN_PATH_DONE);
	must_be(out, "ann@ours.test");
	assert_int_equal(return_path_reverse(c, rewritten, &out), RETURN_PATH_DONE);
	must_be(out, "bob@there.test");
	/* of others: not even looked at */
	assert_int_equal(
	    return_path_reverse(c, "prvs=1000abcdef=x@theirs.test", &out), RETURN_PATH_NOT);
	assert_int_equal(
	    return_path_reverse(c, "prvs=1000abcdef=x@ours.test", &out), RETURN_PATH_FORGED);
	assert_true(return_path_is_kept(c, "x@kept.test"));
	assert_true(return_path_is_kept(c, "x@mail.ours.test"));
	assert_true(return_path_is_kept(c, rewritten));
	assert_true(return_path_is_kept(c, "nobody"));
	assert_false(return_path_is_kept(c, "bob@there.test"));
	assert_false(return_path_is_ours(c, "x@notours.test"));
	free(tagged);
	free(rewritten);
	config_unref(c);
}

static void test_bounces(void **state)
{
	static const struct {
		const char *bounces, *recipient;
		bool refused;
	} cases[] = {
	    {"accept", "prvs=1000abcdef=ann@ours.test", false},
	    {"forged", "prvs=1000abcdef=ann@ours.test", true},
	    {"forged", "prvs=1000abcdef=ann@theirs.test", false},
	    {"forged", "ann@ours.test", false},
	    {"untagged", "ann@ours.test", true},
	    {"untagged", "ann@sub.ours.test", true},
	    {"untagged", "ann@theirs.test", false},
	    {"untagged", "Postmaster@ours.test", false},
	    {"untagged", "prvs=1000abcdef=ann@ours.test", true},
	};

	(void)state;
	write_file(key_path, "1 0123456789abcdef\n", 0600);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *more = xasprintf("bounces = \"%s\"", cases[i].bounces), *tagged;
		struct config *c = settings(more);

		if ((return_path_refuses(c, cases[i].recipient) != NULL) != cases[i].refused)
			fail_msg("%s: %s", cases[i].bounces, cases[i].recipient);
		return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &tagged, NULL);
		assert_null(return_path_refuses(c, tagged));
		free(tagged);
		free(more);
		config_unref(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_key_texts),
	    cmocka_unit_test(test_key_file_modes),
	    cmocka_unit_test(test_off_and_unknown),
	    cmocka_unit_test(test_rotation),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_reverse_both),
	    cmocka_unit_test(test_bounces),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
