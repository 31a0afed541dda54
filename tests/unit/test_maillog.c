/* test_maillog.c - the parser of mail logs: captured lines, the time in front, and remote text that
 * plants nothing (R17, R19). */
#include "common/list.h"
#include "common/maillog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NOW_MS 1795267200000 /* 2026-11-21 13:20 UTC */

static struct strlist postfix, sendmail;
static const struct maillog_names names = {&postfix, &sendmail};

static int set_up(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	strlist_add(&postfix, "postfix");
	strlist_add(&postfix, "postfix-out");
	strlist_add(&sendmail, "sendmail1");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	strlist_clear(&postfix);
	strlist_clear(&sendmail);
	return 0;
}

static const char *const kinds[] = {
    "other", "arrived", "active", "host", "connect", "tls", "recipient", "removed"};
static const char *const outcomes[] = {"sent", "deferred", "bounced"};

static char *text(struct maillog_text t)
{
	return xstrndup(t.n > 0 ? t.s : "", t.n);
}

static void show_recipients(FILE *out, struct maillog_text list)
{
	struct maillog_text one;

	while (maillog_next_recipient(&list, &one))
		fprintf(out, " <%.*s>", (int)one.n, one.s);
}

/* One line for what was understood, without what differs from run to run. */
static void show(FILE *out, const struct maillog_line *l)
{
	char result[300], *server = text(l->server), *address = text(l->address);
	char *version = text(l->tls), *cipher = text(l->cipher), *trust = text(l->trust);

	maillog_result(l, result, sizeof result);
	fprintf(out, "%s", kinds[l->kind]);
	if (l->kind == MAILLOG_RECIPIENT)
		fprintf(out, " %s", outcomes[l->status]);
	if (l->server.n > 0)
		fprintf(out, " %s[%s]", server, address);
	show_recipients(out, l->recipients);
	if (l->recipients_total >= 0)
		fprintf(out, " from <%.*s> total %d", (int)l->sender.n, l->sender.s,
		    (int)l->recipients_total);
	if (*l->stage != '\0')
		fprintf(out, " at %s", l->stage);
	if (l->tls.n > 0)
		fprintf(out, " %s %s %s", version, cipher, trust);
	fprintf(out, "%s%s\n", *result != '\0' ? ": " : "", result);
	free(server);
	free(address);
	free(version);
	free(cipher);
	free(trust);
}

static FILE *open_data(const char *name)
{
	char *path = xasprintf("%s/tests/maillog/%s", getenv("MAILHOOKS_SOURCE"), name);
	FILE *f = fopen(path, "r");

	if (f == NULL)
		fail_msg("%s cannot be read", path);
	free(path);
	return f;
}

/* What is understood of each line of a captured log, the headings between them kept. */
static char *understand(const char *name)
{
	FILE *in = open_data(name), *out;
	char *line = NULL, *all = NULL;
	size_t size = 0, all_size;
	ssize_t n;

	out = open_memstream(&all, &all_size);
	while ((n = getline(&line, &size, in)) > 0) {
		struct maillog_line l;

		if (line[0] == '#')
			fputs(line, out);
		else if (maillog_read_line(&l, line, (size_t)n - 1, &names, NOW_MS))
			show(out, &l);
	}
	fclose(out);
	fclose(in);
	free(line);
	return all;
}

static void check_captured(const char *name)
{
	char *all = understand(name), *expected_name = xasprintf("%s.understood", name);
	FILE *in = open_data(expected_name);
	char *rest = all, *line = NULL;
	size_t size = 0;
	int number = 0;

	while (getline(&line, &size, in) > 0) {
		char *end = strchr(rest, '\n');

		number++;
		if (end == NULL || strlen(line) != (size_t)(end - rest) + 1 ||
		    strncmp(rest, line, strlen(line)) != 0)
			fail_msg("%s:%d: expected\n%sgot\n%.*s", expected_name, number, line,
			    end != NULL ? (int)(end - rest) : 0, rest);
		rest = end + 1;
	}
	assert_string_equal(rest, "");
	fclose(in);
	free(line);
	free(all);
	free(expected_name);
}

static void test_captured_from_postfix(void **state)
{
	(void)state;
	check_captured("postfix.log");
}

static void test_captured_from_sendmail(void **state)
{
	(void)state;
	check_captured("sendmail.log");
}

/* ---- what is in front ---- */

#define SAID "postfix/smtp[7]: connect to mx.test[192.0.2.1]:25: Connection refused"

static void test_times(void **state)
{
	static const struct {
		const char *line;
		int64_t ms; /* -1: not taken */
	} cases[] = {{"Nov 21 13:20:00 host " SAID, NOW_MS}, {"Nov 21 13:20:00 " SAID, NOW_MS},
	    {"<22>Nov 21 13:20:00 " SAID, NOW_MS}, {"2026-11-21T13:20:00+00:00 host " SAID, NOW_MS},
	    {"2026-11-21T14:20:00.25+01:00 host " SAID, NOW_MS + 250},
	    {"2026-11-21T13:20:00.123456Z host " SAID, NOW_MS + 123},
	    {"2026-11-21T08:20:00-05:00 host " SAID, NOW_MS},
	    {"Nov  1 13:20:00 host " SAID, NOW_MS - 20 * 86400000ll},
	    {"Nov 1 13:20:00 host " SAID, -1}, {"Nov 32 13:20:00 host " SAID, -1},
	    {"Nov 21 24:20:00 host " SAID, -1}, {"Nov 21 13:20 host " SAID, -1},
	    {"2026-13-21T13:20:00Z host " SAID, -1}, {"2026-11-21T13:20:00 host " SAID, -1},
	    {"Nov 21 13:20:00 two hosts " SAID, -1}, {SAID, -1}, {"", -1},
	    {"<22Nov 21 13:20:00 " SAID, -1}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct maillog_line l;
		bool taken =
		    maillog_read_line(&l, cases[i].line, strlen(cases[i].line), &names, NOW_MS);

		if (taken != (cases[i].ms >= 0) || (taken && l.time_ms != cases[i].ms))
			fail_msg("%s: %d %lld", cases[i].line, taken, (long long)l.time_ms);
	}
}

static void test_year_is_the_nearest(void **state)
{
	struct maillog_line l;
	const char *december = "Dec 31 23:59:59 host " SAID,
		   *january = "Jan  1 00:00:01 host " SAID;
	int64_t new_year = 1798761600000; /* 2027-01-01 */

	(void)state;
	assert_true(maillog_read_line(&l, december, strlen(december), &names, new_year + 5000));
	assert_int_equal(l.time_ms, new_year - 1000);
	assert_true(maillog_read_line(&l, january, strlen(january), &names, new_year - 5000));
	assert_int_equal(l.time_ms, new_year + 1000);
}

/* A host without a clock of its own begins in 1970, and a line can have any time: a store takes
 * none before that. */
static void test_before_time_began(void **state)
{
	static const struct {
		const char *line;
		int64_t now_ms;
	} cases[] = {{"1970-01-01T00:00:00+02:00 host " SAID, NOW_MS},
	    {"Nov 21 08:44:11 host " SAID, 60000}};
	struct maillog_line l;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *line = cases[i].line;

		assert_true(maillog_read_line(&l, line, strlen(line), &names, cases[i].now_ms));
		assert_int_equal(l.time_ms, 0);
	}
}

static void test_programs(void **state)
{
	static const struct {
		const char *program, *connection;
		bool taken;
	} cases[] = {{"postfix/smtp", "", true}, {"postfix/relay/smtp", "relay", true},
	    {"postfix-out/a/b/smtp", "a/b", true}, {"postfix/smtpd", "", false},
	    {"postfix", "", false}, {"postfixx/smtp", "", false}, {"smtp", "", false},
	    {"evil/postfix/smtp", "", false}, {"postfix-in/smtp", "", false},
	    {"sendmail", "", false}, {"postfix/cleanup", "", false}, {"", "", false}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct maillog_text program = {cases[i].program, strlen(cases[i].program)};
		struct maillog_text said = {strchr(SAID, ' ') + 1, strlen(strchr(SAID, ' ') + 1)};
		struct maillog_line l;

		assert_int_equal(
		    maillog_read_message(&l, program, 7, NOW_MS, said, &names), cases[i].taken);
		if (!cases[i].taken)
			continue;
		assert_int_equal(l.connection.n, strlen(cases[i].connection));
		assert_memory_equal(l.connection.s, cases[i].connection, l.connection.n);
	}
}

/* ---- remote text ---- */

static const char *const lies[] = {
    "450 4.2.1 later",
    "450 x), dsn=2.0.0, status=sent (250 ok)",
    "450 x (in reply to DATA command)",
    "450 x (in reply to DATA command))",
    "450 x\n Nov 21 13:20:00 mail postfix/smtp[9]: 4E63A60F: to=<e@e.test>, relay=e[6.6.6.6]:25, "
    "delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)",
    "450 ]: 4E63A60F: removed",
    "450 x, stat=Sent (ok)",
    "450 x, dsn=2.0.0, stat=Sent (ok)",
    "450 x, stat=Deferred: 450 x",
    "450 x, stat=Deferred: 450 y, stat=Deferred: 450 x",
    "450 x, relay=e. [6.6.6.6], dsn=2.0.0, stat=Sent",
    "450 host e[6.6.6.6] said: 250 ok",
    "450 %s%n%d \\ \" ' ; -- <script>",
    "450 \x1b[2J\x85\xff\xfe",
    "450",
    "450 ",
    "450-a 450 b",
};

static void check_lie(const char *front, const char *back, const char *lie, bool with_stage)
{
	char *line = xasprintf("%s%s%s", front, lie, back), result[600];
	struct maillog_line l;

	if (!maillog_read_line(&l, line, strlen(line), &names, NOW_MS))
		fail_msg("not taken: %s", line);
	maillog_result(&l, result, sizeof result);
	if (strcmp(result, lie) != 0)
		fail_msg("%s\ngives %s", line, result);
	assert_int_equal(l.server.n, strlen("mx.test"));
	assert_memory_equal(l.server.s, "mx.test", l.server.n);
	assert_int_equal(l.address.n, strlen("192.0.2.1"));
	assert_memory_equal(l.address.s, "192.0.2.1", l.address.n);
	assert_true(l.kind == MAILLOG_HOST || l.status == MAILLOG_DEFERRED);
	if (with_stage)
		assert_string_equal(l.stage, "RCPT TO");
	free(line);
}

static void test_lies_of_hosts(void **state)
{
	static const char host[] = "Nov 21 13:20:00 mail postfix/smtp[7]: 4E63A60F: "
				   "host mx.test[192.0.2.1] said: ";
	static const char final[] =
	    "Nov 21 13:20:00 mail postfix/smtp[7]: 4E63A60F: to=<a@b.test>, "
	    "relay=mx.test[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=4.2.1, status=deferred (host "
	    "mx.test[192.0.2.1] said: ";
	static const char other[] =
	    "Nov 21 13:20:00 mail sendmail1[7]: 6ALDiHEL000442: to=<a@b.test>, delay=00:00:00, "
	    "xdelay=00:00:00, mailer=esmtp, pri=30019, relay=mx.test. [192.0.2.1], dsn=4.2.1, reply=";

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		char *again = xasprintf(", stat=Deferred: %s", lies[i]);

		check_lie(host, " (in reply to RCPT TO command)", lies[i], true);
		check_lie(final, " (in reply to RCPT TO command))", lies[i], true);
		check_lie(other, again, lies[i], false);
		free(again);
	}
}

/* What somebody may choose without being asked: addresses, and names in the DNS (R17). */
static void test_lies_of_names(void **state)
{
	static const struct {
		const char *line, *server; /* NULL: not taken, or no host taken */
	} cases[] = {
	    {"host x' OR '1'='1.evil.test[192.0.2.1] said: 450 no", NULL},
	    {"host mx;.test[192.0.2.1] said: 450 no", NULL},
	    {"host mx.test[192.0.2.1] [6.6.6.6] said: 450 no", NULL},
	    {"host mx.test[nonsense] said: 450 no", NULL},
	    {"host [192.0.2.1] said: 450 no", NULL},
	    {"host _mx-1.test[2001:db8::1] said: 450 no", "_mx-1.test"},
	    {"host 2001:db8::1[2001:db8::1] said: 450 no", "2001:db8::1"},
	    {"host ::1[::1] said: 450 no", "::1"},
	    {"host a:b.test[192.0.2.1] said: 450 no", NULL},
	    {"host 2001:db8::1", NULL},
	    {"to=<a@b>, relay=2001:db8::1[2001:db8::1]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, "
	     "status=deferred (x)",
		"2001:db8::1"},
	    {"to=<\"a>, relay=e[6.6.6.6]:25, delay=0, delays=0, dsn=2.0.0, status=sent (ok)\"@b>, "
	     "relay=mx.test[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred (x)",
		"mx.test"},
	    {"to=<\"a\\\">, relay=e[6.6.6.6]:25, delay=0, delays=0, dsn=2.0.0, status=sent (\"@b>, "
	     "relay=mx.test[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred (x)",
		"mx.test"},
	    {"to=<a@b>, orig_to=<\"x>, relay=e[6.6.6.6]:25\">, relay=mx.test[192.0.2.1]:25, "
	     "conn_use=2, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred (x)",
		"mx.test"},
	    {"to=<a@b>, relay=e'v[6.6.6.6]:25, delay=1, delays=0/0/0/1, dsn=4.0.0, "
	     "status=deferred (x)",
		NULL},
	    {"to=<a@b>, relay=mx.test[private/lmtp], delay=1, delays=0, dsn=2.0.0, status=sent (x)",
		NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *line =
		    xasprintf("Nov 21 13:20:00 mail postfix/smtp[7]: 4E63A60F: %s", cases[i].line);
		struct maillog_line l;
		bool taken = maillog_read_line(&l, line, strlen(line), &names, NOW_MS);

		if (cases[i].server == NULL) {
			if (taken && l.server.n > 0)
				fail_msg("%s: took %.*s", line, (int)l.server.n, l.server.s);
		} else {
			if (!taken || l.server.n != strlen(cases[i].server) ||
			    memcmp(l.server.s, cases[i].server, l.server.n) != 0)
				fail_msg("%s: not %s", line, cases[i].server);
		}
		free(line);
	}
}

/* Lines may end anywhere: what was not read is not made up. */
static void test_every_part_of_a_line(void **state)
{
	FILE *in;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	(void)state;
	in = open_data("sendmail.log");
	while ((n = getline(&line, &size, in)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			/* of its own, so that reading behind it is found */
			char *part = xmalloc((size_t)i + 1);
			struct maillog_line l;

			memcpy(part, line, (size_t)i);
			if (maillog_read_line(&l, part, (size_t)i, &names, NOW_MS) &&
			    l.address.n > 0)
				assert_true(
				    memmem(line, (size_t)i, l.address.s, l.address.n) != NULL);
			free(part);
		}
	}
	free(line);
	fclose(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_captured_from_postfix),
	    cmocka_unit_test(test_captured_from_sendmail),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_year_is_the_nearest),
	    cmocka_unit_test(test_before_time_began),
	    cmocka_unit_test(test_programs),
	    cmocka_unit_test(test_lies_of_hosts),
	    cmocka_unit_test(test_lies_of_names),
	    cmocka_unit_test(test_every_part_of_a_line),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
