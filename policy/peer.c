/* peer.c - see peer.h. */
#include "policy/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define START_FIELD 22 /* of /proc/PID/stat, proc(5) */

/* Field 2 is the program's name in parentheses, which may hold anything, blanks and parentheses
 * too: the fields are counted from its end. */
static uint64_t start_of(pid_t pid)
{
	char path[40], line[1024] = "", *p;
	uint64_t start = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(line, sizeof line, f) == NULL)
		line[0] = '\0';
	fclose(f);
	p = strrchr(line, ')');
	for (int field = 2; p != NULL && field < START_FIELD; field++)
		p = strchr(p + 1, ' ');
	if (p == NULL || sscanf(p, " %" SCNu64, &start) != 1)
		return 0;
	return start;
}

struct peer peer_of_socket(int fd)
{
	struct ucred cred;
	socklen_t n = sizeof cred;

	/* TCP sockets answer too, with pid 0 */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || cred.pid <= 0)
		return (struct peer){0};
	return (struct peer){cred.pid, start_of(cred.pid)};
}

uint64_t peer_now(void)
{
	struct timespec now = {0};
	uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * ticks + (uint64_t)now.tv_nsec * ticks / 1000000000;
}

bool peer_same(const struct peer *a, const struct peer *b)
{
	return a->pid == b->pid && a->start == b->start;
}
