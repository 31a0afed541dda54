/* The choice of a relay: order, domains, what Start() leaves behind, scripts that are wrong. */
#include "tests/unit/script_rig.h"

#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/relayout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct script_rig rig;
static struct script_set *set;
static const struct log_id id = {.session = "test", .queue = "Q1"};
static struct strlist recipients, lines;
static struct sender_config *none; /* those of the rig's configuration */
static char zero[] = "zero", zero_relay[] = "[zero.test]:587";
static char one[] = "one", one_relay[] = "one.test:25";
static char off[] = "off", off_relay[] = "";
static struct sender_config senders[3] = {
    {.name = zero, .id = 0, .relay = zero_relay, .max_recipients_per_message = 5},
    {.name = one, .id = 1, .relay = one_relay, .verify_certificate = true},
    {.name = off, .id = 2, .relay = off_relay},
};

static int open_rig(void **state)
{
	(void)state;
	script_rig_open(&rig, NULL);
	luaout_configure(rig.config);
	none = rig.config->senders;
	rig.config->senders = senders;
	rig.config->nsenders = 3;
	strlist_add(&recipients, "bob@two.test");
	strlist_add(&recipients, "eve@sub.three.test");
	strlist_add(&lines, "Subject: hi");
	return 0;
}

static int close_rig(void **state)
{
	(void)state;
	rig.config->senders = none; /* the configuration frees its own */
	rig.config->nsenders = 0;
	strlist_clear(&recipients);
	strlist_clear(&lines);
	script_rig_close(&rig);
	return 0;
}

static void load(const char *script)
{
	char error[500] = "";

	script_rig_write(&rig, "relayout.lua", script);
	set = script_set_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
}

static int unload(void **state)
{
	(void)state;
	script_set_unref(set);
	set = NULL;
	for (size_t i = 0; i < 3; i++)
		strlist_clear(&senders[i].domains);
	rig.config->lua.on_error = ON_ERROR_ACCEPT;
	return 0;
}

static struct relayout_choice choose(void)
{
	const struct relayout_message m = {.filename = "Q1",
	    .size = 1000,
	    .created = 1700000000,
	    .return_path = "ann@sender.test",
	    .recipients = &recipients,
	    .header_lines = &lines};
	struct relayout_choice c;

	relayout_choose(set, &m, &id, clock_ms() + 5000, &c);
	return c;
}

static void test_first_that_does_not_skip(void **state)
{
	struct relayout_choice c;

	(void)state;
	load("function CheckFile(n, a) a.SkipSend = senderid == 0; a.Reason = 'no' end");
	c = choose();
	assert_ptr_equal(c.first, &senders[0]);
	assert_ptr_equal(c.taker, &senders[1]);
	assert_true(c.properties.VerifyCertificate);
	assert_string_equal(c.reason, "no");
	relayout_choice_clear(&c);
}

static void test_all_skip(void **state)
{
	struct relayout_choice c;

	(void)state;
	load("function CheckFile(n, a) return {SkipSend = '1', Reason = sendername} end");
	c = choose();
	assert_ptr_equal(c.first, &senders[0]);
	assert_null(c.taker);
	assert_false(c.failed);
	assert_int_equal(c.properties.MaxRecipientsPerMessage, 5);
	assert_string_equal(c.reason, "zero");
	relayout_choice_clear(&c);
}

static void test_domains(void **state)
{
	struct relayout_choice c;

	(void)state;
	load("");
	strlist_add(&senders[0].domains, "TWO.test"); /* not the other one's */
	strlist_add(&senders[1].domains, "two.TEST");
	strlist_add(&senders[1].domains, ".three.test");
	c = choose();
	assert_ptr_equal(c.first, &senders[1]);
	assert_ptr_equal(c.taker, &senders[1]);
	strlist_clear(&senders[1].domains);
	strlist_add(&senders[1].domains, "three.test"); /* not what is below it */
	c = choose();
	assert_null(c.first);
	assert_null(c.taker);
}

static void test_properties(void **state)
{
	struct relayout_properties p;

	(void)state;
	load(
	    "MaxMessagesPerConnection = '7'\n"
	    "function Start() MaxRecipientsPerMessage = -3; VerifyCertificate = 'yes'; UseBATV = 1 end");
	assert_true(relayout_start(set, &senders[0], &id, clock_ms() + 5000, &p));
	assert_int_equal(p.MaxMessagesPerConnection, 7);
	assert_int_equal(p.MaxRecipientsPerMessage, 0);
	assert_true(p.VerifyCertificate && p.UseBATV);
}

static void test_wrong_global(void **state)
{
	struct relayout_properties p;

	(void)state;
	load("function Start() MaxRecipientsPerMessage = {} end");
	assert_true(relayout_start(set, &senders[0], &id, clock_ms() + 5000, &p));
	assert_int_equal(p.MaxRecipientsPerMessage, 5);
}

static void check_failure(const char *script)
{
	struct relayout_choice c;
	void *state = NULL;

	load(script);
	c = choose();
	assert_ptr_equal(c.taker, &senders[0]);
	relayout_choice_clear(&c);
	rig.config->lua.on_error = ON_ERROR_TEMPFAIL;
	c = choose();
	assert_null(c.taker);
	assert_true(c.failed);
	relayout_choice_clear(&c);
	unload(&state);
}

static void test_failures(void **state)
{
	(void)state;
	check_failure("function CheckFile(n, a) a.SkipSend = true; error('no') end");
	check_failure(
	    "function Start() error('no') end function CheckFile(n, a) a.SkipSend = 1 end");
	check_failure("function CheckFile() return 5 end");
	check_failure("function CheckFile() return {SkipSend = {}} end");
}

static void test_hosts(void **state)
{
	char *a = relayout_host(&senders[0]), *b = relayout_host(&senders[1]);

	(void)state;
	assert_string_equal(a, "zero.test");
	assert_string_equal(b, "one.test");
	free(a);
	free(b);
	assert_ptr_equal(relayout_sender_by_id(rig.config, 1), &senders[1]);
	assert_null(relayout_sender_by_id(rig.config, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_first_that_does_not_skip, unload),
	    cmocka_unit_test_teardown(test_all_skip, unload),
	    cmocka_unit_test_teardown(test_domains, unload),
	    cmocka_unit_test_teardown(test_properties, unload),
	    cmocka_unit_test_teardown(test_wrong_global, unload),
	    cmocka_unit_test_teardown(test_failures, unload),
	    cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}
