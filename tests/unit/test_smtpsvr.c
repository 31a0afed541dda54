/* smtpsvr.lua without an MTA: what each event gives, compared as text. The integration tests show
 * the same on Postfix and Sendmail; here are the corners that no MTA lets through. */
#include "tests/unit/script_rig.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/verdict.h"
#include "lua-bindings/script_set.h"
#include "lua-bindings/smtpsvr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct script_rig rig;
static struct smtpsvr *smtp;
static struct log_id id = {.session = "test"};
static bool local_submission;

/* Open a session from 192.0.2.7 with this script; returns the verdict of the connection. */
static char *open_with(const char *script, const char *const *settings)
{
	struct smtpsvr_client client = {
	    .listen = "", .hostname = "client.test", .local_submission = local_submission};
	struct script_set *set;
	char error[500] = "", *text;
	struct verdict v;

	script_rig_open(&rig, settings);
	script_rig_write(&rig, "smtpsvr.lua", script);
	set = script_set_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	smtp = smtpsvr_open(set, NULL, &id);
	script_set_unref(set);
	ip_address_parse(&client.address, "192.0.2.7");
	verdict_init(&v);
	smtpsvr_connect(smtp, &client, &v);
	text = verdict_describe(&v);
	verdict_reset(&v);
	return text;
}

static void close_session(void)
{
	smtpsvr_close(smtp);
	script_rig_close(&rig);
}

static void expect(struct verdict *v, const char *wanted)
{
	char *text = verdict_describe(v);
	size_t n = strlen(text);

	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	assert_string_equal(text, wanted);
	free(text);
	verdict_reset(v);
}

static void mail(const char *raw, const char *wanted)
{
	char *copy = xstrdup(raw), *rest = copy, *argv[10];
	struct verdict v;
	int n = 0;

	while (n < 9 && (argv[n] = strsep(&rest, " ")) != NULL)
		n++;
	argv[n] = NULL;
	verdict_init(&v);
	smtpsvr_mail(smtp, argv, NULL, &v);
	expect(&v, wanted);
	free(copy);
}

static void rcpt(const char *address, const char *wanted)
{
	char *argv[] = {(char *)address, NULL};
	struct verdict v;

	verdict_init(&v);
	smtpsvr_rcpt(smtp, argv, false, &v);
	expect(&v, wanted);
}

static void data(const char *wanted)
{
	struct verdict v;

	verdict_init(&v);
	smtpsvr_data(smtp, &v);
	expect(&v, wanted);
}

static void end(const char *wanted)
{
	struct verdict v;

	verdict_init(&v);
	smtpsvr_header(smtp, "Subject", " s", &v);
	smtpsvr_body(smtp, "body\r\n", 6, &v);
	smtpsvr_end_of_message(smtp, &v);
	expect(&v, wanted);
}

static void message(const char *wanted)
{
	mail("<a@b.test>", "continue");
	rcpt("<c@d.test>", "continue");
	data("continue");
	end(wanted);
}

/* ---- order of events that an MTA would not give ---- */

static void test_events_out_of_order(void **state)
{
	(void)state;
	free(open_with("function DoRCPTTO() return '550 no' end", NULL));
	rcpt("<c@d.test>", "continue"); /* before MAIL: nothing to decide */
	data("continue");
	end("continue");
	smtpsvr_abort(smtp);
	mail("<a@b.test>", "continue");
	rcpt("<c@d.test>", "reply 550 5.7.1 no");
	mail("<e@b.test>", "continue"); /* a second MAIL begins anew */
	close_session();
}

/* ---- results ---- */

static void test_result_types(void **state)
{
	static const struct {
		const char *result, *wanted;
	} cases[] = {
	    {"nil", "continue"},
	    {"''", "continue"},
	    {"'  '", "continue"},
	    {"true", "continue"},
	    {"false", "continue"},
	    {"{}", "continue"},
	    {"print", "continue"},
	    {"0", "continue"},
	    {"550", "reply 550 5.7.1"},
	    {"550.0", "reply 550 5.7.1"},
	    {"'550'", "reply 550 5.7.1"},
	    {"'250 fine'", "continue"},
	    {"'354 go'", "continue"},
	    {"'199 what'", "continue"},
	    {"'600 what'", "continue"},
	    {"'hello'", "continue"},
	    {"'550 a\\r\\n550 b'", "reply 550 5.7.1 a / b"},
	    {"'550 a\\0b'", "reply 550 5.7.1 a?b"},
	    {"'450 4.1.8 later'", "reply 450 4.1.8 later"},
	    {"'550 4.1.8 wrong class'", "reply 550 5.7.1 wrong class"},
	    {"setmetatable({}, {__tostring = function() return '550 x' end})", "continue"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *script = xasprintf("function DoMAILFROM() return %s end", cases[i].result);

		free(open_with(script, NULL));
		mail("<a@b.test>", cases[i].wanted);
		close_session();
		free(script);
	}
}

static void test_on_error(void **state)
{
	static const struct {
		const char *setting, *wanted;
	} cases[] = {
	    {"lua.on_error=accept", "continue"},
	    {"lua.on_error=tempfail", "reply 451 4.3.0 Local policy failed, try again later"},
	    {"lua.on_error=reject", "reply 554 5.3.0 Local policy failed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const settings[] = {cases[i].setting, NULL};
		char *log;

		free(open_with("function DoMAILFROM() error('oops') end\n"
			       "function DoRCPTTO() return nothing.here end",
		    settings));
		mail("<a@b.test>", cases[i].wanted);
		log = script_rig_errors(&rig);
		assert_non_null(strstr(log, "smtpsvr.lua:1: oops"));
		free(log);
		close_session();
	}
}

/* ---- recipients and headers of a message ---- */

#define PROCESS(body) "function ProcessMessage(f, s, r, a) " body " end"

static void test_actions(void **state)
{
	static const struct {
		const char *script, *wanted;
	} cases[] = {
	    {PROCESS(""), "continue"},
	    {PROCESS("return 5"), "continue"},
	    {PROCESS("return {}"), "continue"},
	    {PROCESS("return a, '550 no'"), "reply 550 5.7.1 no"},
	    {PROCESS("return a, '250 yes'"), "continue"},
	    {PROCESS("return a, 'for the log'"), "continue"},
	    {PROCESS("a.Ignore = true"), "discard"},
	    {PROCESS("a.Ignore = 'no'"), "continue"},
	    {PROCESS("return {Ignore = 1, Delete = '1', Reason = 'r'}"), "reply 550 5.7.1 r"},
	    {PROCESS("a.Recipients = {'x@y.test', 'X@Y.test', 'c@d.test'}"),
		"continue\nrecipient add <x@y.test>"},
	    {PROCESS("a.Recipients = {'x@y.test'} a.SendToOriginalRecipients = '0'"),
		"continue\nrecipient add <x@y.test>\nrecipient remove <c@d.test>"},
	    {PROCESS("a.SendToOriginalRecipients = false"), "continue"},
	    {PROCESS("a.SendToOriginalRecipients = false a.Recipients = {'a b', 'c\\nd', {}}"),
		"continue"},
	    {PROCESS("a.HeaderModifiers = {'Subject: t', 'X-New: 1', 'Subject: u'}"),
		"continue\nheader append X-New: 1\nheader change 1 Subject: u"},
	    {PROCESS("a.HeaderModifiers = {'subject:'}"), "continue\nheader delete 1 subject"},
	    {PROCESS("a.HeaderModifiers = {'no colon', 'X: a\\nY: b', ':x', ' x'}"), "continue"},
	    {PROCESS("a.HeaderModifiers = 'X: 1\\r\\nY: 2'"),
		"continue\nheader append X: 1\nheader append Y: 2"},
	    {PROCESS("a.Recipients = setmetatable({}, {__index = function() error('x') end})"),
		"continue"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		free(open_with(cases[i].script, NULL));
		message(cases[i].wanted);
		close_session();
	}
}

static void test_parameters(void **state)
{
	static const struct {
		const char *body, *wanted;
	} cases[] = {
	    {"", "continue"},
	    {"return '', p", "continue"},
	    {"p.ENVID = 'x' return '', p", "continue\nsender <a@b.test> ENVID=x RET=FULL"},
	    {"p.ret = 'HDRS' return '', p", "continue\nsender <a@b.test> RET=HDRS"},
	    {"p.SIZE = '5' return '', p", "continue\nsender <a@b.test> RET=FULL"},
	    {"return '', {RET = 'HDRS\\r\\nRCPT TO:<x>'}", "continue"},
	    {"return '', {[1] = 2, RET = {}, ENVID = print}", "continue\nsender <a@b.test>"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *script = xasprintf("function DoMAILFROM(d, f, p) %s end", cases[i].body);

		free(open_with(script, NULL));
		mail("<a@b.test> SIZE=10 RET=FULL", "continue");
		rcpt("<c@d.test>", "continue");
		data("continue");
		end(cases[i].wanted);
		close_session();
		free(script);
	}
}

static void test_long_addresses_are_refused(void **state)
{
	char *local = xmalloc(65 * 1024), *address;

	(void)state; /* R5 */
	memset(local, 'x', 64 * 1024);
	local[64 * 1024] = '\0';
	address = xasprintf("<%s@b.test>", local);
	free(open_with("function DoMAILFROM(d) seen = #d end", NULL));
	mail(address, "reply 501 5.1.7 Sender address too long");
	mail("<a@b.test>", "continue");
	rcpt(address, "reply 501 5.1.3 Recipient address too long");
	close_session();
	free(address);
	free(local);
}

/* One recipient refused, or all of them for now, would keep a local message in maildrop for ever.
 */
static void test_too_many_recipients(void **state)
{
	(void)state;
	for (int local = 0; local <= 1; local++) {
		local_submission = local;
		free(open_with("function CheckRecipients() end", NULL));
		mail("<a@b.test>", "continue");
		for (int i = 0; i < LIMIT_RECIPIENTS; i++)
			rcpt("<c@d.test>", "continue");
		rcpt("<e@d.test>", local ? "continue" : "reply 452 4.5.3 Too many recipients");
		data("continue");
		end(local ? "reply 554 5.5.3 Too many recipients" : "continue");
		close_session();
	}
	local_submission = false;
}

static void test_globals_take_effect(void **state)
{
	static const struct {
		const char *script, *wanted;
	} cases[] = {
	    {"ValidClientAddress = false", "reply 550 5.7.1 Your address may not use this service"},
	    {"function Start() AuthenticationRequired = 1 end",
		"reply 530 5.7.0 Authentication required"},
	    {"AuthenticationRequired = 'no'", "continue"},
	    {"AuthenticationRequired = {}", "continue"},
	    {"AuthenticationRequired = nil", "continue"},
	    {"function DoMAILFROM() ValidClientAddress = 0 end",
		"reply 550 5.7.1 Your address may not use this service"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		free(open_with(cases[i].script, NULL));
		mail("<a@b.test>", cases[i].wanted);
		close_session();
	}
}

static void test_refused_session_and_its_end(void **state)
{
	struct smtpsvr_tls tls = {0};
	struct verdict v;
	char *greeting;

	(void)state;
	greeting =
	    open_with("function Start() return '450 4.7.1 wait' end\n"
		      "function DoHELO(name, refuse) if name == 'ok' then return false end end",
		NULL);
	assert_non_null(strstr(greeting, "reply 450 4.7.1 wait"));
	free(greeting);
	assert_int_equal(smtpsvr_refusal(smtp)->code, 450);
	mail("<a@b.test>", "reply 450 4.7.1 wait");
	verdict_init(&v);
	smtpsvr_helo(smtp, "bad", true, &tls, &v);
	expect(&v, "continue");
	mail("<a@b.test>", "reply 450 4.7.1 wait");
	smtpsvr_helo(smtp, "ok", true, &tls, &v);
	expect(&v, "continue");
	mail("<a@b.test>", "continue");
	close_session();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_events_out_of_order),
	    cmocka_unit_test(test_result_types),
	    cmocka_unit_test(test_on_error),
	    cmocka_unit_test(test_actions),
	    cmocka_unit_test(test_parameters),
	    cmocka_unit_test(test_long_addresses_are_refused),
	    cmocka_unit_test(test_too_many_recipients),
	    cmocka_unit_test(test_globals_take_effect),
	    cmocka_unit_test(test_refused_session_and_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
