/* whois.c - see whois.h. */
#include "common/whois.h"

#include "common/clock.h"
#include "common/dns_host.h"
#include "common/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 43
#define READ_BYTES 8192

struct talk {
	int fd;
	int64_t deadline;
	char *why;
	size_t size;
};

static bool failed(struct talk *t, const char *what)
{
	snprintf(t->why, t->size, "%s", what);
	return false;
}

/* Wait until the socket is ready; false when the time is over. */
static bool ready(struct talk *t, short events, int64_t deadline)
{
	struct pollfd p = {.fd = t->fd, .events = events};
	int64_t left;

	while ((left = deadline - clock_ms()) > 0) {
		int n = poll(&p, 1, (int)left);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			break;
	}
	return failed(t, "no answer in time");
}

/* ---- connection ---- */

static socklen_t to_sockaddr(const struct ip_address *a, struct sockaddr_storage *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};

	if (a->family == AF_INET) {
		memcpy(&in.sin_addr, a->bytes, sizeof in.sin_addr);
		memcpy(out, &in, sizeof in);
		return sizeof in;
	}
	memcpy(&in6.sin6_addr, a->bytes, sizeof in6.sin6_addr);
	memcpy(out, &in6, sizeof in6);
	return sizeof in6;
}

static bool finish_connect(struct talk *t, int64_t deadline)
{
	int error = 0;
	socklen_t n = sizeof error;

	if (!ready(t, POLLOUT, deadline))
		return false;
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	return error == 0 || failed(t, strerrordesc_np(error));
}

static bool connect_one(struct talk *t, const struct ip_address *address, int64_t deadline)
{
	struct sockaddr_storage to;
	socklen_t n = to_sockaddr(address, &to);

	t->fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return failed(t, strerrordesc_np(errno));
	if (connect(t->fd, (struct sockaddr *)&to, n) == 0)
		return true;
	if (errno == EINPROGRESS ? finish_connect(t, deadline) : failed(t, strerrordesc_np(errno)))
		return true;
	close(t->fd);
	t->fd = -1;
	return false;
}

/* Each address may take its share of the time that is left. */
static bool connect_any(struct talk *t, const struct ip_address *addresses, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t now = clock_ms(), share = (t->deadline - now) / (int64_t)(n - i);

		if (connect_one(t, &addresses[i], now + share))
			return true;
	}
	return false;
}

/* Those that may be asked come to the front; returns their number. */
static size_t keep_allowed(
    struct ip_address *addresses, size_t n, const struct whois_options *options)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (options->allowed == NULL || options->allowed(&addresses[i]))
			addresses[kept++] = addresses[i];
	return kept;
}

static bool connect_to(struct talk *t, const struct whois_options *options, const char *server)
{
	struct ip_address addresses[LIMIT_WHOIS_ADDRESSES];
	int64_t left = t->deadline - clock_ms();
	size_t n = 0;
	enum dns_status status = dns_host_find(
	    options->dns, server, addresses, LIMIT_WHOIS_ADDRESSES, &n, left > 0 ? (int)left : 0);

	if (status == DNS_ABSENT)
		return failed(t, "no such host");
	if (status == DNS_UNKNOWN)
		return failed(t, "the name servers do not answer");
	n = keep_allowed(addresses, n, options);
	if (n == 0)
		return failed(
		    t, "not an address on the internet; http.allow_private would allow it");
	return connect_any(t, addresses, n);
}

/* ---- dialogue ---- */

static bool send_line(struct talk *t, const char *query)
{
	char line[LIMIT_WHOIS_QUERY_BYTES + 3];
	size_t n = (size_t)snprintf(line, sizeof line, "%s\r\n", query), at = 0;

	while (at < n) {
		ssize_t sent;

		if (!ready(t, POLLOUT, t->deadline))
			return false;
		sent = send(t->fd, line + at, n - at, MSG_NOSIGNAL);
		if (sent > 0)
			at += (size_t)sent;
		else if (errno != EAGAIN && errno != EINTR)
			return failed(t, strerrordesc_np(errno));
	}
	return true;
}

/* What comes until the server closes; on failure too, *text must be freed. */
static bool read_all(struct talk *t, char **text, size_t *n)
{
	size_t room = 0;

	for (;;) {
		ssize_t got;

		if (room - *n < 2) {
			char *longer = realloc(*text, room + READ_BYTES);

			if (longer == NULL)
				return failed(t, "out of memory");
			*text = longer;
			room += READ_BYTES;
		}
		if (!ready(t, POLLIN, t->deadline))
			return false;
		got = recv(t->fd, *text + *n, room - *n - 1, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < 0)
			return failed(t, strerrordesc_np(errno));
		*n += (size_t)got;
		(*text)[*n] = '\0';
		if (got == 0)
			return true;
		if (*n > LIMIT_WHOIS_BYTES)
			return failed(t, "the answer is too long");
	}
}

static bool query_fine(const char *query)
{
	size_t n = strlen(query);

	return n > 0 && n <= LIMIT_WHOIS_QUERY_BYTES && query[strcspn(query, "\r\n")] == '\0';
}

bool whois_ask(const struct whois_options *options, const char *server, const char *query,
    char **text, size_t *n, int ms, char *why, size_t size)
{
	struct talk t = {.fd = -1, .deadline = clock_ms() + ms, .why = why, .size = size};
	bool fine;

	*text = NULL;
	*n = 0;
	if (!query_fine(query))
		return failed(&t, "the query must be one line that is not empty");
	fine = connect_to(&t, options, server) && send_line(&t, query) && read_all(&t, text, n);
	if (t.fd >= 0)
		close(t.fd);
	if (!fine) {
		free(*text);
		*text = NULL;
	}
	return fine;
}
