/* Records of messages in the queue: what comes back is what was kept, damaged files are refused. */
#include "common/queue_record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char top[] = "/tmp/queue-record.XXXXXX";
static char directory[64], path[96];

static int open_directory(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(directory, sizeof directory, "%s/queue", top);
	snprintf(path, sizeof path, "%s/4WxyzABCD1", directory);
	return 0;
}

static int close_directory(void **state)
{
	(void)state;
	rmdir(directory);
	return rmdir(top);
}

static void fill(struct queue_record *r)
{
	*r = (struct queue_record){.size = 1234567890123,
	    .noted_ms = 5,
	    .arrival_ms = 6,
	    .priority = 7,
	    .held_ms = 8,
	    .released_ms = 13,
	    .held_before_ms = 9,
	    .retries = 10,
	    .last_try_ms = 11,
	    .asked_ms = 12,
	    .last_chance = 1};
	xreplace(&r->sender, "ann@one.test");
	xreplace(&r->token, "abc");
	xreplace(&r->filter, "relay:[a.test]:25");
	xreplace(&r->chosen, "relay:[b.test]:25");
	xreplace(&r->reason, "end 0\n\nsize 1\n9\n");
	strlist_add(&r->recipients, "bob@two.test");
	strlist_add(&r->recipients, "eve@two.test");
	strlist_add(&r->header_lines, "Subject: a\r\n end 0");
}

static void test_kept(void **state)
{
	struct queue_record r, back = {0};
	struct strlist ids = STRLIST_INIT;

	(void)state;
	assert_true(queue_record_list(directory, &ids));
	assert_int_equal(ids.n, 0);
	fill(&r);
	assert_true(queue_record_save(directory, "4WxyzABCD1", &r));
	assert_true(queue_record_load(directory, "4WxyzABCD1", &back));
	assert_string_equal(back.sender, r.sender);
	assert_string_equal(back.reason, r.reason);
	assert_int_equal(back.size, r.size);
	assert_int_equal(back.noted_ms, 5);
	assert_int_equal(back.arrival_ms, 6);
	assert_int_equal(back.priority, 7);
	assert_int_equal(back.held_ms, 8);
	assert_int_equal(back.released_ms, 13);
	assert_int_equal(back.held_before_ms, 9);
	assert_string_equal(back.token, "abc");
	assert_string_equal(back.filter, r.filter);
	assert_string_equal(back.chosen, r.chosen);
	assert_int_equal(back.retries, 10);
	assert_int_equal(back.last_try_ms, 11);
	assert_int_equal(back.asked_ms, 12);
	assert_int_equal(back.last_chance, 1);
	assert_int_equal(back.recipients.n, 2);
	assert_string_equal(back.recipients.v[1], "eve@two.test");
	assert_int_equal(back.header_lines.n, 1);
	assert_string_equal(back.header_lines.v[0], r.header_lines.v[0]);
	assert_true(queue_record_list(directory, &ids));
	assert_int_equal(ids.n, 1);
	assert_string_equal(ids.v[0], "4WxyzABCD1");
	assert_true(llabs(queue_record_written_ms(directory, "4WxyzABCD1") -
			  (int64_t)time(NULL) * 1000) < 3600000);
	queue_record_remove(directory, "4WxyzABCD1");
	assert_false(queue_record_load(directory, "4WxyzABCD1", &back));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(queue_record_written_ms(directory, "4WxyzABCD1"), 0);
	strlist_clear(&ids);
	queue_record_clear(&r);
}

static void overwrite(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

/* Every shorter file is damaged, and so is one with any byte of its structure changed. */
static void test_damaged(void **state)
{
	static const char *const wrong[] = {"", "sender", "sender 1", "sender -1\na\n",
	    "sender 99999999999999999999\na\n", "sender 18446744073709551615\na\nend 0\n\n",
	    "sender 1\nab\nend 0\n\n", "sender 1\na\nend 0\n\nx",
	    "size 1\nx\nsender 1\na\nend 0\n\n", "end 0\n\n", "size 0\n\nsender 1\na\nend 0\n\n"};
	struct queue_record r, back = {0};
	char whole[4096];
	size_t n;
	FILE *f;

	(void)state;
	fill(&r);
	assert_true(queue_record_save(directory, "4WxyzABCD1", &r));
	f = fopen(path, "r");
	n = fread(whole, 1, sizeof whole, f);
	fclose(f);
	for (size_t i = 0; i < n; i++) {
		overwrite(whole, i);
		assert_false(queue_record_load(directory, "4WxyzABCD1", &back));
		assert_int_equal(errno, EBADMSG);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		overwrite(wrong[i], strlen(wrong[i]));
		if (queue_record_load(directory, "4WxyzABCD1", &back))
			fail_msg("taken: %s", wrong[i]);
	}
	overwrite("sender 3\na\0b\nend 0\n\n", 20);
	assert_false(queue_record_load(directory, "4WxyzABCD1", &back));
	overwrite("newer 1\nx\nsender 0\n\nend 0\n\n", 27);
	assert_true(queue_record_load(directory, "4WxyzABCD1", &back));
	queue_record_clear(&back);
	queue_record_remove(directory, "4WxyzABCD1");
	queue_record_clear(&r);
}

/* Whatever a stranger sends and a script says: what is kept can be read, or a held message would
 * stay held for ever. */
static void test_no_record_is_too_long(void **state)
{
	struct queue_record r, back = {0};
	char *reason = malloc(2000001);

	(void)state;
	assert_non_null(reason);
	memset(reason, 'x', 2000000);
	reason[2000000] = '\0';
	fill(&r);
	xreplace(&r.reason, reason);
	xreplace(&r.sender, reason);
	for (int i = 0; i < 100000; i++) {
		strlist_add(&r.recipients, "a@b");
		strlist_add(&r.header_lines, "");
	}
	assert_true(queue_record_save(directory, "4WxyzABCD1", &r));
	assert_true(queue_record_load(directory, "4WxyzABCD1", &back));
	assert_int_equal(back.held_ms, 8);
	assert_in_range(back.recipients.n, 1000, 99999);
	assert_string_equal(back.recipients.v[0], r.recipients.v[0]);
	assert_in_range(back.header_lines.n, 1000, 99999);
	assert_in_range(strlen(back.reason), 1000, 1999999);
	queue_record_remove(directory, "4WxyzABCD1");
	queue_record_clear(&back);
	queue_record_clear(&r);
	free(reason);
}

static void test_tokens(void **state)
{
	char a[QUEUE_RECORD_TOKEN_BYTES], b[QUEUE_RECORD_TOKEN_BYTES];

	(void)state;
	assert_true(queue_record_token(a) && queue_record_token(b));
	assert_int_equal(strspn(a, "0123456789abcdef"), QUEUE_RECORD_TOKEN_BYTES - 1);
	assert_int_equal(strlen(a), QUEUE_RECORD_TOKEN_BYTES - 1);
	assert_string_not_equal(a, b);
}

static void test_ids(void **state)
{
	static const char *const wrong[] = {"", "ALL-", "-", "../../etc", "4WxyzABCD1/x",
	    "a b c d e", "ABCD", "4WxyzABCD1\n", "0123456789012345678901234", ".new.abcdef"};
	struct queue_record r;

	(void)state;
	fill(&r);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_false(queue_record_is_id(wrong[i]));
		assert_false(queue_record_save(directory, wrong[i], &r));
	}
	assert_true(queue_record_is_id("6al8ribf004946"));
	assert_true(queue_record_is_id("3E5F2A1B00"));
	queue_record_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kept),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_no_record_is_too_long),
	    cmocka_unit_test(test_tokens),
	    cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, open_directory, close_directory);
}
