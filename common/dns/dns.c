/* dns.c - see dns.h. The questions of one call run on one c-ares channel, driven by poll(2): c-ares
 * has no thread and no clock of its own, so the deadline is ours. */
#include "common/dns.h"

#include "common/breaker.h"
#include "common/clock.h"
#include "common/dns/dns_channels.h"
#include "common/dns/dns_message.h"
#include "common/dns/dns_name.h"
#include "common/limits.h"
#include "common/log.h"

#include <ares.h>

#include <arpa/nameser.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct dns {
	struct dns_channels *channels;
	pthread_mutex_t lock; /* guards the breaker */
	struct breaker breaker;
};

struct call;

struct pending { /* the argument of one c-ares callback */
	struct call *call;
	size_t i;
};

struct call { /* one dns_ask(), on its thread's stack */
	const struct dns_question *questions;
	struct dns_answer *answers;
	size_t n;
	struct pending pending[LIMIT_DNS_PARALLEL + 1]; /* and the probe */
	size_t finished[LIMIT_DNS_PARALLEL];		/* in the order of their answers */
	size_t nfinished;
	bool over;     /* what c-ares still reports is its answer to ares_cancel() */
	bool answered; /* a server lives */
	bool refused;  /* c-ares gave up on a question without waiting */
	bool waited;   /* ... or after waiting */
};

/* --- answers --- */

static void finish(struct call *call, size_t i)
{
	call->finished[call->nfinished++] = i;
}

static void note_life(struct call *call, int timeouts, const unsigned char *message)
{
	if (message != NULL)
		call->answered = true;
	else if (timeouts == 0)
		call->refused = true; /* or SERVFAIL: c-ares reports both alike */
	else
		call->waited = true;
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *message, int len)
{
	struct pending *pending = arg;
	struct call *call = pending->call;
	const struct dns_question *question = &call->questions[pending->i];
	struct dns_answer *answer = &call->answers[pending->i];

	if (call->over)
		return;
	note_life(call, timeouts, message);
	if (message != NULL) {
		dns_message_read(message, (size_t)len, question->name, question->type, answer);
	} else if (status == ARES_ENOTFOUND) { /* c-ares answers .onion itself (RFC 7686) */
		answer->status = DNS_ABSENT;
		answer->error = status;
	} else {
		answer->error = status;
	}
	finish(call, pending->i);
}

static void on_probe(void *arg, int status, int timeouts, unsigned char *message, int len)
{
	struct call *call = ((struct pending *)arg)->call;

	(void)status;
	(void)len;
	if (!call->over)
		note_life(call, timeouts, message);
}

void dns_answer_clear(struct dns_answer *answer)
{
	strlist_clear(&answer->values);
	memset(answer, 0, sizeof *answer);
	answer->status = DNS_UNKNOWN;
}

/* --- questions --- */

/* QTYPEs (RFC 6895 3.1) such as ANY ask for more than one type: "absent" would be a guess. */
static bool question_valid(const struct dns_question *q)
{
	return q->type >= 1 && q->type <= UINT16_MAX && (q->type < 128 || q->type > 255) &&
	       dns_name_valid(q->name);
}

static void send_questions(struct call *call, ares_channel ares)
{
	for (size_t i = 0; i < call->n; i++) {
		const struct dns_question *q = &call->questions[i];

		call->pending[i] = (struct pending){call, i};
		if (question_valid(q)) {
			ares_query(ares, q->name, ns_c_in, q->type, on_answer, &call->pending[i]);
		} else {
			call->answers[i].error = ARES_EBADNAME;
			finish(call, i);
		}
	}
}

/* Who sends us mail chooses many of the names, and could choose names that nobody ever answers. So
 * a call that follows a failed one also asks what every working server knows: where the root is. */
static void send_probe(struct call *call, ares_channel ares)
{
	call->pending[call->n] = (struct pending){call, call->n};
	ares_query(ares, ".", ns_c_in, ns_t_ns, on_probe, &call->pending[call->n]);
}

/* Returns true when the caller's stop() ended it. */
static bool wait_for_answers(struct call *call, struct dns_channel *channel, int64_t deadline,
    bool (*stop)(const struct dns_answer *, size_t, void *), void *arg)
{
	size_t told = 0;

	for (;;) {
		int64_t left = deadline - clock_ms();

		while (told < call->nfinished) {
			size_t i = call->finished[told++];

			if (stop != NULL && stop(&call->answers[i], i, arg))
				return true;
		}
		if (told == call->n || left <= 0)
			return false;
		dns_channel_wait(channel, left);
	}
}

static void give_up(struct call *call, bool stopped)
{
	bool finished[LIMIT_DNS_PARALLEL] = {false};

	for (size_t k = 0; k < call->nfinished; k++)
		finished[call->finished[k]] = true;
	for (size_t i = 0; i < call->n; i++)
		if (!finished[i]) {
			call->answers[i].error = stopped ? ARES_ECANCELLED : ARES_ETIMEOUT;
			call->waited = true;
		}
}

/* --- the breaker --- */

/* May we ask? *probe: with the probe. */
static bool breaker_enter(struct dns *dns, bool *probe)
{
	bool allowed;

	pthread_mutex_lock(&dns->lock);
	allowed = breaker_allows(&dns->breaker, clock_ms());
	*probe = dns->breaker.failures > 0;
	pthread_mutex_unlock(&dns->lock);
	return allowed;
}

static void breaker_leave(struct dns *dns, enum breaker_outcome outcome)
{
	const char *servers = dns_channels_servers(dns->channels);
	enum breaker_event event;

	pthread_mutex_lock(&dns->lock);
	event = breaker_report(&dns->breaker, outcome, clock_ms());
	pthread_mutex_unlock(&dns->lock);
	if (event == BREAKER_OPENED)
		log_error(NULL,
		    "dns: no answer from %s in %u calls: now asked once in %u s only, every other "
		    "question counts as unknown; check the network, the servers or dns.servers",
		    servers, dns->breaker.limit, (dns->breaker.open_ms + 999) / 1000);
	else if (event == BREAKER_CLOSED)
		log_info(NULL, "dns: answers again from %s", servers);
}

bool dns_healthy(struct dns *dns)
{
	bool healthy;

	pthread_mutex_lock(&dns->lock);
	healthy = dns->breaker.failures == 0;
	pthread_mutex_unlock(&dns->lock);
	return healthy;
}

/* --- the call --- */

static enum breaker_outcome judge(const struct call *call, bool stopped, int deadline_ms)
{
	if (call->answered)
		return BREAKER_OK;
	if (!call->waited || call->refused || stopped || deadline_ms < BREAKER_EVIDENCE_MS)
		return BREAKER_NO_EVIDENCE; /* cost no time, or was not given enough */
	return BREAKER_FAILED;
}

static enum breaker_outcome ask(struct call *call, struct dns_channel *channel, int deadline_ms,
    bool probe, bool (*stop)(const struct dns_answer *, size_t, void *), void *arg)
{
	int64_t deadline = clock_ms() + deadline_ms;
	bool stopped;

	if (probe)
		send_probe(call, channel->ares);
	send_questions(call, channel->ares);
	stopped = wait_for_answers(call, channel, deadline, stop, arg);
	call->over = true;
	ares_cancel(channel->ares);
	give_up(call, stopped);
	return judge(call, stopped, deadline_ms);
}

void dns_ask(struct dns *dns, const struct dns_question *questions, size_t n,
    struct dns_answer *answers, int deadline_ms,
    bool (*stop)(const struct dns_answer *, size_t i, void *), void *arg)
{
	struct call call = {.questions = questions, .answers = answers};
	enum breaker_outcome outcome = BREAKER_NO_EVIDENCE;
	struct dns_channel *channel;
	bool probe;

	for (size_t i = 0; i < n; i++) {
		memset(&answers[i], 0, sizeof answers[i]);
		answers[i].status = DNS_UNKNOWN;
		answers[i].error = ARES_ECANCELLED;
	}
	if (n > LIMIT_DNS_PARALLEL)
		log_bug(
		    NULL, "dns: %zu questions at once, only %d are asked", n, LIMIT_DNS_PARALLEL);
	call.n = n < LIMIT_DNS_PARALLEL ? n : LIMIT_DNS_PARALLEL;
	if (call.n == 0 || deadline_ms <= 0 || !breaker_enter(dns, &probe))
		return;
	channel = dns_channels_take(dns->channels, deadline_ms);
	if (channel != NULL) {
		outcome = ask(&call, channel, deadline_ms, probe, stop, arg);
		dns_channels_give(dns->channels, channel);
	}
	breaker_leave(dns, outcome);
}

struct dns *dns_new(const struct dns_options *options, char *why, size_t size)
{
	struct dns *dns = xcalloc(1, sizeof *dns);

	dns->channels = dns_channels_new(options, why, size);
	if (dns->channels == NULL) {
		free(dns);
		return NULL;
	}
	pthread_mutex_init(&dns->lock, NULL);
	dns->breaker.limit = options->breaker_failures;
	dns->breaker.open_ms = options->breaker_ms;
	return dns;
}

void dns_free(struct dns *dns)
{
	if (dns == NULL)
		return;
	dns_channels_free(dns->channels);
	pthread_mutex_destroy(&dns->lock);
	free(dns);
}
