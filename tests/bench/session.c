/* session.c - see session.h. */
#include "session.h"

#include <libmilter/mfapi.h>

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_S 5
#define READ_BYTES 4096

static void session_enter(struct load *, struct session *, size_t step);
static void session_run(struct load *, struct session *);

int64_t session_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void watch(struct load *load, struct session *s, int operation)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};

	if (s->output_blocked)
		event.events |= EPOLLOUT;
	if (epoll_ctl(load->epoll, operation, s->fd, &event) != 0)
		err(EX_OSERR, "epoll_ctl");
}

void session_close(struct load *load, struct session *s)
{
	if (s->state == SESSION_CLOSED)
		return;
	if (s->state == SESSION_PAUSING)
		TAILQ_REMOVE(&load->pausing, s, pausing);
	close(s->fd); /* leaves the epoll set with it */
	s->fd = -1;
	s->state = SESSION_CLOSED;
}

static void fail(struct load *load, struct session *s, enum report_error kind, const char *what)
{
	char command = s->traffic == NULL ? SMFIC_OPTNEG : s->traffic->steps[s->step].command;

	report_error(load->report, kind, "%s (last event '%c')", what, command);
	session_close(load, s);
}

/* Empties the MTA's buffer. False when the socket takes no more for now, or the session failed. */
static bool flush(struct load *load, struct session *s)
{
	ssize_t n;

	while (s->out_sent < s->out_size) {
		n = send(s->fd, s->out + s->out_sent, s->out_size - s->out_sent, MSG_NOSIGNAL);
		if (n >= 0) {
			s->out_sent += (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			s->output_blocked = true;
			watch(load, s, EPOLL_CTL_MOD);
			return false;
		} else if (errno != EINTR) {
			fail(load, s, REPORT_CLOSED, strerror(errno));
			return false;
		}
	}
	s->out_size = s->out_sent = 0;
	return true;
}

/* Appends to the MTA's buffer, which is written whenever it is full. As flush(). */
static bool put(struct load *load, struct session *s, const struct traffic_step *step)
{
	const unsigned char *bytes = s->traffic->packets.bytes + step->offset;
	size_t room, part;

	while (s->copied < step->size) {
		room = sizeof(s->out) - s->out_size;
		if (room == 0) {
			if (!flush(load, s))
				return false;
			continue;
		}
		part = step->size - s->copied < room ? step->size - s->copied : room;
		memcpy(s->out + s->out_size, bytes + s->copied, part);
		s->out_size += part;
		s->copied += part;
	}
	return true;
}

int session_open(struct load *load, struct session *s)
{
	struct wire_buffer offer = {.bytes = s->out, .capacity = sizeof(s->out)};

	s->fd = server_address_connect(&load->options->server, CONNECT_TIMEOUT_S);
	if (s->fd < 0) {
		report_error(load->report, REPORT_CONNECT, "connect: %s", strerror(errno));
		return -1;
	}
	s->opened_ns = session_clock_ns();
	s->paused_ns = 0;
	s->state = SESSION_NEGOTIATING;
	s->output_blocked = false;
	s->traffic = NULL;
	s->in.size = 0;
	s->messages_left = load->options->messages;
	watch(load, s, EPOLL_CTL_ADD);
	traffic_add_offer(&offer);
	s->out_size = offer.size;
	s->out_sent = 0;
	s->asked_ns = s->opened_ns;
	(void)flush(load, s);
	return 0;
}

static void count_reply(struct load *load, struct session *s, char code)
{
	if (!load->measuring)
		return;
	load->report->replies[(unsigned char)code]++;
	samples_add(&load->report->reply, session_clock_ns() - s->asked_ns);
}

static void end_session(struct load *load, struct session *s)
{
	if (load->measuring && !s->idle)
		load->report->sessions++;
	session_close(load, s);
}

static void head_done(struct load *load, struct session *s)
{
	if (load->measuring && !s->idle)
		samples_add(&load->report->setup, session_clock_ns() - s->opened_ns - s->paused_ns);
	if (s->idle)
		s->state = SESSION_HELD;
	else
		session_enter(
		    load, s, load->stopping ? s->traffic->tail.first : s->traffic->mail.first);
}

/* The fate of a message is known; what the SMTP client does next begins with ABORT. */
static void end_message(struct load *load, struct session *s, char verdict)
{
	struct report *report = load->report;

	if (load->measuring) {
		report->messages++;
		report->verdicts[(unsigned char)verdict]++;
		samples_add(&report->message, session_clock_ns() - s->message_ns - s->paused_ns);
	}
	if (verdict != load->options->expected)
		report_error(report, REPORT_VERDICT, "a message met \"%s\", not \"%s\"",
		    report_verdict_name(verdict), report_verdict_name(load->options->expected));
	s->messages_left--;
	session_enter(load, s, s->traffic->mail.end - 1);
}

static void next_step(struct load *load, struct session *s)
{
	const struct traffic *traffic = s->traffic;
	size_t next = s->step + 1;

	if (next == traffic->head.end)
		head_done(load, s);
	else if (next == traffic->mail.end && s->messages_left > 0 && !load->stopping)
		session_enter(load, s, traffic->mail.first);
	else if (next == traffic->tail.end)
		end_session(load, s);
	else
		session_enter(load, s, next);
}

/* Starts a step, after the client's pause when it begins with an SMTP command. */
static void session_enter(struct load *load, struct session *s, size_t step)
{
	s->step = step;
	s->copied = 0;
	if (step == s->traffic->mail.first) {
		s->message_ns = session_clock_ns();
		s->paused_ns = 0;
		s->recipients_refused = 0;
	}
	if (s->traffic->steps[step].smtp_command && load->options->pause_ms > 0) {
		s->state = SESSION_PAUSING;
		s->pause_start_ns = session_clock_ns();
		TAILQ_INSERT_TAIL(&load->pausing, s, pausing);
	} else {
		s->state = SESSION_SENDING;
	}
}

/* Sends step after step until a reply, a pause or a full socket has to be waited for. */
static void session_run(struct load *load, struct session *s)
{
	const struct traffic_step *step;

	while (s->state == SESSION_SENDING) {
		step = &s->traffic->steps[s->step];
		if (!put(load, s, step))
			return;
		if (step->reply)
			s->asked_ns = session_clock_ns();
		if ((step->reply || step->flush) && !flush(load, s))
			return;
		if (step->reply)
			s->state = SESSION_WAITING;
		else
			next_step(load, s);
	}
}

void session_writable(struct load *load, struct session *s)
{
	s->output_blocked = false;
	watch(load, s, EPOLL_CTL_MOD);
	if (s->state == SESSION_NEGOTIATING)
		(void)flush(load, s);
	else
		session_run(load, s);
}

void session_pause_over(struct load *load, struct session *s)
{
	TAILQ_REMOVE(&load->pausing, s, pausing);
	s->paused_ns += session_clock_ns() - s->pause_start_ns;
	s->state = SESSION_SENDING;
	session_run(load, s);
}

void session_release(struct load *load, struct session *s)
{
	s->idle = true;
	session_enter(load, s, s->traffic->tail.first);
	session_run(load, s);
}

/* The traffic for this answer: the last one if the answer is the same, as it nearly always is. */
static const struct traffic *traffic_for(
    struct load *load, const struct wire_reply *reply, const struct wire_negotiation *answer)
{
	struct traffic *traffic;

	if (load->ntraffics > 0 && load->negotiated.size == reply->size &&
	    memcmp(load->negotiated.bytes, reply->data, reply->size) == 0)
		return load->traffics[load->ntraffics - 1];
	traffic = traffic_build(&load->options->shape, answer);
	load->traffics = realloc(load->traffics, (load->ntraffics + 1) * sizeof(*load->traffics));
	if (load->traffics == NULL)
		err(EX_OSERR, "%zu kinds of traffic", load->ntraffics + 1);
	load->traffics[load->ntraffics++] = traffic;
	load->negotiated.size = 0;
	wire_add_bytes(&load->negotiated, reply->data, reply->size);
	return traffic;
}

static void take_negotiation(struct load *load, struct session *s, const struct wire_reply *reply)
{
	struct wire_negotiation answer;

	if (wire_negotiation(reply, &answer) != 0 || !traffic_acceptable(&answer)) {
		fail(load, s, REPORT_MALFORMED, "the answer to the offer is not acceptable");
		return;
	}
	s->traffic = traffic_for(load, reply, &answer);
	session_enter(load, s, s->traffic->head.first);
}

static bool is_change(char code)
{
	static const char changes[] = {SMFIR_ADDRCPT, SMFIR_DELRCPT, SMFIR_ADDRCPT_PAR,
	    SMFIR_REPLBODY, SMFIR_CHGFROM, SMFIR_ADDHEADER, SMFIR_INSHEADER, SMFIR_CHGHEADER,
	    SMFIR_QUARANTINE};

	return memchr(changes, code, sizeof(changes)) != NULL;
}

/* A reply code of 421 or 521 makes the MTA close the SMTP session after it. */
static bool ends_session(const struct wire_reply *reply)
{
	return reply->code == SMFIR_SHUTDOWN || reply->code == SMFIR_CONN_FAIL ||
	       (reply->code == SMFIR_REPLYCODE && reply->size >= 3 &&
		   (memcmp(reply->data, "421", 3) == 0 || memcmp(reply->data, "521", 3) == 0));
}

/* Any verdict but "continue", as Postfix acts on it. */
static void take_verdict(struct load *load, struct session *s, const struct wire_reply *reply)
{
	char command = s->traffic->steps[s->step].command;
	bool last_recipient = s->traffic->steps[s->step + 1].command != SMFIC_RCPT;

	if (command == SMFIC_CONNECT || command == SMFIC_HELO) {
		report_error(load->report, REPORT_VERDICT, "a session met \"%s\"",
		    report_verdict_name(reply->code));
		end_session(load, s);
		return;
	}
	if (ends_session(reply)) {
		s->messages_left = 1;
	} else if (command == SMFIC_RCPT && reply->code != SMFIR_ACCEPT &&
		   reply->code != SMFIR_DISCARD) {
		s->recipients_refused++;
		if (!last_recipient || s->recipients_refused < load->options->shape.recipients) {
			next_step(load, s);
			return;
		}
	}
	end_message(load, s, reply->code);
}

static void take_reply(struct load *load, struct session *s, const struct wire_reply *reply)
{
	char command = s->traffic->steps[s->step].command;

	if (reply->code == SMFIR_PROGRESS)
		return;
	if (command == SMFIC_BODYEOB && is_change(reply->code)) {
		if (load->measuring)
			load->report->changes++;
		return;
	}
	count_reply(load, s, reply->code);
	if (reply->code == SMFIR_CONTINUE && command == SMFIC_BODYEOB) {
		end_message(load, s, reply->code);
	} else if (reply->code == SMFIR_CONTINUE) {
		next_step(load, s);
	} else if (reply->code == SMFIR_SKIP && command == SMFIC_BODY) {
		while (s->traffic->steps[s->step + 1].command == SMFIC_BODY)
			s->step++;
		next_step(load, s);
	} else if (report_verdict_name(reply->code) != NULL) {
		take_verdict(load, s, reply);
	} else {
		fail(load, s, REPORT_UNEXPECTED, "a reply that the event does not allow");
	}
}

/* Nothing is sent ahead of a reply, so no byte can follow it before the next event is out. */
static void check_alone(struct load *load, struct session *s, size_t done)
{
	if (s->state != SESSION_WAITING && s->state != SESSION_CLOSED && done < s->in.size)
		fail(load, s, REPORT_UNEXPECTED, "more than one reply to an event");
}

static void take_packets(struct load *load, struct session *s)
{
	struct wire_reply reply;
	size_t used, done = 0;
	enum wire_result result = WIRE_MORE;

	while (s->state != SESSION_CLOSED &&
	       (result = wire_next(s->in.bytes + done, s->in.size - done, &reply, &used)) ==
		   WIRE_REPLY) {
		done += used;
		if (s->state == SESSION_NEGOTIATING)
			take_negotiation(load, s, &reply);
		else if (s->state == SESSION_WAITING)
			take_reply(load, s, &reply);
		else
			fail(load, s, REPORT_UNEXPECTED, "a reply that nobody waits for");
		check_alone(load, s, done);
		session_run(load, s);
	}
	if (s->state == SESSION_CLOSED)
		return;
	if (result == WIRE_MALFORMED) {
		fail(load, s, REPORT_MALFORMED, "a packet of impossible length");
		return;
	}
	memmove(s->in.bytes, s->in.bytes + done, s->in.size - done);
	s->in.size -= done;
}

void session_readable(struct load *load, struct session *s)
{
	ssize_t n;

	wire_reserve(&s->in, READ_BYTES);
	n = recv(s->fd, s->in.bytes + s->in.size, READ_BYTES, 0);
	if (n > 0) {
		s->in.size += (size_t)n;
		take_packets(load, s);
	} else if (n == 0) {
		fail(load, s, REPORT_CLOSED, "the server closed the connection");
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		fail(load, s, REPORT_CLOSED, strerror(errno));
	}
}
