/* Who is local: the file of users, aliases, accounts of the machine, the store; R6 and R16:
 * whatever stands in the files, looking an address up ends, and soon. One file, because all of it
 * looks at the same made-up users. */
#include "common/limits.h"
#include "common/store/store_shared.h"
#include "common/users.h"
#include "common/users/aliases.h"
#include "common/users/users_text.h"
#include "tests/unit/script_rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define STORE_MS 5000

static struct script_rig rig;
static struct users *users;
static char users_path[64], aliases_path[64];

static void write_file(char *path, const char *text)
{
	int fd;

	strncpy(path, "/var/tmp/mailhooks-users.XXXXXX", 63);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* source NULL: the text is a file of users. aliases may be NULL. */
static void open_users(const char *source, const char *text, const char *aliases)
{
	char *settings[5] = {xstrdup("local_domains=one.test"), xstrdup("local_domains=two.test")},
	     error[500] = "";
	size_t n = 2;

	users_path[0] = aliases_path[0] = '\0';
	if (text != NULL)
		write_file(users_path, text);
	if (aliases != NULL)
		write_file(aliases_path, aliases);
	settings[n++] = source != NULL ? xasprintf("users.source=%s", source)
				       : xasprintf("users.source=file:%s", users_path);
	if (aliases != NULL)
		settings[n++] = xasprintf("users.aliases=%s", aliases_path);
	script_rig_open(&rig, (const char *const *)settings);
	users = users_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	assert_non_null(users);
	for (size_t i = 0; i < n; i++)
		free(settings[i]);
}

static void close_users(void)
{
	users_free(users);
	script_rig_close(&rig);
	store_shared_close();
	if (users_path[0] != '\0')
		unlink(users_path);
	if (aliases_path[0] != '\0')
		unlink(aliases_path);
}

static const char people[] = "# who is who\n"
			     "Ann: ann@other.test, Info@one.test\n"
			     "\tMood = fine day \n"
			     "    Assistants=bob\n"
			     "\n"
			     "bob:\n"
			     "  # a comment\n"
			     "carl: carl@elsewhere.test carl@one.test\r\n";

/* ---- the file ---- */

static void expect_owner(const char *address, const char *wanted)
{
	char *name;
	enum users_answer answer = users_find(users, address, &name);

	if (wanted == NULL ? answer != USERS_NO : answer != USERS_YES || strcmp(name, wanted) != 0)
		fail_msg("%s is of %s", address, name != NULL ? name : "nobody");
	free(name);
}

static void test_addresses(void **state)
{
	(void)state;
	open_users(NULL, people, NULL);
	expect_owner("ann@one.test", "ann");
	expect_owner("ANN@Two.Test", "ann");
	expect_owner("ann", "ann");
	expect_owner("ann@other.test", "ann"); /* no local domain, but his address */
	expect_owner("info@one.test", "ann");
	expect_owner("info@two.test", NULL);
	expect_owner("bob@one.test", "bob");
	expect_owner("bob@other.test", NULL);
	expect_owner("carl@two.test", "carl");
	expect_owner("ann+lists@one.test", NULL);
	expect_owner("", NULL);
	expect_owner("@one.test", NULL);
	assert_true(users_is_local(users, "nobody@one.test"));
	assert_true(users_is_local(users, "ann@other.test"));
	assert_true(users_is_local(users, "bare"));
	assert_false(users_is_local(users, "bob@other.test"));
	close_users();
}

static void test_lists(void **state)
{
	struct strlist names = STRLIST_INIT, addresses = STRLIST_INIT;

	(void)state;
	open_users(NULL, people, NULL);
	assert_int_equal(users_list(users, &names), USERS_YES);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0], "ann");
	assert_string_equal(names.v[2], "carl");
	assert_int_equal(users_addresses(users, "Bob", &addresses), USERS_YES);
	assert_int_equal(addresses.n, 2);
	assert_string_equal(addresses.v[1], "bob@two.test");
	strlist_clear(&addresses);
	users_addresses(users, "ann", &addresses);
	assert_int_equal(addresses.n, 2);
	assert_string_equal(addresses.v[1], "info@one.test");
	strlist_clear(&addresses);
	assert_int_equal(users_addresses(users, "zoe", &addresses), USERS_NO);
	assert_int_equal(addresses.n, 0);
	strlist_clear(&names);
	close_users();
}

static void test_wrong_files(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
	    {"ann\n", "x:1: \"user: addresses\" is wanted"},
	    {"ann:\nann:\n", "user ann stands there twice"},
	    {"ann: a@b.test\nbob: A@B.test\n", "a@b.test is given twice"},
	    {"ann: nowhere\n", "x:1: \"nowhere\" is no address"},
	    {"ann: a@b.test\n\tMood\n", "x:2: \"Name = value\" is wanted"},
	    {" Mood = x\n", "x:1: a setting without a user above it"},
	    {"ann:\n = x\n", "x:2: the name of a setting"},
	    {"../x:\n", "x:1: \"../x\" cannot be the name"},
	    {".x:\n", "cannot be the name"},
	    {"-x:\n", "cannot be the name"},
	    {"a b:\n", "cannot be the name"},
	    {"a/b:\n", "cannot be the name"},
	    {":\n", "cannot be the name"},
	    {"|x:\n", "cannot be the name"},
	};
	char error[500];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		error[0] = '\0';
		assert_null(users_text_read(
		    cases[i].text, strlen(cases[i].text), "x", error, sizeof error));
		if (strstr(error, cases[i].wanted) == NULL)
			fail_msg("%s: %s", cases[i].text, error);
	}
	assert_null(users_text_read("ann:\0", 5, "x", error, sizeof error));
	assert_non_null(strstr(error, "zero byte"));
}

static void test_names_are_path_components(void **state)
{
	char longest[LIMIT_USER_NAME_BYTES + 2] = "";

	(void)state;
	assert_true(users_name_is_sound("ann"));
	assert_true(users_name_is_sound("a.b-c_d+e=f"));
	assert_true(users_name_is_sound("j\xc3\xb6rg"));
	assert_false(users_name_is_sound(""));
	assert_false(users_name_is_sound(".."));
	assert_false(users_name_is_sound("a/b"));
	assert_false(users_name_is_sound("a\\b"));
	assert_false(users_name_is_sound("a\nb"));
	assert_false(users_name_is_sound("a@b"));
	assert_false(users_name_is_sound("$(id)"));
	memset(longest, 'x', LIMIT_USER_NAME_BYTES);
	assert_true(users_name_is_sound(longest));
	longest[LIMIT_USER_NAME_BYTES] = 'x';
	assert_false(users_name_is_sound(longest));
}

static void test_missing_files(void **state)
{
	const char *const settings[] = {"users.source=file:/nowhere/users", NULL};
	const char *const fifo[] = {"users.source=file:/dev/null", NULL};
	char error[500];

	(void)state;
	script_rig_open(&rig, settings);
	assert_null(users_load(rig.config, error, sizeof error));
	assert_non_null(strstr(error, "No such file"));
	script_rig_close(&rig);
	script_rig_open(&rig, fifo);
	assert_null(users_load(rig.config, error, sizeof error));
	assert_non_null(strstr(error, "not a plain file"));
	script_rig_close(&rig);
}

/* ---- other sources ---- */

static void test_off(void **state)
{
	struct strlist names = STRLIST_INIT;

	(void)state;
	open_users("", NULL, NULL);
	assert_true(users_are_off(users));
	expect_owner("root", NULL);
	assert_int_equal(users_list(users, &names), USERS_YES);
	assert_int_equal(names.n, 0);
	close_users();
}

static void test_system(void **state)
{
	struct strlist names = STRLIST_INIT;

	(void)state;
	open_users("system", NULL, NULL);
	expect_owner("root@one.test", NULL); /* 0 is below users.least_uid */
	expect_owner("nobody@one.test", NULL);
	expect_owner("no-such-account-here@one.test", NULL);
	assert_int_equal(users_list(users, &names), USERS_YES);
	for (size_t i = 0; i < names.n; i++)
		expect_owner(names.v[i], names.v[i]);
	assert_false(strlist_has(&names, "root"));
	strlist_clear(&names);
	close_users();
}

static void test_system_with_root(void **state)
{
	const char *const settings[] = {
	    "users.source=system", "users.least_uid=0", "local_domains=one.test", NULL};
	struct strlist names = STRLIST_INIT;
	char error[500];

	(void)state;
	script_rig_open(&rig, settings);
	users = users_load(rig.config, error, sizeof error);
	assert_non_null(users);
	expect_owner("Root@one.test", "root");
	assert_int_equal(users_list(users, &names), USERS_YES);
	assert_true(strlist_has(&names, "root"));
	strlist_clear(&names);
	users_free(users);
	script_rig_close(&rig);
}

static void give(const char *user, const char *name, const char *value)
{
	struct store *store = store_shared_get(rig.config->store);

	assert_non_null(store);
	assert_int_equal(store_setting_set(store, user, name, value, STORE_MS), STORE_FOUND);
	store_shared_put(store);
}

static void test_store(void **state)
{
	(void)state;
	open_users("store", NULL, NULL);
	give(NULL, USERS_STORE_SETTING, people);
	expect_owner("info@one.test", "ann");
	expect_owner("zoe@one.test", NULL);
	close_users();
}

#define THREADS 8
#define ROUNDS 300

static void *look_up(void *arg)
{
	bool *fine = arg;
	char *name;

	for (int i = 0; i < ROUNDS; i++) {
		*fine &= users_find(users, "info@one.test", &name) == USERS_YES;
		free(name);
		*fine &= users_exist(users, "zoe") == USERS_NO;
	}
	return NULL;
}

/* All of them want the list before anybody has it. */
static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	bool fine[THREADS];

	(void)state;
	open_users("store", NULL, NULL);
	give(NULL, USERS_STORE_SETTING, people);
	for (int i = 0; i < THREADS; i++) {
		fine[i] = true;
		assert_int_equal(pthread_create(&threads[i], NULL, look_up, &fine[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_true(fine[i]);
	}
	close_users();
}

static void test_store_without_users(void **state)
{
	(void)state;
	open_users("store", NULL, NULL);
	expect_owner("ann@one.test", NULL);
	close_users();
}

/* A store that does not answer, or holds nonsense: unknown, not "nobody". */
static void test_store_away(void **state)
{
	const char *const settings[] = {
	    "users.source=store", "local_domains=one.test", "store=redis://127.0.0.1:1/0", NULL};
	struct strlist names = STRLIST_INIT;
	struct users_expansion e;
	char error[500], *name;

	(void)state;
	script_rig_open(&rig, settings);
	users = users_load(rig.config, error, sizeof error);
	assert_non_null(users);
	assert_int_equal(users_find(users, "ann@one.test", &name), USERS_UNKNOWN);
	assert_null(name);
	assert_int_equal(users_exist(users, "ann"), USERS_UNKNOWN);
	assert_int_equal(users_list(users, &names), USERS_UNKNOWN);
	assert_int_equal(users_expand(users, "ann@one.test", true, 100, &e), USERS_UNKNOWN);
	users_expansion_clear(&e);
	assert_int_equal(users_setting(users, "ann", "Mood", &name, 100), USERS_UNKNOWN);
	users_free(users);
	script_rig_close(&rig);
	store_shared_close();

	open_users("store", NULL, NULL);
	give(NULL, USERS_STORE_SETTING, "no list of users");
	assert_int_equal(users_find(users, "ann@one.test", &name), USERS_UNKNOWN);
	close_users();
}

/* ---- settings ---- */

static void expect_setting(const char *user, const char *name, const char *wanted)
{
	char *value;
	enum users_answer answer = users_setting(users, user, name, &value, STORE_MS);

	assert_int_equal(answer, wanted != NULL ? USERS_YES : USERS_NO);
	if (wanted != NULL)
		assert_string_equal(value, wanted);
	free(value);
}

static void test_settings(void **state)
{
	struct strlist pairs = STRLIST_INIT;

	(void)state;
	open_users(NULL, people, NULL);
	expect_setting("ann", "Mood", "fine day");
	expect_setting("ann", "mood", NULL); /* names are exact */
	give("ann", "Mood", "bad");
	give("ann", "Empty", "");
	expect_setting("ANN", "Mood", "bad"); /* the store is above the file */
	expect_setting("bob", "Mood", NULL);
	assert_int_equal(users_settings(users, "Ann", &pairs, STORE_MS), USERS_YES);
	assert_string_equal(users_pair(&pairs, "Mood"), "bad");
	assert_string_equal(users_pair(&pairs, "Assistants"), "bob");
	assert_string_equal(users_pair(&pairs, "Empty"), "");
	assert_null(users_pair(&pairs, "None"));
	strlist_clear(&pairs);
	assert_int_equal(users_settings(users, "bob", &pairs, STORE_MS), USERS_YES);
	assert_int_equal(pairs.n, 0);
	close_users();
}

/* ---- aliases ---- */

static const char alias_text[] = "# comment\n"
				 "Team: ann, bob\n"
				 "all: team,\n"
				 "\tcarl,\n"
				 "  far@away.test\n"
				 "prog: \"|/bin/echo a, b\", bob\n"
				 "file: /var/mail/x\n"
				 "list: :include:/etc/list\n"
				 "\"quoted name\": bob\n"
				 "me: \\me\n"
				 "ann: ann, copy@away.test\n"
				 "loop1: loop2\n"
				 "loop2: loop1\n"
				 "nonsense\n"
				 "team: carl\n";

/* Targets as "u:ann a:team@one.test!", "!" for not whole. */
static void expect_targets(const char *address, const char *wanted)
{
	static const char letters[] = {[USERS_USER] = 'u',
	    [USERS_ALIAS] = 'a',
	    [USERS_NOBODY] = 'n',
	    [USERS_REMOTE] = 'r',
	    [USERS_FORWARD] = 'f'};
	struct users_expansion e;
	char *text = xstrdup("");

	assert_int_equal(users_expand(users, address, true, STORE_MS, &e), USERS_YES);
	for (size_t i = 0; i < e.n; i++) {
		char *more = xasprintf("%s%s%c:%s%s", text, *text ? " " : "", letters[e.v[i].kind],
		    e.v[i].address, e.v[i].kind == USERS_ALIAS && !e.v[i].whole ? "!" : "");

		free(text);
		text = more;
	}
	if (!e.whole) {
		char *more = xasprintf("%s ...", text);

		free(text);
		text = more;
	}
	assert_string_equal(text, wanted);
	free(text);
	users_expansion_clear(&e);
}

static void test_expansion(void **state)
{
	(void)state;
	open_users(NULL, people, alias_text);
	expect_targets("bob@one.test", "u:bob@one.test");
	expect_targets("TEAM@one.test",
	    "a:TEAM@one.test a:ann@one.test u:ann@one.test r:copy@away.test u:bob@one.test");
	expect_targets("all@two.test",
	    "a:all@two.test a:team@two.test a:ann@two.test u:ann@two.test r:copy@away.test "
	    "u:bob@two.test u:carl@two.test r:far@away.test");
	expect_targets("team@away.test", "r:team@away.test");
	expect_targets("prog@one.test", "a:prog@one.test! u:bob@one.test ...");
	expect_targets("file@one.test", "a:file@one.test! ...");
	expect_targets("list@one.test", "a:list@one.test! ...");
	expect_targets("me@one.test", "a:me@one.test n:me@one.test");
	expect_targets("loop1@one.test", "a:loop1@one.test a:loop2@one.test n:loop1@one.test");
	expect_targets("nobody@one.test", "n:nobody@one.test");
	/* what the file gives to a user by its whole address is his, whatever the aliases say */
	expect_targets("info@one.test", "u:info@one.test");
	give("bob", "Forwards", "bob@far.test; carl");
	give("bob", "UseForwards", "yes");
	expect_targets("bob@one.test", "u:bob@one.test f:bob@far.test f:carl");
	close_users();
}

static void test_alias_lines(void **state)
{
	struct aliases *a = aliases_read(alias_text, strlen(alias_text));
	const struct alias *found = aliases_find(a, "all");

	(void)state;
	assert_int_equal(a->skipped, 2); /* no colon; team a second time */
	assert_int_equal(a->first_skipped, 14);
	assert_non_null(found);
	assert_int_equal(found->targets.n, 3);
	assert_string_equal(found->targets.v[2], "far@away.test");
	found = aliases_find(a, "team");
	assert_int_equal(found->targets.n, 2); /* the first one counts */
	assert_non_null(aliases_find(a, "quoted name"));
	assert_null(aliases_find(a, "Team")); /* names are in lower case */
	aliases_free(a);
}

/* Aliases of aliases of aliases, each with two ways: 2^40 paths (R5). */
static void test_expansion_is_bounded(void **state)
{
	char *text = xstrdup(""), *wide = xstrdup("wide: a0@r.test");
	struct users_expansion e;

	(void)state;
	for (int i = 0; i < 40; i++) {
		char *more = xasprintf(
		    "%sn%d: n%d, m%d\nm%d: n%d, m%d\n", text, i, i + 1, i + 1, i, i + 1, i + 1);

		free(text);
		text = more;
	}
	for (int i = 1; i < LIMIT_EXPANSION + 100; i++) {
		char *more = xasprintf("%s, a%d@r.test", wide, i);

		free(wide);
		wide = more;
	}
	open_users(NULL, people, text);
	assert_int_equal(users_expand(users, "n0@one.test", false, 0, &e), USERS_YES);
	assert_false(e.whole);
	assert_true(e.n <= 2 * LIMIT_EXPANSION_DEPTH + 2);
	users_expansion_clear(&e);
	close_users();
	open_users(NULL, people, wide);
	assert_int_equal(users_expand(users, "wide@one.test", false, 0, &e), USERS_YES);
	assert_int_equal(e.n, LIMIT_EXPANSION);
	assert_false(e.whole);
	users_expansion_clear(&e);
	close_users();
	free(text);
	free(wide);
}

static void test_delimiter(void **state)
{
	const char *settings[] = {NULL, "local_domains=one.test", "users.delimiter=+", NULL};
	char error[500], *source;

	(void)state;
	write_file(users_path, "ann: ann@own.test\nbob+x:\n");
	source = xasprintf("users.source=file:%s", users_path);
	settings[0] = source;
	script_rig_open(&rig, settings);
	free(source);
	users = users_load(rig.config, error, sizeof error);
	assert_non_null(users);
	aliases_path[0] = '\0';
	expect_owner("ann+lists@one.test", "ann");
	expect_owner("ann+lists@own.test", "ann");
	expect_owner("ann+a+b@one.test", "ann");
	expect_owner("bob+x@one.test", "bob+x");
	expect_owner("bob+y@one.test", NULL);
	expect_owner("+ann@one.test", NULL);
	close_users();
}

/* Long and strange addresses cost little and are nobody's (R5, R16). */
static void test_hostile_addresses(void **state)
{
	static const char *const strange[] = {"..@one.test", "../../etc/passwd@one.test",
	    "a@b@one.test", "\"ann\"@one.test", "ann@", "ann\n@one.test", "%s%n@one.test"};
	char *longest = xmalloc(65537);

	(void)state;
	open_users(NULL, people, alias_text);
	memset(longest, 'x', 65536);
	longest[65536] = '\0';
	expect_owner(longest, NULL);
	memcpy(longest + 65536 - 9, "@one.test", 9);
	expect_owner(longest, NULL);
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
		expect_owner(strange[i], NULL);
	free(longest);
	close_users();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_wrong_files),
	    cmocka_unit_test(test_names_are_path_components),
	    cmocka_unit_test(test_missing_files),
	    cmocka_unit_test(test_off),
	    cmocka_unit_test(test_system),
	    cmocka_unit_test(test_system_with_root),
	    cmocka_unit_test(test_store),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_store_without_users),
	    cmocka_unit_test(test_store_away),
	    cmocka_unit_test(test_settings),
	    cmocka_unit_test(test_expansion),
	    cmocka_unit_test(test_alias_lines),
	    cmocka_unit_test(test_expansion_is_bounded),
	    cmocka_unit_test(test_delimiter),
	    cmocka_unit_test(test_hostile_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
