/* server_address.h - a milter's socket address in the MTA's notation, and connections to it. */
#pragma once

#include <stddef.h>
#include <sys/socket.h>

struct server_address {
	struct sockaddr_storage address;
	socklen_t size;
};

/* text: unix:PATH, local:PATH, inet:PORT@HOST or inet6:PORT@HOST. Returns 0, or -1 with the
 * reason in error. */
int server_address_parse(struct server_address *, const char *text, char *error, size_t size);

/* A connected socket in non-blocking mode, or -1 with errno. Waits as an MTA does while the
 * server's backlog is full, at most timeout_s. */
int server_address_connect(const struct server_address *, int timeout_s);
