/* test_redis_conn.c - a connection to a server that answers slowly, in pieces, too much or
 * nonsense: the reply is whole and within bounds, or there is none, and always in time (R13). */
#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/store/redis_conn.h"
#include "common/store/redis_reply.h"

#include <hiredis/hiredis.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 20000
#define SHORT_MS 300

struct server { /* says its text in pieces, over and over if `times` > 1, then maybe closes */
	int fd;
	pthread_t thread;
	const char *text;
	size_t n, piece;
	unsigned times;
	int pause_ms;
	bool closes;
};

static void *serve(void *arg)
{
	struct server *s = arg;

	for (unsigned t = 0; t < s->times; t++)
		for (size_t at = 0; at < s->n;) {
			size_t n = s->n - at < s->piece ? s->n - at : s->piece;
			ssize_t rc = send(s->fd, s->text + at, n, MSG_NOSIGNAL);

			if (rc <= 0)
				return NULL;
			at += (size_t)rc;
			if (s->pause_ms > 0)
				poll(NULL, 0, s->pause_ms);
		}
	if (s->closes)
		shutdown(s->fd, SHUT_RDWR);
	return NULL;
}

static struct redis_conn *start(struct server *s)
{
	struct redis_conn *c;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	s->fd = fds[1];
	c = redis_conn_adopt(fds[0]);
	assert_non_null(c);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	return c;
}

static void finish(struct server *s, struct redis_conn *c)
{
	redis_conn_close(c);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

/* A PING to a server that says `text`. The reply, or NULL with the failure set. */
static redisReply *ping(struct server s, int ms, struct redis_failure *f)
{
	struct redis_command command = {0};
	struct redis_conn *c = start(&s);
	redisReply *reply;

	redis_command_text(&command, "PING");
	*f = (struct redis_failure){.fault = REDIS_FAULT_NONE};
	reply = redis_conn_call(c, &command, clock_ms() + ms, f);
	redis_command_clear(&command);
	finish(&s, c);
	return reply;
}

static void describe(const redisReply *r, char *out, size_t size)
{
	size_t n = strlen(out);

	switch (r->type) {
	case REDIS_REPLY_ARRAY:
		snprintf(out + n, size - n, "[");
		for (size_t i = 0; i < r->elements; i++)
			describe(r->element[i], out, size);
		n = strlen(out);
		snprintf(out + n, size - n, "]");
		break;
	case REDIS_REPLY_INTEGER:
		snprintf(out + n, size - n, "i%lld ", r->integer);
		break;
	case REDIS_REPLY_NIL:
		snprintf(out + n, size - n, "nil ");
		break;
	default:
		snprintf(out + n, size - n, "%d\"%.*s\" ", r->type, (int)r->len, r->str);
		break;
	}
}

static void replies_come_in_any_pieces(void **state)
{
	static const char *const cases[][2] = {
	    {"+PONG\r\n", "5\"PONG\" "},
	    {"-MOVED 3999 127.0.0.1:6381\r\n", "6\"MOVED 3999 127.0.0.1:6381\" "},
	    {":-42\r\n", "i-42 "},
	    {"$-1\r\n", "nil "},
	    {"$0\r\n\r\n", "1\"\" "},
	    {"$4\r\na\r\nb\r\n", "1\"a\r\nb\" "},
	    {"*0\r\n", "[]"},
	    {"*3\r\n:1\r\n*2\r\n$1\r\nx\r\n$-1\r\n+OK\r\n", "[i1 [1\"x\" nil ]5\"OK\" ]"},
	};
	struct redis_failure f;
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t piece = 1; piece < 8; piece += 2) {
			struct server s = {.text = cases[i][0],
			    .n = strlen(cases[i][0]),
			    .piece = piece,
			    .times = 1,
			    .pause_ms = 1};
			redisReply *reply = ping(s, WAIT_MS, &f);

			assert_non_null(reply);
			text[0] = '\0';
			describe(reply, text, sizeof text);
			assert_string_equal(text, cases[i][1]);
			freeReplyObject(reply);
		}
}

/* R13: what a hostile or broken server may say. */
static void nonsense_is_no_reply(void **state)
{
	static const char *const cases[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "\r\n",
	    "*2147483647\r\n", "*2147483648\r\n", "*4294967297\r\n:1\r\n", "*536870913\r\n",
	    "*1073741825\r\n", "*9223372036854775807\r\n", "*65537\r\n", "*-2\r\n", "*x\r\n",
	    "$-2\r\n", "$99999999999999999999\r\n", ":99999999999999999999\r\n", ":\r\n", ":1x\r\n",
	    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
	    "*2\r\n:1\r\n*70000\r\n", "+OK\r\n+OK\r\n", ":1\r\nx", "%1\r\n+a\r\n+b\r\n"};
	struct redis_failure f;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct server s = {
		    .text = cases[i], .n = strlen(cases[i]), .piece = 4096, .times = 1};

		if (ping(s, WAIT_MS, &f) != NULL)
			fail_msg("\"%s\" is taken for a reply", cases[i]);
		if (f.fault != REDIS_FAULT_PROTOCOL || f.text[0] == '\0')
			fail_msg("\"%s\": fault %d", cases[i], (int)f.fault);
	}
}

/* R13: a reply is not read without end, whatever it claims to be. */
static void an_endless_reply_ends(void **state)
{
	static const char *const beginnings[] = {"+", "$2000000000\r\n", "*60000\r\n"};
	char *flood = xmalloc(65536);
	struct redis_failure f;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(beginnings[i]);
		struct server s = {.text = flood, .n = 65536, .piece = 65536, .times = 100000};

		if (i == 2) /* elements of 1 KiB: their sum is what counts */
			for (size_t at = 0; at < 65536; at += 1024)
				snprintf(flood + at, 1024, "$1016\r\n");
		else
			memset(flood, 'x', 65536);
		if (i == 2)
			for (size_t at = 0; at < 65536; at += 1024) {
				memset(flood + at + 7, 'y', 1016);
				flood[at + 1022] = '\r', flood[at + 1023] = '\n';
			}
		memcpy(flood, beginnings[i], n);
		assert_null(ping(s, WAIT_MS, &f));
		assert_int_equal(f.fault, REDIS_FAULT_PROTOCOL);
	}
	free(flood);
}

static void a_large_reply_within_the_bounds_is_whole(void **state)
{
	enum { SIZE = 3 << 20 };
	char *text = xmalloc(SIZE + 64);
	int head = snprintf(text, 64, "$%d\r\n", SIZE);
	struct redis_failure f;
	redisReply *reply;

	(void)state;
	memset(text + head, 'z', SIZE);
	memcpy(text + head + SIZE, "\r\n", 2);
	reply = ping(
	    (struct server){
		.text = text, .n = (size_t)head + SIZE + 2, .piece = 100000, .times = 1},
	    WAIT_MS, &f);
	assert_non_null(reply);
	assert_int_equal(reply->len, SIZE);
	assert_int_equal(strspn(reply->str, "z"), SIZE);
	freeReplyObject(reply);
	free(text);
}

static void a_server_that_ends_or_sleeps(void **state)
{
	static const struct {
		const char *text;
		unsigned times;
		int pause_ms;
		bool closes;
		enum redis_fault fault;
	} cases[] = {
	    {"", 1, 0, true, REDIS_FAULT_CLOSED}, {"$10\r\nabc", 1, 0, true, REDIS_FAULT_CLOSED},
	    {"", 1, 0, false, REDIS_FAULT_TIMEOUT},
	    {"*2\r\n:1\r\n", 1, 0, false, REDIS_FAULT_TIMEOUT},
	    {"x", 0, 0, false, REDIS_FAULT_TIMEOUT},
	    {"$50\r\nabcdefghijklmnopqrst", 1, 40, false, REDIS_FAULT_TIMEOUT}, /* drips */
	};
	struct redis_failure f;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct server s = {.text = cases[i].text,
		    .n = strlen(cases[i].text),
		    .piece = 1,
		    .times = cases[i].times,
		    .pause_ms = cases[i].pause_ms,
		    .closes = cases[i].closes};
		int64_t began = clock_ms();

		assert_null(ping(s, SHORT_MS, &f));
		assert_int_equal(f.fault, cases[i].fault);
		assert_true(clock_ms() - began < SHORT_MS + 1000);
	}
}

/* A server that does not read: our own words have a deadline, too; and its end raises no SIGPIPE.
 */
static void a_server_that_does_not_listen(void **state)
{
	struct redis_command command = {0};
	char *text = xmalloc(8 << 20);
	struct redis_failure f;
	struct server s = {.text = "", .times = 0};
	struct redis_conn *c = start(&s);
	int64_t began = clock_ms();

	(void)state;
	memset(text, 't', (8 << 20) - 1);
	text[(8 << 20) - 1] = '\0';
	redis_command_text(&command, text);
	assert_null(redis_conn_call(c, &command, clock_ms() + SHORT_MS, &f));
	assert_int_equal(f.fault, REDIS_FAULT_TIMEOUT);
	assert_true(clock_ms() - began < SHORT_MS + 1000);
	finish(&s, c);

	s = (struct server){.text = "", .times = 0, .closes = true};
	c = start(&s);
	assert_null(redis_conn_call(c, &command, clock_ms() + WAIT_MS, &f));
	assert_int_equal(f.fault, REDIS_FAULT_CLOSED);
	assert_false(redis_conn_quiet(c));
	finish(&s, c);
	redis_command_clear(&command);
	free(text);
}

static void commands_cannot_be_split(void **state)
{
	struct redis_command c = {0};
	size_t n;
	char *bytes;

	(void)state;
	redis_command_text(&c, "SET");
	redis_command_text(&c, "a\r\n$3\r\nb");
	redis_command_text(&c, "");
	redis_command_int(&c, INT64_MIN);
	redis_command_double(&c, 1700000000000.125);
	bytes = redis_command_encode(&c, &n);
	assert_non_null(bytes);
	assert_int_equal(n, strlen("*5\r\n$3\r\nSET\r\n$8\r\na\r\n$3\r\nb\r\n$0\r\n\r\n"
				   "$20\r\n-9223372036854775808\r\n$17\r\n1700000000000.125\r\n"));
	assert_memory_equal(bytes,
	    "*5\r\n$3\r\nSET\r\n$8\r\na\r\n$3\r\nb\r\n$0\r\n\r\n"
	    "$20\r\n-9223372036854775808\r\n$17\r\n1700000000000.125\r\n",
	    n);
	free(bytes);
	redis_command_clear(&c);
}

static void replies_are_read_with_distrust(void **state)
{
	static const char text[] = "*6\r\n:7\r\n$2\r\n12\r\n$3\r\n1x2\r\n$3\r\n0.5\r\n$3\r\ninf\r\n"
				   "$-1\r\n";
	struct redis_failure f;
	redisReply *r =
	    ping((struct server){.text = text, .n = sizeof text - 1, .piece = 999, .times = 1},
		WAIT_MS, &f);
	int64_t i;
	double d;

	(void)state;
	assert_non_null(r);
	assert_int_equal(redis_reply_count(r), 6);
	assert_true(redis_reply_int(redis_reply_at(r, 0), &i));
	assert_int_equal(i, 7);
	assert_true(redis_reply_int(redis_reply_at(r, 1), &i));
	assert_int_equal(i, 12);
	assert_false(redis_reply_int(redis_reply_at(r, 2), &i));
	assert_false(redis_reply_int(redis_reply_at(r, 5), &i));
	assert_false(redis_reply_int(redis_reply_at(r, 6), &i));
	assert_false(redis_reply_int(NULL, &i));
	assert_true(redis_reply_double(redis_reply_at(r, 3), &d));
	assert_true(d == 0.5);
	assert_false(redis_reply_double(redis_reply_at(r, 4), &d));
	assert_false(redis_reply_double(redis_reply_at(r, 0), &d));
	assert_null(redis_reply_text(redis_reply_at(r, 0)));
	assert_null(redis_reply_at(redis_reply_at(r, 1), 0));
	assert_true(redis_reply_nil(redis_reply_at(r, 5)));
	assert_false(redis_reply_nil(NULL));
	freeReplyObject(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replies_come_in_any_pieces),
	    cmocka_unit_test(nonsense_is_no_reply),
	    cmocka_unit_test(an_endless_reply_ends),
	    cmocka_unit_test(a_large_reply_within_the_bounds_is_whole),
	    cmocka_unit_test(a_server_that_ends_or_sleeps),
	    cmocka_unit_test(a_server_that_does_not_listen),
	    cmocka_unit_test(commands_cannot_be_split),
	    cmocka_unit_test(replies_are_read_with_distrust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
