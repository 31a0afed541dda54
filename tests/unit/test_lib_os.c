/* os.sleep, os.timedexecute and the rest of os: bounded in time, no shell (R1), nothing handed on.
 */
#include "common/clock.h"
#include "common/waiting.h"
#include "tests/unit/lua_rig.h"
#include "tests/unit/script_rig.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct script_rig scripts;
static struct script_set *set;
static struct runtime *rt;
static char program[200]; /* writes what it was given to the file named by its first argument */

/* Python is what the integration tests need anyway; a shell is what must not be needed. */
static const char program_text[] =
    "#!/usr/bin/python3\n"
    "import os, signal, sys\n"
    "with open(sys.argv[1], 'w') as f:\n"
    "    for a in sys.argv[2:]: f.write('[' + a + ']')\n"
    "    f.write('\\n' + ' '.join(sorted(e for e in os.environ if e != 'LC_CTYPE')) + '\\n')\n"
    "    f.write(' '.join(os.readlink('/proc/self/fd/%s' % n) for n in sorted(os.listdir('/proc/self/fd'))\n"
    "                     if os.path.exists('/proc/self/fd/%s' % n) and '/proc' not in os.readlink('/proc/self/fd/%s' % n)) + '\\n')\n"
    "    f.write('%d %s\\n' % (os.getpgrp() == os.getpid(), signal.pthread_sigmask(0, []) or 'none'))\n"
    "    f.write('%s\\n' % (signal.getsignal(signal.SIGTERM) == signal.SIG_DFL))\n"
    "sys.exit(7)\n";

static int setup(void **state)
{
	static const char *const settings[] = {"lua.compat=5.4", NULL}; /* test_as_stock */

	(void)state;
	script_rig_open(&scripts, settings);
	script_rig_write(&scripts, "program", program_text);
	snprintf(program, sizeof program, "%s/scripts/program", scripts.directory);
	assert_int_equal(chmod(program, 0700), 0);
	rt = rig_load(scripts.config, &set);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(rt);
	script_set_unref(set);
	script_rig_close(&scripts);
	return 0;
}

/* ---- sleep ---- */

static void test_sleep(void **state)
{
	int64_t before = clock_ms(), passed;

	(void)state;
	assert_int_equal(rig_run(rt, "os.sleep(150)"), RUN_OK);
	passed = clock_ms() - before;
	assert_true(passed >= 140 && passed < 1150);
	rig_expect(rt, "return os.sleep(0), os.sleep(-5), (os.sleep(0.4))", "nil|nil|nil");
	rig_expect_error(rt, "os.sleep()", "number expected");
}

static void test_sleep_ends_with_the_hook(void **state)
{
	int64_t before = clock_ms();

	(void)state;
	assert_int_equal(rig_run_budget(rt, "os.sleep(60000)", 0, 100), RUN_DEADLINE);
	assert_int_equal(
	    rig_run_budget(rt, "while true do pcall(os.sleep, 1e18) end", 0, 100), RUN_DEADLINE);
	assert_int_equal(rig_run_budget(rt, "while true do pcall(os.sleep, math.huge) end", 0, 100),
	    RUN_DEADLINE);
	assert_true(clock_ms() - before < 1300);
}

static void test_too_many_wait(void **state)
{
	int64_t before = clock_ms();

	(void)state;
	waiting_limit(0);
	rig_expect(rt, "os.sleep(3000) return os.timedexecute('sleep 3', 3000)", "-1|11");
	waiting_limit(100);
	assert_true(clock_ms() - before < 1000);
}

/* ---- timedexecute ---- */

static char *output(void)
{
	static char text[4096];
	char path[200];
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "%s/out", scripts.directory);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	unlink(path);
	return text;
}

/* The first line of the output: the arguments. */
static void expect_arguments(const char *line, const char *arguments)
{
	char code[1000], *text;

	snprintf(code, sizeof code, "return os.timedexecute([[%s %s/out %s]], 20000)", program,
	    scripts.directory, line);
	rig_expect(rt, code, "7|0");
	text = output();
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, arguments) != 0)
		fail_msg("%s\n  gives    %s\n  expected %s", line, text, arguments);
}

static void test_words(void **state)
{
	(void)state;
	expect_arguments("", "");
	expect_arguments("a  b\tc ", "[a][b][c]");
	expect_arguments("\"a b\" 'c d' e\"f g\"h", "[a b][c d][ef gh]");
	expect_arguments("\"\" ''", "[][]");
	expect_arguments("\"a\\\"b\\\\c\\d\" 'x\\'", "[a\"b\\c\\d][x\\]");
	expect_arguments("C:\\VPOP3\\x.txt", "[C:\\VPOP3\\x.txt]");
	/* what a shell would act on (R1) */
	expect_arguments("$HOME `id` $(id) ; & | > < * ? ~ ! #x {a,b} && ||",
	    "[$HOME][`id`][$(id)][;][&][|][>][<][*][?][~][!][#x][{a,b}][&&][||]");
}

static void test_list_of_words(void **state)
{
	char code[500];

	(void)state;
	snprintf(code, sizeof code,
	    "return os.timedexecute({'%s', '%s/out', 'a b', '', '\"', '; touch /tmp/x', 5, '-n\\nx'}, 20000, true)",
	    program, scripts.directory);
	rig_expect(rt, code, "7|0");
	assert_int_equal(strncmp(output(), "[a b][][\"][; touch /tmp/x][5][-n\nx]\n", 36), 0);
	rig_expect_error(rt, "os.timedexecute({}, 1000)", "no program");
	rig_expect_error(rt, "os.timedexecute('  ', 1000)", "no program");
	rig_expect_error(rt, "os.timedexecute({'a', {}}, 1000)", "string expected");
	rig_expect_error(rt, "os.timedexecute({'a\\0b'}, 1000)", "zero byte");
	rig_expect_error(rt, "os.timedexecute('a\\0b', 1000)", "zero byte");
	rig_expect_error(rt, "os.timedexecute('a \"b', 1000)", "the quote \" has no end");
	rig_expect_error(rt, "os.timedexecute(('a '):rep(300), 1000)", "more than 256 arguments");
	rig_expect_error(rt, "os.timedexecute('a')", "number expected");
	rig_expect_error(rt, "os.timedexecute()", "number expected");
}

/* Descriptors, environment, signals and terminal of the daemon stay with the daemon. */
static void test_nothing_is_handed_on(void **state)
{
	char code[500], *line;
	int fd = open("/etc/passwd", O_RDONLY); /* without O_CLOEXEC on purpose */
	sigset_t blocked, before;

	(void)state;
	assert_true(fd >= 0);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	signal(SIGTERM, SIG_IGN);
	setenv("SECRET", "x", 1);
	snprintf(code, sizeof code, "return os.timedexecute('%s %s/out', 20000)", program,
	    scripts.directory);
	rig_expect(rt, code, "7|0");
	unsetenv("SECRET");
	signal(SIGTERM, SIG_DFL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(fd);
	line = strchr(output(), '\n') + 1;
	assert_int_equal(strncmp(line, "HOME LANG PATH\n", 15), 0);
	line += 15;
	assert_int_equal(strncmp(line, "/dev/null /dev/null /dev/null ", 30), 0);
	assert_null(strstr(line, "passwd"));
	assert_non_null(strstr(line, "\n1 none\nTrue\n"));
}

static void test_results(void **state)
{
	(void)state;
	rig_expect(rt, "return os.timedexecute('true', 10000)", "0|0");
	rig_expect(rt, "return os.timedexecute('false', 10000)", "1|0");
	rig_expect(rt, "return os.timedexecute('/nonexistent/x', 10000)", "-1|2");
	rig_expect(rt, "return os.timedexecute('nosuchprogram', 10000)", "-1|2");
	rig_expect(rt, "return os.timedexecute('/etc/passwd', 10000)", "-1|13");
	rig_expect(rt,
	    "return os.timedexecute([[python3 -c 'import os; os.kill(os.getpid(), 11)']], 20000)",
	    "139|0");
}

/* Is there a process with this text in its command line? */
static bool somebody_runs(const char *mark)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	bool found = false;

	assert_non_null(proc);
	while (!found && (e = readdir(proc)) != NULL) {
		char path[300], line[1000];
		FILE *f;
		size_t n;

		snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
		f = isdigit((unsigned char)e->d_name[0]) ? fopen(path, "r") : NULL;
		if (f == NULL)
			continue;
		n = fread(line, 1, sizeof line, f);
		found = memmem(line, n, mark, strlen(mark)) != NULL;
		fclose(f);
	}
	closedir(proc);
	return found;
}

/* The time ends the program and what it started. */
static void test_time_limit(void **state)
{
	int64_t before = clock_ms();
	pid_t decoy = fork();

	(void)state;
	if (decoy == 0) { /* proves that somebody_runs() finds what is there */
		execl("/bin/sleep", "sleep", "31.4158", (char *)NULL);
		_exit(1);
	}
	for (int i = 0; i < 100 && !somebody_runs("31.4158"); i++)
		usleep(10000);
	assert_true(somebody_runs("31.4158"));
	kill(decoy, SIGKILL);
	waitpid(decoy, NULL, 0);
	rig_expect(rt, "return os.timedexecute('sleep 31.4159', 200)", "137|110");
	rig_expect(rt, "return os.timedexecute('sleep 31.4159', 0)", "137|110");
	rig_expect(rt,
	    "return os.timedexecute([[python3 -c 'import subprocess; subprocess.run([\"sleep\", \"31.4159\"])']], 1500)",
	    "137|110");
	assert_true(clock_ms() - before < 4500);
	assert_false(somebody_runs("31.4159"));
}

static void test_ends_with_the_hook(void **state)
{
	int64_t before = clock_ms();

	(void)state;
	assert_int_equal(
	    rig_run_budget(rt, "os.timedexecute('sleep 27.1828', 60000)", 0, 200), RUN_DEADLINE);
	assert_int_equal(
	    rig_run_budget(
		rt, "while true do pcall(os.timedexecute, 'sleep 27.1828', 60000) end", 0, 200),
	    RUN_DEADLINE);
	assert_true(clock_ms() - before < 1400);
	assert_false(somebody_runs("27.1828"));
	assert_int_equal(
	    waitpid(-1, NULL, WNOHANG), -1); /* no child is left, not even a dead one */
	assert_int_equal(errno, ECHILD);
}

static void test_programs_are_accounted(void **state)
{
	(void)state;
	assert_int_equal(rig_run_budget(rt, "while true do os.timedexecute('/nonexistent', 1) end",
			     3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
}

/* ---- the rest ---- */

static void test_as_stock(void **state)
{
	static const char *const calls[] = {
	    "return os.date('!%Y-%m-%d %H:%M:%S', 0), os.date('!*t', 86400).day, os.date('*t', 0).year",
	    "return pcall(os.date, '%Ez', 0), pcall(os.date, '%Q', 0), pcall(os.date, '*t', 1e300), os.date('%%')",
	    "return os.time({year = 2020, month = 1, day = 1, hour = 12}), pcall(os.time, {}), os.difftime(5, 3)",
	    "local t = {year = 2020, month = 14, day = -3} os.time(t) return t.year, t.month, t.day",
	    "return os.getenv('PATH'), os.getenv('no such variable'), pcall(os.getenv)",
	    "return math.type(os.time()), math.type(os.clock())",
	};
	struct lua_State *stock = rig_stock_open();

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		rig_same(rt, stock, calls[i]);
	lua_close(stock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sleep),
	    cmocka_unit_test(test_sleep_ends_with_the_hook),
	    cmocka_unit_test(test_too_many_wait),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_list_of_words),
	    cmocka_unit_test(test_nothing_is_handed_on),
	    cmocka_unit_test(test_results),
	    cmocka_unit_test(test_time_limit),
	    cmocka_unit_test(test_ends_with_the_hook),
	    cmocka_unit_test(test_programs_are_accounted),
	    cmocka_unit_test(test_as_stock),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
