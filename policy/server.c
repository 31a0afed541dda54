/* server.c - see server.h. */
#include "policy/server.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"
#include "lua-bindings/script_set.h"
#include "policy/request.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define INPUT_BYTES 16384   /* kept of what a client sends while it waits for an answer */
#define ACCEPT_PAUSE_MS 100 /* when the process has run out of descriptors */
#define COMPLAIN_MS 1000    /* broken requests are logged at most that often */
#define DRAIN_GRACE_MS 200  /* to take requests that are on their way */
#define DRAIN_SLACK_MS 2000 /* for answers on their way, after the deadline of the last request */

TAILQ_HEAD(connection_list, connection);

struct connection {
	struct server *server;
	const struct listening *from;
	struct bufferevent *bev;
	struct event *timer;
	struct request_reader reader;
	struct request *request; /* in progress */
	bool began;		 /* a part of a request was read, the timer runs */
	bool eof, closing;	 /* the client sends no more; we send no more */
	bool submitting;
	struct log_id id;
	struct peer peer;
	TAILQ_ENTRY(connection) entry;
};

struct server {
	struct event_base *base;
	struct dispatch *dispatch;
	struct listening_sockets *sockets;
	struct evconnlistener **listeners;
	struct event *resume, *drain;
	struct connection_list waiting; /* for a request, the longest first */
	struct connection_list busy;
	int nconnections, most;
	int drain_ms; /* at most, after the grace */
	unsigned long long accepted;
	unsigned unsaid; /* complaints since the last one that was logged */
	int64_t complained_ms;
	bool draining, graceful; /* graceful: requests are still taken */
};

static void close_connection(struct connection *);

/* ---- what goes wrong with a client ---- */

static void complain(struct connection *c, const char *what)
{
	struct server *s = c->server;
	int64_t now = clock_ms();

	if (s->complained_ms != 0 && now - s->complained_ms < COMPLAIN_MS) {
		s->unsaid++;
		return;
	}
	log_warn(&c->id, "client of %s sent away: %s%s", c->from->address, what,
	    s->unsaid > 0 ? " (and others before)" : "");
	s->complained_ms = now;
	s->unsaid = 0;
}

/* ---- time ---- */

static void set_timer(struct connection *c, int seconds)
{
	struct timeval tv = {.tv_sec = seconds};

	if (event_add(c->timer, &tv) != 0)
		log_bug(&c->id, "a timer cannot be set");
}

static int idle_seconds(void)
{
	struct script_set *set = script_set_current();
	int seconds = script_set_config(set)->policy.idle_seconds;

	script_set_unref(set);
	return seconds;
}

/* The time for one request runs from its first byte; further bytes do not prolong it. */
static void watch_request(struct connection *c)
{
	if (c->request != NULL) {
		event_del(c->timer); /* it has a deadline */
		c->began = false;
	} else if (request_reader_idle(&c->reader, c->from->service)) {
		c->began = false;
		set_timer(c, idle_seconds());
	} else if (!c->began) {
		c->began = true;
		set_timer(c, LIMIT_POLICY_REQUEST_SECONDS);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd, (void)what;
	if (c->began)
		complain(c, "no complete request in time");
	close_connection(c);
}

/* ---- the end of a connection ---- */

static void check_drained(struct server *s)
{
	if (s->draining && !s->graceful && s->nconnections == 0)
		event_base_loopbreak(s->base);
}

static void close_connection(struct connection *c)
{
	struct server *s = c->server;

	TAILQ_REMOVE(c->request != NULL ? &s->busy : &s->waiting, c, entry);
	if (c->request != NULL)
		request_forget(c->request);
	request_reader_clear(&c->reader, c->from->service);
	event_free(c->timer);
	bufferevent_free(c->bev);
	s->nconnections--;
	free(c);
	check_drained(s);
}

/* Nothing more will be sent; what has been written goes out first. */
static void finish_connection(struct connection *c)
{
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0) {
		close_connection(c);
		return;
	}
	c->closing = true;
	bufferevent_disable(c->bev, EV_READ);
	set_timer(c, LIMIT_POLICY_REQUEST_SECONDS);
}

/* ---- requests ---- */

static void on_answer(void *arg, const char *reply, size_t n);

static void submit(struct connection *c)
{
	struct server *s = c->server;

	TAILQ_REMOVE(&s->waiting, c, entry);
	TAILQ_INSERT_TAIL(&s->busy, c, entry);
	c->request = request_new(
	    &c->reader, c->from->service, c->from->address, &c->id, &c->peer, on_answer, c);
	watch_request(c);
	c->submitting = true;
	dispatch_submit(s->dispatch, request_task(c->request));
	c->submitting = false;
}

/* Feed the reader from the buffer; false: the connection is gone. */
static bool take_input(struct connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t n = evbuffer_get_contiguous_space(in), rest = n;
	const char *p = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
	enum codec got = request_reader_feed(&c->reader, c->from->service, &p, &rest);

	evbuffer_drain(in, n - rest);
	if (got == CODEC_BROKEN) {
		complain(c, request_reader_why(&c->reader, c->from->service));
		close_connection(c);
		return false;
	}
	if (got == CODEC_MESSAGE)
		submit(c);
	return true;
}

/* As far as there is input, and no request in progress or answer on its way. */
static void go_on(struct connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev), *out = bufferevent_get_output(c->bev);

	while (c->request == NULL && evbuffer_get_length(out) == 0 && evbuffer_get_length(in) > 0)
		if (!take_input(c))
			return;
	if (c->request != NULL)
		return;
	if ((c->eof && evbuffer_get_length(in) == 0) ||
	    (c->server->draining && !c->server->graceful))
		finish_connection(c);
	else
		watch_request(c);
}

/* The answer, whoever gave it: a worker, or the deadline. */
static void on_answer(void *arg, const char *reply, size_t n)
{
	struct connection *c = arg;

	TAILQ_REMOVE(&c->server->busy, c, entry);
	TAILQ_INSERT_TAIL(&c->server->waiting, c, entry);
	c->request = NULL;
	bufferevent_write(c->bev, reply, n);
	if (!c->submitting) /* else go_on() is running */
		go_on(c);
}

/* ---- events ---- */

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	go_on(arg);
}

/* Everything was written. */
static void on_write(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;

	(void)bev;
	if (c->closing)
		close_connection(c);
	else
		go_on(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct connection *c = arg;

	(void)bev;
	if ((what & BEV_EVENT_EOF) == 0) { /* an error, or the client does not take its answer */
		close_connection(c);
		return;
	}
	c->eof = true;
	if (!request_reader_idle(&c->reader, c->from->service))
		complain(c, "closed in the middle of a request");
	go_on(c);
}

static void evict(struct server *s)
{
	struct connection *oldest = TAILQ_FIRST(&s->waiting);

	if (oldest == NULL)
		return;
	complain(oldest, "too many clients, and it was idle for the longest time");
	close_connection(oldest);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
    int peer_n, void *arg)
{
	static const struct timeval patience = {LIMIT_POLICY_REQUEST_SECONDS, 0};
	struct server *s = arg;
	struct connection *c;

	(void)peer, (void)peer_n;
	if (s->nconnections >= s->most)
		evict(s);
	if (s->nconnections >= s->most) { /* all of them wait for an answer */
		close(fd);
		return;
	}
	c = xcalloc(1, sizeof *c);
	c->server = s;
	c->peer = peer_of_socket(fd);
	for (size_t i = 0; i < s->sockets->n; i++)
		if (s->listeners[i] == listener)
			c->from = &s->sockets->v[i];
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->timer = evtimer_new(s->base, on_timer, c);
	if (c->bev == NULL || c->timer == NULL)
		log_fatal(EXIT_FAILURE, "out of memory for a connection");
	s->nconnections++;
	TAILQ_INSERT_TAIL(&s->waiting, c, entry);
	snprintf(c->id.session, sizeof c->id.session, "p%llu", ++s->accepted);
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_BYTES);
	bufferevent_set_timeouts(c->bev, NULL, &patience);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	watch_request(c);
}

static void listeners_enable(struct server *s, bool on)
{
	for (size_t i = 0; i < s->sockets->n; i++)
		if (s->listeners[i] != NULL)
			on ? evconnlistener_enable(s->listeners[i])
			   : evconnlistener_disable(s->listeners[i]);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	listeners_enable(arg, true);
}

/* accept(2) failed: out of descriptors, as a rule. The clients wait in the backlog. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	static const struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000};
	struct server *s = arg;

	(void)listener;
	log_error(NULL, "clients cannot be accepted: %s; see policy.connections", strerror(errno));
	listeners_enable(s, false);
	evict(s);
	event_add(s->resume, &pause);
}

/* ---- start and end ---- */

static bool start_listening(struct server *s)
{
	s->listeners = xcalloc(s->sockets->n, sizeof(struct evconnlistener *));
	for (size_t i = 0; i < s->sockets->n; i++) {
		s->listeners[i] = evconnlistener_new(
		    s->base, on_accept, s, LEV_OPT_CLOSE_ON_EXEC, 0, s->sockets->v[i].fd);
		if (s->listeners[i] == NULL)
			return false;
		evconnlistener_set_error_cb(s->listeners[i], on_accept_error);
	}
	return true;
}

static void stop_listening(struct server *s)
{
	for (size_t i = 0; s->listeners != NULL && i < s->sockets->n; i++)
		if (s->listeners[i] != NULL) {
			evconnlistener_free(s->listeners[i]);
			s->listeners[i] = NULL;
		}
}

/* First the grace is over, then patience. */
static void on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct timeval tv = {.tv_sec = s->drain_ms / 1000, .tv_usec = s->drain_ms % 1000 * 1000};
	struct connection *c, *next;

	(void)fd, (void)what;
	if (!s->graceful) {
		log_warn(NULL, "%d clients did not take their answers", s->nconnections);
		event_base_loopbreak(s->base);
		return;
	}
	s->graceful = false;
	stop_listening(s);
	for (c = TAILQ_FIRST(&s->waiting); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		finish_connection(c);
	}
	event_add(s->drain, &tv);
	check_drained(s);
}

void server_drain(struct server *s)
{
	static const struct timeval grace = {0, DRAIN_GRACE_MS * 1000};

	if (s->draining)
		return;
	s->draining = s->graceful = true;
	listen_remove_files(s->sockets);
	event_add(s->drain, &grace);
}

struct server *server_new(struct event_base *base, struct dispatch *dispatch,
    struct listening_sockets *sockets, const struct config *cfg, char *error, size_t size)
{
	struct server *s = xcalloc(1, sizeof *s);

	s->base = base;
	s->dispatch = dispatch;
	s->sockets = sockets;
	s->most = cfg->policy.connections;
	s->drain_ms = cfg->policy.deadline_ms + DRAIN_SLACK_MS;
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->busy);
	s->resume = evtimer_new(base, on_resume, s);
	s->drain = evtimer_new(base, on_drain, s);
	if (s->resume == NULL || s->drain == NULL || !start_listening(s)) {
		snprintf(error, size, "cannot listen: %s", strerror(errno));
		server_free(s);
		return NULL;
	}
	return s;
}

void server_free(struct server *s)
{
	struct connection *c;

	if (s == NULL)
		return;
	stop_listening(s);
	while ((c = TAILQ_FIRST(&s->busy)) != NULL || (c = TAILQ_FIRST(&s->waiting)) != NULL)
		close_connection(c);
	if (s->resume != NULL)
		event_free(s->resume);
	if (s->drain != NULL)
		event_free(s->drain);
	free(s->listeners);
	free(s);
}
