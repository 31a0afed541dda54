/* peer.h - the process at the other end of a unix socket.
 *
 * A process id alone comes again one day; with the time at which the process started it does not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
	pid_t pid;	/* 0: not known, the client came over the network */
	uint64_t start; /* in clock ticks since boot; 0: not to be seen (hidepid) */
};

struct peer peer_of_socket(int fd);
/* The same clock, now. A process with this start or an earlier one has begun already. */
uint64_t peer_now(void);
bool peer_same(const struct peer *, const struct peer *);
