/* test_dialogues.c - lines of a mail log become dialogues: one of each message with each host, told
 * once, and the same ones when the state is saved and loaded between any two lines (R18). */
#include "common/list.h"
#include "common/maillog.h"
#include "policy/dialogues.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NOW_MS 1795267200000 /* 2026-11-21 13:20 UTC */

/* ---- what was told, a line for each ---- */

struct ear {
	struct strlist told; /* "KEY RESULT ..." of dialogues, "removed ID", ... */
};

static void hear_tried(
    const char *queue_id, const struct dialogue *d, const char *sender, void *arg)
{
	struct ear *ear = arg;
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	fprintf(out, "%s %s <%s> %s[%s] %s (%s) %s", d->key, queue_id,
	    sender != NULL ? sender : "?", d->server, d->address,
	    d->domain != NULL ? d->domain : "?", d->stage, d->result);
	for (size_t i = 0; i < d->recipients.n; i++)
		fprintf(out, " | %s %s", d->recipients.v[i], d->results.v[i]);
	if (d->tls != NULL)
		fprintf(out, " | %s", d->tls);
	fclose(out);
	strlist_add(&ear->told, line);
	free(line);
}

static void hear(struct ear *ear, const char *what, const char *queue_id)
{
	char *line = xasprintf("%s %s", what, queue_id);

	strlist_add(&ear->told, line);
	free(line);
}

static void hear_known(
    const char *queue_id, const char *sender, int64_t size, int64_t time_ms, void *arg)
{
	(void)sender, (void)size, (void)time_ms;
	hear(arg, "known", queue_id);
}

static void hear_deferred(const char *queue_id, int64_t time_ms, void *arg)
{
	assert_true(time_ms > 0);
	hear(arg, "deferred", queue_id);
}

static void hear_removed(const char *queue_id, int64_t time_ms, void *arg)
{
	assert_true(time_ms > 0);
	hear(arg, "removed", queue_id);
}

static struct dialogues_listener listener(struct ear *ear)
{
	return (struct dialogues_listener){
	    hear_tried, hear_known, hear_deferred, hear_removed, ear};
}

/* ---- feeding ---- */

static struct strlist postfix, sendmail;
static const struct maillog_names names = {&postfix, &sendmail};

static int set_up(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	strlist_add(&postfix, "postfix");
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

static void feed(struct dialogues *g, const char *line, size_t number, int64_t now)
{
	struct maillog_line l;
	char key[32];

	snprintf(key, sizeof key, "#%zu", number);
	if (maillog_read_line(&l, line, strlen(line), &names, NOW_MS))
		dialogues_line(g, &l, key, now);
}

/* Feeds lines of smtp(8) and qmgr(8) with one process each: "smtp[7] ..." */
static void say(struct dialogues *g, size_t number, const char *said)
{
	char *line = xasprintf("Nov 21 13:20:00 mail postfix/%s", said);

	feed(g, line, number, 0);
	free(line);
}

static void assert_told(const struct ear *ear, const char *const *lines, size_t n)
{
	for (size_t i = 0; i < n && i < ear->told.n; i++)
		assert_string_equal(ear->told.v[i], lines[i]);
	assert_int_equal(ear->told.n, n);
}

#define ASSERT_TOLD(ear, ...)                                             \
	do {                                                              \
		const char *const lines_[] = {__VA_ARGS__};               \
		assert_told(ear, lines_, sizeof lines_ / sizeof *lines_); \
	} while (0)

#define MX1 "mx1.test[192.0.2.1]"
#define MX2 "mx2.test[192.0.2.2]"
#define TO(who, host, dsn, status)                                                   \
	"4AAAA1: to=<" who ">, relay=" host ":25, delay=1, delays=0/0/0/1, dsn=" dsn \
	", status=" status
#define ACTIVE(n) "qmgr[1]: 4AAAA1: from=<s@s.test>, size=9, nrcpt=" n " (queue active)"

static void test_refused_and_sent(void **state)
{
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);
	struct dialogues *g = dialogues_new(&l);

	(void)state;
	say(g, 1, ACTIVE("1"));
	say(g, 2, "smtp[7]: 4AAAA1: host " MX1 " said: 450 4.2.1 no (in reply to RCPT TO command)");
	assert_int_equal(ear.told.n, 1);
	say(g, 3, "smtp[7]: " TO("a@d.test", MX2, "2.0.0", "sent (250 ok)"));
	say(g, 4, "qmgr[1]: 4AAAA1: removed");
	ASSERT_TOLD(&ear, "known 4AAAA1",
	    "#2 4AAAA1 <s@s.test> " MX1 " d.test (RCPT TO) 450 4.2.1 no | a@d.test 450 4.2.1 no",
	    "#3 4AAAA1 <s@s.test> " MX2 " d.test (end of DATA) 250 ok | a@d.test 250 ok",
	    "removed 4AAAA1");
	strlist_clear(&ear.told);
	dialogues_free(g);
}

/* One dialogue, three recipients with three outcomes: one attempt with the worst of them. */
static void test_recipients_of_one_dialogue(void **state)
{
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);
	struct dialogues *g = dialogues_new(&l);

	(void)state;
	say(g, 1, ACTIVE("3"));
	say(g, 2,
	    "smtp[7]: " TO("b@d.test", MX1, "5.1.1",
		"bounced (host " MX1 " said: 550 5.1.1 who (in reply to RCPT TO command))"));
	say(g, 3,
	    "smtp[7]: " TO("a@d.test", MX1, "4.2.1",
		"deferred (host " MX1 " said: 450 4.2.1 no (in reply to RCPT TO command))"));
	assert_int_equal(ear.told.n, 1);
	say(g, 4, "smtp[7]: " TO("c@d.test", MX1, "2.0.0", "sent (250 ok)"));
	ASSERT_TOLD(&ear, "known 4AAAA1",
	    "#2 4AAAA1 <s@s.test> " MX1 " d.test (RCPT TO) 450 4.2.1 no | b@d.test 550 5.1.1 who | "
	    "a@d.test 450 4.2.1 no | c@d.test 250 ok",
	    "deferred 4AAAA1");
	strlist_clear(&ear.told);
	dialogues_free(g);
}

/* Connections that fail are named before the message is; TLS belongs to the connection. */
static void test_lines_without_a_message(void **state)
{
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);
	struct dialogues *g = dialogues_new(&l);

	(void)state;
	say(g, 1, ACTIVE("1"));
	say(g, 2, "smtp[8]: connect to other.test[192.0.2.9]:25: Connection refused");
	say(g, 3, "smtp[7]: connect to " MX1 ":25: Connection timed out");
	say(g, 4,
	    "smtp[7]: Trusted TLS connection established to " MX2
	    ":25: TLSv1.3 with cipher AES (256/256 bits)");
	say(g, 5, "smtp[7]: " TO("a@d.test", MX2, "2.0.0", "sent (250 ok)"));
	ASSERT_TOLD(&ear, "known 4AAAA1",
	    "#3 4AAAA1 <s@s.test> " MX1 " d.test (connect) 4.4.1 connect to " MX1
	    ":25: Connection timed out | a@d.test 4.4.1 connect to " MX1
	    ":25: Connection timed out",
	    "#5 4AAAA1 <s@s.test> " MX2
	    " d.test (end of DATA) 250 ok | a@d.test 250 ok | TLSv1.3 AES Trusted");
	strlist_clear(&ear.told);
	dialogues_free(g);
}

/* The log falls silent while the next host hangs: what is known is told, and told once. */
static void test_quiet(void **state)
{
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);
	struct dialogues *g = dialogues_new(&l);

	(void)state;
	say(g, 1, ACTIVE("2"));
	assert_int_equal(dialogues_quiet(g, 0), -1);
	say(g, 2, "smtp[7]: 4AAAA1: host " MX1 " said: 450 no (in reply to RCPT TO command)");
	assert_int_equal(dialogues_quiet(g, 400), DIALOGUES_QUIET_MS - 400);
	assert_int_equal(ear.told.n, 1);
	assert_int_equal(dialogues_quiet(g, DIALOGUES_QUIET_MS), -1);
	assert_int_equal(ear.told.n, 2);
	say(g, 3, "smtp[7]: " TO("a@d.test", MX1, "2.0.0", "sent (250 ok)"));
	say(g, 4, "smtp[7]: " TO("b@d.test", MX2, "2.0.0", "sent (250 ok)"));
	ASSERT_TOLD(&ear, "known 4AAAA1", "#2 4AAAA1 <s@s.test> " MX1 " ? (RCPT TO) 450 no",
	    "#4 4AAAA1 <s@s.test> " MX2 " d.test (end of DATA) 250 ok | b@d.test 250 ok");
	strlist_clear(&ear.told);
	dialogues_free(g);
}

static void hear_and_count(
    const char *queue_id, const struct dialogue *d, const char *sender, void *arg)
{
	(void)queue_id, (void)d, (void)sender;
	++*(size_t *)arg;
}

/* Any local user can write to a log file: neither processes nor hosts without end are remembered,
 * and each is told once. */
static void test_memory_is_bounded(void **state)
{
	const size_t hosts = 3 * DIALOGUES_HOSTS, processes = 2 * DIALOGUES_PROCESSES;
	size_t told = 0;
	struct dialogues_listener l = {.tried = hear_and_count, .arg = &told};
	struct dialogues *g = dialogues_new(&l);

	(void)state;
	for (size_t i = 0; i < hosts; i++) {
		char *line = xasprintf("smtp[7]: connect to h%zu.test[192.0.2.1]:25: no", i);

		say(g, i, line);
		free(line);
	}
	assert_in_range(told, hosts - DIALOGUES_HOSTS, hosts);
	for (size_t i = 0; i < processes; i++) {
		char *line = xasprintf("smtp[%zu]: connect to h.test[192.0.2.1]:25: no", 10 + i);

		say(g, hosts + i, line);
		free(line);
	}
	assert_in_range(told, hosts + processes - DIALOGUES_PROCESSES - 1000, hosts + processes);
	dialogues_quiet(g, DIALOGUES_QUIET_MS);
	assert_int_equal(told, hosts + processes);
	dialogues_free(g);
}

static size_t saved_bytes(const struct dialogues *g)
{
	char *saved = NULL;
	size_t size;
	FILE *out = open_memstream(&saved, &size);

	dialogues_save(g, out);
	fclose(out);
	free(saved);
	return size;
}

/* Sendmail has a process for each message: one that has nothing more to say is not remembered, for
 * some time only if it has a TLS connection that another message may use. */
static void test_idle_processes(void **state)
{
	const size_t messages = 5000;
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);
	struct dialogues *g = dialogues_new(&l);
	size_t bytes, number = 0;

	(void)state;
	say(g, ++number,
	    "smtp[7]: Trusted TLS connection established to " MX1
	    ":25: TLSv1.3 with cipher AES (256/256 bits)");
	bytes = saved_bytes(g);
	for (size_t i = 0; i < messages; i++) {
		char *line =
		    xasprintf("smtp[%zu]: " TO("a@d.test", MX2, "2.0.0", "sent (250 ok)"), 10 + i);

		say(g, ++number, ACTIVE("1"));
		say(g, ++number, line);
		say(g, ++number, "qmgr[1]: 4AAAA1: removed");
		free(line);
	}
	assert_int_equal(ear.told.n, 3 * messages);
	assert_in_range(saved_bytes(g), bytes, bytes + 50000);
	strlist_clear(&ear.told);
	say(g, ++number, ACTIVE("1"));
	say(g, ++number, "smtp[7]: " TO("a@d.test", MX1, "2.0.0", "sent (250 ok)"));
	assert_non_null(strstr(ear.told.v[1], "TLSv1.3"));
	strlist_clear(&ear.told);
	dialogues_free(g);
}

/* The same process, message, host and recipient again: the next run of the queue. */
static void test_next_try(void **state)
{
	static const char refusal[] = "smtp[7]: " TO("a@d.test", MX1, "4.2.1",
	    "deferred (host " MX1 " said: 450 4.2.1 no (in reply to RCPT TO command))");
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);
	struct dialogues *g = dialogues_new(&l);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		say(g, 2 * i, ACTIVE("1"));
		say(g, 2 * i + 1, refusal);
	}
	assert_int_equal(ear.told.n, 9); /* known, tried, deferred */
	for (size_t i = 0; i < 9; i += 3)
		assert_string_equal(ear.told.v[i + 2], "deferred 4AAAA1");
	say(g, 10, refusal); /* without a word of the queue manager: its line was lost */
	say(g, 11, refusal);
	say(g, 12, "smtp[7]: 4BBBB2: host " MX1 " said: 421 no (in reply to MAIL FROM command)");
	assert_int_equal(ear.told.n, 12);
	assert_int_equal(strncmp(ear.told.v[9], "#10 ", 4), 0);
	assert_string_equal(ear.told.v[10], "deferred 4AAAA1");
	assert_int_equal(strncmp(ear.told.v[11], "#11 ", 4), 0);
	strlist_clear(&ear.told);
	dialogues_free(g);
}

/* ---- whole logs ---- */

static void read_log(const char *name, struct strlist *lines)
{
	char *path = xasprintf("%s/tests/maillog/%s", getenv("MAILHOOKS_SOURCE"), name);
	FILE *in = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (in == NULL)
		fail_msg("%s cannot be read", path);
	while ((n = getline(&line, &size, in)) > 0)
		strlist_addn(lines, line, (size_t)n - 1);
	fclose(in);
	free(line);
	free(path);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void end_of_log(struct dialogues *g)
{
	dialogues_quiet(g, INT64_MAX / 2);
}

static struct dialogues *reload(struct dialogues *g, const struct dialogues_listener *l)
{
	char *saved = NULL;
	size_t size;
	FILE *out = open_memstream(&saved, &size);
	struct dialogues *again = dialogues_new(l);

	dialogues_save(g, out);
	fclose(out);
	assert_true(dialogues_load(again, saved, size, 0));
	free(saved);
	dialogues_free(g);
	return again;
}

static void tell_all(const struct strlist *lines, size_t reload_every, struct strlist *told)
{
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);
	struct dialogues *g = dialogues_new(&l);

	for (size_t i = 0; i < lines->n; i++) {
		feed(g, lines->v[i], i + 1, 0);
		if (reload_every > 0 && i % reload_every == 0)
			g = reload(g, &l);
	}
	end_of_log(g);
	dialogues_free(g);
	*told = ear.told;
	qsort(told->v, told->n, sizeof *told->v, by_text);
}

static void assert_same(const struct strlist *a, const struct strlist *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++)
		assert_string_equal(a->v[i], b->v[i]);
	assert_int_equal(a->n, b->n);
}

static void check_reloads(const char *name)
{
	struct strlist lines = STRLIST_INIT, once, often;

	read_log(name, &lines);
	tell_all(&lines, 0, &once);
	assert_true(once.n > 100);
	for (size_t every = 1; every < 8; every++) {
		tell_all(&lines, every, &often);
		assert_same(&once, &often);
		strlist_clear(&often);
	}
	strlist_clear(&once);
	strlist_clear(&lines);
}

static void test_saved_between_any_two_lines(void **state)
{
	(void)state;
	check_reloads("postfix.log");
	check_reloads("sendmail.log");
}

/* R18: killed after line k when the last checkpoint was at line c: what is read again has the same
 * keys and says the same, so that the store keeps one of each. */
static void test_killed_anywhere(void **state)
{
	struct strlist lines = STRLIST_INIT, once;
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);

	(void)state;
	read_log("postfix.log", &lines);
	tell_all(&lines, 0, &once);
	for (size_t at = 0; at < lines.n; at += 3) {
		struct dialogues *g = dialogues_new(&l), *killed;
		char *saved = NULL;
		size_t size, i = 0;
		FILE *out = open_memstream(&saved, &size);

		for (; i < at; i++)
			feed(g, lines.v[i], i + 1, 0);
		dialogues_save(g, out);
		fclose(out);
		killed = g; /* goes on for a while, and its end is not written down */
		for (; i < lines.n && i < at + 20; i++)
			feed(killed, lines.v[i], i + 1, 0);
		end_of_log(killed); /* even what it told only because the log was quiet */
		dialogues_free(killed);
		g = dialogues_new(&l);
		assert_true(dialogues_load(g, saved, size, 0));
		for (i = at; i < lines.n; i++)
			feed(g, lines.v[i], i + 1, 0);
		end_of_log(g);
		dialogues_free(g);
		free(saved);
	}
	/* keys of dialogues: no other than those of the one reading */
	for (size_t i = 0; i < ear.told.n; i++) {
		bool known = false;
		size_t n = strcspn(ear.told.v[i], " ");

		for (size_t k = 0; k < once.n && !known; k++)
			known = strncmp(once.v[k], ear.told.v[i], n + 1) == 0;
		if (!known)
			fail_msg("a new one: %s", ear.told.v[i]);
	}
	strlist_clear(&ear.told);
	strlist_clear(&once);
	strlist_clear(&lines);
}

/* A damaged file is refused, never followed. */
static void test_damaged_state(void **state)
{
	struct strlist lines = STRLIST_INIT;
	struct ear ear = {0};
	struct dialogues_listener l = listener(&ear);
	struct dialogues *g = dialogues_new(&l);
	char *saved = NULL;
	size_t size;
	FILE *out = open_memstream(&saved, &size);

	(void)state;
	read_log("postfix.log", &lines);
	for (size_t i = 0; i < 60; i++)
		feed(g, lines.v[i], i + 1, 0);
	dialogues_save(g, out);
	fclose(out);
	dialogues_free(g);
	for (size_t n = 0; n < size; n++) {
		char *part = xmalloc(n + 1);

		memcpy(part, saved, n);
		g = dialogues_new(&l);
		assert_false(dialogues_load(g, part, n, 0));
		dialogues_free(g);
		free(part);
	}
	for (size_t i = 0; i < size; i++) {
		char was = saved[i];

		saved[i] = (char)(was ^ 1);
		g = dialogues_new(&l);
		dialogues_load(g, saved, size, 0); /* true or false, but nothing else happens */
		dialogues_free(g);
		saved[i] = was;
	}
	free(saved);
	strlist_clear(&ear.told);
	strlist_clear(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused_and_sent),
	    cmocka_unit_test(test_recipients_of_one_dialogue),
	    cmocka_unit_test(test_lines_without_a_message),
	    cmocka_unit_test(test_quiet),
	    cmocka_unit_test(test_memory_is_bounded),
	    cmocka_unit_test(test_idle_processes),
	    cmocka_unit_test(test_next_try),
	    cmocka_unit_test(test_saved_between_any_two_lines),
	    cmocka_unit_test(test_killed_anywhere),
	    cmocka_unit_test(test_damaged_state),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
