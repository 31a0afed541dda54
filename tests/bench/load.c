/* load.c - see load.h. The phases of a run: idle sessions, warm-up, measurement, draining. */
#include "load.h"

#include "session.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define NS_PER_S 1000000000ll
#define REPLY_TIMEOUT_S 10 /* Postfix waits 30 s; a benchmark that waits so long is broken */
#define IDLE_SETUP_S 20	   /* for all silent sessions together */
#define DRAIN_S 2	   /* for the messages under way at the end */
#define EVENTS 256	   /* taken from epoll at once */
#define SPARE_FDS 32

struct run {
	struct load load;
	struct session *busy, *silent;
	unsigned nbusy, nsilent;   /* opened so far */
	int64_t pause_ns, scan_ns; /* scan_ns: next look for missing replies */
};

static int64_t to_ns(double seconds)
{
	return (int64_t)(seconds * (double)NS_PER_S);
}

int load_negotiate(const struct server_address *server, struct wire_buffer *packet,
    struct wire_negotiation *answer)
{
	int64_t deadline = session_clock_ns() + REPLY_TIMEOUT_S * NS_PER_S;
	struct wire_reply reply;
	struct wire_buffer offer = {0};
	struct pollfd readable = {.events = POLLIN};
	size_t used;
	ssize_t n;
	int rc = -1;

	readable.fd = server_address_connect(server, REPLY_TIMEOUT_S);
	if (readable.fd < 0) {
		warn("connect");
		return -1;
	}
	traffic_add_offer(&offer);
	if (send(readable.fd, offer.bytes, offer.size, MSG_NOSIGNAL) != (ssize_t)offer.size)
		goto out;
	while (session_clock_ns() < deadline) {
		if (poll(&readable, 1, 1000) != 1)
			continue;
		wire_reserve(packet, WIRE_MAX_REPLY);
		n = recv(readable.fd, packet->bytes + packet->size, WIRE_MAX_REPLY, 0);
		if (n <= 0)
			break;
		packet->size += (size_t)n;
		if (wire_next(packet->bytes, packet->size, &reply, &used) != WIRE_MORE) {
			rc = wire_negotiation(&reply, answer);
			break;
		}
	}
out:
	if (rc != 0)
		warnx("no acceptable answer to the offer");
	wire_free(&offer);
	close(readable.fd);
	return rc;
}

/* The server's answers decide when a session goes on; a missing one must not hold the run. */
static void find_timeouts(struct run *run, struct session *sessions, unsigned n, int64_t now)
{
	for (unsigned i = 0; i < n; i++) {
		struct session *s = &sessions[i];

		if ((s->state == SESSION_WAITING || s->state == SESSION_NEGOTIATING) &&
		    now - s->asked_ns > REPLY_TIMEOUT_S * NS_PER_S) {
			report_error(
			    run->load.report, REPORT_TIMEOUT, "no reply for %d s", REPLY_TIMEOUT_S);
			session_close(&run->load, s);
		}
	}
}

static void end_pauses(struct run *run)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&run->load.pausing)) != NULL &&
	       s->pause_start_ns + run->pause_ns <= session_clock_ns())
		session_pause_over(&run->load, s);
}

/* Waits until something happens, at most until deadline, and lets the sessions act on it. */
static void turn(struct run *run, int64_t deadline)
{
	struct epoll_event events[EVENTS];
	struct session *first = TAILQ_FIRST(&run->load.pausing);
	int64_t now = session_clock_ns(), until = deadline, wait;
	struct timespec timeout;
	int n;

	if (first != NULL && first->pause_start_ns + run->pause_ns < until)
		until = first->pause_start_ns + run->pause_ns;
	wait = until > now ? until - now : 0;
	timeout.tv_sec = wait / NS_PER_S;
	timeout.tv_nsec = wait % NS_PER_S;
	n = epoll_pwait2(run->load.epoll, events, EVENTS, &timeout, NULL);
	if (n < 0 && errno != EINTR)
		err(EX_OSERR, "epoll_pwait2");
	for (int i = 0; i < n; i++) {
		struct session *s = events[i].data.ptr;

		if ((events[i].events & EPOLLOUT) != 0 && s->state != SESSION_CLOSED)
			session_writable(&run->load, s);
		if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0 && s->state != SESSION_CLOSED)
			session_readable(&run->load, s);
	}
	end_pauses(run);
	if (now >= run->scan_ns) {
		run->scan_ns = now + NS_PER_S;
		find_timeouts(run, run->busy, run->nbusy, now);
		find_timeouts(run, run->silent, run->nsilent, now);
	}
}

/* Fills the places of sessions that have ended. */
static int reopen(struct run *run)
{
	const struct load_options *options = run->load.options;

	for (unsigned i = 0; i < options->concurrency; i++) {
		if (run->busy[i].state == SESSION_CLOSED &&
		    session_open(&run->load, &run->busy[i]) != 0)
			return -1;
		if (run->nbusy <= i)
			run->nbusy = i + 1;
	}
	return 0;
}

static int run_for(struct run *run, int64_t ns)
{
	int64_t end = session_clock_ns() + ns;

	while (session_clock_ns() < end) {
		if (reopen(run) != 0)
			return -1;
		turn(run, end);
	}
	return 0;
}

static unsigned in_state(const struct session *sessions, unsigned n, enum session_state state)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += sessions[i].state == state;
	return count;
}

static int open_silent(struct run *run)
{
	int64_t deadline = session_clock_ns() + IDLE_SETUP_S * NS_PER_S;
	unsigned wanted = run->load.options->idle;

	while (run->nsilent < wanted) {
		struct session *s = &run->silent[run->nsilent++];

		s->idle = true;
		if (session_open(&run->load, s) != 0)
			return -1;
		turn(run, session_clock_ns()); /* so that answers are read as they come */
	}
	while (in_state(run->silent, wanted, SESSION_HELD) < wanted) {
		if (session_clock_ns() >= deadline ||
		    in_state(run->silent, wanted, SESSION_CLOSED) > 0) {
			warnx("%u of %u silent sessions could be opened",
			    in_state(run->silent, wanted, SESSION_HELD), wanted);
			return -1;
		}
		turn(run, deadline);
	}
	return 0;
}

/* Lets the messages under way end; what is unanswered by then is an error of the server. */
static void drain(struct run *run)
{
	int64_t deadline = session_clock_ns() + DRAIN_S * NS_PER_S;

	run->load.stopping = true;
	for (unsigned i = 0; i < run->nsilent; i++)
		if (run->silent[i].state == SESSION_HELD)
			session_release(&run->load, &run->silent[i]);
	while (in_state(run->busy, run->nbusy, SESSION_CLOSED) < run->nbusy &&
	       session_clock_ns() < deadline)
		turn(run, deadline);
	for (unsigned i = 0; i < run->nbusy; i++)
		if (run->busy[i].state == SESSION_WAITING)
			report_error(run->load.report, REPORT_TIMEOUT,
			    "no reply for %d s at the end", DRAIN_S);
}

static int run_phases(struct run *run)
{
	const struct load_options *options = run->load.options;
	struct report *report = run->load.report;

	if (open_silent(run) != 0 || run_for(run, to_ns(options->warmup_seconds)) != 0)
		return -1;
	report_start(report, session_clock_ns(), options->pid);
	if (report->server_gone) {
		warnx("there is no process %ld", (long)options->pid);
		return -1;
	}
	run->load.measuring = true;
	if (run_for(run, to_ns(options->seconds)) != 0)
		return -1;
	run->load.measuring = false;
	report_stop(report, session_clock_ns());
	drain(run);
	return 0;
}

static struct session *allocate(unsigned n)
{
	struct session *sessions = calloc(n > 0 ? n : 1, sizeof(*sessions));

	if (sessions == NULL)
		err(EX_OSERR, "%u sessions", n);
	return sessions;
}

static void release(struct run *run, struct session *sessions, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		session_close(&run->load, &sessions[i]);
		wire_free(&sessions[i].in);
	}
	free(sessions);
}

static void raise_fd_limit(rlim_t needed)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		err(EX_OSERR, "getrlimit");
	if (limit.rlim_cur >= needed)
		return;
	limit.rlim_cur = needed;
	if (limit.rlim_max < needed)
		limit.rlim_max = needed;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		err(EX_NOPERM, "%ju open files are needed", (uintmax_t)needed);
}

int load_run(const struct load_options *options, struct report *report)
{
	struct run run = {.load = {.options = options, .report = report}};
	int rc;

	raise_fd_limit((rlim_t)options->concurrency + options->idle + SPARE_FDS);
	TAILQ_INIT(&run.load.pausing);
	run.pause_ns = to_ns(options->pause_ms / 1000);
	run.busy = allocate(options->concurrency);
	run.silent = allocate(options->idle);
	run.load.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (run.load.epoll < 0)
		err(EX_OSERR, "epoll_create1");

	rc = run_phases(&run);

	release(&run, run.busy, run.nbusy);
	release(&run, run.silent, run.nsilent);
	for (size_t i = 0; i < run.load.ntraffics; i++)
		traffic_free(run.load.traffics[i]);
	free(run.load.traffics);
	wire_free(&run.load.negotiated);
	close(run.load.epoll);
	return rc;
}
