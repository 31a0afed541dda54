/* notify.c - see notify.h. Source: sd_notify(3), the protocol section. */
#include "common/daemon/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const struct timeval patience = {.tv_sec = 1};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char message[128];
	struct timespec now;
	size_t n;
	int fd;

	if (path == NULL || (*path != '/' && *path != '@') || strlen(path) >= sizeof to.sun_path)
		return;
	n = strlen(path);
	memcpy(to.sun_path, path, n);
	if (*path == '@')
		to.sun_path[0] = '\0'; /* abstract name */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(message, sizeof message, "%s\nMONOTONIC_USEC=%lld\nMAINPID=%d", state,
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, (int)getpid());
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* whoever listens may be too busy to; that must not stop us */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		perror("NOTIFY_SOCKET");
	close(fd);
}

int64_t notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");

	return usec != NULL ? strtoll(usec, NULL, 10) / 1000 : 0;
}
