/* redis_address.c - see redis_address.h.
 *
 * getaddrinfo(3) cannot be given a deadline; c-ares can. */
#include "common/store/redis_address.h"

#include "common/clock.h"

#include <ares.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int redis_address_wait(int fd, short events, int64_t until)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int64_t left = until - clock_ms();
		int rc;

		if (left < 0)
			left = 0;
		rc = poll(&p, 1, left < 60000 ? (int)left : 60000);
		if (rc > 0)
			return 1;
		if (rc == 0 && left < 60000)
			return 0;
	}
}

/* ---- connecting ---- */

static int connect_to(
    const struct sockaddr *sa, socklen_t len, int64_t until, char *why, size_t size)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = 0, one = 1;
	socklen_t n = sizeof error;

	if (fd < 0) {
		snprintf(why, size, "%s", strerror(errno));
		return -1;
	}
	if (connect(fd, sa, len) < 0) {
		if (errno != EINPROGRESS && errno != EAGAIN)
			error = errno;
		else if (!redis_address_wait(fd, POLLOUT, until))
			error = ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
			error = errno;
	}
	if (error != 0) {
		snprintf(why, size, "%s", strerror(error));
		close(fd);
		return -1;
	}
	if (sa->sa_family != AF_UNIX) { /* neither is needed to work, so failures do not matter */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	}
	return fd;
}

int redis_address_connect_unix(const char *path, int64_t until, char *why, size_t size)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof un.sun_path) {
		snprintf(why, size, "path is longer than %zu bytes", sizeof un.sun_path - 1);
		return -1;
	}
	memcpy(un.sun_path, path, strlen(path));
	return connect_to((struct sockaddr *)&un, sizeof un, until, why, size);
}

/* ---- looking up ---- */

struct lookup {
	bool done;
	int status;
	struct ares_addrinfo *found;
};

static void on_found(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
	struct lookup *l = arg;

	(void)timeouts;
	l->done = true;
	l->status = status;
	l->found = found;
}

/* One round of waiting for the resolver's sockets and timers. */
static void attend(ares_channel channel, int64_t until)
{
	ares_socket_t fds[ARES_GETSOCK_MAXNUM];
	struct pollfd p[ARES_GETSOCK_MAXNUM];
	int64_t left = until - clock_ms();
	struct timeval most = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000}, next;
	int mask = ares_getsock(channel, fds, ARES_GETSOCK_MAXNUM);
	const struct timeval *wait;
	nfds_t n = 0;

	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) { /* c-ares's macros shift into the sign */
		unsigned readable = (unsigned)mask >> i & 1;
		unsigned writable = (unsigned)mask >> (i + ARES_GETSOCK_MAXNUM) & 1;

		if (readable || writable)
			p[n++] = (struct pollfd){
			    .fd = fds[i],
			    .events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)),
			};
	}
	wait = ares_timeout(channel, &most, &next);
	if (poll(p, n, (int)(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1)) <= 0)
		n = 0;
	for (nfds_t i = 0; i < n; i++)
		ares_process_fd(channel, p[i].revents & POLLIN ? p[i].fd : ARES_SOCKET_BAD,
		    p[i].revents & (POLLOUT | POLLERR | POLLHUP) ? p[i].fd : ARES_SOCKET_BAD);
	ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* timers */
}

static pthread_once_t library = PTHREAD_ONCE_INIT;

static void start_library(void)
{
	ares_library_init(ARES_LIB_INIT_ALL);
}

/* The addresses, to be freed with ares_freeaddrinfo(); NULL with why set. */
static struct ares_addrinfo *look_up(const char *host, int64_t until, char *why, size_t size)
{
	const struct ares_addrinfo_hints hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};
	struct lookup l = {.status = ARES_ETIMEOUT};
	ares_channel channel;

	pthread_once(&library, start_library);
	if (ares_init(&channel) != ARES_SUCCESS) {
		snprintf(why, size, "the resolver does not start");
		return NULL;
	}
	ares_getaddrinfo(channel, host, NULL, &hints, on_found, &l);
	while (!l.done && clock_ms() < until)
		attend(channel, until);
	ares_destroy(channel); /* calls on_found() if it was not called yet */
	if (l.status == ARES_SUCCESS && l.found != NULL && l.found->nodes != NULL)
		return l.found;
	if (l.found != NULL)
		ares_freeaddrinfo(l.found);
	snprintf(why, size, "name not found: %s",
	    l.status == ARES_EDESTRUCTION ? "timeout" : ares_strerror(l.status));
	return NULL;
}

static void set_port(struct sockaddr *sa, uint16_t port)
{
	if (sa->sa_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
}

int redis_address_connect(const char *host, uint16_t port, int64_t until, char *why, size_t size)
{
	struct ares_addrinfo *found = look_up(host, until, why, size);
	int fd = -1, left = 0;

	if (found == NULL)
		return -1;
	for (struct ares_addrinfo_node *a = found->nodes; a != NULL; a = a->ai_next)
		left++;
	for (struct ares_addrinfo_node *a = found->nodes; a != NULL && fd < 0; a = a->ai_next) {
		int64_t now = clock_ms();

		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		/* An address that swallows packets leaves time for the next ones. */
		set_port(a->ai_addr, port);
		fd = connect_to(a->ai_addr, a->ai_addrlen, now + (until - now) / left--, why, size);
	}
	ares_freeaddrinfo(found);
	return fd;
}
