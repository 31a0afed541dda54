/* The log: no argument is a format (R2), nothing forges or splits a line (R19), JSON is JSON. One
 * file: text and JSON are held against each other for the same bytes. */
#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"
#include "tests/unit/random.h"

#include <errno.h>
#include <pthread.h>
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
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#define PROGRAM "mailhooks-test"
#define EXPECTED_BYTES 256

static const struct log_id id = {"5f3a01", "4XyZ1"};

/* ---- listening ---- */

struct heard {
	enum log_level level;
	char line[LIMIT_LOG_LINE_BYTES + 1];
	int n;
};

static void listen_once(enum log_level level, const char *line, void *arg)
{
	struct heard *h = arg;

	h->level = level;
	h->n++;
	assert_true(strlen(line) < LIMIT_LOG_LINE_BYTES);
	snprintf(h->line, sizeof h->line, "%s", line);
}

static const char *prefix(char out[static EXPECTED_BYTES], const char *rest)
{
	snprintf(out, EXPECTED_BYTES, PROGRAM "[%ld]: %s", (long)getpid(), rest);
	return out;
}

/* What syslog(3) was given; the linker puts these in its place. */
static int syslog_priority;
static char syslog_format[32], syslog_line[LIMIT_LOG_LINE_BYTES + 1];

void __wrap_syslog(int priority, const char *fmt, ...);
void __wrap___syslog_chk(int priority, int flag, const char *fmt, ...);

static void note_syslog(int priority, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void note_syslog(int priority, const char *fmt, va_list ap)
{
	syslog_priority = priority;
	snprintf(syslog_format, sizeof syslog_format, "%s", fmt);
	vsnprintf(syslog_line, sizeof syslog_line, fmt, ap);
}

void __wrap_syslog(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note_syslog(priority, fmt, ap);
	va_end(ap);
}

void __wrap___syslog_chk(int priority, int flag, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	note_syslog(priority, fmt, ap);
	va_end(ap);
}

/* Standard error into a temporary file, and back. */
static int stderr_was;

static FILE *stderr_to_file(void)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	stderr_was = dup(STDERR_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	return f;
}

static void stderr_restore(FILE *f)
{
	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	rewind(f);
}

/* ---- escaping ---- */

struct escape {
	const char *in;
	size_t n;
	const char *out;
};

#define ESCAPE(in, out)                \
	{                              \
		in, sizeof in - 1, out \
	}

static const struct escape escapes[] = {
    ESCAPE("", ""),
    ESCAPE("plain text <a@b.example> \"quoted\"", "plain text <a@b.example> \"quoted\""),
    ESCAPE("%s%n%1000000$p", "%s%n%1000000$p"),
    /* C0: line ends, NUL, ESC, and the others */
    ESCAPE("a\r\nb", "a\\r\\nb"),
    ESCAPE("a\0b", "a\\x00b"),
    ESCAPE("\x1b[2J\x07\t\x7f", "\\x1b[2J\\x07\\t\\x7f"),
    /* C1, as UTF-8 (U+009B is CSI, U+0085 NEL) and as a bare byte */
    ESCAPE("\xc2\x9b"
	   "31m\xc2\x85",
	"\\xc2\\x9b31m\\xc2\\x85"),
    ESCAPE("\x9b"
	   "31m",
	"\\x9b31m"),
    /* UTF-8 as it should be stays */
    ESCAPE("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xa7",
	"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xa7"),
    ESCAPE("\xc2\xa0\xef\xbf\xbd", "\xc2\xa0\xef\xbf\xbd"),
    /* what is no UTF-8: cut off, overlong, a surrogate, beyond U+10FFFF */
    ESCAPE("\xc3", "\\xc3"),
    ESCAPE("\xe2\x82", "\\xe2\\x82"),
    ESCAPE("\xc3(", "\\xc3("),
    ESCAPE("\xc0\x8a", "\\xc0\\x8a"),
    ESCAPE("\xe0\x80\x8a", "\\xe0\\x80\\x8a"),
    ESCAPE("\xf0\x82\x82\xac", "\\xf0\\x82\\x82\\xac"),
    ESCAPE("\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ESCAPE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"),
    ESCAPE("\xff\xfe", "\\xff\\xfe"),
    /* line separator, right-to-left override, isolate, byte order mark */
    ESCAPE("\xe2\x80\xa8", "\\xe2\\x80\\xa8"),
    ESCAPE("\xe2\x80\xaetxt.exe", "\\xe2\\x80\\xaetxt.exe"),
    ESCAPE("\xe2\x81\xa6\xef\xbb\xbf", "\\xe2\\x81\\xa6\\xef\\xbb\\xbf"),
    /* reversible: an escape that was in the text is told from ours */
    ESCAPE("C:\\VPOP3 \\x1b", "C:\\\\VPOP3 \\\\x1b"),
};

static void test_escape_R19(void **state)
{
	char out[512];

	(void)state;
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		size_t n = log_escape(out, sizeof out, escapes[i].in, escapes[i].n);

		assert_string_equal(out, escapes[i].out);
		assert_int_equal(n, strlen(escapes[i].out));
	}
}

static void test_escape_json_R19(void **state)
{
	char out[256];

	(void)state;
	log_escape_json(out, sizeof out, "a\"b\\c\r\n\x1b\xc2\x9b\xff\0", 12);
	assert_string_equal(out, "a\\\"b\\\\\\\\c\\\\r\\\\n\\\\x1b\\\\xc2\\\\x9b\\\\xff\\\\x00");
	assert_int_equal(log_escape_json(out, sizeof out, "\xc3\xbc", 2), 2);
	assert_string_equal(out, "\xc3\xbc");
}

/* Too small a buffer: as much as fits, never a part of an escape or of a character. */
static void test_escape_cut(void **state)
{
	char out[16];

	(void)state;
	memset(out, 'x', sizeof out);
	assert_int_equal(log_escape(out, 0, "abc", 3), 0);
	assert_int_equal(out[0], 'x');
	assert_int_equal(log_escape(out, 1, "abc", 3), 0);
	assert_string_equal(out, "");
	assert_int_equal(log_escape(out, 4, "abcdef", 6), 3);
	assert_string_equal(out, "abc");
	assert_int_equal(log_escape(out, 5, "ab\x1b", 3), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(log_escape(out, 7, "ab\x1b", 3), 6);
	assert_int_equal(log_escape(out, 4, "a\xe2\x82\xac", 4), 1);
	assert_string_equal(out, "a");
	assert_int_equal(log_escape_json(out, 3, "a\"", 2), 1);
	assert_string_equal(out, "a");
}

/* ---- lines ---- */

static void test_line_carries_the_ids(void **state)
{
	struct heard h = {.n = 0};
	struct log_id session_only = {"5f3a01", ""};
	char expected[EXPECTED_BYTES];

	(void)state;
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
	log_capture(listen_once, &h);
	log_warn(&id, "%d hosts", 3);
	assert_string_equal(h.line, prefix(expected, "warn: session=5f3a01 queue=4XyZ1 3 hosts"));
	assert_int_equal(h.level, LOG_LVL_WARN);
	log_info(&session_only, "text");
	assert_string_equal(h.line, prefix(expected, "info: session=5f3a01 text"));
	log_error(NULL, "text");
	assert_string_equal(h.line, prefix(expected, "error: text"));
	log_debug(NULL, "not wanted");
	assert_int_equal(h.n, 3);
	assert_int_equal(log_least(), LOG_LVL_INFO);
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_DEBUG);
	log_debug(NULL, "wanted");
	assert_int_equal(h.n, 4);
	log_capture(NULL, NULL);
}

static void test_addresses_are_no_formats_R2(void **state)
{
	struct heard h = {.n = 0};
	struct log_id hostile = {"%n%n", "%s%s%n"};
	char expected[EXPECTED_BYTES];

	(void)state;
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
	log_capture(listen_once, &h);
	log_info(NULL, "from=<%s>", "%s%n%5000d@example.com");
	assert_string_equal(h.line, prefix(expected, "info: from=<%s%n%5000d@example.com>"));
	log_info(&hostile, "x");
	assert_string_equal(h.line, prefix(expected, "info: session=%n%n queue=%s%s%n x"));
	log_capture(NULL, NULL);
}

static void test_syslog_gets_no_format_R2(void **state)
{
	(void)state;
	log_open(PROGRAM, LOG_TO_SYSLOG, LOG_AS_TEXT, LOG_LOCAL3, LOG_LVL_DEBUG);
	log_warn(&id, "from=<%s>", "%s%n");
	assert_string_equal(syslog_format, "%s");
	assert_string_equal(syslog_line, "warn: session=5f3a01 queue=4XyZ1 from=<%s%n>");
	assert_int_equal(syslog_priority, LOG_LOCAL3 | LOG_WARNING);
	log_error(NULL, "x");
	assert_int_equal(syslog_priority, LOG_LOCAL3 | LOG_ERR);
	log_info(NULL, "x");
	assert_int_equal(syslog_priority, LOG_LOCAL3 | LOG_INFO);
	log_debug(NULL, "x");
	assert_int_equal(syslog_priority, LOG_LOCAL3 | LOG_DEBUG);
	log_reopen();
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
}

static void test_one_event_is_one_line_R19(void **state)
{
	static const char forged[] = "x\nmailhooks[1]: info: session=1 all is well\r\n\x1b[1A";
	FILE *f = stderr_to_file();
	char line[LIMIT_LOG_LINE_BYTES + 2], expected[256];

	(void)state;
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
	log_info(NULL, "helo=%s", forged);
	log_info(NULL, "second");
	stderr_restore(f);
	assert_non_null(fgets(line, sizeof line, f));
	snprintf(expected, sizeof expected,
	    PROGRAM
	    "[%ld]: info: helo=x\\nmailhooks[1]: info: session=1 all is well\\r\\n\\x1b[1A\n",
	    (long)getpid());
	assert_string_equal(line, expected);
	assert_non_null(fgets(line, sizeof line, f));
	assert_non_null(strstr(line, "info: second\n"));
	assert_null(fgets(line, sizeof line, f));
	fclose(f);
}

static void test_journal_gets_the_level(void **state)
{
	FILE *f = stderr_to_file();
	char stream[64], line[256];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
	log_warn(&id, "x");
	setenv("JOURNAL_STREAM", "1:1", 1); /* inherited; standard error is something else now */
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
	log_warn(NULL, "y");
	unsetenv("JOURNAL_STREAM");
	stderr_restore(f);
	assert_non_null(fgets(line, sizeof line, f));
	assert_string_equal(line, "<4>warn: session=5f3a01 queue=4XyZ1 x\n");
	assert_non_null(fgets(line, sizeof line, f));
	assert_int_equal(strncmp(line, PROGRAM "[", strlen(PROGRAM "[")), 0);
	fclose(f);
}

static void test_long_line_is_cut(void **state)
{
	struct heard h = {.n = 0};
	char *text = malloc(70000);

	(void)state;
	assert_non_null(text);
	log_capture(listen_once, &h);
	for (int format = LOG_AS_TEXT; format <= LOG_AS_JSON; format++) {
		static const char fills[] = {'a', '\x1b', '\xff', '"'};

		log_open(PROGRAM, LOG_TO_STDERR, (enum log_format)format, LOG_MAIL, LOG_LVL_INFO);
		for (size_t i = 0; i < sizeof fills; i++) {
			memset(text, fills[i], 65536);
			text[65536] = '\0';
			log_info(&id, "%s", text);
			assert_true(strlen(h.line) > LIMIT_LOG_LINE_BYTES - 16);
			assert_non_null(strstr(h.line, format == LOG_AS_JSON ? "...\"}" : "..."));
		}
	}
	/* what fits is not cut: 1900 bytes and everything around them */
	memset(text, 'a', 1900);
	text[1900] = '\0';
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
	log_info(&id, "%s.", text);
	assert_string_equal(h.line + strlen(h.line) - 3, "aa.");
	log_capture(NULL, NULL);
	free(text);
}

static void test_errno_is_kept(void **state)
{
	FILE *f = stderr_to_file();

	(void)state;
	errno = EXDEV;
	log_error(NULL, "open: %m");
	assert_int_equal(errno, EXDEV);
	stderr_restore(f);
	fclose(f);
}

/* ---- JSON, read by a JSON parser that is not ours ---- */

/* Reads lines with Python's json (strict UTF-8), writes .text of each. */
static const char reader[] =
    "import json, sys\n"
    "for line in sys.stdin.buffer:\n"
    "    o = json.loads(line.decode('utf-8', 'strict'))\n"
    "    assert list(o) == ['time', 'level', 'program', 'pid', 'session', 'queue', 'text'], o\n"
    "    assert o['level'] == 'info' and o['session'] == '5f3a01' and o['queue'] == '4XyZ1'\n"
    "    assert len(o['time']) == 24 and o['time'][-1] == 'Z' and o['pid'] > 0\n"
    "    sys.stdout.buffer.write(o['text'].encode('utf-8', 'strict') + b'\\n')\n";

static FILE *run_reader(FILE *in)
{
	FILE *out = tmpfile();
	int status;
	pid_t pid;

	assert_non_null(out);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fileno(in), STDIN_FILENO);
		dup2(fileno(out), STDOUT_FILENO);
		execl("/usr/bin/python3", "python3", "-c", reader, (char *)NULL);
		_exit(77);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
	rewind(out);
	return out;
}

static void test_json_is_valid_for_any_bytes_R19(void **state)
{
	static const char likely[] = "\"\\\r\n\t\x1b\x7f\xc2\x9b\xe2\x80\xa8\xed\xa0\xff{}ab ";
	static char text[301], expected[2048], got[2048];
	uint64_t seed = 20250131;
	FILE *in, *out;

	(void)state;
	in = stderr_to_file();
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_JSON, LOG_MAIL, LOG_LVL_INFO);
	for (int i = 0; i < 2000; i++) {
		random_bytes(&seed, text, sizeof text - 1, likely, sizeof likely - 1);
		log_info(&id, "%s", text);
	}
	log_open(PROGRAM, LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
	stderr_restore(in);

	out = run_reader(in);
	seed = 20250131;
	for (int i = 0; i < 2000; i++) { /* decoded, it is the text of the text form */
		random_bytes(&seed, text, sizeof text - 1, likely, sizeof likely - 1);
		log_escape(expected, sizeof expected, text, strlen(text));
		assert_non_null(fgets(got, sizeof got, out));
		got[strcspn(got, "\n")] = '\0';
		assert_string_equal(got, expected);
	}
	assert_null(fgets(got, sizeof got, out));
	fclose(in);
	fclose(out);
}

/* ---- threads, and the ends of a process ---- */

static void *log_much(void *arg)
{
	for (int i = 0; i < 500; i++)
		log_info(&id, "%s %d %0*d", (const char *)arg, i, i % 200, 0);
	return NULL;
}

static void test_threads_do_not_mix_lines(void **state)
{
	static char names[4][8] = {"one", "two", "three", "four"};
	char line[LIMIT_LOG_LINE_BYTES + 2], who[8];
	int next[4] = {0, 0, 0, 0}, number;
	FILE *f = tmpfile();
	pthread_t threads[4];
	int ends[2];

	(void)state;
	assert_non_null(f);
	assert_int_equal(pipe(ends), 0);
	stderr_was = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, log_much, names[i]);
	for (int lines = 0; lines < 2000;) {
		char buffer[4096];
		ssize_t n = read(ends[0], buffer, sizeof buffer);

		assert_true(n > 0);
		fwrite(buffer, 1, (size_t)n, f);
		for (ssize_t i = 0; i < n; i++)
			lines += buffer[i] == '\n';
	}
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	stderr_restore(f);
	close(ends[0]);
	while (fgets(line, sizeof line, f) != NULL) {
		const char *text = strstr(line, "queue=4XyZ1 ");
		size_t i = 0;

		assert_non_null(text);
		assert_int_equal(sscanf(text, "queue=4XyZ1 %7s %d", who, &number), 2);
		while (strcmp(names[i], who) != 0)
			assert_true(++i < 4);
		assert_int_equal(number, next[i]++);
	}
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(next[i], 500);
	fclose(f);
}

enum ending { FATAL, BUG, BUG_HEARD };

/* The wait status of a process that ends so; what it wrote to standard error goes to line. */
static int ending_of(enum ending ending, char *line, size_t size)
{
	FILE *f = stderr_to_file();
	struct heard h = {.n = 0};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		log_open(PROGRAM, LOG_TO_SYSLOG, LOG_AS_TEXT, LOG_MAIL, LOG_LVL_INFO);
		if (ending == FATAL)
			log_fatal(78, "%s", "no configuration\n");
		if (ending == BUG_HEARD)
			log_capture(listen_once, &h);
		log_bug(&id, "impossible %d", 1);
		_exit(h.n == 1 && h.level == LOG_LVL_BUG ? 4 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	stderr_restore(f);
	if (fgets(line, (int)size, f) == NULL)
		line[0] = '\0';
	fclose(f);
	return status;
}

static void test_fatal_is_seen_and_ends(void **state)
{
	char line[256];
	int status = ending_of(FATAL, line, sizeof line);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 78);
	assert_non_null(strstr(line, "error: no configuration\\n\n"));
}

static void test_bug_aborts_only_where_wanted(void **state)
{
	char line[256];
	int status = ending_of(BUG, line, sizeof line);

	(void)state;
#ifdef MAILHOOKS_ABORT_ON_BUG
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
#else
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
#endif
	status = ending_of(BUG_HEARD, line, sizeof line);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_escape_R19),
	    cmocka_unit_test(test_escape_json_R19),
	    cmocka_unit_test(test_escape_cut),
	    cmocka_unit_test(test_line_carries_the_ids),
	    cmocka_unit_test(test_addresses_are_no_formats_R2),
	    cmocka_unit_test(test_syslog_gets_no_format_R2),
	    cmocka_unit_test(test_one_event_is_one_line_R19),
	    cmocka_unit_test(test_journal_gets_the_level),
	    cmocka_unit_test(test_long_line_is_cut),
	    cmocka_unit_test(test_errno_is_kept),
	    cmocka_unit_test(test_json_is_valid_for_any_bytes_R19),
	    cmocka_unit_test(test_threads_do_not_mix_lines),
	    cmocka_unit_test(test_fatal_is_seen_and_ends),
	    cmocka_unit_test(test_bug_aborts_only_where_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
