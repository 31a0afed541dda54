/* Every script of tests/hostile ends within its time budget plus 10 % (R5).
 *
 * Wall clock is what counts for mail, but on a busy machine it says when other programs ran. So the
 * processor time of the call is held to 10 %, and the wall clock to 10 % and a generous allowance.
 */
#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/instance.h"
#include "tests/unit/script_rig.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define WITHIN(ms) ((ms) + (ms) / 10)
#define GRAIN_MS 15	  /* the clocks, and what the rig does besides */
#define ALLOWANCE_MS 1500 /* other programs */
#define TRIES 4
#define LEAST_SCRIPTS 40

static const char check[] = "function Check(file, password, n)\n"
			    "    if n == 0 then return 'alive' end\n"
			    "    LARGE = n > 1 and n or nil\n"
			    "    dofile(file)\n"
			    "end\n";

static int64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static char *read_script(const char *directory, const char *name)
{
	char *path = xasprintf("%s/%s", directory, name), *text = xcalloc(1, 65536);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_in_range(fread(text, 1, 65535, f), 10, 65534);
	fclose(f);
	free(path);
	return text;
}

struct arguments {
	const char *file;
	int number;
};

static int l_args(lua_State *L, void *arg)
{
	const struct arguments *a = arg;

	lua_pushstring(L, a->file);
	lua_pushliteral(L, "");
	lua_pushinteger(L, a->number);
	return 3;
}

static enum instance_end call(struct instance *in, const char *file, int number)
{
	struct arguments a = {file, number};
	struct instance_call c = {.hook = "Check", .l_args = l_args, .arg = &a};

	return instance_call(in, &c);
}

/* What is wrong with how the script ended, NULL if nothing. */
static const char *run_script(struct script_set *set, const char *file, int number)
{
	int budget = script_set_budget(set, SCRIPT_PASSWORDCHECK)->hook_ms;
	const char *wrong = NULL;
	struct instance in;
	int64_t wall, cpu;

	assert_int_equal(instance_open(&in, set, SCRIPT_PASSWORDCHECK, NULL, INT64_MAX, NULL, NULL),
	    INSTANCE_DONE);
	wall = clock_ms();
	cpu = cpu_ms();
	if (call(&in, file, number) != INSTANCE_FAILED)
		wrong = "ends well";
	cpu = cpu_ms() - cpu;
	wall = clock_ms() - wall;
	if (cpu > WITHIN(budget) + GRAIN_MS || wall > WITHIN(budget) + ALLOWANCE_MS)
		wrong = "takes longer than its budget";
	else if (call(&in, file, 0) != INSTANCE_DONE) /* the session goes on */
		wrong = "the next call fails";
	print_message("%-28s %4d ms, %4d ms of processor  %s\n", file, (int)wall, (int)cpu,
	    wrong != NULL ? wrong : "");
	instance_close(&in);
	return wrong;
}

/* All are tried, then the test fails: what is wrong with one tells about another. A host that takes
 * its processor away from this machine makes any call long, but not each of several. */
static bool try_script(struct script_set *set, const char *file, int number)
{
	for (int tries = 0; tries < TRIES; tries++)
		if (run_script(set, file, number) == NULL)
			return true;
	return false;
}

static bool is_wanted(const char *name, const char *const *some)
{
	for (; some != NULL && *some != NULL; some++)
		if (strcmp(*some, name) == 0)
			return true;
	return some == NULL;
}

/* The scripts of tests/hostile, or some of them, each called with this number. */
static void try_scripts(
    const char *const *settings, const char *const *some, size_t least, int number)
{
	const char *top = getenv("MAILHOOKS_SOURCE");
	char *directory = xasprintf("%s/tests/hostile", top != NULL ? top : "."), error[500] = "";
	struct strlist names = STRLIST_INIT;
	struct script_rig rig;
	struct script_set *set;
	struct dirent *e;
	DIR *d = opendir(directory);
	int failed = 0;

	assert_non_null(d);
	script_rig_open(&rig, settings);
	script_rig_write(&rig, "passwordcheck.lua", check);
	while ((e = readdir(d)) != NULL)
		if (strstr(e->d_name, ".lua") != NULL && is_wanted(e->d_name, some)) {
			char *text = read_script(directory, e->d_name);

			script_rig_write(&rig, e->d_name, text);
			strlist_add(&names, e->d_name);
			free(text);
		}
	closedir(d);
	assert_in_range(names.n, least, 1000);
	set = script_set_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	for (size_t i = 0; i < names.n; i++)
		failed += !try_script(set, names.v[i], number);
	script_set_unref(set);
	script_rig_close(&rig);
	strlist_clear(&names);
	free(directory);
	assert_int_equal(failed, 0);
}

static void test_every_hostile_script(void **state)
{
	static const char *const settings[] = {"lua.hook_ms=200", "lua.memory_kb=8192",
	    "lua.instructions=1000000000000", "dns.servers=127.0.0.1:9", NULL};

	(void)state;
	try_scripts(settings, NULL, LEAST_SCRIPTS, 1);
}

/* With memory for tables in which a single instruction takes milliseconds: a thousand of them
 * between two looks at the clock would take seconds (R5). */
static void test_large_tables(void **state)
{
	static const char *const settings[] = {
	    "lua.hook_ms=700", "lua.memory_kb=98304", "lua.instructions=1000000000000", NULL};
	static const char *const some[] = {
	    "next-emptied.lua", "full-table.lua", "arguments.lua", NULL};

	(void)state;
	try_scripts(settings, some, 3, 1 << 20);
}

/* ---- a budget of its own for one script ---- */

static void load(struct script_rig *rig, const char *const *settings, struct script_set **set)
{
	char error[500] = "";

	script_rig_open(rig, settings);
	script_rig_write(rig, "passwordcheck.lua",
	    "function Check(what)\n"
	    "  if what == 'string' then return #('x'):rep(3 << 20) end\n"
	    "  if what == 'loop' then for i = 1, 1e6 do end end\n"
	    "  if what == 'table' then local t = {} for i = 1, 1e5 do t[i] = i end end\n"
	    "end");
	*set = script_set_load(rig->config, error, sizeof error);
	assert_string_equal(error, "");
}

static enum instance_end run(struct script_set *set, const char *what)
{
	struct instance in;
	enum instance_end end;

	assert_int_equal(instance_open(&in, set, SCRIPT_PASSWORDCHECK, NULL, INT64_MAX, NULL, NULL),
	    INSTANCE_DONE);
	end = call(&in, what, 1);
	instance_close(&in);
	return end;
}

static void test_sections_of_the_configuration(void **state)
{
	static const struct {
		const char *setting, *string, *loop, *table;
	} cases[] = {
	    {"lua.hook_ms=5000", "", "", ""}, {"lua.instructions=100000", "", "fails", "fails"},
	    {"lua.memory_kb=1024", "fails", "", "fails"},
	    {"lua.hook_ms=300", "fails", "", ""}, /* 3 MiB are more than 300 * 8 KiB */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const settings[] = {cases[i].setting, NULL};
		struct script_rig rig;
		struct script_set *set;

		load(&rig, settings, &set);
		assert_int_equal(
		    run(set, "string"), *cases[i].string ? INSTANCE_FAILED : INSTANCE_DONE);
		assert_int_equal(
		    run(set, "loop"), *cases[i].loop ? INSTANCE_FAILED : INSTANCE_DONE);
		assert_int_equal(
		    run(set, "table"), *cases[i].table ? INSTANCE_FAILED : INSTANCE_DONE);
		script_set_unref(set);
		script_rig_close(&rig);
	}
}

static void test_budget_of_a_script(void **state)
{
	struct script_rig rig;
	struct script_set *set;
	struct config *own;
	char error[500] = "", *conf;
	struct config_overrides o = {STRLIST_INIT};
	FILE *f;

	(void)state;
	script_rig_open(&rig, NULL);
	conf = xasprintf("%s/test.conf", rig.directory);
	f = fopen(conf, "w");
	assert_non_null(f);
	fprintf(f,
	    "scripts = \"%s/scripts\"\n"
	    "script PasswordCheck { hook_ms = 70 instructions = 8 }\n"
	    "script mxout { memory_kb = 300 }\n"
	    "script user_redirect { hook_ms = 60 }\n",
	    rig.directory);
	fclose(f);
	own = config_load(conf, &o, error, sizeof error);
	assert_string_equal(error, "");
	set = script_set_load(own, error, sizeof error);
	assert_string_equal(error, "");
	assert_int_equal(script_set_budget(set, SCRIPT_PASSWORDCHECK)->hook_ms, 70);
	assert_int_equal(script_set_budget(set, SCRIPT_PASSWORDCHECK)->instructions, 8);
	assert_int_equal(script_set_budget(set, SCRIPT_PASSWORDCHECK)->memory_bytes, 32 << 20);
	assert_int_equal(script_set_budget(set, SCRIPT_MXOUT)->memory_bytes, 300 << 10);
	assert_int_equal(script_set_budget(set, SCRIPT_MXOUT)->hook_ms, 5000);
	assert_int_equal(script_set_budget(set, SCRIPT_USER_REDIRECT)->hook_ms, 60);
	assert_int_equal(script_set_budget(set, SCRIPT_SMTPSVR)->hook_ms, 5000);
	script_set_unref(set);
	config_unref(own);
	free(conf);
	script_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_hostile_script),
	    cmocka_unit_test(test_large_tables),
	    cmocka_unit_test(test_sections_of_the_configuration),
	    cmocka_unit_test(test_budget_of_a_script),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
