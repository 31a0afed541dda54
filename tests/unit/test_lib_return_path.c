/* mailhooks.batv_sign and its kin: what scripts get, and why they get nothing. */
#include "common/log.h"
#include "tests/unit/lua_rig.h"
#include "tests/unit/script_rig.h"

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

static struct script_rig rig;
static struct script_set *set;
static struct runtime *rt;

static char directory[] = "/tmp/lib-return-path.XXXXXX";
static char key_file[64], secret_file[64];

static int make_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(key_file, sizeof key_file, "%s/keys", directory);
	snprintf(secret_file, sizeof secret_file, "%s/secrets", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void open_rig(bool with_settings)
{
	char key[100], secret[100];
	const char *const settings[] = {key, secret, "srs.domain=srs.test", NULL};

	snprintf(key, sizeof key, "batv.key_file=%s", key_file);
	snprintf(secret, sizeof secret, "srs.secret_file=%s", secret_file);
	script_rig_open(&rig, with_settings ? settings : NULL);
	rt = rig_load(rig.config, &set);
}

static void open_with_keys(void)
{
	write_file(key_file, "4 0123456789abcdef\n");
	write_file(secret_file, "secret\n");
	open_rig(true);
}

static void close_rig(void)
{
	rig_close(rt);
	script_set_unref(set);
	script_rig_close(&rig);
	unlink(key_file);
	unlink(secret_file);
}

static void test_there_and_back(void **state)
{
	(void)state;
	open_with_keys();
	rig_expect(rt,
	    "local tagged = mailhooks.batv_sign('ann@ours.test') "
	    "return tagged:match('^prvs=4%d%d%d%x%x%x%x%x%x=ann@ours%.test$') == tagged, "
	    "mailhooks.batv_check(tagged)",
	    "true|ann@ours.test");
	rig_expect(rt,
	    "local f = mailhooks.srs_forward('bob@there.test') "
	    "return f:match('^SRS0=....=..=there%.test=bob@srs%.test$') == f, "
	    "mailhooks.srs_reverse(f)",
	    "true|bob@there.test");
	close_rig();
}

static void test_why_not(void **state)
{
	(void)state;
	open_with_keys();
	rig_expect(rt, "return mailhooks.batv_sign('ann')",
	    "nil|this is no address of the form name@domain|not");
	rig_expect(rt, "return mailhooks.batv_sign('ann@ours.test\\0x')",
	    "nil|there is a zero byte in the address|not");
	rig_expect(
	    rt, "return mailhooks.batv_check('ann@ours.test')", "nil|the address has no tag|not");
	rig_expect(rt, "return mailhooks.batv_check('prvs=4000000000=ann@ours.test')",
	    "nil|the tag is not ours|forged");
	rig_expect(rt, "return mailhooks.srs_forward('ann@srs.test')",
	    "nil|it is in the domain of SRS already|not");
	rig_expect(rt, "return mailhooks.srs_reverse('SRS0=abcd=AA=a.test=b@srs.test')",
	    "nil|the hash is not ours|forged");
	rig_expect_error(rt, "mailhooks.srs_forward()", "mailhooks.srs_forward(address)");
	rig_expect_error(rt, "mailhooks.batv_check({})", "mailhooks.batv_check(address)");
	close_rig();
}

static void ignore(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static void test_no_keys(void **state)
{
	(void)state;
	open_rig(false);
	rig_expect(
	    rt, "return mailhooks.batv_sign('ann@ours.test')", "nil|batv.key_file is not set|off");
	rig_expect(rt, "return select(3, mailhooks.srs_reverse('ann@ours.test'))", "off");
	close_rig();
	log_capture(ignore, NULL);
	open_rig(true);
	rig_expect(rt, "return mailhooks.batv_sign('ann@ours.test')",
	    "nil|the keys cannot be read|unknown");
	log_capture(NULL, NULL);
	close_rig();
	rt = rig_open(); /* a state without a set */
	rig_expect(rt, "return select(3, mailhooks.batv_sign('ann@ours.test'))", "off");
	rig_close(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_keys), /* first: keys once read are remembered */
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_why_not),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
