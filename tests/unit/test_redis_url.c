/* test_redis_url.c - URLs of Redis servers, addresses in cluster replies, hash slots. */
#include "common/store/redis_slot.h"
#include "common/store/redis_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *or_dash(const char *text)
{
	return text != NULL ? text : "-";
}

/* One line that says everything about a URL. */
static const char *describe(const char *text)
{
	static const char *const kinds[] = {"single", "sentinel", "cluster"};
	static char out[600];
	struct redis_url u;
	char why[200] = "";
	int n;

	if (redis_url_parse(&u, text, why, sizeof why) < 0) {
		redis_url_clear(&u);
		assert_non_null(strstr(why, "store: Redis URL: "));
		return "refused";
	}
	n = snprintf(out, sizeof out, "%s%s %s:%s", kinds[u.kind], u.tls ? " tls" : "",
	    or_dash(u.user), or_dash(u.password));
	for (size_t i = 0; i < u.nhosts; i++)
		n += snprintf(
		    out + n, sizeof out - (size_t)n, " %s|%u", u.hosts[i].name, u.hosts[i].port);
	if (u.socket != NULL)
		n += snprintf(out + n, sizeof out - (size_t)n, " socket %s", u.socket);
	snprintf(out + n, sizeof out - (size_t)n, " master %s db %u ca %s cert %s name %s by %s:%s",
	    or_dash(u.master), u.db, or_dash(u.ca), or_dash(u.cert), or_dash(u.name),
	    or_dash(u.sentinel_user), or_dash(u.sentinel_password));
	redis_url_clear(&u);
	return out;
}

#define REST " db 0 ca - cert - name - by -:-"

static void urls_are_understood(void **state)
{
	static const char *const cases[][2] = {
	    {"redis://localhost", "single -:- localhost|6379 master -" REST},
	    {"redis://127.0.0.1:7000/3",
		"single -:- 127.0.0.1|7000 master - db 3 ca - cert - name - by -:-"},
	    {"redis://[2001:db8::1]:7000/", "single -:- 2001:db8::1|7000 master -" REST},
	    {"redis://[::1]", "single -:- ::1|6379 master -" REST},
	    {"redis://:secret@h", "single -:secret h|6379 master -" REST},
	    {"redis://joe:p%40%2fx:y@h/0", "single joe:p@/x:y h|6379 master -" REST},
	    {"rediss://h?ca=/etc/ca%20x.pem&name=redis.example",
		"single tls -:- h|6379 master - db 0 ca /etc/ca x.pem cert - name redis.example by"
		" -:-"},
	    {"rediss://h/1?cert=/c&key=/k",
		"single tls -:- h|6379 master - db 1 ca - cert /c name - by -:-"},
	    {"redis+unix:///run/redis.sock?db=4",
		"single -:- socket /run/redis.sock master - db 4 ca - cert - name - by -:-"},
	    {"redis+unix://:pw@/run/a%40b", "single -:pw socket /run/a@b master -" REST},
	    {"redis-sentinel://a,b:1,[::2]:3/mymaster",
		"sentinel -:- a|26379 b|1 ::2|3 master mymaster" REST},
	    {"redis-sentinel://u:p@a/my%2fmaster/12?sentinel_user=s&sentinel_password=t",
		"sentinel u:p a|26379 master my/master db 12 ca - cert - name - by s:t"},
	    {"redis-cluster://a:7000,b:7001", "cluster -:- a|7000 b|7001 master -" REST},
	    {"rediss-cluster://a", "cluster tls -:- a|6379 master -" REST},
	    {"rediss-sentinel://a/m", "sentinel tls -:- a|26379 master m" REST},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(describe(cases[i][0]), cases[i][1]);
}

static void wrong_urls_are_refused(void **state)
{
	static const char *const cases[] = {"", "redis", "redis:", "http://h", "redis://",
	    "redis:///0", "redis://h:0", "redis://h:65536", "redis://h:x",
	    "redis://h:", "redis://h/x", "redis://h/-1", "redis://h/999999", "redis://a,b",
	    "redis://[::1", "redis://[::1]x", "redis://joe@h", "redis://:%zz@h", "redis://:%4@h",
	    "redis://:%00@h", "redis://h?ca=/x", "rediss://h?cert=/c", "redis://h?what=1",
	    "redis://h?ca", "redis-sentinel://h", "redis-sentinel://h/", "redis-sentinel://h/m/x",
	    "redis-cluster://a/1", "redis-cluster://a,,b", "redis+unix://relative", "redis+unix://",
	    "redis://h/1/2", "redis-cluster://a,"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (strcmp(describe(cases[i]), "refused") != 0)
			fail_msg("%s is taken as %s", cases[i], describe(cases[i]));
}

static void a_reason_keeps_the_password(void **state)
{
	static const char *const cases[] = {"redis://joe:hunter2@h/x", "redis://:hunter2@",
	    "redis-cluster://:hunter2@a/7", "redis://joehunter2@h", "zzz://:hunter2@h"};
	struct redis_url u;
	char why[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(redis_url_parse(&u, cases[i], why, sizeof why), -1);
		redis_url_clear(&u);
		assert_null(strstr(why, "hunter2"));
	}
}

static void too_many_hosts_are_refused(void **state)
{
	char url[1000] = "redis-cluster://a";

	(void)state;
	for (size_t n = strlen(url), i = 0; i < 100; i++, n += 2)
		snprintf(url + n, sizeof url - n, ",a");
	assert_string_equal(describe(url), "refused");
}

static void addresses_of_cluster_replies(void **state)
{
	static const struct {
		const char *text, *name;
		unsigned port;
	} cases[] = {
	    {"127.0.0.1:7001", "127.0.0.1", 7001},
	    {"::1:7001", "::1", 7001},
	    {"host.example:1", "host.example", 1},
	    {"host", "host", 9},
	};
	struct redis_host h;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(redis_host_parse(&h, cases[i].text, strlen(cases[i].text), 9), 0);
		assert_string_equal(h.name, cases[i].name);
		assert_int_equal(h.port, cases[i].port);
		free(h.name);
	}
	assert_int_equal(redis_host_parse(&h, "", 0, 9), -1);
	assert_int_equal(redis_host_parse(&h, ":1", 2, 9), -1);
	assert_int_equal(redis_host_parse(&h, "a:99999", 7, 9), -1);
}

/* The values that `redis-cli cluster keyslot` gives. */
static void slots_are_those_of_redis(void **state)
{
	static const struct {
		const char *key;
		unsigned slot;
	} cases[] = {
	    {"123456789", 12739},
	    {"foo", 12182},
	    {"{foo}bar", 12182},
	    {"x{foo}{bar}", 12182},
	    {"{}foo", 9500},
	    {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(redis_slot(cases[i].key), cases[i].slot);
	assert_int_equal(redis_slot("p:{r:a}w"), redis_slot("p:{r:a}i"));
	assert_int_equal(redis_slot("p:{r:}x}w"), redis_slot("p:{r:}x}i"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls_are_understood),
	    cmocka_unit_test(wrong_urls_are_refused),
	    cmocka_unit_test(a_reason_keeps_the_password),
	    cmocka_unit_test(too_many_hosts_are_refused),
	    cmocka_unit_test(addresses_of_cluster_replies),
	    cmocka_unit_test(slots_are_those_of_redis),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
