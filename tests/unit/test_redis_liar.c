/* test_redis_liar.c - servers that lie about a cluster or a master: wrong maps, redirections
 * without end, addresses that are none. The store answers UNKNOWN in time, and lives (R13). */
#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "common/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 3000

/* Says `map` to CLUSTER and SENTINEL, `other` to everything else; "%u" in them is its port. */
static struct {
	int listener;
	unsigned port;
	char map[4096], other[512];
	atomic_uint heard;
} liar;

static void say(int fd, const char *text)
{
	char out[4200];
	int n;
	const char *at = strstr(text, "%u");

	if (at == NULL)
		n = snprintf(out, sizeof out, "%s", text);
	else
		n = snprintf(
		    out, sizeof out, "%.*s%u%s", (int)(at - text), text, liar.port, at + 2);
	send(fd, out, (size_t)n, MSG_NOSIGNAL);
}

static void *talk(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char heard[8192];
	ssize_t n;

	while ((n = recv(fd, heard, sizeof heard - 1, 0)) > 0) {
		heard[n] = '\0';
		atomic_fetch_add(&liar.heard, 1);
		if (strstr(heard, "CLUSTER") != NULL || strstr(heard, "SENTINEL") != NULL)
			say(fd, liar.map);
		else if (strstr(heard, "ASKING") != NULL)
			say(fd, "+OK\r\n");
		else if (strstr(heard, "ROLE") != NULL)
			say(fd, "*1\r\n$6\r\nmaster\r\n");
		else
			say(fd, liar.other);
	}
	close(fd);
	return NULL;
}

static void *accept_all(void *arg)
{
	int fd;

	while ((fd = accept4(liar.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, talk, (void *)(intptr_t)fd) == 0)
			pthread_detach(thread);
		else
			close(fd);
	}
	return arg;
}

static int start(void **state)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sin;
	pthread_t thread;

	(void)state;
	liar.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(liar.listener, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(liar.listener, 16), 0);
	assert_int_equal(getsockname(liar.listener, (struct sockaddr *)&sin, &len), 0);
	liar.port = ntohs(sin.sin_port);
	assert_int_equal(pthread_create(&thread, NULL, accept_all, NULL), 0);
	return pthread_detach(thread);
}

/* A setting read from a server of that kind which says these things. */
static enum store_answer ask(const char *kind, const char *path, const char *map, const char *other)
{
	struct store_options options;
	struct store *store;
	enum store_answer answer;
	char url[100], why[200], *value;
	int64_t began = clock_ms();

	snprintf(liar.map, sizeof liar.map, "%s", map);
	snprintf(liar.other, sizeof liar.other, "%s", other);
	snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", kind, liar.port, path);
	store_options_default(&options);
	options.fallback_attempts = 0;
	store = store_open(url, &options, why, sizeof why);
	assert_non_null(store);
	answer = store_setting_get(store, NULL, "name", &value, WAIT_MS);
	free(value);
	store_close(store);
	assert_true(clock_ms() - began < WAIT_MS + 1000);
	return answer;
}

#define CLUSTER "redis-cluster", ""
#define SENTINEL "redis-sentinel", "/mymaster"
#define SINGLE "redis", ""
#define ALL_SLOTS "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n"
#define VALUE "$1\r\nv\r\n"

static void maps_that_are_none(void **state)
{
	static const char *const maps[] = {"*0\r\n", "$-1\r\n", "+OK\r\n", "-ERR no cluster\r\n",
	    ":1\r\n", "*1\r\n:1\r\n", "*1\r\n*0\r\n", "*1\r\n*2\r\n:0\r\n:5\r\n",
	    "*1\r\n*3\r\n:0\r\n:5\r\n*0\r\n", "*1\r\n*3\r\n:0\r\n:5\r\n*1\r\n$1\r\na\r\n",
	    "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n",
	    "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:0\r\n",
	    "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:65536\r\n",
	    "*1\r\n*3\r\n:-1\r\n:5\r\n*2\r\n$1\r\na\r\n:1\r\n",
	    "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
	    "*1\r\n*3\r\n:0\r\n:9223372036854775807\r\n*2\r\n$1\r\na\r\n:1\r\n",
	    "*1\r\n*3\r\n$1\r\n0\r\n:5\r\n*2\r\n$1\r\na\r\n:1\r\n",
	    "*1\r\n*3\r\n:5\r\n:0\r\n*2\r\n$1\r\na\r\n:1\r\n", /* nobody has any slot */
	    "*65537\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
		if (ask(CLUSTER, maps[i], VALUE) != STORE_UNKNOWN)
			fail_msg("\"%s\" is taken for a map", maps[i]);
	assert_int_equal(ask(CLUSTER, ALL_SLOTS, VALUE), STORE_FOUND);
	/* The host that was asked, written in three ways. */
	assert_int_equal(ask(CLUSTER, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:%u\r\n", VALUE),
	    STORE_FOUND);
	assert_int_equal(
	    ask(CLUSTER, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$-1\r\n:%u\r\n", VALUE), STORE_FOUND);
	assert_int_equal(
	    ask(CLUSTER, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\n?\r\n:%u\r\n", VALUE),
	    STORE_FOUND);
}

static void redirections_end(void **state)
{
	static const char *const replies[] = {"-MOVED 1 127.0.0.1:%u\r\n",
	    "-ASK 1 127.0.0.1:%u\r\n", "-MOVED 1 :%u\r\n", "-MOVED \r\n", "-MOVED 1\r\n",
	    "-MOVED 1 \r\n", "-MOVED 1 x\r\n", "-MOVED 1 :\r\n", "-MOVED 1 127.0.0.1:0\r\n",
	    "-MOVED 1 127.0.0.1:99999\r\n", "-MOVED 1 127.0.0.1:1\r\n", "-ASK 1 [::\r\n",
	    "-TRYAGAIN \r\n", "-CLUSTERDOWN x\r\n", "-NOSCRIPT x\r\n", "-READONLY x\r\n", "-\r\n",
	    "-LOADING\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
		unsigned before = atomic_load(&liar.heard);

		if (ask(CLUSTER, ALL_SLOTS, replies[i]) != STORE_UNKNOWN)
			fail_msg("\"%s\" is an answer", replies[i]);
		assert_true(atomic_load(&liar.heard) - before < 50);
		if (ask(SINGLE, "", replies[i]) != STORE_UNKNOWN)
			fail_msg("\"%s\" is an answer of one server", replies[i]);
	}
}

static void masters_that_are_none(void **state)
{
	static const char *const answers[] = {"$-1\r\n", "*-1\r\n", "*0\r\n", "+OK\r\n",
	    "-IDONTKNOW x\r\n", "*1\r\n$9\r\n127.0.0.1\r\n", "*2\r\n:1\r\n:2\r\n",
	    "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n", "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n",
	    "*2\r\n$9\r\n127.0.0.1\r\n$1\r\nx\r\n", "*2\r\n$0\r\n\r\n$2\r\n99\r\n",
	    "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n"};
	char right[64];

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
		if (ask(SENTINEL, answers[i], VALUE) != STORE_UNKNOWN)
			fail_msg("\"%s\" is taken for a master", answers[i]);
	snprintf(right, sizeof right, "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n", liar.port);
	assert_int_equal(ask(SENTINEL, right, VALUE), STORE_FOUND);
}

/* ---- an old server ---- */

static char complaint[400];

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	snprintf(complaint, sizeof complaint, "%s", line);
}

/* What Redis 4 says to a script that asks for the time and writes (R12). */
static void an_old_server(void **state)
{
	(void)state;
	log_capture(hear, NULL);
	assert_int_equal(
	    ask(SINGLE, "",
		"-ERR Error running script (call to f_0123456789012345678901234567890123456789"
		"): @user_script:9: Write commands not allowed after non deterministic "
		"commands.\r\n"),
	    STORE_UNKNOWN);
	log_capture(NULL, NULL);
	assert_non_null(strstr(complaint, "Redis 5.0 or later"));
	assert_non_null(strstr(complaint, "Error running script"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_old_server), /* first: complaints are few */
	    cmocka_unit_test(maps_that_are_none),
	    cmocka_unit_test(redirections_end),
	    cmocka_unit_test(masters_that_are_none),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
