/* The policy protocol: any split, bounds, duplicates, every way to break it (R3), and no action
 * that makes a second attribute (R10). */
#include "policy/policy_codec.h"

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

/* Messages are written down as "name=value,...;". */
static enum codec feed(const char *text, size_t n, size_t step, char *out, size_t size)
{
	struct policy_reader r = {0};
	enum codec c = CODEC_MORE;
	size_t used = 0;

	out[0] = '\0';
	while (n > 0 && c != CODEC_BROKEN) {
		size_t part = n < step ? n : step, rest = part;
		const char *p = text;

		c = policy_feed(&r, &p, &rest);
		for (size_t i = 0; c == CODEC_MESSAGE && i < r.nattributes; i++)
			used += (size_t)snprintf(out + used, size - used, "%s=%s%s",
			    r.attributes[i].name, r.attributes[i].value,
			    i + 1 < r.nattributes ? "," : ";");
		assert_true(c == CODEC_MESSAGE || c == CODEC_BROKEN || rest == 0);
		if (c == CODEC_BROKEN)
			assert_non_null(r.why);
		text += part - rest;
		n -= part - rest;
	}
	policy_reader_clear(&r);
	return c;
}

static void test_any_split(void **state)
{
	static const char text[] = "request=smtpd_access_policy\nsender=a@b\nsize=\n\n"
				   "x=1\nunknown=a=b\xff \nx=2\n\n";
	char out[300];

	(void)state;
	for (size_t step = 1; step < sizeof text; step++) {
		assert_int_equal(feed(text, sizeof text - 1, step, out, sizeof out), CODEC_MESSAGE);
		assert_string_equal(out, "request=smtpd_access_policy,sender=a@b,size=;"
					 "x=1,unknown=a=b\xff ;");
	}
}

static void test_duplicates_are_counted(void **state)
{
	static const char text[] = "sender=first\nsender=second\nsender=third\n\n";
	struct policy_reader r = {0};
	const char *p = text;
	size_t n = sizeof text - 1;

	(void)state;
	assert_int_equal(policy_feed(&r, &p, &n), CODEC_MESSAGE);
	assert_int_equal(r.nattributes, 1);
	assert_int_equal(r.nduplicates, 2);
	assert_string_equal(policy_attribute(r.attributes, r.nattributes, "sender"), "first");
	assert_string_equal(policy_attribute(r.attributes, r.nattributes, "Sender"), "");
	policy_reader_clear(&r);
}

static void test_broken(void **state)
{
	static const char *const broken[] = {
	    "\n", "x\n\n", "=1\n\n", "a b=1\n\n", "\x01=1\n\n", "\xe4=1\n\n", "x=1\nno equals\n\n"};
	char out[200];

	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		for (size_t step = 1; step < 8; step++)
			if (feed(broken[i], strlen(broken[i]), step, out, sizeof out) !=
				CODEC_BROKEN ||
			    *out != '\0')
				fail_msg(
				    "\"%s\" in steps of %zu gives \"%s\"", broken[i], step, out);
	assert_int_equal(feed("a=\0b\n\n", 6, 6, out, sizeof out), CODEC_BROKEN);
}

/* n attributes, or one line of n bytes without an end. */
static enum codec feed_many(size_t n, char *out, size_t size)
{
	char *text = xcalloc(n + 1, 10);
	size_t used = 0;
	enum codec c;

	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, 10, "a%zu=\n", i);
	text[used++] = '\n';
	c = feed(text, used, 4096, out, size);
	free(text);
	return c;
}

static void test_bounds(void **state)
{
	char *line = xmalloc(LIMIT_POLICY_REQUEST_BYTES + 1), *out = xmalloc(100000);

	(void)state;
	assert_int_equal(feed_many(LIMIT_POLICY_ATTRIBUTES, out, 100000), CODEC_MESSAGE);
	assert_int_equal(feed_many(LIMIT_POLICY_ATTRIBUTES + 1, out, 100000), CODEC_BROKEN);
	memset(line, 'x', LIMIT_POLICY_REQUEST_BYTES + 1);
	assert_int_equal(feed(line, LIMIT_POLICY_REQUEST_BYTES, 5000, out, 100000), CODEC_MORE);
	assert_int_equal(
	    feed(line, LIMIT_POLICY_REQUEST_BYTES + 1, 5000, out, 100000), CODEC_BROKEN);
	free(line);
	free(out);
}

static void test_replies(void **state)
{
	char action[LIMIT_POLICY_ACTION_BYTES + 1];
	size_t n = 0;
	char *reply = policy_reply("REJECT no", 9, &n);

	(void)state;
	assert_int_equal(n, strlen("action=REJECT no\n\n"));
	assert_memory_equal(reply, "action=REJECT no\n\n", n);
	free(reply);
	memset(action, 'x', sizeof action);
	reply = policy_reply(action, sizeof action - 1, &n);
	assert_non_null(reply);
	free(reply);
	assert_null(policy_reply(action, sizeof action, &n));
	assert_null(policy_reply("", 0, &n));
}

/* R10: the only line ends of a reply are the two at its end. */
static void test_no_action_makes_two_attributes(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char action[20], *reply;
		size_t n = random_bytes(&seed, action, sizeof action - 1, "REJECT =action", 14),
		       size;
		bool refused = n == 0;

		for (size_t k = 0; k < n; k++)
			refused |= (unsigned char)action[k] < ' ' || action[k] == 0x7f;
		reply = policy_reply(action, n, &size);
		if (refused) {
			assert_null(reply);
			continue;
		}
		assert_int_equal((char *)memchr(reply, '\n', size) - reply, size - 2);
		assert_null(memchr(reply, '\0', size));
		free(reply);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_split),
	    cmocka_unit_test(test_duplicates_are_counted),
	    cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_replies),
	    cmocka_unit_test(test_no_action_makes_two_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
