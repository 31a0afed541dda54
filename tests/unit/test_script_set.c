/* Script sets: loaded whole or not at all, found in any case, kept for a bad day (R18). */
#include "tests/unit/script_rig.h"

#include "common/list.h"
#include "lua-bindings/script_set.h"
#include "lua-bindings/smtpsvr.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct script_rig rig;
static char error[1024];

static int setup(void **state)
{
	static const char *const settings[] = {"lua.hook_ms=300", NULL};

	(void)state;
	script_rig_open(&rig, settings);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	script_set_publish(NULL);
	script_rig_close(&rig);
	return 0;
}

static struct script_set *load(void)
{
	error[0] = '\0';
	return script_set_load(rig.config, error, sizeof error);
}

static void test_no_script(void **state)
{
	struct script_set *set = load();

	(void)state;
	assert_non_null(set);
	assert_false(script_set_has(set, SCRIPT_SMTPSVR));
	assert_false(smtpsvr_needs(set)->session);
	script_set_unref(set);
}

static void test_empty_script_is_no_script(void **state)
{
	struct script_set *set;

	(void)state;
	script_rig_write(&rig, "smtpsvr.lua", " \r\n\t\n");
	set = load();
	assert_non_null(set);
	assert_false(script_set_has(set, SCRIPT_SMTPSVR));
	script_set_unref(set);
}

static void test_found_in_any_case_with_its_hooks(void **state)
{
	struct script_set *set;

	(void)state;
	script_rig_write(&rig, "SMTPSVR.LUA",
	    "function DoMAILFROM() end DoRCPTTO = 5 if IPAddress then function Start() end end");
	set = load();
	assert_non_null(set);
	assert_non_null(strstr(script_set_path(set, SCRIPT_SMTPSVR), "/SMTPSVR.LUA"));
	assert_true(script_set_has_hook(set, SCRIPT_SMTPSVR, "DoMAILFROM"));
	assert_true(script_set_has_hook(set, SCRIPT_SMTPSVR, "Start"));
	assert_false(script_set_has_hook(set, SCRIPT_SMTPSVR, "DoRCPTTO"));
	assert_false(script_set_has_hook(set, SCRIPT_SMTPSVR, "NoSuchHook"));
	script_set_unref(set);
}

static void test_missing_directory(void **state)
{
	char *scripts = xasprintf("%s/scripts", rig.directory),
	     *away = xasprintf("%s/away", rig.directory);

	(void)state;
	assert_int_equal(rename(scripts, away), 0);
	assert_null(load());
	assert_non_null(strstr(error, scripts));
	assert_non_null(strstr(error, "create the directory"));
	assert_int_equal(rename(away, scripts), 0);
	free(scripts);
	free(away);
}

/* Each is refused with file and line. */
static void test_bad_scripts(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"function DoMAILFROM(", "smtpsvr.lua:1: "},
	    {"\n\nx = = 1", "smtpsvr.lua:3: "},
	    {"error('no')", "smtpsvr.lua:1: no"},
	    {"\nlocal t = nil\nt.x = 1", "smtpsvr.lua:3: "},
	    {"while true do end", "budget of the hook used up"},
	    {"local t = {} while true do t[#t + 1] = {} end", "budget"},
	    {"\x1bLua", "smtpsvr.lua"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		script_rig_write(&rig, "smtpsvr.lua", cases[i].text);
		assert_null(load());
		if (strstr(error, cases[i].message) == NULL || strstr(error, rig.directory) == NULL)
			fail_msg("%s: \"%s\"", cases[i].text, error);
	}
}

static void test_sibling_files_belong_to_the_set(void **state)
{
	struct script_set *set;

	(void)state;
	script_rig_write(&rig, "Lib.lua", "return 1");
	script_rig_write(&rig, "smtpsvr.lua", "MaxLineLength = 1000");
	script_rig_write(&rig, "notes.txt", "AuthenticationRequired");
	set = load();
	assert_non_null(set);
	script_rig_write(&rig, "Lib.lua", "return 2"); /* the set keeps what it read */
	assert_string_equal(script_set_file(set, "lib.LUA")->text, "return 1");
	assert_null(script_set_file(set, "notes.txt"));
	assert_null(script_set_file(set, "none.lua"));
	assert_true(script_set_mentions(set, "MaxLineLength"));
	assert_false(script_set_mentions(set, "MaxLine"));
	assert_false(script_set_mentions(set, "AuthenticationRequired"));
	script_set_unref(set);
}

static void test_last_good_set_is_kept(void **state)
{
	struct script_set *set;

	(void)state;
	assert_null(script_set_load_kept(rig.config, "test", error, sizeof error));
	script_rig_write(&rig, "smtpsvr.lua", "function Start() end");
	script_rig_write(&rig, "lib.lua", "x = 1");
	set = load();
	assert_true(script_set_keep(set, "test", error, sizeof error));
	assert_true(script_set_keep(set, "test", error, sizeof error)); /* replaces itself */
	script_set_unref(set);
	script_rig_write(&rig, "smtpsvr.lua", "function Start(");
	assert_null(load());
	set = script_set_load_kept(rig.config, "test", error, sizeof error);
	assert_non_null(set);
	assert_true(script_set_has_hook(set, SCRIPT_SMTPSVR, "Start"));
	assert_non_null(script_set_file(set, "lib.lua"));
	script_set_unref(set);
}

static void test_first_is_once_for_each_generation(void **state)
{
	struct script_set *a = load(), *b = load();

	(void)state;
	assert_int_not_equal(script_set_generation(a), script_set_generation(b));
	assert_true(script_set_first(a, "x"));
	assert_false(script_set_first(a, "x"));
	assert_true(script_set_first(a, "y"));
	assert_true(script_set_first(b, "x"));
	script_set_unref(a);
	script_set_unref(b);
}

/* ---- sessions while sets are replaced (for ThreadSanitizer too) ---- */

#define SESSIONS 300
#define RELOADS 20

static void *run_sessions(void *arg)
{
	struct log_id id = {.session = "thread"};
	char *mail[] = {(char *)"<a@b.test>", NULL};
	long wrong = 0;

	(void)arg;
	for (int i = 0; i < SESSIONS; i++) {
		struct script_set *set = script_set_current();
		struct smtpsvr *s = smtpsvr_open(set, NULL, &id);
		struct smtpsvr_client client = {.listen = ""};
		struct verdict v;

		verdict_init(&v);
		ip_address_parse(&client.address, "192.0.2.1");
		smtpsvr_connect(s, &client, &v);
		verdict_reset(&v);
		for (int n = 0; n < 3; n++) {
			/* the script refuses the third message of a session, counted in a global */
			smtpsvr_mail(s, mail, NULL, &v);
			wrong += (v.action == VERDICT_REPLY) != (n == 2);
			verdict_reset(&v);
			smtpsvr_abort(s);
		}
		smtpsvr_close(s);
		script_set_unref(set);
	}
	return (void *)wrong;
}

static void test_sessions_while_sets_are_replaced(void **state)
{
	pthread_t threads[4];
	void *wrong;

	(void)state;
	script_rig_write(&rig, "smtpsvr.lua",
	    "n = 0 function DoMAILFROM() n = n + 1 if n == 3 then return '550 three' end end");
	script_set_publish(load());
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_sessions, NULL), 0);
	for (int i = 0; i < RELOADS; i++) {
		struct script_set *set = load();

		assert_non_null(set);
		script_set_publish(set);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_no_script),
	    TEST(test_empty_script_is_no_script),
	    TEST(test_found_in_any_case_with_its_hooks),
	    TEST(test_missing_directory),
	    TEST(test_bad_scripts),
	    TEST(test_sibling_files_belong_to_the_set),
	    TEST(test_last_good_set_is_kept),
	    TEST(test_first_is_once_for_each_generation),
	    TEST(test_sessions_while_sets_are_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
