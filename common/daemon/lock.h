/* lock.h - one instance for each listen address.
 *
 * libmilter removes and takes over the socket of a live instance (observed, trap T14), and a
 * program that finds a socket file cannot see whether it is a dead one's. A lock file beside the
 * socket prevents that for our own instances; a connection attempt finds out about other programs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct lock_owner { /* for messages */
	const char *program, *setting;
};

/* Takes the lock of a "unix:/path" address; *fd keeps it. For inet addresses the kernel does it:
 * *fd = -1. False: error says who holds it. A stale socket file or lock file does not matter. */
bool lock_address(
    const char *address, const struct lock_owner *, int *fd, char *error, size_t size);
void unlock_address(int fd);
/* "unix:/path" and "local:/path" and a bare path: the path; anything else: NULL. */
const char *lock_socket_path(const char *address);
