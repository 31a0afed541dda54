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

static void tell(const char *server, const char *domain, const struct routed_scripts *scripts,
    enum tls_level level, const char *match)
{
	struct routed_wish w = {.tls = {.hosts = 1, .level = level}};

	if (match != NULL)
		strlist_add(&w.tls.match, match);
	routed_told(server, domain, scripts, &w);
	routed_wish_clear(&w);
}

/* "-": no server of a script's; "? N": N domains to be asked about; else the demand, or why there
 * is none. */
static void expect(
    const char *server, const struct routed_scripts *scripts, bool any_age, const char *wanted)
{
	struct routed_wish sum;
	struct strlist ask = STRLIST_INIT;
	const char *why;
	char got[200] = "-";

	if (routed_wishes(server, scripts, any_age, &sum, &ask, &why)) {
		char *text = tls_demand_text(&sum.tls);

		if (ask.n > 0)
			snprintf(got, sizeof got, "? %zu", ask.n);
		else
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
	expect("a.test", &first, false, "-");
	routed_note("one.test", "smtp:");
	routed_note("one.test", "");
	routed_note("one.test", "smtp:[A.test]:26, [2001:db8::1], [192.0.2.1]:27");
	routed_note("two.test", "news:[a.test]");
	routed_note("two.test", "news:[a.test]");
	expect("2001:db8::1", &first, false, "? 1");
	expect("192.0.2.1", &first, false, "? 1");
	expect("a.test", &first, false, "? 2");
	tell("a.test", "one.test", &first, TLS_ENCRYPT, NULL);
	expect("a.test", &first, false, "? 1");
	routed_told("a.test", "two.test", &first, &dsn);
	expect("a.test", &first, false, "encrypt dsn");
	expect("a.test", &first, true, "encrypt dsn");
	/* other scripts, or another connection, have opinions of their own */
	expect("a.test", &second, true, "? 2");
	expect("a.test", &numbered, true, "? 2");
	/* a new domain is asked about before anything is said */
	routed_note("three.test", "smtp:[a.test]");
	expect("a.test", &first, true, "? 1");
	tell("a.test", "nobody.test", &first, TLS_ENCRYPT, NULL); /* gone in the meantime */
	tell("nowhere.test", "one.test", &first, TLS_ENCRYPT, NULL);
	expect("nowhere.test", &first, true, "-");
	/* what is said later replaces what was said before */
	tell("a.test", "three.test", &first, TLS_SECURE, "a.test");
	tell("a.test", "one.test", &first, TLS_SECURE, "b.test");
	expect("a.test", &first, true,
	    "one domain wants another name or fingerprint than another one");
	tell("a.test", "one.test", &first, TLS_DEFAULT, NULL);
	expect("a.test", &first, true, "secure match=a.test dsn");
}

/* After a second the answers are asked for again, some of many at once and all of them in turn; and
 * stand when time is up. */
static void test_answers_grow_old(void **state)
{
	char domain[40];
	struct timespec wait = {1, 50000000};

	(void)state;
	for (int i = 0; i < 40; i++) {
		snprintf(domain, sizeof domain, "d%d.test", i);
		routed_note(domain, "smtp:[a.test]");
		tell("a.test", domain, &first, TLS_DEFAULT, NULL);
	}
	expect("a.test", &first, false, "");
	nanosleep(&wait, NULL);
	expect("a.test", &first, true, "");
	for (int round = 0; round < 5; round++) {
		struct routed_wish sum;
		struct strlist ask = STRLIST_INIT;
		const char *why;

		assert_true(routed_wishes("a.test", &first, false, &sum, &ask, &why));
		assert_true(ask.n <= 16);
		for (size_t i = 0; i < ask.n; i++)
			tell("a.test", ask.v[i], &first, TLS_ENCRYPT, NULL);
		routed_wish_clear(&sum);
		strlist_clear(&ask);
	}
	for (int i = 0; i < 40; i++) { /* none was left out: each would say something else */
		snprintf(domain, sizeof domain, "d%d.test", i);
		routed_note(domain, "smtp:[a.test]");
	}
	expect("a.test", &first, true, "encrypt");
}

/* A flood of domains drives out those that demand nothing, and no other server's. */
static void test_bounds(void **state)
{
	char domain[40];

	(void)state;
	routed_note("quiet.test", "smtp:[b.test]");
	routed_note("bank.test", "smtp:[a.test]");
	tell("a.test", "bank.test", &first, TLS_ENCRYPT, NULL);
	for (int i = 0; i < LIMIT_ROUTED_OF_SERVER + 500; i++) {
		snprintf(domain, sizeof domain, "d%d.test", i);
		routed_note(domain, "smtp:[a.test]");
		tell("a.test", domain, &first, TLS_DEFAULT, NULL);
	}
	expect("a.test", &first, true, "encrypt");
	expect("b.test", &first, true, "? 1");
	assert_int_equal(warnings, 1);
	for (int i = 0; i < LIMIT_ROUTED; i++) {
		char server[40];

		snprintf(server, sizeof server, "smtp:[s%d.test]", i);
		routed_note("other.test", server);
	}
	expect("s0.test", &first, true, "? 1");
	expect("b.test", &first, true, "-"); /* not heard of for the longest time */
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
	routed_note("one.test", "smtp:[a.test], [2001:db8::1]:26");
	routed_note("two.test", "smtp:[a.test]");
	tell("a.test", "two.test", &first, TLS_ENCRYPT, NULL);
	routed_close();
	expect("a.test", &first, true, "-");
	routed_open(directory);
	expect("a.test", &first, true, "? 2"); /* scripts may have other opinions now */
	expect("2001:db8::1", &first, true, "? 1");
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
	    now - LIMIT_ROUTED_SECONDS - 10, now - LIMIT_ROUTED_SECONDS + 60, now + 100000, now,
	    now, now, tail, now, now);
	write_file(text);
	routed_open(directory);
	expect("a.test", &first, true, "? 2");
	expect("old.test", &first, true, "-");
	expect("b.test", &first, true, "-");
	expect("c.test", &first, true, "-");
	assert_true(size_of_file() < 100); /* what was damaged or old is gone */
}

/* It does not grow with the questions, and not without bound with the domains. */
static void test_size_of_file(void **state)
{
	char domain[40];
	off_t before, most = 0;

	(void)state;
	routed_open(directory);
	routed_note("one.test", "smtp:[a.test]");
	before = size_of_file();
	for (int i = 0; i < 1000; i++)
		routed_note("one.test", "smtp:[a.test]");
	assert_int_equal(size_of_file(), before);
	for (int i = 0; i < 4 * LIMIT_ROUTED_OF_SERVER; i++) {
		snprintf(domain, sizeof domain, "d%05d.test", i);
		routed_note(domain, "smtp:[a.test]");
		if (size_of_file() > most)
			most = size_of_file();
	}
	assert_true(most < (2 * LIMIT_ROUTED_OF_SERVER + 2100) * 40);
	routed_close();
	routed_open(directory);
	snprintf(domain, sizeof domain, "? %d", LIMIT_ROUTED_OF_SERVER);
	expect("a.test", &first, true, domain);
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
	    cmocka_unit_test_setup_teardown(test_answers_grow_old, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_file_of_another_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_size_of_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
