/* VPOP3Net.GetWHOIS against a server at port 43 of loopback, honest and not (R5, R6, R10), and host
 * names through a real DNS server. Skipped when port 43 may not be used. */
#include "common/clock.h"
#include "common/waiting.h"
#include "tests/unit/dns_servers.h"
#include "tests/unit/lua_rig.h"
#include "tests/unit/script_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GRACE_MS 1000 /* a loaded machine */
#define ADDRESS "127.43.43.43"
#define NOBODY "127.43.43.44"

static struct dnsmasq names;
static bool have_dnsmasq;
static int listener;
static pthread_t thread;
static char asked[2000]; /* the last query, line end included */

/* ---- the server: the first word of the query says how it behaves ---- */

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static bool say(int fd, const char *text, size_t n)
{
	return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void serve(int fd)
{
	static char block[65536];
	size_t n = 0;
	ssize_t got;

	while ((got = recv(fd, asked + n, sizeof asked - 1 - n, 0)) > 0) {
		n += (size_t)got;
		asked[n] = '\0';
		if (strstr(asked, "\n") != NULL)
			break;
	}
	memset(block, 'w', sizeof block);
	if (strncmp(asked, "endless", 7) == 0)
		while (say(fd, block, sizeof block))
			;
	else if (strncmp(asked, "drip", 4) == 0)
		while (say(fd, "d", 1))
			sleep_ms(20);
	else if (strncmp(asked, "silent", 6) == 0)
		recv(fd, block, 1, 0); /* until the client goes */
	else if (strncmp(asked, "large", 5) == 0)
		say(fd, block, sizeof block);
	else if (strncmp(asked, "binary", 6) == 0)
		say(fd, "a\0b\xff\r\n", 6);
	else if (strncmp(asked, "nothing", 7) != 0)
		say(fd, "Domain: x\r\nOwner: y\r\n", 21);
}

static void *accept_all(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		serve(fd);
		close(fd);
	}
	return NULL;
}

static bool listen_at_43(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(43)};
	int on = 1;

	inet_pton(AF_INET, ADDRESS, &sin.sin_addr);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return bind(listener, (struct sockaddr *)&sin, sizeof sin) == 0 && listen(listener, 9) == 0;
}

/* ---- the rig ---- */

static struct script_rig rig;
static struct script_set *set;
static struct runtime *rt;

static void open_rig(const char *dns_server, bool private)
{
	char setting[100];
	const char *const settings[] = {
	    setting, private ? "http.allow_private=true" : "http.allow_private=false", NULL};

	snprintf(setting, sizeof setting, "dns.servers=%s", dns_server);
	script_rig_open(&rig, settings);
	rt = rig_load(rig.config, &set);
}

static void close_rig(void)
{
	rig_close(rt);
	script_set_unref(set);
	script_rig_close(&rig);
}

static int start(void **state)
{
	static const char *const args[] = {"--local=/test/", "--host-record=whois.test," ADDRESS,
	    "--host-record=half.test," NOBODY, "--host-record=half.test," ADDRESS,
	    "--host-record=none.test," NOBODY, NULL};

	(void)state;
	have_dnsmasq = dnsmasq_start(&names, args);
	open_rig(have_dnsmasq ? names.address : "127.0.0.1", true);
	return pthread_create(&thread, NULL, accept_all, NULL);
}

static int stop(void **state)
{
	(void)state;
	shutdown(listener, SHUT_RDWR); /* wakes accept(2) */
	pthread_join(thread, NULL);
	close(listener);
	close_rig();
	dnsmasq_stop(&names);
	return 0;
}

static void expect(const char *arguments, const char *results)
{
	char code[300];

	snprintf(code, sizeof code, "return VPOP3Net.GetWHOIS(%s)", arguments);
	rig_expect(rt, code, results);
}

/* ---- answers ---- */

static void test_answers(void **state)
{
	(void)state;
	expect("'" ADDRESS "', 'example.com'", "true|Domain: x\r\nOwner: y\r\n");
	assert_string_equal(asked, "example.com\r\n");
	expect("'" ADDRESS "', '-T dn \\195\\164.test'", "true|Domain: x\r\nOwner: y\r\n");
	assert_string_equal(asked, "-T dn \xc3\xa4.test\r\n");
	expect("'" ADDRESS "', 'nothing'", "true|");
	rig_expect(rt,
	    "local ok, s = VPOP3Net.GetWHOIS('" ADDRESS "', 'binary') return ok, s == "
	    "'a\\0b\\255\\r\\n'",
	    "true|true");
	rig_expect(rt, "local ok, s = VPOP3Net.GetWHOIS('" ADDRESS "', 'large') return ok, #s",
	    "true|65536");
}

static void test_names(void **state)
{
	(void)state;
	if (!have_dnsmasq)
		skip();
	expect("'whois.test', 'x'", "true|Domain: x\r\nOwner: y\r\n");
	expect("'half.test', 'x'", "true|Domain: x\r\nOwner: y\r\n");
	expect("'none.test', 'x'", "false|Connection refused");
	expect("'gone.test', 'x'", "false|no such host");
	expect("\"x' OR '1'='1.test\", 'x'", "false|no such host");
	expect("'whois.test:25', 'x'", "false|no such host"); /* the port is no choice */
	assert_int_equal(dnsmasq_asked(&names, "OR"), 0);
}

/* ---- no answers ---- */

/* R10: a query cannot become two. */
static void test_queries_are_one_line(void **state)
{
	static const char wanted[] = "false|the query must be one line that is not empty";

	(void)state;
	asked[0] = '\0';
	expect("'" ADDRESS "', 'x\\r\\nsecond'", wanted);
	expect("'" ADDRESS "', 'x\\n'", wanted);
	expect("'" ADDRESS "', 'x\\ry'", wanted);
	expect("'" ADDRESS "', ''", wanted);
	expect("'" ADDRESS "', ('x'):rep(2000)", wanted);
	assert_string_equal(asked, "");
	rig_expect_error(rt, "VPOP3Net.GetWHOIS('a')", "VPOP3Net.GetWHOIS(server, query): two");
	rig_expect_error(rt, "VPOP3Net.GetWHOIS('a\\0', 'b')", "two strings are wanted");
	waiting_limit(0);
	expect("'" ADDRESS "', 'x'", "false|too many sessions wait already");
	waiting_limit(100);
}

static void test_hostile_servers(void **state)
{
	static const char *const slow[] = {"silent", "drip"};
	char code[200];

	(void)state;
	expect("'" ADDRESS "', 'endless'", "false|the answer is too long");
	for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
		int64_t begin = clock_ms();

		snprintf(
		    code, sizeof code, "return VPOP3Net.GetWHOIS('" ADDRESS "', '%s')", slow[i]);
		assert_int_equal(rig_run_budget(rt, code, 0, 800), RUN_OK);
		assert_string_equal(rig_text, "false|no answer in time");
		assert_in_range(clock_ms() - begin, 0, 800 + GRACE_MS);
	}
}

/* R17: the server's name may come out of mail, so it must not lead to what listens inside. */
static void test_private_addresses(void **state)
{
	static const char wanted[] =
	    "false|not an address on the internet; http.allow_private would allow it";
	static const char *const servers[] = {ADDRESS, "127.0.0.1", "10.0.0.1", "192.168.1.1",
	    "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1", "localhost"};
	char arguments[100];

	(void)state;
	close_rig();
	open_rig(have_dnsmasq ? names.address : "127.0.0.1", false);
	asked[0] = '\0';
	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
		snprintf(arguments, sizeof arguments, "'%s', 'x'", servers[i]);
		expect(arguments, wanted);
	}
	if (have_dnsmasq)
		expect("'whois.test', 'x'", wanted);
	assert_string_equal(asked, "");
	close_rig();
	open_rig(have_dnsmasq ? names.address : "127.0.0.1", true);
	expect("'" ADDRESS "', 'x'", "true|Domain: x\r\nOwner: y\r\n");
}

static void test_dead_name_server(void **state)
{
	struct responder silent;
	int64_t begin;

	(void)state;
	assert_true(responder_start(&silent, "127.0.0.1", 0, SAYS_NOTHING));
	close_rig();
	open_rig(silent.address, true);
	begin = clock_ms();
	assert_int_equal(
	    rig_run_budget(rt, "return VPOP3Net.GetWHOIS('whois.test', 'x')", 0, 1000), RUN_OK);
	assert_string_equal(rig_text, "false|the name servers do not answer");
	assert_in_range(clock_ms() - begin, 0, 1000 + GRACE_MS);
	responder_stop(&silent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_queries_are_one_line),
	    cmocka_unit_test(test_hostile_servers),
	    cmocka_unit_test(test_private_addresses),
	    cmocka_unit_test(test_dead_name_server),
	};

	if (!listen_at_43()) {
		perror(ADDRESS ":43");
		return 77; /* skipped */
	}
	return cmocka_run_group_tests(tests, start, stop);
}
