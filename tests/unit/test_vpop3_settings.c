/* VPOP3.GetSetting and its kin on real stores, and what scripts see when the store is away. */
#include "common/clock.h"
#include "common/log.h"
#include "common/store/store_shared.h"
#include "common/waiting.h"
#include "tests/unit/lua_rig.h"
#include "tests/unit/redis_servers.h"
#include "tests/unit/script_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GRACE_MS 1000 /* a loaded machine */
#define WAIT_MS 5000

static struct script_rig rig;
static struct script_set *set;
static struct runtime *rt;

static void open_rig(const char *store)
{
	char setting[300];
	const char *const settings[] = {setting, NULL};

	snprintf(setting, sizeof setting, "store=%s", store);
	script_rig_open(&rig, settings);
	rt = rig_load(rig.config, &set);
}

static void close_rig(void)
{
	rig_close(rt);
	script_set_unref(set);
	script_rig_close(&rig);
	store_shared_close();
}

/* What the administrator would set. */
static void give(const char *user, const char *name, const char *value)
{
	struct store *store = store_shared_get(rig.config->store);

	assert_non_null(store);
	assert_int_equal(store_setting_set(store, user, name, value, WAIT_MS), STORE_FOUND);
	store_shared_put(store);
}

/* ---- the contract, on any store ---- */

static void run_contract(void)
{
	rig_expect(rt, "return VPOP3.GetSetting('Domain')", "false|nil");
	rig_expect(rt, "return VPOP3.SetSetting('Domain', 'x.test')", "false");
	rig_expect(rt, "return VPOP3.GetSetting('Domain')", "false|nil");
	give(NULL, "Domain", "a.test");
	give(NULL, "Empty", "");
	rig_expect(rt, "return VPOP3.GetSetting('Domain')", "true|a.test");
	rig_expect(rt, "return VPOP3.GetSetting('Empty')", "true|");
	rig_expect(rt, "return VPOP3.SetSetting('Domain', 'b\\nc'), VPOP3.GetSetting('Domain')",
	    "true|true|b\nc");
	rig_expect(rt, "return VPOP3.SetSetting('Domain', 10 / 2), VPOP3.GetSetting('Domain')",
	    "true|true|5");
	rig_expect(rt, "return select('#', VPOP3.GetSetting('None'))", "2");

	rig_expect(rt, "return VPOP3.GetUserSetting('ann', 'Quota')", "nil");
	rig_expect(rt, "return VPOP3.SetUserSetting('Ann', 'Quota', '100')", "true");
	rig_expect(rt,
	    "return VPOP3.GetUserSetting('ANN', 'Quota'), "
	    "VPOP3.GetUserSetting('bob', 'Quota'), VPOP3.GetUserSetting('ann', 'quota')",
	    "100|nil|nil");
	rig_expect(rt, "return VPOP3.GetSetting('Quota')", "false|nil");
	/* nobody is called "": these are not the settings of the service */
	rig_expect(rt,
	    "return VPOP3.GetUserSetting('', 'Domain'), "
	    "VPOP3.SetUserSetting('', 'Domain', 'x'), VPOP3.GetSetting('Domain')",
	    "nil|false|true|5");
}

static void test_sqlite(void **state)
{
	char url[100], folder[] = "/var/tmp/mailhooks-settings-XXXXXX", command[64];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
	open_rig(url);
	run_contract();
	close_rig();
	open_rig(url); /* it stays */
	rig_expect(rt, "return VPOP3.GetSetting('Domain')", "true|5");
	close_rig();
	for (const char *const *name =
		 (const char *const[]){"store.db", "store.db-wal", "store.db-shm", NULL};
	     *name != NULL; name++) {
		snprintf(command, sizeof command, "%s/%s", folder, *name);
		unlink(command);
	}
	assert_int_equal(rmdir(folder), 0);
}

static void test_redis(void **state)
{
	struct redis_server server;
	const char *const options[] = {NULL};
	char url[100];

	(void)state;
	if (!redis_servers_installed())
		skip();
	redis_server_start(&server, options);
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", server.port);
	open_rig(url);
	run_contract();
	close_rig();
	redis_server_stop(&server);
}

/* ---- a store that is away ---- */

static unsigned complaints, comforts;

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	complaints += strstr(line, "no answer from") != NULL;
	comforts += strstr(line, "answers again from") != NULL;
}

static void test_store_that_hangs(void **state)
{
	struct redis_server server;
	const char *const options[] = {NULL};
	char url[100];
	int64_t start;

	(void)state;
	if (!redis_servers_installed())
		skip();
	redis_server_start(&server, options);
	snprintf(url, sizeof url, "redis://127.0.0.1:%u", server.port);
	open_rig(url);
	give(NULL, "Domain", "a.test");
	give("ann", "Quota", "1");
	complaints = comforts = 0;
	log_capture(hear, NULL);
	redis_server_pause(&server);
	start = clock_ms();
	assert_int_equal(rig_run_budget(rt, "return VPOP3.GetSetting('Domain')", 0, 800), RUN_OK);
	assert_string_equal(rig_text, "false|nil");
	assert_in_range(clock_ms() - start, 0, 800 + GRACE_MS);
	assert_int_equal(rig_run_budget(rt,
			     "return VPOP3.SetSetting('Domain', 'x'), "
			     "VPOP3.GetUserSetting('ann', 'Quota'), "
			     "VPOP3.SetUserSetting('ann', 'Quota', '2')",
			     0, 2000),
	    RUN_OK);
	assert_string_equal(rig_text, "false|nil|false");
	assert_int_equal(complaints, 1);
	redis_server_resume(&server);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(rig_run(rt, "return VPOP3.GetSetting('Domain')"), RUN_OK);
		if (strcmp(rig_text, "true|a.test") == 0 && comforts > 0)
			break;
		redis_servers_sleep(100);
	}
	assert_string_equal(rig_text, "true|a.test");
	assert_int_equal(complaints, 1);
	assert_int_equal(comforts, 1);
	log_capture(NULL, NULL);
	close_rig();
	redis_server_stop(&server);
}

static void test_store_that_cannot_be_opened(void **state)
{
	(void)state;
	open_rig("sqlite:/nonexistent/folder/store.db");
	rig_expect(rt, "return VPOP3.GetSetting('Domain')", "false|nil");
	rig_expect(rt, "return VPOP3.SetUserSetting('ann', 'Quota', '1')", "false");
	close_rig();
}

/* ---- wrong use, safety mode ---- */

static void test_wrong_use(void **state)
{
	(void)state;
	open_rig("sqlite:/nonexistent/folder/store.db");
	rig_expect_error(rt, "VPOP3.GetSetting()", "VPOP3.GetSetting(name): strings are wanted");
	rig_expect_error(rt, "VPOP3.SetSetting('a')", "VPOP3.SetSetting(name, value): strings");
	rig_expect_error(rt, "VPOP3.SetSetting('a', {})", "VPOP3.SetSetting(name, value): strings");
	rig_expect_error(rt, "VPOP3.GetUserSetting('a')", "VPOP3.GetUserSetting(user, name)");
	rig_expect_error(
	    rt, "VPOP3.SetUserSetting('a', 'b')", "VPOP3.SetUserSetting(user, name, value)");
	rig_expect(rt, "return VPOP3.GetSetting('a\\0b')", "false|nil");
	rig_expect(rt, "return VPOP3.SetSetting('a', 'x\\0y')", "false");
	rig_expect(rt, "return VPOP3.SetUserSetting('a', 'b', ('x'):rep(2000000))", "false");
	waiting_limit(0);
	rig_expect(rt, "return VPOP3.GetSetting('a')", "false|nil");
	waiting_limit(100);
	close_rig();
}

static void test_safety_mode(void **state)
{
	static const char *const refused[] = {
	    "GetSetting", "SetSetting", "GetUserSetting", "SetUserSetting"};
	char code[200], error[100];

	(void)state;
	open_rig("sqlite:/nonexistent/folder/store.db");
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		snprintf(
		    code, sizeof code, "os.setsafety('k') VPOP3.%s('a', 'b', 'c')", refused[i]);
		snprintf(error, sizeof error, "VPOP3.%s is disabled in safety mode", refused[i]);
		rig_expect_error(rt, code, error);
	}
	rig_expect(rt, "os.clearsafety('k') return VPOP3.GetSetting('a')", "false|nil");
	close_rig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sqlite),
	    cmocka_unit_test(test_redis),
	    cmocka_unit_test(test_store_that_hangs),
	    cmocka_unit_test(test_store_that_cannot_be_opened),
	    cmocka_unit_test(test_wrong_use),
	    cmocka_unit_test(test_safety_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
