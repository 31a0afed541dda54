/* Lines of `postqueue -j` and of `sendmail -bp`. */
#include "common/queue_list.h"

#include "common/queue_list_sendmail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct queue_reader *reader;

static int open_reader(void **state)
{
	(void)state;
	reader = queue_reader_new();
	return reader == NULL;
}

static int close_reader(void **state)
{
	(void)state;
	queue_reader_free(reader);
	return 0;
}

static bool read_line(const char *line, struct queue_entry *e)
{
	return queue_reader_line(reader, line, strlen(line), e);
}

#define HEAD                                                                           \
	"{\"queue_name\": \"hold\", \"queue_id\": \"4WxyzABCD1z\", \"arrival_time\": " \
	"1700000000, \"message_size\": 333, "

static void test_entries(void **state)
{
	struct queue_entry e = {0};

	(void)state;
	assert_true(read_line(HEAD "\"forced_expire\": false, \"sender\": \"a\\\"b@one.test\", "
				   "\"recipients\": [{\"address\": \"b@two.test\"}, {\"address\": "
				   "\"c@two.test\", \"delay_reason\": \"450 \\u0007]}\"}]}",
	    &e));
	assert_string_equal(e.queue, "hold");
	assert_string_equal(e.id, "4WxyzABCD1z");
	assert_string_equal(e.sender, "a\"b@one.test");
	assert_int_equal(e.arrival_ms, 1700000000000);
	assert_int_equal(e.size, 333);
	assert_int_equal(e.recipients.n, 2);
	assert_string_equal(e.recipients.v[1], "c@two.test");
	assert_true(e.tried);
	assert_true(read_line(HEAD "\"sender\": \"MAILER-DAEMON\", \"recipients\": [{\"address\": "
				   "\"b@two.test\"}]}",
	    &e));
	assert_string_equal(e.sender, "");
	assert_false(e.tried);
	assert_true(
	    read_line(HEAD "\"sender\": \"a@b\", \"recipients\": []}", &e) || e.recipients.n == 0);
	queue_entry_clear(&e);
}

static void test_not_entries(void **state)
{
	static const char *const wrong[] = {"", "{}", "[]", "null", "Mail queue is empty",
	    HEAD "\"sender\": \"a@b\"", HEAD "\"sender\": 5, \"recipients\": [{}]}",
	    HEAD "\"recipients\": [{}]}",
	    "{\"queue_name\": \"hold\", \"queue_id\": \"../x\", \"arrival_time\": 1, \"sender\": "
	    "\"a\", \"recipients\": [{}]}",
	    "{\"queue_name\": \"hold\", \"queue_id\": \"4WxyzABCD1\", \"arrival_time\": \"x\", "
	    "\"sender\": \"a\", \"recipients\": [{}]}",
	    "{\"recipients\": 5}", "{\"recipients\": [5, [], null]}"};
	struct queue_entry e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (read_line(wrong[i], &e))
			fail_msg("taken: %s", wrong[i]);
		assert_null(e.id);
		assert_int_equal(e.recipients.n, 0);
	}
}

static void test_sendmail(void **state)
{
	static const struct {
		const char *line, *id;
	} lines[] = {
	    {"6ALGn9ap000077        6 Sat Nov 21 16:49 <hold@sender.test>", "6ALGn9ap000077"},
	    {"6ALGn9ap0000771*      6 Sat Nov 21 16:49 <hold@sender.test>", "6ALGn9ap0000771"},
	    {"6ALGn9ap000077- (no control file)", "6ALGn9ap000077"},
	    {"6ALGn9ap000077", NULL}, /* cut off */
	    {"6ALGn9ap00007        6 Sat Nov 21 16:49 <hold@sender.test>", NULL},
	    {"6ALGn9ap000077/../x 6", NULL},
	    {"6ALGn9ap0000770123456789012 6", NULL},
	    {" 6ALGn9ap000077        6 Sat Nov 21 16:49 <a@b>", NULL},
	    {"\t\t/var/spool/mqueue (2 requests)", NULL},
	    {"/var/spool/mqueue is empty", NULL},
	    {"-----Q-ID----- --Size-- -----Q-Time----- ------------Sender/Recipient-----------",
		NULL},
	    {"      QUARANTINE: by CheckFile", NULL},
	    {"\t\tTotal requests: 2", NULL},
	    {"", NULL},
	};
	char id[QUEUE_LIST_ID_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		const char *line = lines[i].line;
		bool found = queue_list_sendmail_line(line, strlen(line), id);

		if (found != (lines[i].id != NULL) || (found && strcmp(id, lines[i].id) != 0))
			fail_msg("%s", line);
	}
	assert_false(queue_list_sendmail_line("6ALGn9ap000077\0 6", 17, id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_entries),
	    cmocka_unit_test(test_not_entries),
	    cmocka_unit_test(test_sendmail),
	};

	return cmocka_run_group_tests(tests, open_reader, close_reader);
}
