/* Which domains go by a server that a script has named: what is asked for and put together, bounds,
 * and the file that outlives the process. */
#include "policy/routed.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const struct routed_scripts first = {1, 0}, second = {2, 0}, numbered = {1, 7};
static char directory[] = "/tmp/test-routed.XXXXXX";
static char file[100];
static int warnings;

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
	warnings++;
}

static int setup(void **state)
{
	(void)state;
	unlink(file);
	warnings = 0;
	log_capture(hear, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	routed_close();
	log_capture(NULL, NULL);
	return 0;
}

static struct routed_wish wish(enum tls_level level, const char *match)
{
	struct routed_wish w = {.tls = {.hosts = 1, .level = level}};

	if (match != NULL)
		strlist_add(&w.tls.match, match);
	return w;
}

/* The map transport sends it there. */
static void add(const char *server, const char *domain, const struct routed_scripts *scripts,
    enum tls_level level, const char *match)
{
	struct routed_wish w = wish(level, match);

	routed_add(server, domain, scripts, &w);
	routed_wish_clear(&w);
}

/* The map tls has asked about it. */
static void tell(const char *server, const char *domain, const struct routed_scripts *scripts,
    enum tls_level level, const char *match)
{
	struct routed_wish w = wish(level, match);

	routed_told(server, domain, scripts, &w);
	routed_wish_clear(&w);
}

/* "-": no server of a script's; "? A B": to be asked about these; else the demand, or why there
 * is none. */
static void expect(
    const char *server, const struct routed_scripts *scripts, bool late, const char *wanted)
{
	struct routed_wish sum;
	struct strlist ask = STRLIST_INIT;
	const char *why;
	char got[200] = "-";

	if (routed_wishes(server, scripts, late, &sum, &ask, &why)) {
		char *text = tls_demand_text(&sum.tls);

		if (ask.n > 0)
			snprintf(got, sizeof got, "?");
		for (size_t i = 0; i < ask.n; i++)
			snprintf(got + strlen(got), sizeof got - strlen(got), " %s", ask.v[i]);
		if (ask.n == 0)
			snprintf(got, sizeof got, "%s%s",
			    why != NULL	   ? why
			    : text != NULL ? text
					   : "",
			    why == NULL && sum.hide_dsn ? " dsn" : "");
		free(text);
		routed_wish_clear(&sum);
		strlist_clear(&ask);
	}
	assert_string_equal(got, wanted);
}

static void test_wishes(void **state)
{
	struct routed_wish dsn = {.hide_dsn = true, .tls = {.hosts = 1, .without = 1}};

	(void)state;
	expect("a.test", &first, true, "-");
	assert_false(routed_knows("a.test", "one.test"));
	add("a.test", "one.test", &first, TLS_ENCRYPT, NULL);
	assert_true(routed_knows("a.test", "one.test"));
	assert_false(routed_knows("a.test", "two.test"));
	assert_true(routed_again("a.test", "one.test", &first));
	assert_false(routed_again("a.test", "one.test", &second));
	assert_false(routed_again("a.test", "two.test", &first));
	/* the server is its own domain, for mail that no script has sent there */
	expect("a.test", &first, true, "? a.test");
	tell("a.test", "a.test", &first, TLS_DEFAULT, NULL);
	expect("a.test", &first, true, "encrypt");
	routed_add("a.test", "two.test", &first, &dsn);
	expect("a.test", &first, false, "encrypt dsn");
	/* other scripts, or another connection, have opinions of their own */
	expect("a.test", &second, true, "? a.test one.test two.test");
	expect("a.test", &numbered, true, "? a.test one.test two.test");
	/* who has no answer is asked about after the others */
	assert_true(routed_told("a.test", "one.test", &second, NULL));
	expect("a.test", &second, true, "? a.test two.test one.test");
	expect("a.test", &first, true, "encrypt dsn");
	tell("a.test", "nobody.test", &first, TLS_ENCRYPT, NULL); /* gone in the meantime */
	tell("nowhere.test", "nowhere.test", &first, TLS_ENCRYPT, NULL);
	expect("nowhere.test", &first, true, "-");
	/* what is said later replaces what was said before */
	add("a.test", "three.test", &first, TLS_SECURE, "a.test");
	add("a.test", "one.test", &first, TLS_SECURE, "b.test");
	expect("a.test", &first, true,
	    "one domain wants another name or fingerprint than another one");
	tell("a.test", "one.test", &first, TLS_DEFAULT, NULL);
	expect("a.test", &first, true, "secure match=a.test dsn");
}

/* A domain may do without TLS if the server has no opinion, and not against the server's. */
static void test_the_server_itself(void **state)
{
	struct routed_wish without = {.tls = {.hosts = 1, .without = 1}};

	(void)state;
	routed_add("a.test", "one.test", &first, &without);
	tell("a.test", "a.test", &first, TLS_DEFAULT, NULL);
	expect("a.test", &first, true, "none");
	tell("a.test", "a.test", &first, TLS_ENCRYPT, NULL);
	expect("a.test", &first, true, "encrypt");
}

/* After a second the map transport asks again about a domain, the map tls about the server; and
 * what was said stands when time is up. */
static void test_answers_grow_old(void **state)
{
	struct timespec wait = {1, 50000000};

	(void)state;
	add("a.test", "one.test", &first, TLS_ENCRYPT, NULL);
	tell("a.test", "a.test", &first, TLS_DEFAULT, NULL);
	nanosleep(&wait, NULL);
	expect("a.test", &first, true, "encrypt");
	expect("a.test", &first, false, "? a.test");
	assert_false(routed_again("a.test", "one.test", &first));
}

static void flood(int n, enum tls_level level)
{
	char domain[40];

	for (int i = 0; i < n; i++) {
		snprintf(domain, sizeof domain, "d%d.test", i);
		add("a.test", domain, &first, level, NULL);
	}
}

/* A flood of domains, which anybody can make by RCPT TO, drives out those that want nothing; what
 * others want stays. */
static void test_bounds(void **state)
{
	char server[40];

	(void)state;
	add("b.test", "quiet.test", &first, TLS_DEFAULT, NULL);
	add("a.test", "bank.test", &first, TLS_SECURE, "a.test");
	tell("a.test", "a.test", &first, TLS_DEFAULT, NULL);
	flood(LIMIT_ROUTED_OF_SERVER + 500, TLS_DEFAULT);
	assert_true(routed_knows("a.test", "bank.test"));
	assert_true(routed_knows("b.test", "quiet.test"));
	assert_int_equal(warnings, 1);
	flood(2 * LIMIT_ROUTED_OF_SERVER, TLS_ENCRYPT);
	assert_false(routed_knows("a.test", "bank.test"));
	tell("a.test", "a.test", &first, TLS_DEFAULT, NULL);
	expect("a.test", &first, true, "secure match=a.test");
	for (int i = 0; i < LIMIT_ROUTED; i++) {
		snprintf(server, sizeof server, "s%d.test", i);
		add(server, "other.test", &first, TLS_DEFAULT, NULL);
	}
	assert_true(routed_knows("s49999.test", "other.test"));
	assert_false(routed_knows("b.test", "quiet.test"));
	tell("a.test", "a.test", &first, TLS_DEFAULT, NULL);
	expect("a.test", &first, true, "secure match=a.test");
	assert_int_equal(warnings, 1);
}

/* ---- the file ---- */

static void write_file(const char *text)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static off_t size_of_file(void)
{
	struct stat s;

	assert_int_equal(stat(file, &s), 0);
	return s.st_size;
}

static void test_file(void **state)
{
	(void)state;
	routed_open(directory);
	add("a.test", "one.test", &first, TLS_DEFAULT, NULL);
	add("2001:db8::1", "one.test", &first, TLS_DEFAULT, NULL);
	add("a.test", "two.test", &first, TLS_ENCRYPT, NULL);
	tell("a.test", "a.test", &first, TLS_DEFAULT, NULL);
	routed_close();
	expect("a.test", &first, true, "-");
	routed_open(directory);
	/* scripts may have other opinions now */
	expect("a.test", &first, true, "? a.test one.test two.test");
	expect("2001:db8::1", &first, true, "? 2001:db8::1 one.test");
	assert_int_equal(warnings, 0);
}

static void test_file_of_another_time(void **state)
{
	long long now = time(NULL);
	char text[2000], tail[600];

	(void)state;
	memset(tail, 'x', sizeof tail - 1);
	tail[sizeof tail - 1] = '\0';
	snprintf(text, sizeof text,
	    "%lld old.test one.test\n%lld a.test one.test\n%lld a.test two.test\nrubbish\n\n"
	    "%lld  \n%lld b.test\n%lld a.test %s\n%lld c.test five.test six.test\n"
	    "%lld b.test three.te",
	    now - LIMIT_ROUTED_SECONDS - 10, now - 7200, now + 100000, now, now, now, tail, now,
	    now);
	write_file(text);
	routed_open(directory);
	expect("a.test", &first, true, "? a.test one.test two.test");
	expect("old.test", &first, true, "-");
	expect("b.test", &first, true, "-");
	expect("c.test", &first, true, "-");
	/* mail waits for the opinion of one that was routed lately, and of the server itself */
	assert_true(routed_told("a.test", "two.test", &first, NULL));
	assert_false(routed_told("a.test", "one.test", &first, NULL));
	assert_true(routed_told("a.test", "a.test", &first, NULL));
	expect("a.test", &first, true, "? a.test two.test");
	assert_true(size_of_file() < 100); /* what was damaged or old is gone */
}

/* It does not grow with the questions, and not without bound with the domains. */
static void test_size_of_file(void **state)
{
	char domain[40];
	off_t before, most = 0;

	(void)state;
	routed_open(directory);
	add("a.test", "one.test", &first, TLS_ENCRYPT, NULL);
	before = size_of_file();
	for (int i = 0; i < 1000; i++)
		add("a.test", "one.test", &first, TLS_ENCRYPT, NULL);
	assert_int_equal(size_of_file(), before);
	for (int i = 0; i < 4 * LIMIT_ROUTED_OF_SERVER; i++) {
		snprintf(domain, sizeof domain, "d%05d.test", i);
		add("a.test", domain, &first, TLS_DEFAULT, NULL);
		if (size_of_file() > most)
			most = size_of_file();
	}
	assert_true(most < (2 * LIMIT_ROUTED_OF_SERVER + 2100) * 40);
	routed_close();
	routed_open(directory);
	assert_true(routed_knows("a.test", "one.test"));
	assert_true(routed_knows("a.test", domain));
	assert_false(routed_knows("a.test", "d00000.test"));
}

static int make_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(file, sizeof file, "%s/routed", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_wishes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_server_itself, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_answers_grow_old, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_file_of_another_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_size_of_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
