/* redis_address.h - a connected socket to a Redis server, within a deadline. Thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Tries the addresses of the name (hosts file, DNS) in turn; an IP address is its own and asks
 * nobody. A non-blocking, close-on-exec socket, or -1 with why set. */
int redis_address_connect(const char *host, uint16_t port, int64_t until, char *why, size_t size);
int redis_address_connect_unix(const char *path, int64_t until, char *why, size_t size);

/* Wait for poll(2) events on fd. 1: there are some; 0: `until` came. */
int redis_address_wait(int fd, short events, int64_t until);
