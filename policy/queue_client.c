/* queue_client.c - see queue_client.h. */
#include "policy/queue_client.h"

#include "common/clock.h"
#include "common/list.h"
#include "policy/queue_command.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_BYTES \
	(64u << 20)   /* a message with very many recipients; longer lines are passed over */
#define SLACK_MS 5000 /* beyond the time that a command may take */
#define STEP_MS 200   /* between two questions whether the rest is wanted */

struct reader {
	char *bytes; /* of a line that has not ended yet */
	size_t n, cap;
	const struct queue_listener *listener;
	int patience_ms;
};

static void take(struct reader *r, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n') {
			if (r->n < LINE_BYTES)
				r->listener->line(
				    r->bytes != NULL ? r->bytes : "", r->n, r->listener->arg);
			r->n = 0;
			continue;
		}
		if (r->n == LINE_BYTES)
			continue;
		if (r->n == r->cap) {
			r->cap = r->cap != 0 ? 2 * r->cap : 1024;
			r->bytes = xrealloc(r->bytes, r->cap);
		}
		r->bytes[r->n++] = bytes[i];
	}
}

static int connect_to(const char *path)
{
	const struct timeval patience = {.tv_sec = (QUEUE_COMMAND_MS + SLACK_MS) / 1000};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

/* There is something to read. False with errno. */
static bool wait_for(int fd, const struct reader *r)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t end_ms = clock_ms() + r->patience_ms;
	int rc = 0;

	while (rc == 0 && clock_ms() < end_ms) {
		if (r->listener != NULL && r->listener->stopped(r->listener->arg)) {
			errno = ECANCELED;
			return false;
		}
		rc = poll(&p, 1, STEP_MS);
	}
	if (rc == 0)
		errno = ETIMEDOUT;
	return rc > 0;
}

/* Read to the last packet, which says how it went. */
static bool read_answer(int fd, struct reader *r, char *why, size_t size)
{
	char packet[QUEUE_PACKET_BYTES];
	ssize_t n = -1;

	while (wait_for(fd, r) && (n = recv(fd, packet, sizeof packet, 0)) > 0) {
		if (packet[0] == '0')
			return true;
		if (packet[0] != 'd') {
			snprintf(why, size, "%.*s", (int)n - 1, packet + 1);
			return false;
		}
		if (r->listener != NULL)
			take(r, packet + 1, (size_t)n - 1);
		n = -1;
	}
	snprintf(why, size, "mailhooks-queue: %s", n == 0 ? "has gone" : strerror(errno));
	return false;
}

bool queue_client_ask(const char *socket, char letter, const char *id,
    const struct queue_listener *listener, char *why, size_t size)
{
	struct reader r = {.listener = listener,
	    .patience_ms = (listener != NULL ? QUEUE_LIST_MS : QUEUE_COMMAND_MS) + SLACK_MS};
	int fd = connect_to(socket);
	char request[64];
	int n = snprintf(request, sizeof request, "%c%.40s", letter, id);
	bool fine;

	if (fd < 0) {
		snprintf(why, size, "mailhooks-queue at %s: %s", socket, strerror(errno));
		return false;
	}
	snprintf(why, size, "mailhooks-queue at %s takes no request", socket);
	fine = send(fd, request, (size_t)n, MSG_NOSIGNAL) == n && read_answer(fd, &r, why, size);
	close(fd);
	free(r.bytes);
	return fine;
}
