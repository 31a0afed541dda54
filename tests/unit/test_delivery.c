/* The delivery context: DNS records as keys, who asks, where a delivery begins and ends, and that
 * the table stays bounded. */
#include "policy/delivery.h"
#include "policy/dns_key.h"
#include "policy/peer.h"

#include "common/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool parse(const char *key, struct dns_key *k)
{
	return dns_key_parse(key, strlen(key), k);
}

static void test_records(void **state)
{
	struct dns_key k;

	(void)state;
	assert_true(parse("Example.com. 0 IN MX 10 MX1.Example.com.", &k));
	assert_int_equal(k.type, DNS_KEY_MX);
	assert_string_equal(k.owner, "example.com");
	assert_string_equal(k.value, "mx1.example.com");
	assert_int_equal(k.preference, 10);
	assert_true(parse("mx1.example.com. 300 IN A 192.0.2.1", &k));
	assert_int_equal(k.type, DNS_KEY_ADDRESS);
	assert_string_equal(k.value, "192.0.2.1");
	assert_true(parse("mx1.example.com. 300 IN AAAA 2001:0DB8::0001", &k));
	assert_string_equal(k.value, "2001:db8::1");
	assert_true(parse("null.test. 0 IN MX 0 .", &k));
	assert_int_equal(k.type, DNS_KEY_OTHER);
	assert_true(parse("_smtp._tcp.one.test. 0 IN SRV 1 2 25 mx.one.test.", &k));
	assert_int_equal(k.type, DNS_KEY_OTHER);
	assert_true(parse("a.test. 0 IN CNAME b.test.", &k));
	assert_int_equal(k.type, DNS_KEY_OTHER);
}

/* R17: names that mean something to a database never reach a script. */
static void test_hostile_records(void **state)
{
	static const char *const keys[] = {
	    "",
	    " ",
	    "example.com.",
	    "example.com. 0 IN MX 10",
	    "example.com. 0 IN MX 10 x'or'1'='1.evil.test.",
	    "example.com. 0 IN MX 10 a b.evil.test.",
	    "example.com. 0 IN MX 65536 mx.evil.test.",
	    "example.com. 0 IN MX -1 mx.evil.test.",
	    "example.com. 0 CH MX 10 mx.evil.test.",
	    "'; DROP TABLE x; --. 0 IN MX 10 mx.evil.test.",
	    "mx.evil.test. 0 IN A 192.0.2.1'",
	    "mx.evil.test. 0 IN A 192.0.2.1 2",
	    "mx.evil.test. 0 IN A",
	    ".. 0 IN A 192.0.2.1",
	};
	char longest[LIMIT_SOCKETMAP_QUERY_BYTES];
	struct dns_key k;

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (parse(keys[i], &k))
			fail_msg("\"%s\" is taken for a record", keys[i]);
	memset(longest, 'a', sizeof longest);
	assert_false(dns_key_parse(longest, sizeof longest, &k));
	assert_false(dns_key_parse("a.test. 0 IN A\0 192.0.2.1", 25, &k));
}

static const struct peer one = {1000, 77};

static void test_begin_and_end(void **state)
{
	struct delivery *d = delivery_enter(&one);
	struct ip_address a, b, c;

	(void)state;
	assert_true(ip_address_parse(&a, "192.0.2.1") && ip_address_parse(&b, "192.0.2.2") &&
		    ip_address_parse(&c, "192.0.2.3"));
	assert_true(delivery_mx(d, "one.test", "mx1.one.test", 10));
	assert_false(delivery_mx(d, "one.test", "mx2.one.test", 20));
	delivery_drop(d, "mx1.one.test");
	delivery_drop(d, "mx1.one.test");
	delivery_drop(d, "nobody.test");
	assert_int_equal(d->ndropped, 1);
	assert_string_equal(delivery_address(d, "mx2.one.test", &b)->host, "mx2.one.test");
	assert_null(delivery_address(d, "alias.test", &c));
	assert_null(delivery_host(d));
	delivery_connect(d);
	delivery_remote(d, &b);
	assert_string_equal(delivery_host(d), "mx2.one.test");
	delivery_remote(d, &c);
	assert_string_equal(delivery_host(d), "alias.test");
	delivery_remote(d, &a);
	assert_null(delivery_host(d));

	/* the same domain again, after a dialogue and after none */
	assert_true(delivery_mx(d, "one.test", "mx2.one.test", 20));
	assert_int_equal(d->ndropped, 0);
	assert_true(delivery_mx(d, "one.test", "mx2.one.test", 20));
	assert_true(delivery_mx(d, "two.test", "mx1.two.test", 10));
	assert_string_equal(d->domain, "two.test");

	/* a relay in brackets: no MX records, nothing left of the delivery before */
	delivery_reported(d, COMMAND_CONNECT);
	assert_null(delivery_address(d, "relay.test", &a));
	assert_null(d->domain);
	delivery_connect(d);
	delivery_remote(d, &a);
	assert_string_equal(delivery_host(d), "relay.test");

	/* a relay's address in brackets */
	assert_true(delivery_mx(d, "one.test", "mx1.one.test", 10));
	assert_non_null(delivery_address(d, "mx1.one.test", &a));
	delivery_reported(d, COMMAND_CONNECT);
	delivery_literal(d);
	delivery_connect(d);
	delivery_remote(d, &a);
	assert_null(delivery_host(d));
	assert_null(d->domain);
	delivery_leave(d);
	delivery_forget_all();
}

/* R18: a part of the servers never passes for all of them. */
static void test_whole(void **state)
{
	struct delivery *d = delivery_enter(&one);
	struct ip_address a;
	char host[40];

	(void)state;
	delivery_mx(d, "one.test", "mx1.one.test", 10);
	delivery_mx(d, "one.test", "mx2.one.test", 20);
	assert_true(d->whole);
	/* the next one, or was the record there twice? */
	assert_true(delivery_mx(d, "one.test", "mx1.one.test", 10));
	assert_false(d->whole);
	delivery_mx(d, "two.test", "mx1.two.test", 10);
	assert_true(d->whole);
	delivery_connect(d);
	for (int i = 0; i <= LIMIT_MX_SERVERS; i++) {
		assert_true(d->whole);
		snprintf(host, sizeof host, "mx%d.two.test", i);
		delivery_mx(d, "two.test", host, 10);
	}
	assert_false(d->whole);
	delivery_leave(d);
	delivery_forget_all();

	/* the process was there before us, and may be half way through */
	delivery_start();
	d = delivery_enter(&one);
	delivery_mx(d, "one.test", "mx1.one.test", 10);
	delivery_mx(d, "one.test", "mx2.one.test", 20);
	assert_false(d->whole);
	delivery_connect(d);
	delivery_mx(d, "one.test", "mx1.one.test", 10);
	assert_true(d->whole);
	delivery_leave(d);
	delivery_forget_all();

	/* its MX records may have come before we did; of the next one they have not */
	d = delivery_enter(&one);
	assert_true(ip_address_parse(&a, "192.0.2.1"));
	delivery_address(d, "plain.test", &a);
	delivery_connect(d);
	assert_false(delivery_is_plain(d));
	delivery_address(d, "plain.test", &a);
	assert_true(delivery_is_plain(d));
	/* ... and when it is over they are nobody else's */
	delivery_reported(d, COMMAND_CONNECT);
	delivery_next_hop(d, "next.test", false);
	delivery_connect(d);
	delivery_remote(d, &a);
	assert_false(delivery_is_plain(d));
	assert_string_equal(delivery_host(d), "plain.test");
	delivery_address(d, "next.test", &a);
	assert_true(delivery_is_plain(d));
	delivery_mx(d, "one.test", "mx1.one.test", 10);
	assert_false(delivery_is_plain(d));
	delivery_leave(d);
	delivery_forget_all();
}

/* Who is late does not write into what comes afterwards. */
static void test_questions(void **state)
{
	struct delivery *d = delivery_enter(&one);

	(void)state;
	d->question = 5;
	delivery_mx(d, "one.test", "mx1.one.test", 10);
	delivery_drop(d, "mx1.one.test");
	delivery_keep(d, "mx1.one.test");
	delivery_keep(d, "mx1.one.test");
	assert_int_equal(d->ndropped, 0);
	delivery_leave(d);
	assert_null(delivery_enter_for(&one, 4));
	d = delivery_enter_for(&one, 5);
	assert_string_equal(d->domain, "one.test");
	delivery_leave(d);
	delivery_forget_all();
	assert_null(delivery_enter_for(&one, 5));
	delivery_forget_all();
}

/* What begins without MX records and after no connection. */
static void test_another_begins(void **state)
{
	struct delivery *d = delivery_enter(&one);
	struct ip_address a;

	(void)state;
	assert_true(ip_address_parse(&a, "192.0.2.1"));
	assert_true(delivery_mx(d, "one.test", "mx1.one.test", 10));
	delivery_drop(d, "mx1.one.test");
	assert_null(delivery_address(d, "mx1.one.test", &a));
	assert_null(d->domain);

	/* one host in two records of an answer */
	assert_true(delivery_mx(d, "one.test", "mx1.one.test", 10));
	assert_false(delivery_mx(d, "one.test", "mx1.one.test", 20));
	assert_false(delivery_mx(d, "one.test", "mx2.one.test", 30));
	delivery_drop(d, "mx1.one.test");
	assert_int_equal(d->ndropped, 2);

	/* a relay in brackets, after mail for which no connection was made */
	assert_null(delivery_address(d, "relay.test", &a));
	delivery_next_hop(d, "alias.test", true);
	delivery_connect(d);
	delivery_remote(d, &a);
	assert_string_equal(delivery_host(d), "alias.test");
	assert_null(d->domain);

	/* records that come again */
	assert_true(delivery_mx(d, "one.test", "mx2.one.test", 10));
	delivery_asks(d, "mx2.one.test", "192.0.2.1");
	delivery_asks(d, "mx2.one.test", "192.0.2.1");
	assert_string_equal(d->domain, "one.test");
	d->self = SELF_BEST;
	delivery_asks(d, "mx2.one.test", "192.0.2.1");
	delivery_asks(d, "mx2.one.test", "192.0.2.2");
	assert_int_equal(d->self, SELF_BEST);
	delivery_asks(d, "mx2.one.test", "192.0.2.1");
	assert_int_equal(d->self, SELF_UNKNOWN);
	assert_null(d->domain);
	delivery_leave(d);
	delivery_forget_all();
}

/* A process id that comes again belongs to another delivery. */
static void test_peers(void **state)
{
	const struct peer again = {1000, 78}, nobody = {0, 0};
	struct delivery *d;

	(void)state;
	assert_null(delivery_enter(&nobody));
	delivery_leave(NULL);
	d = delivery_enter(&one);
	delivery_mx(d, "one.test", "mx1.one.test", 10);
	delivery_leave(d);
	d = delivery_enter(&again);
	assert_null(d->domain);
	delivery_leave(d);
	d = delivery_enter(&one);
	assert_string_equal(d->domain, "one.test");
	delivery_leave(d);
	delivery_forget_all();
}

static void test_the_table_is_bounded(void **state)
{
	struct delivery *d;

	(void)state;
	for (int i = 1; i <= LIMIT_DELIVERIES + 10; i++) {
		const struct peer p = {i, 1};
		struct delivery *first = delivery_enter(&(struct peer){1, 1});

		if (i == 1)
			delivery_mx(first, "one.test", "mx1.one.test", 10);
		delivery_leave(first); /* asked for all the time: it stays */
		d = delivery_enter(&p);
		if (i > 1)
			delivery_mx(d, "many.test", "mx1.many.test", 10);
		delivery_leave(d);
	}
	d = delivery_enter(&(struct peer){1, 1});
	assert_string_equal(d->domain, "one.test");
	delivery_leave(d);
	d = delivery_enter(&(struct peer){2, 1}); /* it was the oldest one */
	assert_null(d->domain);
	delivery_leave(d);
	d = delivery_enter(&(struct peer){LIMIT_DELIVERIES, 1});
	assert_string_equal(d->domain, "many.test");
	delivery_leave(d);
	delivery_forget_all();
}

static void test_who_is_at_the_socket(void **state)
{
	struct peer p, q;
	int fds[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	p = peer_of_socket(fds[0]);
	assert_int_equal(p.pid, getpid());
	assert_true(p.start > 0 && p.start <= peer_now());
	assert_true(peer_now() - p.start < 3600 * (uint64_t)sysconf(_SC_CLK_TCK));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int pair[2] = {-1, -1};

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
			_exit(1);
		q = peer_of_socket(pair[0]);
		_exit(q.pid == getpid() && !peer_same(&p, &q) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(fds[1]);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(peer_of_socket(fds[0]).pid, 0);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_hostile_records),
	    cmocka_unit_test(test_begin_and_end),
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_questions),
	    cmocka_unit_test(test_another_begins),
	    cmocka_unit_test(test_peers),
	    cmocka_unit_test(test_the_table_is_bounded),
	    cmocka_unit_test(test_who_is_at_the_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
