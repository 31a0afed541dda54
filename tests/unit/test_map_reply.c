/* Replies of remote servers: put together from lines, given to ReturnCodeHandler() once, and what
 * of its result may be passed on. */
#include "policy/delivery.h"
#include "policy/maps.h"
#include "policy/reply_line.h"
#include "tests/unit/script_rig.h"

#include "common/clock.h"
#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct script_rig rig;
static char logged[8192];
static struct peer peer = {4711, 1};

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

static struct script_set *start(const char *mxout, const char *setting)
{
	char error[500] = "";
	struct script_set *set;

	script_rig_open(&rig, (const char *const[]){setting, NULL});
	logged[0] = '\0';
	log_capture(hear, NULL);
	script_rig_write(&rig, "mxout.lua", mxout);
	set = script_set_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	return set;
}

static void stop(struct script_set *set)
{
	script_set_unref(set);
	delivery_forget_all();
	log_capture(NULL, NULL);
	script_rig_close(&rig);
}

/* "" = not found; to be freed. */
static char *tell_to(char *(*answer)(const struct map_query *, size_t *), struct script_set *set,
    const char *name, const char *key)
{
	struct map_query q = {set, name, key, strlen(key), clock_ms() + 10000, NULL, peer, 0};
	char *reply, *text, *out;
	size_t n;

	maps_heard(&q);
	reply = answer(&q, &n);
	text = strchr(reply, ':') + 1;
	reply[n - 1] = '\0';
	out = xstrdup(strncmp(text, "OK ", 3) == 0	  ? text + 3
		      : strncmp(text, "NOTFOUND", 8) == 0 ? ""
							  : text);
	free(reply);
	return out;
}

static char *tell(struct script_set *set, const char *name, const char *key)
{
	return tell_to(maps_answer, set, name, key);
}

/* A question that gets no answer in time. */
static void tell_late(struct script_set *set, const char *name, const char *key)
{
	char *got = tell_to(maps_default, set, name, key);

	assert_string_equal(got, "");
	free(got);
}

static void expect(struct script_set *set, const char *name, const char *key, const char *wanted)
{
	char *got = tell(set, name, key);

	if (strcmp(got, wanted) != 0)
		fail_msg(
		    "%s \"%s\" gives \"%s\", not \"%s\"; log:\n%s", name, key, got, wanted, logged);
	free(got);
}

static void test_which_changes_are_passed_on(void **state)
{
	static const struct {
		int code;
		const char *reply, *wanted;
		bool any;
		const char *line; /* NULL: refused, "": the same */
	} rows[] = {
	    {450, "450 4.2.1 x", "550 5.1.1 no such user", false, "550 5.1.1 no such user"},
	    {550, "550 5.7.1 x", "451 later", false, "451 4.3.0 later"},
	    {450, "450 4.2.1 x", "550", false, "550 5.7.1 "},
	    {450, "450 x", "550 4.2.1 x", false, "550 5.7.1 x"}, /* a class of its own */
	    {450, "450 x", "450 x", false, ""},
	    {450, "450-a\r\n450 b", "550-5.1.1 one\r\n550 5.1.1 two", false, "550 5.1.1 one two"},
	    {450, "450 x", "550 5.1.1 a\n550 b\r", false, "550 5.1.1 a b"},
	    {450, "450 x", "250 2.0.0 fine", false, NULL},
	    {250, "250 ok", "450 4.0.0 no", false, NULL},
	    {250, "250 ok", "250 better", false, NULL},
	    {354, "354 go", "354 on", false, NULL},
	    {220, "220 x", "421 4.0.0 no", false, NULL},
	    {450, "450 x", "no", false, NULL},
	    {450, "450 x", "99 no", false, NULL},
	    {450, "450 x", "1000 no", false, NULL},
	    {450, "450 x", "250 2.0.0 fine", true, "250 2.0.0 fine"},
	    {250, "250 ok", "450 4.0.0 no", true, "450 4.0.0 no"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *why;
		char *line = reply_line_replace(
		    rows[i].code, rows[i].reply, rows[i].wanted, rows[i].any, &why);
		const char *got = line != NULL ? line : why == NULL ? "" : NULL;

		if ((got == NULL) != (rows[i].line == NULL) ||
		    (got != NULL && strcmp(got, rows[i].line) != 0))
			fail_msg("%s for %s gives %s", rows[i].wanted, rows[i].reply,
			    got != NULL ? got : why);
		free(line);
	}
}

/* R10: whatever a script returns, an answer has no line break and is short. */
static void test_no_line_breaks(void **state)
{
	char wanted[2000], *line;
	const char *why;

	(void)state;
	memset(wanted, 'x', sizeof wanted - 1);
	wanted[sizeof wanted - 1] = '\0';
	memcpy(wanted, "550 5.1.1 ", 10);
	for (size_t i = 20; i < 300; i += 7)
		wanted[i] = i % 2 ? '\r' : '\n';
	line = reply_line_replace(450, "450 x", wanted, false, &why);
	if (line != NULL) {
		assert_null(strpbrk(line, "\r\n"));
		assert_true(strlen(line) <= 510);
	}
	free(line);
	line = reply_line_replace(450, "450 x", "550 5.1.1 a\r\r\nb\x01\x7f", false, &why);
	assert_true(line == NULL || strpbrk(line, "\r\n\x01") == NULL);
	free(line);
}

#define NOTE                                                                                          \
	"function ReturnCodeHandler(command, full, last, where)\n"                                    \
	"  print(command .. '|' .. full:gsub('\\r\\n', '/') .. '|' .. last .. '|' .. where.server)\n" \
	"end\n"

static char *printed(void)
{
	char *path = xasprintf("%s/LUA.OUT", rig.directory), *text = xcalloc(1, 65536);
	FILE *f = fopen(path, "r");

	if (f != NULL) {
		text[fread(text, 1, 65535, f)] = '\0';
		fclose(f);
	}
	free(path);
	return text;
}

static void test_a_whole_dialogue(void **state)
{
	static const char *const lines[][2] = {
	    {"mx", "one.test. 0 IN MX 10 mx1.one.test."},
	    {"mx", "mx1.one.test. 0 IN A 192.0.2.1"},
	    {"reply", "220 banner"},
	    {"reply", "250-mx1"},
	    {"reply", "250-STARTTLS"},
	    {"reply", "250 DSN"},
	    {"ehlo_out", "192.0.2.1"},
	    {"reply", "220 2.0.0 go"},
	    {"reply", "250-mx1"},
	    {"reply", "250-AUTH PLAIN"},
	    {"reply", "250 DSN"},
	    {"reply", "235 2.7.0 in"},
	    {"generic", "ann@sender.test"},
	    {"generic", "bob@one.test"},
	    {"generic", "joe@one.test"},
	    {"reply", "250 2.1.0 ok"},
	    {"reply", "250 2.1.5 ok"},
	    {"reply", "450-4.2.1 a"},
	    {"reply", "450 4.2.1 b"},
	    {"reply", "354 go"},
	    {"reply", "250 2.0.0 kept"},
	    {"status", "2.0.0 250 2.0.0 kept"},
	    {"mx", "two.test. 0 IN MX 10 mx1.two.test."},
	    {"mx", "mx1.two.test. 0 IN A 192.0.2.2"},
	    {"reply", "554 5.7.1 no"},
	};
	static const char wanted[] =
	    "CONNECT|220 banner|220 banner|\n"
	    "EHLO|250-mx1/250-STARTTLS/250 DSN|250 DSN|\n"
	    "STARTTLS|220 2.0.0 go|220 2.0.0 go|mx1.one.test\n"
	    "EHLO|250-mx1/250-AUTH PLAIN/250 DSN|250 DSN|mx1.one.test\n"
	    "AUTH|235 2.7.0 in|235 2.7.0 in|mx1.one.test\n"
	    "MAIL FROM:<ann@sender.test>|250 2.1.0 ok|250 2.1.0 "
	    "ok|mx1.one.test\n"
	    "RCPT TO:<bob@one.test>|250 2.1.5 ok|250 2.1.5 ok|mx1.one.test\n"
	    "RCPT TO:<joe@one.test>|450-4.2.1 a/450 4.2.1 b|450 4.2.1 "
	    "b|mx1.one.test\n"
	    "DATA|354 go|354 go|mx1.one.test\n"
	    ".|250 2.0.0 kept|250 2.0.0 kept|mx1.one.test\n"
	    "CONNECT|554 5.7.1 no|554 5.7.1 no|\n";
	struct script_set *set = start(NOTE, "outbound.any_reply=false");
	char *said;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		expect(set, lines[i][0], lines[i][1], "");
	said = printed();
	assert_string_equal(said, wanted);
	free(said);
	stop(set);
}

/* R18: what is late is not asked about, and what comes afterwards is not mistaken for it. */
static void test_late_lines(void **state)
{
	static const char *const lines[][2] = {
	    {"mx", "mx1.one.test. 0 IN A 192.0.2.1"},
	    {"reply", "220 banner"},
	    {"reply", "250 mx1"},
	    {"ehlo_out", "192.0.2.1"},
	    {"generic", "ann@sender.test"},
	    {"generic", "bob@one.test"},
	    {"generic", "joe@one.test"},
	    {"reply", "250 2.1.0 ok"},
	    {"reply", "250-2.1.5 ok"},
	    {"reply", "250 2.1.5 ok"},
	};
	static const char wanted[] =
	    "RCPT TO:<joe@one.test>|450 4.2.1 no|450 4.2.1 no|mx1.one.test\n"
	    "DATA|451 4.3.0 busy|451 4.3.0 busy|mx1.one.test\n"
	    "CONNECT|220 hello|220 hello|\n";
	struct script_set *set = start(NOTE, "outbound.any_reply=false");
	char *said;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		tell_late(set, lines[i][0], lines[i][1]);
	expect(set, "reply", "450 4.2.1 no", "");
	expect(set, "reply", "451 4.3.0 busy", "");
	/* a new process of ours, in the middle of a dialogue */
	delivery_forget_all();
	delivery_start();
	expect(set, "reply", "450 4.2.1 no", "");
	expect(set, "reply", "451 4.3.0 busy", "");
	expect(set, "reply", "220 hello", "");
	said = printed();
	assert_string_equal(said, wanted);
	free(said);
	stop(set);
}

static void test_changes_in_a_dialogue(void **state)
{
	struct script_set *set =
	    start("function ReturnCodeHandler(c, full)\n"
		  "  if full:find('no such') then return '550 5.1.1 gone' end\n"
		  "  if full:find('ok') then return '450 4.0.0 x' end\n"
		  "end\n",
		"outbound.any_reply=false");

	(void)state;
	expect(set, "reply", "220 hello", "");
	expect(set, "reply", "450-4.2.1 no such", "");
	expect(set, "reply", "450 4.2.1 user", "550 5.1.1 gone");
	expect(set, "reply", "250 ok", "");
	assert_non_null(strstr(logged, "only 4xx and 5xx may become each other"));
	assert_non_null(strstr(logged, "becomes \"550 5.1.1 gone\""));
	/* what is no reply at all */
	expect(set, "reply", "", "");
	expect(set, "reply", "hello", "");
	expect(set, "reply", "45", "");
	expect(set, "reply", "450", "");
	stop(set);
}

/* The first thing heard of a process is a banner, unless it was there before us. */
static void test_first_replies(void **state)
{
	struct script_set *set = start("function ReturnCodeHandler(c, full)\n"
				       "  print(c .. '|' .. full)\n"
				       "  return '554 5.3.2 no'\n"
				       "end\n",
	    "outbound.any_reply=false");
	char *said;

	(void)state;
	delivery_start();
	expect(set, "reply", "421 4.3.2 is not known to be one", "");
	peer.start = peer_now() + 1;
	expect(set, "reply", "421 4.3.2 busy", "554 5.3.2 no");
	peer.start = 0; /* hidden */
	expect(set, "reply", "421 4.3.2 is not known to be one", "");
	peer.start = 1;
	said = printed();
	assert_string_equal(said, "CONNECT|421 4.3.2 busy\n");
	free(said);
	stop(set);
}

/* As long as Postfix may ask about; of one that is too long the beginning counts. */
static void test_long_lines(void **state)
{
	static const char *const codes[] = {"220 ", "250-", "250 "};
	struct script_set *set =
	    start("function ReturnCodeHandler(c, full) print(c, #full, full:sub(1, 5)) end", NULL);
	char *line = xcalloc(1, 100001), *said, *wanted;

	(void)state;
	memset(line, 'x', 100000);
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		memcpy(line, codes[i], 4);
		expect(set, "reply", line, "");
	}
	said = printed();
	wanted = xasprintf(
	    "CONNECT\t%d\t220 x\nEHLO\t%d\t250-x\n", LIMIT_REPLY_BYTES - 1, LIMIT_REPLY_BYTES - 1);
	assert_string_equal(said, wanted);
	free(wanted);
	free(said);
	free(line);
	stop(set);
}

#define OF(command) " (in reply to " command " command)"

/* Without the map generic: what came after an accepted recipient, and what Postfix reports of it.
 */
static void test_of_rcpt_or_of_data(void **state)
{
	static const char *const rows[][3] = {
	    /* map, key, answer */
	    {"reply", "220 banner", ""},
	    {"reply", "250 hello", ""},
	    {"reply", "250 2.1.0 ok", ""},
	    {"reply", "450 4.2.1 first", "550 5.1.1 unknown"},
	    {"status", "5.1.1 host a[1] said: 550 5.1.1 unknown" OF("RCPT TO"), ""},
	    {"reply", "250 2.1.5 ok", ""},
	    {"reply", "450-4.2.1 a", ""},
	    {"reply", "450 4.2.1 b", ""},
	    {"status", "5.2.1 host a[1] said: 450 4.2.1 b" OF("RCPT TO"), ""}, /* not it */
	    {"status", "4.2.1 host a[1] said: 450-4.2.1 a 450 4.2.1 b" OF("RCPT TO"),
		"5.1.1 host a[1] said: 550 5.1.1 unknown" OF("RCPT TO")},
	    {"reply", "450 4.3.0 busy" OF("RCPT TO"), ""},
	    {"status", "4.3.0 host a[1] said: 450 4.3.0 busy" OF("RCPT TO") OF("DATA"), ""},
	    {"status", "4.3.0 host a[1] said: 450 4.3.0 busy" OF("RCPT TO") OF("DATA"), ""},
	    {"reply", "250 2.0.0 reset", ""},
	    {"reply", "220 banner", ""},
	    {"reply", "250 hello", ""},
	    {"reply", "250 2.1.0 ok", ""},
	    {"reply", "250 2.1.5 ok", ""},
	    {"reply", "450 4.2.1 then silence", ""},
	    {"status", "4.4.2 lost connection with a[1] while sending DATA", ""},
	    {"status", "4.2.1 host a[1] said: 450 4.2.1 then silence" OF("RCPT TO"), ""},
	    {"status", "", ""},
	};
	static const char wanted[] = "CONNECT|f\nEHLO|f\nMAIL FROM:|f\nRCPT TO:|f\nRCPT TO:|f\n"
				     "RCPT TO: or DATA|f\nRCPT TO:|t\n"
				     "RCPT TO: or DATA|f\nDATA|t\nDATA|t\nRSET|f\n"
				     "CONNECT|f\nEHLO|f\nMAIL FROM:|f\nRCPT TO:|f\n"
				     "RCPT TO: or DATA|f\n";
	struct script_set *set =
	    start("function ReturnCodeHandler(c, full, last, where)\n"
		  "  print(c .. '|' .. tostring(where.again):sub(1, 1))\n"
		  "  if c:find('^RCPT') and full:find('^4') then return '550 5.1.1 unknown' end\n"
		  "end\n",
		"outbound.any_reply=false");
	char *said;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect(set, rows[i][0], rows[i][1], rows[i][2]);
	said = printed();
	assert_string_equal(said, wanted);
	assert_non_null(strstr(logged, "may be of the next RCPT or of DATA"));
	free(said);
	stop(set);
}

/* Who allows every change gets this one, too; a 5xx may become a 4xx anyway. */
static void test_where_it_is_changed_at_once(void **state)
{
	static const char hook[] = "function ReturnCodeHandler(c, full)\n"
				   "  if full:find('^4') then return '550 5.1.1 unknown' end\n"
				   "  if full:find('^5') then return '450 4.2.0 later' end\n"
				   "end\n";
	static const char *const before[] = {"220 x", "250 x", "250 2.1.0 x", "250 2.1.5 x"};
	static const struct {
		const char *setting, *reply, *answer;
	} rows[] = {
	    {"outbound.any_reply=true", "450 4.2.1 x", "550 5.1.1 unknown"},
	    {"outbound.any_reply=false", "450 4.2.1 x", ""},
	    {"outbound.any_reply=false", "550 5.1.1 x", "450 4.2.0 later"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct script_set *set = start(hook, rows[i].setting);

		for (size_t n = 0; n < sizeof before / sizeof *before; n++)
			expect(set, "reply", before[n], "");
		expect(set, "reply", rows[i].reply, rows[i].answer);
		stop(set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_which_changes_are_passed_on),
	    cmocka_unit_test(test_no_line_breaks),
	    cmocka_unit_test(test_a_whole_dialogue),
	    cmocka_unit_test(test_late_lines),
	    cmocka_unit_test(test_changes_in_a_dialogue),
	    cmocka_unit_test(test_first_replies),
	    cmocka_unit_test(test_long_lines),
	    cmocka_unit_test(test_of_rcpt_or_of_data),
	    cmocka_unit_test(test_where_it_is_changed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
