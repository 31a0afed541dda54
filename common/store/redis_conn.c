/* redis_conn.c - see redis_conn.h.
 *
 * The socket and the TLS session are ours, because the hiredis of Debian 12 (0.14.1) has no TLS and
 * later ones do not verify the host name by themselves; hiredis encodes and decodes. */
#include "common/store/redis_conn.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/store/redis_address.h"
#include "common/store/redis_tls.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct redis_conn {
	int fd;
	struct redis_tls_session *tls;
	bool used;
	redisReader *reader;
#if HIREDIS_MAJOR < 1
	redisReplyObjectFunctions functions; /* hiredis's, with our bound on arrays */
	void *(*create_array)(const redisReadTask *, int);
#endif
};

void redis_failure_set(struct redis_failure *f, enum redis_fault fault, const char *fmt, ...)
{
	va_list ap;

	f->fault = fault;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
}

/* ---- the reader ---- */

/* hiredis believes a count before its elements came: "*2000000000" alone would ask for 16 GiB. */
#if HIREDIS_MAJOR < 1
static void *create_bounded_array(const redisReadTask *task, int elements)
{
	const struct redis_conn *c = task->privdata;

	if (elements > LIMIT_REDIS_REPLY_ELEMENTS)
		return NULL;
	return c->create_array(task, elements);
}

static void bound_arrays(struct redis_conn *c)
{
	c->functions = *c->reader->fn;
	c->create_array = c->functions.createArray;
	c->functions.createArray = create_bounded_array;
	c->reader->fn = &c->functions;
	c->reader->privdata = c;
}
#else
static void bound_arrays(struct redis_conn *c)
{
	c->reader->maxelements = LIMIT_REDIS_REPLY_ELEMENTS;
}
#endif

static struct redis_conn *conn_new(int fd)
{
	struct redis_conn *c = xcalloc(1, sizeof *c);

	c->fd = fd;
	c->reader = redisReaderCreate();
	if (c->reader == NULL) {
		redis_conn_close(c);
		return NULL;
	}
	bound_arrays(c);
	return c;
}

struct redis_conn *redis_conn_adopt(int fd)
{
	return conn_new(fd);
}

void redis_conn_close(struct redis_conn *c)
{
	if (c == NULL)
		return;
	redis_tls_end(c->tls);
	if (c->reader != NULL)
		redisReaderFree(c->reader);
	close(c->fd);
	free(c);
}

/* ---- bytes ---- */

/* One attempt to read or write, waiting until it can be made. > 0 bytes; else the failure is set.
 */
static ssize_t transfer(struct redis_conn *c, char *in, const char *out, size_t n, int64_t until,
    struct redis_failure *f)
{
	for (;;) {
		short want = 0;
		ssize_t rc;

		if (c->tls != NULL && in != NULL)
			rc = redis_tls_read(c->tls, in, n, &want, f->text, sizeof f->text);
		else if (c->tls != NULL)
			rc = redis_tls_write(c->tls, out, n, &want, f->text, sizeof f->text);
		else if (in != NULL)
			rc = recv(c->fd, in, n, 0);
		else
			rc = send(c->fd, out, n, MSG_NOSIGNAL);
		if (rc > 0)
			return rc;
		if (rc < 0 && c->tls == NULL && errno == EINTR)
			continue;
		if (rc < 0 && c->tls == NULL && (errno == EAGAIN || errno == EWOULDBLOCK))
			want = in != NULL ? POLLIN : POLLOUT;
		if (want == 0) {
			if (rc == 0)
				redis_failure_set(f, REDIS_FAULT_CLOSED, "the server closed");
			else if (c->tls == NULL)
				redis_failure_set(f, REDIS_FAULT_CLOSED, "%s", strerror(errno));
			f->fault = REDIS_FAULT_CLOSED;
			return -1;
		}
		if (!redis_address_wait(c->fd, want, until)) {
			redis_failure_set(f, REDIS_FAULT_TIMEOUT, "no answer within the deadline");
			return -1;
		}
	}
}

static int send_command(struct redis_conn *c, const struct redis_command *command, int64_t until,
    struct redis_failure *f)
{
	size_t n, sent = 0;
	char *bytes = redis_command_encode(command, &n);

	if (bytes == NULL) {
		redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "no memory for the command");
		return -1;
	}
	while (sent < n) {
		ssize_t rc = transfer(c, NULL, bytes + sent, n - sent, until, f);

		if (rc < 0)
			break;
		sent += (size_t)rc;
	}
	free(bytes);
	return sent == n ? 0 : -1;
}

static redisReply *read_reply(struct redis_conn *c, int64_t until, struct redis_failure *f)
{
	char buf[65536];
	size_t total = 0;
	void *reply = NULL;

	for (;;) {
		ssize_t n = transfer(c, buf, NULL, sizeof buf, until, f);

		if (n < 0)
			return NULL;
		if (clock_ms() >= until) { /* a server that talks without end never lets us wait */
			redis_failure_set(f, REDIS_FAULT_TIMEOUT, "no end of the reply in time");
			return NULL;
		}
		total += (size_t)n;
		if (total > LIMIT_REDIS_REPLY_BYTES) {
			redis_failure_set(f, REDIS_FAULT_PROTOCOL, "reply above %u bytes",
			    LIMIT_REDIS_REPLY_BYTES);
			return NULL;
		}
		if (redisReaderFeed(c->reader, buf, (size_t)n) != REDIS_OK ||
		    redisReaderGetReply(c->reader, &reply) != REDIS_OK) {
			redis_failure_set(
			    f, REDIS_FAULT_PROTOCOL, "reply not understood: %s", c->reader->errstr);
			return NULL;
		}
		if (reply != NULL)
			return reply;
	}
}

struct redisReply *redis_conn_call(struct redis_conn *c, const struct redis_command *command,
    int64_t until, struct redis_failure *f)
{
	redisReply *reply;

	c->used = true;
	if (send_command(c, command, until, f) < 0)
		return NULL;
	reply = read_reply(c, until, f);
	if (reply != NULL && c->reader->pos < c->reader->len) {
		redis_failure_set(f, REDIS_FAULT_PROTOCOL, "more came than one reply");
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}

bool redis_conn_quiet(struct redis_conn *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLRDHUP};

	if (!c->used)
		return true;
	return poll(&p, 1, 0) == 0 && (c->tls == NULL || !redis_tls_pending(c->tls));
}

/* ---- opening ---- */

static int start_tls(struct redis_conn *c, const struct redis_login *login, const char *host,
    int64_t until, struct redis_failure *f)
{
	const char *name = login->tls_name != NULL ? login->tls_name : host;

	f->fault = REDIS_FAULT_UNREACHABLE;
	c->tls = redis_tls_start(login->tls, c->fd, name, f->text, sizeof f->text);
	if (c->tls == NULL)
		return -1;
	for (;;) {
		short want = 0;

		if (redis_tls_handshake(c->tls, &want, f->text, sizeof f->text) == 1)
			return 0;
		if (want == 0)
			return -1;
		if (!redis_address_wait(c->fd, want, until)) {
			redis_failure_set(f, REDIS_FAULT_TIMEOUT, "TLS: no handshake in time");
			return -1;
		}
	}
}

/* A command of the log-in. Its error is a failure to open. */
static redisReply *log_in_with(
    struct redis_conn *c, const char *const *words, int64_t until, struct redis_failure *f)
{
	struct redis_command command = {0};
	redisReply *reply;

	for (size_t i = 0; words[i] != NULL; i++)
		redis_command_text(&command, words[i]);
	reply = redis_conn_call(c, &command, until, f);
	redis_command_clear(&command);
	if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
		redis_failure_set(
		    f, REDIS_FAULT_UNREACHABLE, "%s refused: %.100s", words[0], reply->str);
		freeReplyObject(reply);
		return NULL;
	}
	return reply;
}

static bool is_master(const redisReply *role)
{
	return role->type == REDIS_REPLY_ARRAY && role->elements > 0 &&
	       role->element[0]->type == REDIS_REPLY_STRING &&
	       strcmp(role->element[0]->str, "master") == 0;
}

static int log_in(
    struct redis_conn *c, const struct redis_login *login, int64_t until, struct redis_failure *f)
{
	char db[12];
	const char *const auth[] = {"AUTH", login->user != NULL ? login->user : login->password,
	    login->user != NULL ? login->password : NULL, NULL};
	const char *const select[] = {"SELECT", db, NULL}, *const role[] = {"ROLE", NULL};
	redisReply *reply;
	bool master;

	snprintf(db, sizeof db, "%u", login->db);
	if (login->password != NULL) {
		reply = log_in_with(c, auth, until, f);
		if (reply == NULL)
			return -1;
		freeReplyObject(reply);
	}
	if (login->db != 0) {
		reply = log_in_with(c, select, until, f);
		if (reply == NULL)
			return -1;
		freeReplyObject(reply);
	}
	if (!login->master)
		return 0;
	reply = log_in_with(c, role, until, f);
	if (reply == NULL)
		return -1;
	master = is_master(reply);
	freeReplyObject(reply);
	if (!master)
		redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "not a master now");
	return master ? 0 : -1;
}

struct redis_conn *redis_conn_open(const char *host, uint16_t port, const char *socket,
    const struct redis_login *login, int64_t until, struct redis_failure *f)
{
	struct redis_conn *c = NULL;
	int fd;

	f->fault = REDIS_FAULT_UNREACHABLE;
	if (host != NULL)
		fd = redis_address_connect(host, port, until, f->text, sizeof f->text);
	else
		fd = redis_address_connect_unix(socket, until, f->text, sizeof f->text);
	if (fd < 0) {
		if (clock_ms() >= until)
			f->fault = REDIS_FAULT_TIMEOUT;
		return NULL;
	}
	c = conn_new(fd);
	if (c == NULL) {
		redis_failure_set(f, REDIS_FAULT_UNREACHABLE, "no memory for a reader");
		return NULL;
	}
	if ((login->tls == NULL || start_tls(c, login, host, until, f) == 0) &&
	    log_in(c, login, until, f) == 0)
		return c;
	redis_conn_close(c);
	return NULL;
}
