/* constant_server.c - the least that a policy service or socketmap can be: one thread, one epoll,
 * the same answer to whatever ends like a request. run-policy measures mailhooks-policy beside it.
 *
 *   constant_server SOCKET ANSWER */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EVENTS 64
#define REQUEST_BYTES 8192 /* a request arrives in one piece from the load program */

static int listen_on(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof a.sun_path)
		errx(1, "%s: too long", path);
	memcpy(a.sun_path, path, strlen(path));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 128) != 0)
		err(1, "%s", path);
	return fd;
}

static void watch(int poll, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) != 0)
		err(1, "epoll_ctl");
}

static void answer(int fd, const char *text, size_t n)
{
	char request[REQUEST_BYTES];
	ssize_t got = read(fd, request, sizeof request);

	if (got <= 0 || write(fd, text, n) != (ssize_t)n)
		close(fd); /* which takes it out of the epoll */
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	int listener, poll = epoll_create1(EPOLL_CLOEXEC);
	size_t n;

	if (argc != 3)
		errx(2, "usage: constant_server SOCKET ANSWER");
	n = strlen(argv[2]);
	listener = listen_on(argv[1]);
	watch(poll, listener);
	for (;;) {
		int ready = epoll_wait(poll, events, EVENTS, -1);

		for (int i = 0; i < ready; i++)
			if (events[i].data.fd == listener)
				watch(poll, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
			else
				answer(events[i].data.fd, argv[2], n);
	}
}
