/* redis_address.c - see redis_address.h. */
#include "common/store/redis_address.h"

#include "common/clock.h"
#include "common/dns_host.h"
#include "common/limits.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
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

static socklen_t socket_address(
    const struct ip_address *a, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;

	*out = (struct sockaddr_storage){.ss_family = (sa_family_t)a->family};
	if (a->family == AF_INET6) {
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, a->bytes, sizeof v6->sin6_addr);
		return sizeof *v6;
	}
	v4->sin_port = htons(port);
	memcpy(&v4->sin_addr, a->bytes, sizeof v4->sin_addr);
	return sizeof *v4;
}

/* The servers of resolv.conf, and no breaker: whoever connects has one for the Redis server. The
 * file is named so that what scripts ask, and their breaker, is not remembered together. */
static const struct dns_options resolver = {.resolv_conf = "/etc/resolv.conf"};

int redis_address_connect(const char *host, uint16_t port, int64_t until, char *why, size_t size)
{
	struct ip_address found[LIMIT_REDIS_ADDRESSES];
	int64_t now = clock_ms();
	size_t n;
	enum dns_status status = dns_host_find(&resolver, host, found, LIMIT_REDIS_ADDRESSES, &n,
	    until > now ? (int)(until - now) : 0);
	int fd = -1;

	if (status != DNS_FOUND) {
		snprintf(why, size, "no address: %s",
		    status == DNS_ABSENT ? "no such host" : "the name servers do not answer");
		return -1;
	}
	for (size_t i = 0; i < n && fd < 0; i++) {
		struct sockaddr_storage sa;
		socklen_t len = socket_address(&found[i], port, &sa);

		/* An address that swallows packets leaves time for the next ones. */
		now = clock_ms();
		fd = connect_to(
		    (struct sockaddr *)&sa, len, now + (until - now) / (int64_t)(n - i), why, size);
	}
	return fd;
}
