/* The io library and what os does with files: nothing blocks, nothing is left open, Lua's results.
 */
#include "common/clock.h"
#include "common/limits.h"
#include "tests/unit/lua_rig.h"
#include "tests/unit/script_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct script_rig scripts;
static struct script_set *set;
static struct runtime *rt;
static struct lua_State *stock;

static int setup(void **state)
{
	(void)state;
	rig_listen();
	script_rig_open(&scripts, NULL);
	rt = rig_load(scripts.config, &set);
	stock = rig_stock_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lua_close(stock);
	rig_close(rt);
	script_set_unref(set);
	script_rig_close(&scripts);
	return 0;
}

static void next_life(void)
{
	assert_true(runtime_end(rt));
	assert_true(runtime_begin(rt, NULL));
}

/* ---- as stock Lua ---- */

/* P is a relative name: ours means the script directory, stock Lua the working directory. */
static const char *const calls[] = {
    "local f = assert(io.open(P, 'w')) local r = f:write('one\\n', 2, '\\n', 3.5, '\\nlast') == f "
    "return r, f:close(), io.type(f), tostring(f), pcall(f.write, f, 'x'), pcall(f.close, f)",
    "local f = io.open(P) return f:read(), f:read('n'), f:read('n'), f:read('L'), f:read('a'), f:read('a'), f:read(), f:close()",
    "local f = io.open(P) return f:read('*l', '*n', '*L', '*a')",
    "local f = io.open(P) return f:read(3), f:read(0), f:read(100), f:read(0), f:read(5), f:read('l')",
    "local f = io.open(P) return f:read('l', 'l', 'l', 'l', 'l', 'l')",
    "local f = io.open(P) return f:seek('end'), f:seek('set', 2), f:read(1), f:seek(), f:seek('cur', -1), pcall(f.seek, f, 'x')",
    "local f = io.open(P) return pcall(f.read, f, 'x'), pcall(f.read, f, {}), f:write('x')",
    "local f = io.open(P, 'a') f:write('+') return f:read(), f:close()",
    "local f = io.open(P, 'r+') f:write('ONE') f:seek('set') return f:read('a')",
    "local f = io.open(P, 'w+') f:write('12 0x1F -3.5e2 x 99') f:seek('set') return f:read('n', 'n', 'n', 'n')",
    "local f = io.open(P, 'w+b') f:write('a\\r\\nb\\r\\n') f:seek('set') return (f:read('l', 'L'))",
    "local f = io.open(P, 'w') f:write('a\\n\\nb\\nc') f:close() local t = {} for l in io.lines(P) do t[#t + 1] = l end "
    "return table.concat(t, '|')",
    "local t = {} for a, b in io.lines(P, 1, 'L') do t[#t + 1] = a .. tostring(b) end return table.concat(t, '|')",
    "local t = {} for l in io.open(P):lines('L') do t[#t + 1] = l end return table.concat(t, '|')",
    "local f = io.open(P) local it = f:lines() it() f:close() return pcall(it)",
    "local it = io.lines(P) local n = 0 while it() do n = n + 1 end return n, pcall(it)",
    "return select('#', io.lines(P)), pcall(io.lines, P, 'x'), pcall(function() for l in io.lines(P, 'y') do end end)",
    "return pcall(io.lines, '/nonexistent/x')",
    "return io.open('/nonexistent/x'), pcall(io.open, P, 'rw'), pcall(io.open, P, ''), pcall(io.open)",
    "return io.type(5), io.type(io.open(P)), pcall(io.type)",
    "local f = io.open(P, 'w') return f:setvbuf('full', 1024) ~= nil, f:setvbuf('no') ~= nil, f:flush() == f, pcall(f.setvbuf, f, 'x')",
    "io.output(P) io.write('x', 1) local f = io.output() local r = io.type(f) io.close() return r, io.type(f)",
    "io.input(P) return io.read(1), io.read('a'), io.type(io.input())",
    "io.input(P) local t = {} for c in io.lines(nil, 1) do t[#t + 1] = c end return table.concat(t, '|')",
    "return pcall(io.input, '/nonexistent/x'), pcall(io.close, 5), pcall(io.input, 5 == 6)",
    "do local f <close> = io.open(P) F = f end return io.type(F)",
    "local f = io.open(P, 'w') return pcall(f.write, f, {}), pcall(f.write, f, nil), pcall(f.seek, nil)",
    "return os.remove(P), os.remove(P), os.rename(P, P .. '2')",
    "local f = io.open(P, 'w') f:close() return os.rename(P, P .. '2'), io.open(P), os.remove(P .. '2')",
};

static void test_as_stock(void **state)
{
	char code[1000];

	(void)state;
	assert_int_equal(chdir(scripts.directory), 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		snprintf(code, sizeof code, "local P = 'file' %s", calls[i]);
		rig_same(rt, stock, code);
	}
	assert_int_equal(chdir("/"), 0);
	next_life();
}

/* ---- where ours differs ---- */

static void test_relative_names(void **state)
{
	char path[200];

	(void)state;
	rig_expect(rt,
	    "local f = io.open('data.txt', 'w') f:write('here') f:close() return io.open('data.txt'):read('a')",
	    "here");
	snprintf(path, sizeof path, "%s/scripts/data.txt", scripts.directory);
	assert_int_equal(access(path, R_OK), 0);
	snprintf(path, sizeof path, "%s/scripts/lists", scripts.directory);
	assert_int_equal(mkdir(path, 0700), 0);
	rig_expect(rt,
	    "local f = io.open('lists\\\\x.txt', 'w') f:write('1') f:close() return io.open('lists/x.txt'):read()",
	    "1");
	rig_expect(rt, "local d = os.getdirectory('lists') return d['x.txt'].Size, d['X.TXT'].Size",
	    "1|1");
	rig_expect(rt,
	    "return os.rename('data.txt', 'lists\\\\y.txt'), os.remove('lists/y.txt'), os.remove('lists/x.txt'), "
	    "os.remove('lists')",
	    "true|true|true|true");
	rig_expect_error(rt, "io.open('a\\0b')", "zero byte");
	rig_expect(rt, "return io.open('none')", "nil|none: No such file or directory|2");
}

static void test_no_standard_handles(void **state)
{
	(void)state;
	next_life();
	rig_printed_clear();
	rig_expect(rt,
	    "return io.input(), io.output(), io.read(), io.flush(), io.write('a'), io.write(1, 2.5, '\\n')",
	    "nil|nil|nil|true|true|true");
	assert_string_equal(rig_printed, "a12.5\n");
	rig_expect_error(rt, "io.write({})", "string expected");
	rig_expect_error(rt, "io.close()", "no default output");
	rig_expect_error(rt, "for l in io.lines() do end", "no default input");
}

static void test_long_unfinished_line(void **state)
{
	(void)state;
	next_life();
	rig_printed_clear();
	assert_int_equal(rig_run(rt, "for i = 1, 5000 do io.write('x') end"), RUN_OK);
	assert_true(strlen(rig_printed) > 3000);
	next_life();
}

/* Windows text mode: scripts and their lists come from there. */
static void test_cr_lf(void **state)
{
	(void)state;
	rig_expect(rt,
	    "local f = io.open('crlf.txt', 'wb') f:write('one\\r\\ntwo\\r\\n\\r\\nlast\\r') f:close() "
	    "local t = {} for l in io.lines('crlf.txt') do t[#t + 1] = (l:gsub('\\r', 'R')) end return table.concat(t, '|')",
	    "one|two||lastR");
	rig_expect(rt, "return (io.open('crlf.txt', 'rb'):read('l'):gsub('\\r', 'R'))", "oneR");
	rig_expect(rt, "return (io.open('crlf.txt'):read('L'):gsub('[\\r\\n]', 'R'))", "oneRR");
	rig_expect(rt, "return #io.open('crlf.txt'):read('a'), os.remove('crlf.txt')", "17|true");
	/* a CR as the last byte of a buffer */
	rig_expect(rt,
	    "local f = io.open('crlf.txt', 'wb') f:write(('x'):rep(1023), '\\r\\n', ('y'):rep(1024), '\\r\\n') f:close() "
	    "f = io.open('crlf.txt') return #f:read(), #f:read(), os.remove('crlf.txt')",
	    "1023|1024|true");
}

static void make_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
}

static void test_what_could_block_is_refused(void **state)
{
	static const char *const modes[] = {"r", "w", "a", "r+", "w+"};
	char path[200], code[300];
	int64_t before = clock_ms();

	(void)state;
	snprintf(path, sizeof path, "%s/scripts/fifo", scripts.directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof path, "%s/scripts/socket", scripts.directory);
	make_socket(path);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		snprintf(code, sizeof code,
		    "return (io.open('fifo', '%s')), (io.open('socket', '%s')), (io.open('/dev/zero', '%s')), "
		    "(io.open('/dev/tty', '%s')), (io.open('/tmp', '%s'))",
		    modes[i], modes[i], modes[i], modes[i], modes[i]);
		rig_expect(rt, code, "nil|nil|nil|nil|nil");
	}
	rig_expect(rt, "return io.open('/tmp')", "nil|/tmp: Is a directory|21");
	rig_expect(rt, "return os.getdirectory('fifo')", "nil|fifo: Not a directory|20");
	rig_expect_error(rt, "for l in io.lines('fifo') do end", "cannot open file 'fifo'");
	rig_expect(rt,
	    "return io.open('/dev/null', 'w'):write('x') ~= nil, #io.open('/dev/urandom'):read(8)",
	    "true|8");
	assert_true(clock_ms() - before < 5000);
	assert_int_equal(rig_run(rt, "os.remove('fifo') os.remove('socket')"), RUN_OK);
}

static void test_open_files_are_bounded(void **state)
{
	char expected[200];

	(void)state;
	next_life();
	snprintf(expected, sizeof expected, "%d|nil|/dev/null: Too many open files|24",
	    LIMIT_SCRIPT_OPEN_FILES);
	rig_expect(rt,
	    "local t = {} while true do local f, e, c = io.open('/dev/null') if not f then return #t, f, e, c end t[#t + 1] = f end",
	    expected);
	/* forgotten handles make room */
	rig_expect(rt, "for i = 1, 200 do assert(io.open('/dev/null')) end return 'fine'", "fine");
	next_life();
}

static void test_huge_files_end_in_the_budget(void **state)
{
	char path[200];

	(void)state;
	snprintf(path, sizeof path, "%s/scripts/huge", scripts.directory);
	script_rig_write(&scripts, "huge", "");
	assert_int_equal(truncate(path, (off_t)1 << 40), 0);
	assert_int_equal(rig_run(rt, "return #io.open('huge'):read('a')"), RUN_MEMORY);
	assert_int_equal(rig_run(rt, "return #io.open('huge'):read('l')"), RUN_MEMORY);
	assert_int_equal(rig_run(rt, "return #io.open('huge'):read(1 << 40)"), RUN_MEMORY);
	rig_expect(rt, "return io.open('huge'):read('n'), #io.open('huge'):read(1000)", "nil|1000");
	rig_expect(rt, "return io.open('/dev/null'):read(1 << 40, 'a')", "nil");
	assert_int_equal(
	    rig_run_budget(rt, "while true do io.open('huge'):read(1000000) end", 3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
	assert_int_equal(
	    rig_run_budget(rt,
		"local f = io.open('huge') while true do f:seek('set') for l in f:lines(100000) do break end end",
		3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
	assert_int_equal(
	    rig_run_budget(rt,
		"local f = io.open('/dev/null', 'w') local s = ('x'):rep(1000000) while true do f:write(s) end",
		3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
	rig_expect(rt, "return os.remove('huge')", "true");
}

/* A number after more white space than any file has. */
static void test_white_space_is_accounted(void **state)
{
	(void)state;
	rig_expect(rt,
	    "local f = io.open('space', 'w') for i = 1, 100 do f:write((' '):rep(100000)) end return f:write('42'):close()",
	    "true");
	rig_expect(rt, "return io.open('space'):read('n')", "42");
	assert_int_equal(rig_run_budget(rt, "return io.open('space'):read('n')", 3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
	rig_expect(rt, "return os.remove('space')", "true");
}

static void test_temporary_files(void **state)
{
	char *name, *end;
	struct stat st;

	(void)state;
	next_life();
	rig_expect(rt,
	    "local f = io.tmpfile() f:write('abc') f:seek('set') return f:read('a'), f:close()",
	    "abc|true");
	assert_int_equal(rig_run(rt, "return os.tmpname()"), RUN_OK);
	name = strdup(rig_text);
	assert_int_equal(strncmp(name, scripts.directory, strlen(scripts.directory)), 0); /* R4 */
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	end = strrchr(name, '/');
	assert_non_null(strstr(end, "lua_"));
	assert_int_equal(unlink(name), 0);
	free(name);
}

static void test_directories(void **state)
{
	char path[200];
	time_t now = time(NULL);

	(void)state;
	snprintf(path, sizeof path, "%s/scripts/dir", scripts.directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/scripts/dir/sub", scripts.directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/scripts/dir/link", scripts.directory);
	assert_int_equal(symlink("/nonexistent", path), 0);
	script_rig_write(&scripts, "dir/Plain.txt", "12345");
	script_rig_write(&scripts, "dir/.hidden", "");
	snprintf(path, sizeof path, "%s/scripts/dir/.hidden", scripts.directory);
	assert_int_equal(chmod(path, 0400), 0);
	rig_expect(rt,
	    "local d, names = os.getdirectory('dir'), {} for k in pairs(d) do names[#names + 1] = k end table.sort(names) "
	    "return table.concat(names, ' '), d['plain.TXT'].Size, d['Plain.txt'].Attributes, d.sub.Attributes, "
	    "d['.hidden'].Attributes, d.link.Attributes",
	    ".hidden Plain.txt link sub|5|A|D|AHR|S");
	rig_expect(rt,
	    "local n = 0 for name, entry in os.getdirectory('dir') do for k, v in entry do n = n + 1 end end return n",
	    "20"); /* the loop of Lua 5.0 */
	assert_int_equal(
	    rig_run(rt,
		"local e = os.getdirectory('dir')['Plain.txt'] return math.type(e.Creation), "
		"e.LastWrite, math.type(e.LastAccess)"),
	    RUN_OK);
	assert_int_equal(strncmp(rig_text, "integer|", 8), 0);
	assert_true(labs(strtol(rig_text + 8, NULL, 10) - (long)now) < 100);
	rig_expect(rt, "return os.getdirectory('none')", "nil|none: No such file or directory|2");
	for (int i = 0; i < 3; i++) /* nothing stays open */
		assert_int_equal(
		    rig_run(rt, "for i = 1, 500 do os.getdirectory('dir') end"), RUN_OK);
	assert_int_equal(rig_run_budget(rt, "while true do os.getdirectory('/proc/self/fd') end",
			     3000000, RIG_MS),
	    RUN_INSTRUCTIONS);
}

/* Safety mode (spec 1.4): what is disabled, and that open handles go on working. */
static void test_safety_mode(void **state)
{
	static const char *const disabled[] = {"io.close()", "io.open('x')", "io.input()",
	    "io.output()", "io.lines('x')", "io.read()", "io.write('x')", "io.flush()",
	    "io.tmpfile()", "os.timedexecute('true', 1)", "os.remove('x')", "os.rename('x', 'y')",
	    "os.getenv('HOME')", "os.tmpname()", "os.getdirectory('x')", "dofile('x.lua')",
	    "loadfile('x.lua')", "require('x')", "loadlib('x')", "os.execute('x')",
	    "io.popen('x')"};
	char code[200];

	(void)state;
	next_life();
	rig_expect(rt,
	    "f = io.open('safe', 'w+') return os.clearsafety('none'), os.setsafety('key'), os.setsafety('other')",
	    "true|true|false");
	for (size_t i = 0; i < sizeof disabled / sizeof *disabled; i++) {
		snprintf(code, sizeof code, "return %s", disabled[i]);
		rig_expect_error(rt, code, "disabled");
	}
	rig_expect(rt,
	    "f:write('abc') f:seek('set') return f:read('a'), f:close(), print('p'), load('return 1')()",
	    "abc|true|nil|1");
	rig_expect(rt,
	    "return os.clearsafety('other'), os.clearsafety('KEY'), pcall(os.remove, 'safe')",
	    "false|false|false|os.remove is disabled in safety mode; os.clearsafety(key) ends it");
	rig_expect(rt, "return os.clearsafety('key'), os.remove('safe')", "true|true");
	rig_expect_error(rt, "os.setsafety()", "string expected");
	next_life();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_as_stock),
	    cmocka_unit_test(test_relative_names),
	    cmocka_unit_test(test_no_standard_handles),
	    cmocka_unit_test(test_long_unfinished_line),
	    cmocka_unit_test(test_cr_lf),
	    cmocka_unit_test(test_what_could_block_is_refused),
	    cmocka_unit_test(test_open_files_are_bounded),
	    cmocka_unit_test(test_huge_files_end_in_the_budget),
	    cmocka_unit_test(test_white_space_is_accounted),
	    cmocka_unit_test(test_temporary_files),
	    cmocka_unit_test(test_directories),
	    cmocka_unit_test(test_safety_mode),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
