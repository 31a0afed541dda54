/* What mailhooks-queue runs: a few commands, with a checked id or none, and nothing of the
 * client's. The commands are shell scripts that tell how they were called. */
#include "policy/queue_command.h"

#include "common/clock.h"
#include "common/list.h"
#include "policy/queue_settings.h"

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

static char directory[] = "/tmp/queue-command.XXXXXX";
static struct config config;

static void put(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", directory, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
	free(path);
}

static int open_directory(void **state)
{
	char *text;

	(void)state;
	assert_non_null(mkdtemp(directory));
	text = xasprintf("#!/bin/sh\necho \"$(basename $0) $*\" >>%s/calls\nenv | grep -c SECRET "
			 ">>%s/calls\nexit 0\n",
	    directory, directory);
	setenv("SECRET", "1", 1);
	put("postsuper", text);
	put("sendmail", text);
	put("postkick", text);
	free(text);
	config.agent.commands = directory;
	config.agent.config_directory = xstrdup("/etc/two words");
	return 0;
}

static int close_directory(void **state)
{
	static const char *const files[] = {
	    "postsuper", "postqueue", "postkick", "postconf", "sendmail", "calls"};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char *path = xasprintf("%s/%s", directory, files[i]);

		unlink(path);
		free(path);
	}
	free(config.agent.config_directory);
	return rmdir(directory);
}

static char said[100000];
static size_t nsaid;

static bool take(const char *bytes, size_t n, void *arg)
{
	(void)arg;
	assert_true(nsaid + n < sizeof said);
	memcpy(said + nsaid, bytes, n);
	nsaid += n;
	return true;
}

static const struct queue_output taker = {take, NULL, {-1, -1}};

static bool stop(const char *bytes, size_t n, void *arg)
{
	(void)bytes, (void)n, (void)arg;
	return false;
}

static const struct queue_output stopper = {stop, NULL, {-1, -1}};

static void test_refused(void **state)
{
	static const struct {
		const char *request;
		size_t n;
	} wrong[] = {{"", 0}, {"\0", 1}, {"d4WxyzABCD1", 11}, {"L", 1}, {"p4WxyzABCD1", 11},
	    {"H", 1}, {"HALL", 4}, {"H-", 2}, {"H4WxyzABCD1\0x", 13}, {"H4WxyzABCD1 deferred", 20},
	    {"H../../../etc", 13}, {"HAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 40},
	    {"l4WxyzABCD1", 11}, {"l\0", 2}};
	char why[200];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (queue_command_refused(&config, wrong[i].request, wrong[i].n) == NULL)
			fail_msg("taken: %s", wrong[i].request);
		assert_false(queue_command_run(
		    &config, wrong[i].request, wrong[i].n, &taker, why, sizeof why));
	}
	assert_null(queue_command_refused(&config, "H4WxyzABCD1", 11));
	assert_null(queue_command_refused(&config, "l", 1));
	config.agent.mta = AGENT_SENDMAIL; /* part of an id would stand for several messages */
	assert_non_null(queue_command_refused(&config, "H4WxyzABCD1", 11));
	assert_non_null(queue_command_refused(&config, "i6al8ribf004946", 15));
	assert_null(queue_command_refused(&config, "H6al8ribf004946", 15));
	assert_null(queue_command_refused(&config, "L", 1));
	config.agent.mta = AGENT_NONE;
}

static void test_arguments(void **state)
{
	static const char expected[] = "postsuper -c /etc/two words -H 4WxyzABCD1\n0\n"
				       "postsuper -c /etc/two words -e 4WxyzABCD1\n0\n"
				       "postsuper -c /etc/two words -h 4WxyzABCD1 deferred\n0\n"
				       "postkick -c /etc/two words public pickup W\n0\n"
				       "sendmail -C /etc/two words/sendmail.cf -bp -qQ\n0\n"
				       "sendmail -C /etc/two words/sendmail.cf -Q -qQ "
				       "-qI6al8ribf004946\n0\n";
	char why[200], text[500] = "", *path = xasprintf("%s/calls", directory);
	FILE *f;

	(void)state;
	assert_true(queue_command_run(&config, "H4WxyzABCD1", 11, &taker, why, sizeof why));
	assert_true(queue_command_run(&config, "e4WxyzABCD1", 11, NULL, why, sizeof why));
	assert_true(queue_command_run(&config, "h4WxyzABCD1", 11, NULL, why, sizeof why));
	assert_true(queue_command_run(&config, "p", 1, NULL, why, sizeof why));
	config.agent.mta = AGENT_SENDMAIL;
	assert_true(queue_command_run(&config, "L", 1, &taker, why, sizeof why));
	assert_true(queue_command_run(&config, "H6al8ribf004946", 15, NULL, why, sizeof why));
	config.agent.mta = AGENT_NONE;
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof text - 1, f) > 0);
	fclose(f);
	free(path);
	/* grep -c of nothing prints 0: the environment is not passed on */
	assert_string_equal(text, expected);
}

static void test_output_and_failures(void **state)
{
	int64_t begin;
	char why[200];

	(void)state;
	put("postqueue", "#!/bin/sh\ni=0\nwhile [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); "
			 "done\n");
	nsaid = 0;
	assert_true(queue_command_run(&config, "l", 1, &taker, why, sizeof why));
	assert_memory_equal(said, "line 0\nline 1\n", 14);
	assert_memory_equal(said + nsaid - 10, "line 2999\n", 10);
	begin = clock_ms();
	put("postqueue", "#!/bin/sh\necho x\nexec sleep 25\n");
	assert_false(queue_command_run(&config, "l", 1, &stopper, why, sizeof why));
	assert_non_null(strstr(why, "ended by us"));
	assert_true(clock_ms() - begin < 10000);
	put("postqueue", "#!/bin/sh\nexit 69\n");
	assert_false(queue_command_run(&config, "l", 1, &taker, why, sizeof why));
	assert_non_null(strstr(why, "wait status"));
	config.agent.commands = (char *)(uintptr_t) "/nonexistent";
	assert_false(queue_command_run(&config, "l", 1, &taker, why, sizeof why));
	assert_non_null(strstr(why, "No such file"));
	config.agent.commands = directory;
}

/* postconf(1), which answers with "header_checks", or what is said of a service. */
static void put_postconf(const char *header_checks, const char *of_services)
{
	char *text = xasprintf("#!/bin/sh\n[ \"$3 $4\" = '-x -h' ] || exit 1\n"
			       "case $5,$6 in\n%s\n-P,*) ;;\n"
			       "header_checks,) echo '%s' ;;\n"
			       "receive_override_options,) echo ;;\n"
			       "cleanup_service_name,) echo cleanup ;;\n"
			       "*) exit 1 ;;\nesac\n",
	    of_services, header_checks);

	put("postconf", text);
	free(text);
}

#define OURS "socketmap:unix:a.sock:requeue"

/* A message that would lose its sender stays as it is. */
static void test_requeue_needs_the_map(void **state)
{
	static const struct {
		const char *header_checks, *of_services, *why;
	} rows[] = {
	    {OURS, "", NULL},
	    {"pipemap:{regexp:/etc/postfix/requeue," OURS "}", "", NULL},
	    {"pipemap:{regexp:{{/^(X: [0-9a-f]{32})$/ $1}}, " OURS "} pcre:/etc/x", "", NULL},
	    {"pcre:/etc/x, proxy:" OURS, "", NULL},
	    {"socketmap:inet:127.0.0.1:99:requeue", "", NULL},
	    {"", "", "mailhooks setup"},
	    {"regexp:/etc/postfix/header_checks", "", "mailhooks setup"},
	    {"pcre:/etc/postfix:requeue", "", "mailhooks setup"},
	    {"socketmap:unix:a.sock:requeue_checks", "", "mailhooks setup"},
	    {"socketmap:unix:a.sock:header", "", "mailhooks setup"},
	    {"socketmap:unix:a:requeues.sock:x", "", "mailhooks setup"},
	    {"pipemap:{socketmap:unix:a.sock:x,texthash:/etc/x:requeue}", "", "mailhooks setup"},
	    {OURS, "-P,cleanup/*/header_checks) echo ;;", "mailhooks setup"},
	    {"", "-P,cleanup/*/header_checks) echo " OURS " ;;", NULL},
	    {OURS,
		"-P,pickup/*/cleanup_service_name) echo second ;;\n"
		"-P,second/*/header_checks) echo pcre:/etc/x ;;",
		"mailhooks setup"},
	    {OURS,
		"-P,pickup/*/receive_override_options) "
		"echo no_address_mappings,no_header_body_checks ;;",
		"pickup(8)"},
	    {OURS, "receive_override_options,) echo no_header_body_checks ;;", "pickup(8)"},
	    {OURS, "-P,*) exit 1 ;;", "postconf(1)"},
	};
	char why[400];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put_postconf(rows[i].header_checks, rows[i].of_services);
		if (queue_command_run(&config, "r4WxyzABCD1", 11, NULL, why, sizeof why) !=
		    (rows[i].why == NULL))
			fail_msg("%zu: %s", i, rows[i].header_checks);
		if (rows[i].why != NULL && strstr(why, rows[i].why) == NULL)
			fail_msg("%zu: %s", i, why);
	}
}

static void test_lifetime(void **state)
{
	static const struct {
		const char *said;
		int64_t seconds;
	} rows[] = {{"5d", 432000}, {"36h", 129600}, {"90m", 5400}, {"7", 604800}, {"1w", 604800},
	    {"0", 0}, {"", -1}, {"d", -1}, {"-1d", -1}, {"5x", -1}, {"99999999999999d", -1},
	    {"5555555555555555555555555555555555555555555555555555555555555555555d", -1}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text =
		    xasprintf("#!/bin/sh\n[ \"$3 $4 $5\" = '-x -h maximal_queue_lifetime' ] "
			      "|| exit 1\necho %s\n",
			rows[i].said);

		put("postconf", text);
		free(text);
		assert_int_equal(queue_settings_lifetime_s(&config), rows[i].seconds);
	}
	put("postconf", "#!/bin/sh\necho 5d\nexit 1\n");
	assert_int_equal(queue_settings_lifetime_s(&config), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_output_and_failures),
	    cmocka_unit_test(test_requeue_needs_the_map),
	    cmocka_unit_test(test_lifetime),
	};

	return cmocka_run_group_tests(tests, open_directory, close_directory);
}
