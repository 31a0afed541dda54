/* Old scripts in a script directory: what is found when they load, what the log says, files that
 * fetch each other, and the whole of what VPOP3's own kind of script does (R14). The scripts are
 * written for this test in the manner of the old ones. */
#include "common/clock.h"
#include "common/list.h"
#include "tests/unit/lua_rig.h"
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

static struct script_rig rig;
static struct script_set *set;
static struct runtime *rt;

static void open_rig(const char *mode)
{
	char *setting = xasprintf("lua.compat=%s", mode);
	const char *settings[] = {setting, NULL};

	rig_listen();
	script_rig_open(&rig, settings);
	free(setting);
}

static void load(void)
{
	rt = rig_load(rig.config, &set);
}

static void close_rig(void)
{
	if (rt != NULL)
		rig_close(rt);
	script_set_unref(set);
	rt = NULL;
	set = NULL;
	script_rig_close(&rig);
}

/* ---- which scripts are old ---- */

#define NUMBERS                                                                                \
	"return 10/2 .. '', tostring(10/2), string.format('%s', 10/2), table.concat({10/2}), " \
	"load('return 10/2 .. \"\"')()"
#define OLD_RESULTS "5|5|5|5|5"
#define NEW_RESULTS "5.0|5.0|5.0|5.0|5.0"

static void test_numbers_of_each_file(void **state)
{
	static const struct {
		const char *mode, *plain, *path;
	} rows[] = {
	    {"auto", NEW_RESULTS, OLD_RESULTS},
	    {"5.0", OLD_RESULTS, OLD_RESULTS},
	    {"5.2", OLD_RESULTS, NULL},
	    {"5.4", NEW_RESULTS, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		open_rig(rows[i].mode);
		script_rig_write(&rig, "plain.lua", NUMBERS);
		script_rig_write(&rig, "path.lua", "local path = 'C:\\VPOP3'\n" NUMBERS);
		script_rig_write(&rig, "newer.lua", "local path = 'C:\\VPOP3' & 1\n" NUMBERS);
		load();
		rig_expect(rt, "return dofile('plain.lua')", rows[i].plain);
		if (rows[i].path != NULL)
			rig_expect(rt, "return dofile('path.lua')", rows[i].path);
		else
			rig_expect_error(
			    rt, "return dofile('path.lua')", "path.lua:1: invalid escape sequence");
		close_rig();
	}
}

static void test_print_and_write(void **state)
{
	(void)state;
	open_rig("5.2");
	script_rig_write(&rig, "old.lua", "print(10/2, 2.5) io.write(6/2, '\\n')");
	load();
	rig_printed_clear();
	rig_expect(rt, "return dofile('old.lua')", "");
	assert_string_equal(rig_printed, "5\t2.5\n3\n");
	close_rig();
}

static void test_files_fetch_each_other(void **state)
{
	(void)state;
	open_rig("auto");
	script_rig_write(&rig, "Lists.lua",
	    "\xEF\xBB\xBF-- a list\r\nlocal t = {'a', 'b'}\r\nlists = ''\r\n"
	    "for _, v in t do\r\n lists = lists .. v\r\nend\r\nreturn lists");
	script_rig_write(&rig, "args.lua",
	    "local name = ... function all(...) return arg.n end "
	    "return name .. all(1, 2, 3)");
	load();
	rig_expect(rt, "return require('lists')", "ab|lists.lua");
	rig_expect(rt, "return require('args')", "args3|args.lua");
	rig_expect(rt, "return loadfile('LISTS.LUA')()", "ab");
	rig_expect(rt, "return loadfile('lists.lua', 't', {})()", "ab");
	rig_expect(rt, "return lists, setfenv(loadfile('lists.lua'), {})() == 'ab'", "ab|true");
	close_rig();
}

static void test_functions_are_gone_in_54(void **state)
{
	static const char *const names[] = {"unpack", "loadstring", "setfenv", "getfenv", "gcinfo",
	    "loadlib", "module", "newproxy", "table.getn", "table.foreach", "string.gfind",
	    "math.mod", "math.pow", "bit32"};
	char code[200];

	(void)state;
	for (int strict = 0; strict < 2; strict++) {
		open_rig(strict ? "5.4" : "auto");
		load();
		for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
			snprintf(code, sizeof code, "return %s ~= nil", names[i]);
			rig_expect(rt, code, strict ? "false" : "true");
		}
		rig_expect(rt, "return ('x').gfind == nil, table.unpack({1, 2})",
		    strict ? "true|1|2" : "false|1|2");
		close_rig();
	}
}

/* ---- what is said ---- */

static void expect_notice(size_t i, const char *wanted)
{
	const char *file;
	const struct compat_notice *notice = script_set_notice(set, i, &file);
	char text[300] = "";

	if (notice != NULL)
		compat_notice_text(notice, file, text, sizeof text);
	assert_string_equal(text, wanted);
}

static void test_notices(void **state)
{
	(void)state;
	open_rig("auto");
	script_rig_write(&rig, "b.lua", "x = 1\ny = '\\V'");
	script_rig_write(&rig, "a.lua", "n = table.getn(t)\nmodule('x')");
	script_rig_write(&rig, "empty.lua", "");
	load();
	expect_notice(0, "a.lua:1: old-function table.getn: the function exists here");
	expect_notice(1,
	    "a.lua:2: refused-function module: calling it raises an error that says what "
	    "to write instead");
	expect_notice(2, "b.lua:2: unknown-escape \\V: the backslash is dropped, as in Lua 5.0");
	expect_notice(3, "");
	close_rig();
}

/* What the log gets, up to 16 KiB, malloc'ed. */
static char *publish_and_read_log(void)
{
	char path[] = "/var/tmp/mailhooks-test.XXXXXX", *text = xcalloc(1, 16385);
	int fd = mkstemp(path), before = dup(STDERR_FILENO);

	assert_true(fd >= 0 && before >= 0);
	unlink(path);
	dup2(fd, STDERR_FILENO);
	log_open("test", LOG_TO_STDERR, LOG_AS_TEXT, 0, LOG_LVL_INFO);
	script_set_publish(script_set_ref(set));
	rig_expect(rt, "for i = 1, 3 do dofile('walks.lua') end return 'fine'", "fine");
	script_set_publish(NULL);
	log_open("test", LOG_TO_STDERR, LOG_AS_TEXT, 0, LOG_LVL_WARN);
	dup2(before, STDERR_FILENO);
	close(before);
	assert_true(pread(fd, text, 16384, 0) > 0);
	close(fd);
	return text;
}

static int count(const char *text, const char *part)
{
	int n = 0;

	for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
		n++;
	return n;
}

static void test_log(void **state)
{
	char *text;

	(void)state;
	open_rig("auto");
	script_rig_write(&rig, "many.lua",
	    "t = {'\\A', '\\B', '\\C', '\\D', '\\E', '\\F', '\\G', '\\H', '\\I', '\\J', '\\K', '\\L', "
	    "'\\M', '\\N', '\\O', '\\P', '\\Q', '\\R', '\\S', '\\T', '\\U', '\\V', '\\W'} "
	    "table.getn(t) x = 10/2 .. ''");
	script_rig_write(
	    &rig, "walks.lua", "\n\nfor k, v in (function() return {1, 2} end)() do end");
	load();
	text = publish_and_read_log();
	assert_int_equal(count(text, "script many.lua:1: unknown-escape \\"), 20);
	assert_int_equal(count(text, "script many.lua: 4 more such places"), 1);
	assert_int_equal(count(text, "getn"), 0); /* it just works */
	assert_int_equal(count(text, "script walks.lua:3: for-in-table"), 1);
	free(text);
	close_rig();
}

/* ---- whole scripts ---- */

/* A script in the manner of 2003, with hooks that the server calls. */
static const char server_script[] =
    "-- rules of the house, kept in C:\\VPOP3\r\n"
    "blocked = { \"spam.example\", \"junk.example\"; n = 2 }\r\n"
    "logfile = \"C:\\VPOP3\\log\\smtp.log\"\r\n"
    "--[[ not used any more:\r\n"
    "   text = [[ old banner ]]\r\n"
    "]]\r\n"
    "function Log(...)\r\n"
    "  local line = \"\";\r\n"
    "  for i = 1, table.getn(arg) do line = line .. arg[i] .. \" \" end\r\n"
    "  Lines = (Lines or \"\") .. line .. \"/\";\r\n"
    "end\r\n"
    "function DoMAILFROM(sender)\r\n"
    "  for i, domain in blocked do\r\n"
    "    if type(i) == \"number\" and string.find(sender, domain, 1, true) then\r\n"
    "      Log(\"blocked\", i, 100/4);\r\n"
    "      return \"550 5.7.1 rule \" .. 2/2 .. \" of \" .. table.getn(blocked);\r\n"
    "    end\r\n"
    "  end\r\n"
    "end\r\n"
    "function Broken(t)\r\n"
    "  return \"size \" ..\r\n"
    "    t.size\r\n"
    "end\r\n";

struct reply {
	char text[200];
};

static int l_push_sender(lua_State *L, void *arg)
{
	(void)arg;
	lua_pushliteral(L, "bob@junk.example");
	return 1;
}

static int l_push_table(lua_State *L, void *arg)
{
	(void)arg;
	lua_newtable(L);
	return 1;
}

static void l_take_reply(lua_State *L, int first, int n, void *arg)
{
	struct reply *reply = arg;

	snprintf(reply->text, sizeof reply->text, "%s", n > 0 ? lua_tostring(L, first) : "(none)");
}

static void test_server_script(void **state)
{
	struct reply reply = {""};
	struct run_call rcpt = {.function = "DoMAILFROM",
	    .l_push = l_push_sender,
	    .l_take = l_take_reply,
	    .arg = &reply};
	struct run_call broken = {.function = "Broken", .l_push = l_push_table};
	struct run_budget budget = {clock_ms() + RIG_MS, RIG_INSTRUCTIONS};
	char error[300], *log;

	(void)state;
	open_rig("auto");
	script_rig_write(&rig, "SMTPSVR.LUA", server_script);
	load();
	assert_true(script_set_has_hook(set, SCRIPT_SMTPSVR, "DoMAILFROM"));
	assert_int_equal(script_set_hook_arguments(set, SCRIPT_SMTPSVR, "DoMAILFROM"), 1);
	for (int life = 0; life < 3; life++) { /* the compiled script serves them all */
		assert_int_equal(
		    runtime_script(rt, SCRIPT_SMTPSVR, &budget, error, sizeof error), RUN_OK);
		assert_int_equal(runtime_call(rt, &rcpt, &budget, error, sizeof error), RUN_OK);
		assert_string_equal(reply.text, "550 5.7.1 rule 1 of 2");
		rig_expect(rt, "return Lines, logfile", "blocked 2 25 /|C:VPOP3logsmtp.log");
		assert_true(runtime_end(rt) && runtime_begin(rt, NULL));
	}
	/* messages and the traceback name lines of the file, and nothing of ours */
	assert_int_equal(runtime_script(rt, SCRIPT_SMTPSVR, &budget, error, sizeof error), RUN_OK);
	assert_int_equal(runtime_call(rt, &broken, &budget, error, sizeof error), RUN_ERROR);
	assert_string_equal(
	    error, "SMTPSVR.LUA:21: attempt to concatenate a nil value (field 'size')");
	log = script_rig_errors(&rig);
	assert_null(strstr(log, "compat"));
	assert_int_equal(count(log, "[C]"), 1);
	assert_non_null(strstr(log, "SMTPSVR.LUA:22: in function <SMTPSVR.LUA:20>\n\t[C]: in ?\n"));
	free(log);
	close_rig();
}

/* What mail administrators do with the other scripts, in the words that every version of Lua has.
 */
static void test_plain_scripts(void **state)
{
	static const struct {
		const char *script, *call, *results;
	} rows[] = {
	    {"function ServerDetails(p, lines, what)\n"
	     "  if p[\"server\"] == \"mx.old.example\" then what[\"tryTLS\"] = 0; end\n"
	     "  return what;\nend",
		"return ServerDetails({server = 'mx.old.example'}, {}, {tryTLS = true}).tryTLS, "
		"ServerDetails({server = 'b'}, {}, {tryTLS = true}).tryTLS",
		"0|true"},
	    {"function CheckFile(file, what, size)\n"
	     "  now = os.date(\"*t\", 43200)\n"
	     "  if size > 2000000 and (now.hour > 6 and now.hour < 20) then what[\"SkipSend\"] = 1; "
	     "end\n"
	     "  if size / 2 > 500000 then what.Priority = size / 1000000 end\n"
	     "  return what\nend",
		"return CheckFile('a', {}, 3e6).SkipSend, math.tointeger(CheckFile('a', {}, 2e6)"
		".Priority), CheckFile('a', {}, 10).Priority",
		"1|2|nil"},
	    {"senderid = 1\nfunction CheckFile(file, what, size)\n"
	     "  if size > 70000 then if senderid ~= 0 then what.SkipSend = 1 end\n"
	     "  else if senderid ~= 1 then what.SkipSend = 1 end end\n"
	     "  return what\nend",
		"return CheckFile('a', {}, 70001).SkipSend, CheckFile('a', {}, 70000).SkipSend",
		"1|nil"},
	    {"function ask() return {{cnt = '6'}} end\n"
	     "function CheckServer(domain, server, tries, size, before)\n"
	     "  if before then\n    x = ask(\"select count(*) as cnt where server='\"\n"
	     "    .. server .. \"'\")\n"
	     "    if tonumber(x[1].cnt) > 5 then return false, 10; end\n  end\nend",
		"return CheckServer('d', 's', 0, 1, true), select('#', CheckServer('d', 's', 0, 1, "
		"false)), select(2, CheckServer('d', 's', 0, 1, true))",
		"false|0|10"},
	    {"classes = {\"%l\", \"%u\", \"%d\", \"%p\"}\n"
	     "function Check(user, password)\n  found = 0\n"
	     "  for i, class in pairs(classes) do\n"
	     "    if string.find(password, class) then found = found + 1 end\n  end\n"
	     "  return found >= 3 and string.lower(password) ~= string.lower(user)\nend",
		"return Check('bob', 'Secret1'), Check('bob', 'secret'), Check('Bob1', 'bOB1')",
		"true|false|false"},
	};
	static const char *const modes[] = {"auto", "5.0", "5.2", "5.4"};

	(void)state;
	for (size_t m = 0; m < 4; m++) {
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			char code[500];

			open_rig(modes[m]);
			script_rig_write(&rig, "plain.lua", rows[i].script);
			load();
			if (m == 0)
				assert_null(script_set_file(set, "plain.lua")->compat.text);
			snprintf(code, sizeof code, "dofile('plain.lua') %s", rows[i].call);
			rig_expect(rt, code, rows[i].results);
			close_rig();
		}
	}
}

/* One that Lua 5.4 refuses, and no older version takes. */
static void test_fault_is_named(void **state)
{
	char error[500];

	(void)state;
	open_rig("auto");
	script_rig_write(&rig, "smtpsvr.lua", "p = 'C:\\VPOP3'\r\n\r\nif x then\r\ny = = 1\r\nend");
	assert_null(script_set_load(rig.config, error, sizeof error));
	assert_non_null(strstr(error, "/smtpsvr.lua:4: unexpected symbol near '='"));
	close_rig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers_of_each_file),
	    cmocka_unit_test(test_print_and_write),
	    cmocka_unit_test(test_files_fetch_each_other),
	    cmocka_unit_test(test_functions_are_gone_in_54),
	    cmocka_unit_test(test_notices),
	    cmocka_unit_test(test_log),
	    cmocka_unit_test(test_server_script),
	    cmocka_unit_test(test_plain_scripts),
	    cmocka_unit_test(test_fault_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
