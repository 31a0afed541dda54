/* The resolver against a real DNS server (dnsmasq) and against servers that misbehave. One file,
 * because all of it runs on the same set of servers. */
#include "common/clock.h"
#include "common/dns.h"
#include "common/limits.h"
#include "common/log.h"
#include "tests/unit/dns_servers.h"

#include <ares.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define GRACE_MS 1000 /* a loaded machine */
#define THREADS 50
#define OPEN_MS 2000 /* of the breaker */

enum { A = 1, TXT = 16, AAAA = 28, ANY = 255 };

/* The zone bl.test as its owner serves it, with a SOA record, and the resolver in front of it. */
static struct dnsmasq zone, resolver;
static bool have_dnsmasq;

static int start_servers(void **state)
{
	static const char *const zone_args[] = {"--auth-server=ns.bl.test,127.0.0.1",
	    "--auth-zone=bl.test", "--auth-soa=1,host.bl.test,3600,600,86400", "--auth-ttl=77",
	    "--host-record=2.0.0.127.bl.test,127.0.0.2", "--host-record=v6.bl.test,2001:db8::25",
	    "--txt-record=2.0.0.127.bl.test,listed for ,a reason",
	    "--cname=alias.bl.test,2.0.0.127.bl.test", NULL};
	char forward[64];
	const char *const resolver_args[] = {
	    forward, "--local=/gone.test/", "--host-record=here.test,192.0.2.7,33", NULL};

	(void)state;
	have_dnsmasq = dnsmasq_start(&zone, zone_args);
	if (have_dnsmasq) {
		snprintf(forward, sizeof forward, "--server=/bl.test/127.0.0.1#%u", zone.port);
		dnsmasq_start(&resolver, resolver_args);
	}
	return 0;
}

static int stop_servers(void **state)
{
	(void)state;
	dnsmasq_stop(&zone);
	dnsmasq_stop(&resolver);
	return 0;
}

static struct dns *make(const char *server1, const char *server2, unsigned failures, unsigned ms)
{
	struct dns_options options = {.breaker_failures = failures, .breaker_ms = ms};
	char why[256] = "";
	struct dns *dns;

	strlist_add(&options.servers, server1);
	if (server2 != NULL)
		strlist_add(&options.servers, server2);
	dns = dns_new(&options, why, sizeof why);
	strlist_clear(&options.servers);
	assert_string_equal(why, "");
	assert_non_null(dns);
	return dns;
}

static struct dns_answer ask(struct dns *dns, const char *name, int type, int deadline_ms)
{
	struct dns_question question = {(char *)name, type};
	struct dns_answer answer;
	int64_t start = clock_ms();

	dns_ask(dns, &question, 1, &answer, deadline_ms, NULL, NULL);
	assert_in_range(clock_ms() - start, 0, deadline_ms + GRACE_MS);
	return answer;
}

static void assert_status(struct dns *dns, const char *name, enum dns_status status, int error)
{
	struct dns_answer answer = ask(dns, name, A, 3000);

	assert_int_equal(answer.status, status);
	assert_int_equal(answer.error, error);
	dns_answer_clear(&answer);
}

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* --- a real server --- */

static void records_of_a_real_server(void **state)
{
	struct dns_answer answer;
	struct dns *dns;

	(void)state;
	if (!have_dnsmasq)
		skip();
	dns = make(resolver.address, NULL, 0, 0);

	answer = ask(dns, "2.0.0.127.bl.test", A, 3000);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_memory_equal(answer.first_a, "\x7f\0\0\2", 4);
	assert_string_equal(answer.values.v[0], "127.0.0.2");
	assert_int_equal(answer.ttl, 77);
	dns_answer_clear(&answer);

	answer = ask(dns, "2.0.0.127.bl.test.", TXT, 3000);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_string_equal(answer.values.v[0], "listed for a reason");
	dns_answer_clear(&answer);

	answer = ask(dns, "v6.bl.test", AAAA, 3000);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_string_equal(answer.values.v[0], "2001:db8::25");
	dns_answer_clear(&answer);

	answer = ask(dns, "ALIAS.bl.test", A, 3000);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_string_equal(answer.values.v[0], "127.0.0.2");
	dns_answer_clear(&answer);
	dns_free(dns);
}

static void absence_at_a_real_server(void **state)
{
	struct dns_answer answer;
	struct dns *dns;

	(void)state;
	if (!have_dnsmasq)
		skip();
	dns = make(resolver.address, NULL, 0, 0);

	answer = ask(dns, "9.0.0.127.bl.test", A, 3000); /* NXDOMAIN with SOA */
	assert_int_equal(answer.status, DNS_ABSENT);
	assert_int_equal(answer.error, ARES_ENOTFOUND);
	assert_int_equal(answer.ttl, 77);
	answer = ask(dns, "2.0.0.127.bl.test", AAAA, 3000); /* no such record, with SOA */
	assert_int_equal(answer.status, DNS_ABSENT);
	assert_int_equal(answer.error, ARES_ENODATA);
	assert_int_equal(answer.ttl, 77);
	answer = ask(dns, "x.gone.test", A, 3000); /* NXDOMAIN without SOA */
	assert_int_equal(answer.status, DNS_ABSENT);
	assert_int_equal(answer.ttl, 0);
	assert_status(dns, "not-ours.example", DNS_UNKNOWN, ARES_ECONNREFUSED); /* REFUSED */
	dns_free(dns);
}

static void ipv6_server(void **state)
{
	struct dns *dns;

	(void)state;
	if (!have_dnsmasq || resolver.address_v6[0] == '\0')
		skip();
	dns = make(resolver.address_v6, NULL, 0, 0);
	assert_status(dns, "here.test", DNS_FOUND, ARES_SUCCESS);
	dns_free(dns);
}

/* R17: names that are no names never reach a server. */
static void bad_questions_are_not_asked(void **state)
{
	static const char *const bad[] = {"", ".", "a b.here.test", "x' OR '1'='1.here.test",
	    "a..here.test", "*.here.test", "h\xc3\xa9re.test"};
	static const int types[] = {0, -1, 65536, ANY};
	struct dns *dns;
	unsigned asked;

	(void)state;
	if (!have_dnsmasq)
		skip();
	asked = dnsmasq_asked(&resolver, "here.test");
	dns = make(resolver.address, NULL, 1, 60000);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_status(dns, bad[i], DNS_UNKNOWN, ARES_EBADNAME);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct dns_answer answer = ask(dns, "here.test", types[i], 3000);

		assert_int_equal(answer.status, DNS_UNKNOWN);
		assert_int_equal(answer.error, ARES_EBADNAME);
	}
	assert_true(dns_healthy(dns)); /* nobody's failure */
	assert_int_equal(dnsmasq_asked(&resolver, "here.test"), asked);
	dns_free(dns);
}

struct asker {
	pthread_t thread;
	struct dns *dns;
	unsigned wrong;
};

static void *ask_often(void *arg)
{
	static const struct {
		struct dns_question question;
		enum dns_status status;
	} cases[] = {
	    {{(char *)"2.0.0.127.bl.test", A}, DNS_FOUND},
	    {{(char *)"9.0.0.127.bl.test", A}, DNS_ABSENT},
	    {{(char *)"here.test", A}, DNS_FOUND},
	};
	struct asker *asker = arg;

	for (int round = 0; round < 10; round++) {
		struct dns_question questions[3];
		struct dns_answer answers[3];

		for (size_t i = 0; i < 3; i++)
			questions[i] = cases[i].question;
		/* deadlines of several sizes: channels with several timeouts */
		dns_ask(asker->dns, questions, 3, answers, 10000 << round % 3, NULL, NULL);
		for (size_t i = 0; i < 3; i++) {
			if (answers[i].status != cases[i].status)
				asker->wrong++;
			dns_answer_clear(&answers[i]);
		}
	}
	return NULL;
}

static void fifty_threads(void **state)
{
	struct asker askers[THREADS];
	struct dns *dns;

	(void)state;
	if (!have_dnsmasq)
		skip();
	dns = make(resolver.address, NULL, 3, 1000);
	for (size_t i = 0; i < THREADS; i++) {
		askers[i] = (struct asker){.dns = dns};
		pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_int_equal(askers[i].wrong, 0);
	}
	dns_free(dns);
}

/* --- deadlines --- */

static void dead_server_costs_one_deadline(void **state)
{
	struct dns_question questions[LIMIT_DNS_PARALLEL];
	struct dns_answer answers[LIMIT_DNS_PARALLEL];
	struct responder dead;
	struct dns *dns;
	int64_t took;

	(void)state;
	assert_true(responder_start(&dead, "127.0.0.1", 0, SAYS_NOTHING));
	dns = make(dead.address, NULL, 0, 0);
	for (size_t i = 0; i < LIMIT_DNS_PARALLEL; i++)
		questions[i] = (struct dns_question){(char *)"a.test", A};
	took = clock_ms();
	dns_ask(dns, questions, LIMIT_DNS_PARALLEL, answers, 1500, NULL, NULL);
	took = clock_ms() - took;
	assert_in_range(took, 100, 1500 + GRACE_MS);
	for (size_t i = 0; i < LIMIT_DNS_PARALLEL; i++) {
		assert_int_equal(answers[i].status, DNS_UNKNOWN);
		assert_int_equal(answers[i].error, ARES_ETIMEOUT);
		dns_answer_clear(&answers[i]);
	}
	/* each of them was sent more than once */
	assert_true(dead.questions >= 2 * LIMIT_DNS_PARALLEL);
	dns_free(dns);
	responder_stop(&dead);
}

static void no_time_no_question(void **state)
{
	struct responder server;
	struct dns *dns;

	(void)state;
	assert_true(responder_start(&server, "127.0.0.1", 0, SAYS_LISTED));
	dns = make(server.address, NULL, 1, 60000);
	for (int deadline = -1; deadline <= 0; deadline++) {
		struct dns_question question = {(char *)"a.test", A};
		struct dns_answer answer;

		dns_ask(dns, &question, 1, &answer, deadline, NULL, NULL);
		assert_int_equal(answer.status, DNS_UNKNOWN);
		assert_int_equal(answer.error, ARES_ECANCELLED);
	}
	dns_ask(dns, NULL, 0, NULL, 1000, NULL, NULL);
	assert_int_equal(server.questions, 0);
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	dns_free(dns);
	responder_stop(&server);
}

static void second_server_takes_over(void **state)
{
	struct responder dead, alive;
	struct dns *dns;

	(void)state;
	assert_true(responder_start(&dead, "127.0.0.1", 0, SAYS_NOTHING));
	assert_true(responder_start(&alive, "127.0.0.1", 0, SAYS_LISTED));
	dns = make(dead.address, alive.address, 1, 60000);
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	assert_status(dns, "b.test", DNS_FOUND, ARES_SUCCESS);
	assert_true(dead.questions > 0);
	dead.manners = SAYS_SERVFAIL;
	assert_status(dns, "c.test", DNS_FOUND, ARES_SUCCESS);
	dns_free(dns);
	responder_stop(&dead);
	responder_stop(&alive);
}

static void wrong_answers_are_unknown(void **state)
{
	static const enum manners wrong[] = {SAYS_SERVFAIL, SAYS_REFUSED, SAYS_FORMERR, SAYS_LOOP,
	    SAYS_LIE, SAYS_NONSENSE, SAYS_OTHER_NAME, SAYS_TRUNCATED};
	struct responder server;
	struct dns *dns;

	(void)state;
	assert_true(responder_start(&server, "127.0.0.1", 0, SAYS_NOTHING));
	dns = make(server.address, NULL, 0, 0);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct dns_answer answer;

		server.manners = wrong[i];
		answer = ask(dns, "a.test", A, 400);
		assert_int_equal(answer.status, DNS_UNKNOWN);
		assert_int_not_equal(answer.error, ARES_SUCCESS);
		assert_int_equal(answer.values.n, 0);
		dns_answer_clear(&answer);
	}
	server.manners = SAYS_LISTED; /* and none of them broke anything */
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	dns_free(dns);
	responder_stop(&server);
}

struct stopper {
	size_t calls;
	size_t last;
};

static bool stop_when_found(const struct dns_answer *answer, size_t i, void *arg)
{
	struct stopper *stopper = arg;

	stopper->calls++;
	stopper->last = i;
	return answer->status == DNS_FOUND;
}

static void stop_ends_the_wait(void **state)
{
	struct dns_question questions[3] = {
	    {(char *)"dead.test", A}, {(char *)"bad name", A}, {(char *)"a.test", A}};
	struct dns_answer answers[3];
	struct stopper stopper = {0, 0};
	struct responder server;
	struct dns *dns;
	int64_t took;

	(void)state;
	assert_true(responder_start(&server, "127.0.0.1", 0, SAYS_LISTED));
	dns = make(server.address, NULL, 0, 0);
	took = clock_ms();
	dns_ask(dns, questions, 3, answers, 20000, stop_when_found, &stopper);
	took = clock_ms() - took;
	assert_true(took < 20000 / 2);
	/* the bad name was told first, then the answer, and the dead one not at all */
	assert_int_equal(stopper.calls, 2);
	assert_int_equal(stopper.last, 2);
	assert_int_equal(answers[0].status, DNS_UNKNOWN);
	assert_int_equal(answers[0].error, ARES_ECANCELLED);
	assert_int_equal(answers[1].error, ARES_EBADNAME);
	assert_int_equal(answers[2].status, DNS_FOUND);
	for (size_t i = 0; i < 3; i++)
		dns_answer_clear(&answers[i]);
	dns_free(dns);
	responder_stop(&server);
}

/* --- the breaker --- */

struct heard {
	unsigned opened, closed, others;
};

static void hear(enum log_level level, const char *line, void *arg)
{
	struct heard *heard = arg;

	(void)level;
	if (strstr(line, "no answer from") != NULL)
		heard->opened++;
	else if (strstr(line, "answers again") != NULL)
		heard->closed++;
	else
		heard->others++;
}

static void breaker_opens_and_closes(void **state)
{
	struct heard heard = {0, 0, 0};
	struct responder server;
	struct dns *dns;
	int64_t start;

	(void)state;
	log_capture(hear, &heard);
	assert_true(responder_start(&server, "127.0.0.1", 0, SAYS_NOTHING));
	dns = make(server.address, NULL, 2, OPEN_MS);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask(dns, "a.test", A, 300).error, ARES_ETIMEOUT);
	assert_false(dns_healthy(dns));
	assert_int_equal(heard.opened, 1);

	server.questions = 0;
	start = clock_ms();
	for (int i = 0; i < 100; i++)
		assert_status(dns, "a.test", DNS_UNKNOWN, ARES_ECANCELLED);
	assert_true(clock_ms() - start < OPEN_MS); /* not one of them waited */
	assert_int_equal(server.questions, 0);

	sleep_ms(OPEN_MS + 100);
	assert_int_equal(ask(dns, "a.test", A, 300).status, DNS_UNKNOWN); /* the trial, in vain */
	assert_true(server.questions > 0);
	assert_status(dns, "a.test", DNS_UNKNOWN, ARES_ECANCELLED);

	server.manners = SAYS_LISTED;
	sleep_ms(OPEN_MS + 100);
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	assert_true(dns_healthy(dns));
	assert_int_equal(heard.opened, 1); /* once each for the whole outage */
	assert_int_equal(heard.closed, 1);
	assert_int_equal(heard.others, 0);
	log_capture(NULL, NULL);
	dns_free(dns);
	responder_stop(&server);
}

/* Names whose own servers are dead, and names that fail, are chosen by remote people: asking them
 * must not stop the resolver for everybody. */
static void dead_names_do_not_open_the_breaker(void **state)
{
	static const enum manners alive[] = {SAYS_LISTED, SAYS_REFUSED}; /* to the probe */
	struct responder server;
	struct dns *dns;

	(void)state;
	assert_true(responder_start(&server, "127.0.0.1", 0, SAYS_LISTED));
	dns = make(server.address, NULL, 2, 60000);
	for (size_t k = 0; k < sizeof alive / sizeof *alive; k++) {
		server.manners = alive[k];
		for (int i = 0; i < 6; i++)
			assert_int_equal(ask(dns, "dead.test", A, 300).error, ARES_ETIMEOUT);
	}
	server.manners = SAYS_SERVFAIL;
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask(dns, "broken.test", A, 300).status, DNS_UNKNOWN);
	server.manners = SAYS_LISTED;
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	dns_free(dns);
	responder_stop(&server);
}

/* A script with 20 ms left proves nothing about the server. */
static void short_waits_do_not_open_the_breaker(void **state)
{
	struct responder server;
	struct dns *dns;

	(void)state;
	assert_true(responder_start(&server, "127.0.0.1", 0, SAYS_LISTED));
	dns = make(server.address, NULL, 1, 60000);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(dns, "dead.test", A, 20).error, ARES_ETIMEOUT);
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	dns_free(dns);
	responder_stop(&server);
}

/* --- servers --- */

static void server_texts(void **state)
{
	static const char *const good[] = {"192.0.2.1", "192.0.2.1:5353", "2001:db8::1",
	    "[2001:db8::1]", "[2001:db8::1]:5353", "::1", "127.0.0.1:65535"};
	static const char *const bad[] = {"", "resolver.example", "192.0.2.1:", "192.0.2.1:0",
	    "192.0.2.1:65536", "192.0.2.1:53x", "192.0.2.1:-53", "192.0.2.1: 53", "[2001:db8::1",
	    "[2001:db8::1]53", "[2001:db8::1]:", "192.0.2.1,192.0.2.2", "192.0.2",
	    "1234567890123456789012345678901234567890123456789012345678901234567890"};
	struct dns_options options = {.breaker_failures = 0};
	char why[512];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		dns_free(make(good[i], NULL, 0, 0));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		strlist_add(&options.servers, bad[i]);
		why[0] = '\0';
		assert_null(dns_new(&options, why, sizeof why));
		assert_non_null(strstr(why, bad[i])); /* names the culprit and the way out */
		assert_non_null(strstr(why, "192.0.2.1:53"));
		strlist_clear(&options.servers);
	}
	for (int i = 0; i <= LIMIT_DNS_SERVERS; i++)
		strlist_add(&options.servers, "192.0.2.1");
	assert_null(dns_new(&options, why, sizeof why));
	assert_non_null(strstr(why, "at most"));
	strlist_clear(&options.servers);
}

static void write_resolv_conf(const char *path, const char *server)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fprintf(file, "nameserver %s\n", server);
	fclose(file);
}

static void resolv_conf_is_read_again(void **state)
{
	struct dns_options options = {.breaker_failures = 0};
	char path[] = "/tmp/mailhooks-resolv-XXXXXX", why[256];
	struct responder first, second;
	struct dns *dns;

	(void)state;
	/* resolv.conf has no ports, so these need port 53 of addresses that nobody uses */
	if (!responder_start(&first, "127.53.0.1", 53, SAYS_LISTED)) {
		print_message("port 53 cannot be bound: run as root to test this\n");
		skip();
	}
	assert_true(responder_start(&second, "127.53.0.2", 53, SAYS_LISTED));
	close(mkstemp(path));
	write_resolv_conf(path, "127.53.0.1");
	options.resolv_conf = path;
	dns = dns_new(&options, why, sizeof why);
	assert_non_null(dns);
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	assert_int_equal(first.questions, 1);

	write_resolv_conf(path, "127.53.0.2");
	sleep_ms(2100);
	assert_status(dns, "a.test", DNS_FOUND, ARES_SUCCESS);
	assert_int_equal(first.questions, 1);
	assert_int_equal(second.questions, 1);
	dns_free(dns);
	unlink(path);
	responder_stop(&first);
	responder_stop(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(records_of_a_real_server),
	    cmocka_unit_test(absence_at_a_real_server),
	    cmocka_unit_test(ipv6_server),
	    cmocka_unit_test(bad_questions_are_not_asked),
	    cmocka_unit_test(fifty_threads),
	    cmocka_unit_test(dead_server_costs_one_deadline),
	    cmocka_unit_test(no_time_no_question),
	    cmocka_unit_test(second_server_takes_over),
	    cmocka_unit_test(wrong_answers_are_unknown),
	    cmocka_unit_test(stop_ends_the_wait),
	    cmocka_unit_test(breaker_opens_and_closes),
	    cmocka_unit_test(dead_names_do_not_open_the_breaker),
	    cmocka_unit_test(short_waits_do_not_open_the_breaker),
	    cmocka_unit_test(server_texts),
	    cmocka_unit_test(resolv_conf_is_read_again),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
