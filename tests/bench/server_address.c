/* server_address.c - see server_address.h. */
#include "server_address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int parse_path(struct server_address *server, const char *path, char *error, size_t size)
{
	struct sockaddr_un *address = (struct sockaddr_un *)&server->address;
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof(address->sun_path)) {
		snprintf(error, size, "the socket's path needs 1 to %zu bytes: \"%s\"",
		    sizeof(address->sun_path) - 1, path);
		return -1;
	}
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, length + 1);
	server->size = sizeof(*address);
	return 0;
}

static int parse_host(
    struct server_address *server, int family, const char *text, char *error, size_t size)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	const char *at = strchr(text, '@');
	char port[6], *end;
	long number = strtol(text, &end, 10);
	int rc;

	if (at == NULL || end != at || number < 1 || number > 65535 ||
	    (size_t)(at - text) >= sizeof(port)) {
		snprintf(error, size, "PORT@HOST is needed, not \"%s\"", text);
		return -1;
	}
	memcpy(port, text, (size_t)(at - text));
	port[at - text] = '\0';
	rc = getaddrinfo(at + 1, port, &hints, &found);
	if (rc != 0) {
		snprintf(error, size, "%s: %s", text, gai_strerror(rc));
		return -1;
	}
	memcpy(&server->address, found->ai_addr, found->ai_addrlen);
	server->size = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int server_address_parse(struct server_address *server, const char *text, char *error, size_t size)
{
	const char *colon = strchr(text, ':');
	size_t kind = colon == NULL ? 0 : (size_t)(colon - text);

	*server = (struct server_address){0};
	if ((kind == 4 && strncmp(text, "unix", kind) == 0) ||
	    (kind == 5 && strncmp(text, "local", kind) == 0))
		return parse_path(server, colon + 1, error, size);
	if (kind == 4 && strncmp(text, "inet", kind) == 0)
		return parse_host(server, AF_INET, colon + 1, error, size);
	if (kind == 5 && strncmp(text, "inet6", kind) == 0)
		return parse_host(server, AF_INET6, colon + 1, error, size);
	snprintf(error, size, "unix:PATH, inet:PORT@HOST or inet6:PORT@HOST is needed, not \"%s\"",
	    text);
	return -1;
}

int server_address_connect(const struct server_address *server, int timeout_s)
{
	struct timeval limit = {.tv_sec = timeout_s};
	int family = server->address.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1, saved;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
		goto fail;
	/* The events are written in one piece already: Nagle's algorithm would only add its delay.
	 */
	if (family != AF_UNIX && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
		goto fail;
	if (connect(fd, (const struct sockaddr *)&server->address, server->size) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}
