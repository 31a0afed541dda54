/* Memory that Lua asks for is refused at every point of an SMTP session: the script set is loaded,
 * the session opened, hooks with every helper run, the session closed. Each event still has a
 * defined verdict, nothing leaks (LeakSanitizer), and the next session is served (R5, R18).
 *
 * What C allocates is not refused here: common/list.h ends the process then, and the parent starts
 * a new one. */
#include "common/list.h"
#include "common/log.h"
#include "common/verdict.h"
#include "lua-bindings/guard.h"
#include "lua-bindings/smtpsvr.h"
#include "tests/unit/script_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAILED "reply 451 4.3.0 Local policy failed, try again later"
#define LEAST 300    /* points that it must have met */
#define MOST 1000000 /* points: it comes to an end */

/* ---- guard_alloc() is wrapped ---- */

/* From the first-th request on as many as `refused` fail; 0 = none. */
static long first, refused, requests;

void *__real_guard_alloc(void *guard, void *old, size_t old_size, size_t new_size);
void *__wrap_guard_alloc(void *guard, void *old, size_t old_size, size_t new_size);

void *__wrap_guard_alloc(void *guard, void *old, size_t old_size, size_t new_size)
{
	if (new_size > 0 && (old == NULL || new_size > old_size)) {
		requests++;
		if (first > 0 && requests >= first && requests - first < refused)
			return NULL;
	}
	return __real_guard_alloc(guard, old, old_size, new_size);
}

static void refuse(long from, long n)
{
	requests = 0;
	first = from;
	refused = n;
}

/* ---- the scripts ---- */

static const char smtpsvr[] =
    "lists = require 'lists'\n"
    "local function try(f, ...) local r = table.pack(f(...)) return r.n end\n"
    "function Start() seen = {} os.setsafety('key') os.clearsafety('key') end\n"
    "function DoHELO(name)\n"
    "  try(VPOP3.GetSetting, 'a') try(VPOP3.SetSetting, 'a', 'b') try(VPOP3.GetUserList)\n"
    "  try(VPOP3.GetUserSetting, 'u', 'a') try(VPOP3.SetUserSetting, 'u', 'a', 'b')\n"
    "  try(VPOP3.HexString, VPOP3.HMAC('SHA256', name, 'k')) try(VPOP3.UnHexString, '00ff')\n"
    "  try(VPOP3.MD5, name) try(VPOP3.SHA512, name) try(VPOP3.ParseURL, 'http://a.test/b?c#d')\n"
    "  try(VPOP3.ExpandAddress, 'a@b.test', -1)\n"
    "end\n"
    "function DoMAILFROM(data, from, p)\n"
    "  try(VPOP3Net.GetDNSRecords, 'a.test', 15) try(VPOP3Net.GetHTTP, 'http://127.0.0.1/')\n"
    "  try(VPOP3Net.GetWHOIS, '127.0.0.1', 'x') try(os.getdirectory, '.') try(os.sleep, 0)\n"
    "  local f = io.tmpfile() f:write('one\\n', 2, '\\n') f:seek('set') for l in f:lines() do seen[l] = 1 end\n"
    "end\n"
    "function DoRCPTTO(data, rcpt)\n"
    "  try(VPOP3.PostgresQuery, \"SELECT count(*) AS n FROM outqueue.sendattempts\")\n"
    "  try(mailhooks.rate_take, 'k', { count = 5, minutes = 1 }) try(mailhooks.hold, { server = 'mx.test', minutes = 1 })\n"
    "  try(mailhooks.held, { server = 'mx.test' }) try(mailhooks.release, { server = 'mx.test' })\n"
    "  try(mailhooks.count_attempts, { hours = 1 }) try(mailhooks.sql_quote, rcpt)\n"
    "  seen[rcpt] = data:gsub('%a', string.upper):rep(3) .. #seen\n"
    "  local co = coroutine.wrap(function(...) coroutine.yield(select('#', ...)) error({}) end)\n"
    "  co(1, 2) pcall(co) xpcall(error, debug.traceback, rcpt)\n"
    "  table.sort({ 3, 1, 2 }, function(a, b) return a < b end)\n"
    "  assert(load('return ' .. #rcpt))() string.format('%s %5.2f %q', rcpt, 1.5, data)\n"
    "  print(rcpt, os.date('*t').year, utf8.char(8364), string.pack('s2', rcpt), bit32.bnot(1))\n"
    "end\n"
    "function DoDATAStart(list) return '', { 'X-Data: ' .. #list } end\n"
    "function MessageLine(line) seen[#seen + 1] = line end\n"
    "function ProcessMessage(from, subject, list, actions)\n"
    "  VPOP3.MessageReset() VPOP3.MessageSeek(3) try(VPOP3.GetMessageLines, 2)\n"
    "  try(VPOP3.GetMessagePart, '1') try(VPOP3.GetMessagePartBody, '1') try(VPOP3.GetMessagePartHeader, '1')\n"
    "  try(mailhooks.headers, 'Subject') mailhooks.remove_auth_results()\n"
    "  actions.HeaderModifiers[1] = 'X-Mine: ' .. subject\n"
    "end\n"
    "function End() seen = table.concat(seen, ',') end\n";

/* An old one, so that it is rewritten. */
static const char lists[] = "local path = \"C:\\VPOP3\"\n"
			    "local function f(...) return arg.n .. 10/2 end\n"
			    "return { path, f(1, 2) }\n";

static const char signature[] =
    "function GetSignature(from, to) return 'regards of ' .. tostring(from) end\n";

static const char *const settings[] = {
    "lua.on_error=tempfail", "dns.servers=127.0.0.1:9", "lua.out=", "lua.errors=", NULL};

static struct script_rig rig;
static struct log_id id = {.session = "test"};

static void hear_nothing(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static int start(void **state)
{
	(void)state;
	script_rig_open(&rig, settings);
	script_rig_write(&rig, "smtpsvr.lua", smtpsvr);
	script_rig_write(&rig, "lists.lua", lists);
	script_rig_write(&rig, "signature.lua", signature);
	log_capture(hear_nothing, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	log_capture(NULL, NULL);
	script_rig_close(&rig);
	return 0;
}

/* ---- a session ---- */

/* Defined: nothing, a temporary refusal, or what the script has asked for. */
static int look_at(struct verdict *v, bool last)
{
	char *text = verdict_describe(v);
	size_t n = strlen(text);
	int failed = strstr(text, FAILED) != NULL;

	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	if (!failed && strcmp(text, "continue") != 0 &&
	    !(last && strstr(text, "continue") != NULL && strstr(text, "reply") == NULL))
		fail_msg("request %ld refused: %s", first, text);
	free(text);
	verdict_reset(v);
	return failed;
}

/* One message from connection to end; the result is how many events failed. */
static int dialogue(struct smtpsvr *smtp)
{
	struct smtpsvr_client client = {.listen = "", .hostname = "client.test"};
	char *from[] = {(char *)"<a@b.test>", (char *)"SIZE=100", NULL};
	char *to[] = {(char *)"<c@d.test>", NULL};
	struct smtpsvr_tls tls = {.on = false};
	struct verdict v;
	int failed = 0;

	ip_address_parse(&client.address, "192.0.2.7");
#define EVENT(call, last)                    \
	do {                                 \
		verdict_init(&v);            \
		call;                        \
		failed += look_at(&v, last); \
	} while (0)
	EVENT(smtpsvr_connect(smtp, &client, &v), false);
	EVENT(smtpsvr_helo(smtp, "client.test", true, &tls, &v), false);
	EVENT(smtpsvr_mail(smtp, from, NULL, &v), false);
	EVENT(smtpsvr_rcpt(smtp, to, false, &v), false);
	EVENT(smtpsvr_data(smtp, &v), false);
	EVENT(smtpsvr_header(smtp, "Subject", " hello", &v), false);
	EVENT(smtpsvr_body(smtp, "one\r\ntwo\r\n", 10, &v), false);
	EVENT(smtpsvr_end_of_message(smtp, &v), true);
#undef EVENT
	smtpsvr_abort(smtp);
	return failed;
}

static struct script_set *load(void)
{
	char error[500] = "";
	struct script_set *set = script_set_load(rig.config, error, sizeof error);

	if (set == NULL)
		assert_true(error[0] != '\0'); /* and says why */
	return set;
}

static int session(struct script_set *set)
{
	struct smtpsvr *smtp = smtpsvr_open(set, NULL, &id);
	int failed;

	assert_non_null(smtp);
	failed = dialogue(smtp);
	smtpsvr_close(smtp);
	return failed;
}

/* ---- sweeps ---- */

static void sweep_sessions(long n)
{
	struct script_set *set = load();
	long met = MOST, point = 0;

	assert_non_null(set);
	assert_int_equal(session(set), 0);
	refuse(1, MOST); /* no instance at all: lua.on_error decides, too */
	assert_in_range(session(set), 1, 8);
	refuse(0, 0);
	while (met >= point) { /* else nothing was refused any more */
		refuse(++point, n);
		session(set);
		met = requests;
		refuse(0, 0);
		if (point % 50 == 0)
			assert_int_equal(session(set), 0);
	}
	print_message("%ld points\n", point);
	assert_in_range(point, LEAST, MOST - 1);
	assert_int_equal(session(set), 0);
	script_set_unref(set);
}

/* Nothing is left from here to the end of the session. */
static void test_no_memory_any_more(void **state)
{
	(void)state;
	sweep_sessions(MOST);
}

/* A moment without memory: liblua collects its garbage and asks again, so two are refused. */
static void test_no_memory_for_a_moment(void **state)
{
	(void)state;
	sweep_sessions(2);
}

static void test_loading(void **state)
{
	long met = MOST, failed = 0, point = 0;
	struct script_set *set;

	(void)state;
	while (met >= point) {
		refuse(++point, MOST);
		set = load();
		met = requests;
		refuse(0, 0);
		failed += set == NULL;
		if (set != NULL && point % 50 == 0)
			session(set);
		script_set_unref(set);
	}
	print_message("%ld points, %ld loads failed\n", point, failed);
	assert_in_range(failed, LEAST, MOST);
	assert_in_range(point, LEAST, MOST - 1);
	set = load();
	assert_non_null(set);
	assert_int_equal(session(set), 0);
	script_set_unref(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_no_memory_any_more, start, stop),
	    cmocka_unit_test_setup_teardown(test_no_memory_for_a_moment, start, stop),
	    cmocka_unit_test_setup_teardown(test_loading, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
