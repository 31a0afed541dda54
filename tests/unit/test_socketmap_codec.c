/* Netstrings of the socketmap protocol: any split of the input, every way to break it (R3), and no
 * value that makes a second message (R10). */
#include "policy/socketmap_codec.h"

#include "common/limits.h"
#include "common/list.h"
#include "tests/unit/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Feed text in pieces of at most step bytes; messages are written down as "name|key;". */
static enum codec feed(const char *text, size_t n, size_t step, char *out, size_t size)
{
	struct socketmap_reader r = {0};
	enum codec c = CODEC_MORE;
	size_t used = 0;

	out[0] = '\0';
	while (n > 0 && c != CODEC_BROKEN) {
		size_t part = n < step ? n : step, rest = part;
		const char *p = text;

		c = socketmap_feed(&r, &p, &rest);
		if (c == CODEC_MESSAGE)
			used += (size_t)snprintf(
			    out + used, size - used, "%s|%.*s;", r.name, (int)r.key_n, r.key);
		assert_true(c == CODEC_MESSAGE || c == CODEC_BROKEN || rest == 0);
		if (c == CODEC_BROKEN)
			assert_non_null(r.why);
		text += part - rest;
		n -= part - rest;
	}
	socketmap_reader_clear(&r);
	return c;
}

static void test_any_split(void **state)
{
	static const char text[] = "9:ehlo_in a,5:x y z,4:abc ,12:m \nfolded\n\t.,";
	char out[200];

	(void)state;
	for (size_t step = 1; step < sizeof text; step++) {
		assert_int_equal(feed(text, sizeof text - 1, step, out, sizeof out), CODEC_MESSAGE);
		assert_string_equal(out, "ehlo_in|a;x|y z;abc|;m|\nfolded\n\t.;");
	}
}

static void test_broken(void **state)
{
	static const char *const broken[] = {"x", ":", "-1:", " 3:a b,", "03:a b,", "0:,", "3:a b;",
	    "3:a bc", "3:abc,", "3: bc,", "110001:", "99999999999999999999:", "3:a b\n"};
	char out[200];

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		for (size_t step = 1; step < 8; step++)
			if (feed(broken[i], strlen(broken[i]), step, out, sizeof out) !=
				CODEC_BROKEN ||
			    *out != '\0')
				fail_msg(
				    "\"%s\" in steps of %zu gives \"%s\"", broken[i], step, out);
	assert_int_equal(feed("4:a \0b,", 7, 7, out, sizeof out), CODEC_BROKEN);
}

/* A request as long as is allowed, and one byte more. */
static void test_longest(void **state)
{
	size_t n = LIMIT_SOCKETMAP_QUERY_BYTES;
	char *text = xmalloc(n + 20), *out = xmalloc(n + 20);
	int head = snprintf(text, 20, "%zu:", n);

	(void)state;
	memset(text + head, 'k', n);
	text[head + 1] = ' ';
	text[head + n] = ',';
	assert_int_equal(feed(text, head + n + 1, 999, out, n + 20), CODEC_MESSAGE);
	assert_int_equal(strlen(out), n + 1); /* '|' for the blank, and ';' */
	free(text);
	free(out);
}

static void test_idle(void **state)
{
	struct socketmap_reader r = {0};
	const char *p = "3:a b,1";
	size_t n = 2;

	(void)state;
	assert_true(socketmap_reader_idle(&r));
	assert_int_equal(socketmap_feed(&r, &p, &n), CODEC_MORE);
	assert_false(socketmap_reader_idle(&r));
	n = 5;
	assert_int_equal(socketmap_feed(&r, &p, &n), CODEC_MESSAGE);
	assert_int_equal(n, 1);
	assert_true(socketmap_reader_idle(&r));
	assert_int_equal(socketmap_feed(&r, &p, &n), CODEC_MORE);
	assert_false(socketmap_reader_idle(&r));
	socketmap_reader_clear(&r);
}

static void expect_reply(enum socketmap_status status, const char *value, const char *wanted)
{
	size_t n = 0;
	char *reply = socketmap_reply(status, value, value != NULL ? strlen(value) : 0, &n);

	if (wanted == NULL) {
		assert_null(reply);
		return;
	}
	assert_non_null(reply);
	assert_int_equal(n, strlen(wanted));
	assert_memory_equal(reply, wanted, n);
	free(reply);
}

static void test_replies(void **state)
{
	(void)state;
	expect_reply(SOCKETMAP_OK, "smtp:[a]:25", "14:OK smtp:[a]:25,");
	expect_reply(SOCKETMAP_NOTFOUND, NULL, "9:NOTFOUND ,");
	expect_reply(SOCKETMAP_NOTFOUND, "ignored", "9:NOTFOUND ,");
	expect_reply(SOCKETMAP_TEMP, "later", "10:TEMP later,");
	expect_reply(SOCKETMAP_PERM, "", "5:PERM ,");
	expect_reply(SOCKETMAP_OK, "", NULL);
	expect_reply(SOCKETMAP_OK, "a\nb", NULL);
	expect_reply(SOCKETMAP_TEMP, "a\rb", NULL);
}

/* R10: whatever the value, the reply is one netstring with one status word, or none. */
static void test_no_value_makes_two_replies(void **state)
{
	static const char alphabet[] = ",:\n\r0123456789 OKNTFUDa";
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char value[40], *reply, *end;
		size_t n =
		    random_bytes(&seed, value, sizeof value - 1, alphabet, sizeof alphabet - 1);
		size_t size = 0;

		reply = socketmap_reply(SOCKETMAP_OK, value, n, &size);
		if (n == 0 || memchr(value, '\n', n) || memchr(value, '\r', n) ||
		    memchr(value, '\0', n)) {
			assert_null(reply);
			continue;
		}
		assert_int_equal(strtoul(reply, &end, 10), n + 3);
		assert_int_equal(*end, ':');
		assert_int_equal(size, (size_t)(end - reply) + 1 + 3 + n + 1);
		assert_memory_equal(end + 4, value, n);
		assert_int_equal(reply[size - 1], ',');
		free(reply);
	}
}

static void test_longest_reply(void **state)
{
	size_t most = LIMIT_SOCKETMAP_REPLY_BYTES - 3, n;
	char *value = xmalloc(most + 1), *reply;

	(void)state;
	memset(value, 'v', most + 1);
	assert_null(socketmap_reply(SOCKETMAP_OK, value, most + 1, &n));
	reply = socketmap_reply(SOCKETMAP_OK, value, most, &n);
	assert_non_null(reply);
	assert_int_equal(n, LIMIT_SOCKETMAP_REPLY_BYTES + strlen("100000:,"));
	free(reply);
	free(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_split),
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_longest),
	    cmocka_unit_test(test_idle),
	    cmocka_unit_test(test_replies),
	    cmocka_unit_test(test_no_value_makes_two_replies),
	    cmocka_unit_test(test_longest_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
