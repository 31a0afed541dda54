/* wake.c - see wake.h. One thread of its own; the callbacks only count. */
#include "milter/wake.h"

#include "common/daemon/lock.h"
#include "common/log.h"

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAKE_MS 100 /* how long a session may be stuck; an idle daemon wakes up that often */

static atomic_uint entered, left;
static struct sockaddr_storage own;
static socklen_t own_size;

void wake_enter(void)
{
	atomic_fetch_add(&entered, 1);
}

void wake_leave(void)
{
	atomic_fetch_add(&left, 1);
}

/* "inet:port@host", "inet6:port@host": the address to connect to; any of the host's will do. */
static bool resolve(const char *listen_address)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	const char *port = strchr(listen_address, ':') + 1, *at = strchr(port, '@');
	char number[8] = "";

	hints.ai_family = strncmp(listen_address, "inet6:", 6) == 0 ? AF_INET6 : AF_INET;
	if (at == NULL || (size_t)(at - port) >= sizeof number)
		return false;
	memcpy(number, port, (size_t)(at - port));
	if (getaddrinfo(at + 1, number, &hints, &found) != 0)
		return false;
	memcpy(&own, found->ai_addr, found->ai_addrlen);
	own_size = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

bool wake_prepare(const char *listen_address)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&own;
	const char *path = lock_socket_path(listen_address);

	if (path == NULL)
		return resolve(listen_address);
	if (strlen(path) >= sizeof un->sun_path)
		return false;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	own_size = sizeof *un;
	return true;
}

/* 0, or errno. Not waiting: when the queue of the socket is full, libmilter is awake. */
static int knock(void)
{
	int fd = socket(own.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;

	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&own, own_size) != 0)
		error = errno;
	close(fd);
	return error;
}

void *wake_watch(void *unused)
{
	const struct timespec pause = {.tv_nsec = WAKE_MS * 1000000L};
	unsigned before = 0;
	bool told = false;

	for (;;) {
		unsigned now = atomic_load(&left);
		bool stands_still = now == before && atomic_load(&entered) != now;

		if (stands_still && knock() == EACCES && !told) {
			log_debug(NULL, "slow callbacks may hold up other sessions for a while: "
					"this process may not connect to its own socket");
			told = true;
		}
		before = now;
		nanosleep(&pause, NULL);
	}
	return unused;
}
