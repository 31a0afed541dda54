/* lock.h - one instance for each listen address, and one of each program for each state_dir.
 *
 * libmilter removes and takes over the socket of a live instance (observed, trap T14), and a
 * program that finds a socket file cannot see whether it is a dead one's. A lock file beside the
 * socket prevents that for our own instances; a connection attempt finds out about other programs.
 * What a daemon keeps in state_dir is written by one process, without a look at what another has
 * written since: a lock file there keeps the other away.
 *
 * A lock lasts until its descriptor is closed, by whatever end of the process; stale files do not
 * matter. Who finds that the holder has said lock_stopping() waits until it has ended, so that a
 * new instance can be started while the old one answers what is in progress. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct lock_owner { /* for messages */
	const char *program, *setting;
};

/* Takes the lock of a "unix:/path" address; *fd keeps it. For inet addresses the kernel does it:
 * *fd = -1. False: error says who holds it. */
bool lock_address(
    const char *address, const struct lock_owner *, int *fd, char *error, size_t size);
/* Takes the lock of the directory for this program. False: error says who holds it. Where there can
 * be no lock file, full disk or no right to write, it is logged and *fd = -1: mail does not wait
 * for that. */
bool lock_state(const char *directory, const char *program, int *fd, char *error, size_t size);
void lock_stopping(int fd); /* tells who wants it that it will be free soon; -1 is fine */
void unlock(int fd);	    /* -1 is fine */

/* "unix:/path" and "local:/path" and a bare path: the path; anything else: NULL. */
const char *lock_socket_path(const char *address);
