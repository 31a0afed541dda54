/* listen.c - see listen.h. Source for LISTEN_FDS: sd_listen_fds(3); by hand for the same reason as
 * common/daemon/notify.c. */
#include "policy/listen.h"

#include "common/list.h"
#include "common/daemon/lock.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define MOST_FDS 64

static const struct {
	const char *name, *setting;
} services[] = {
    [SERVICE_POLICY] = {"policy", "policy.listen"},
    [SERVICE_SOCKETMAP] = {"socketmap", "socketmap.listen"},
};

static struct listening *add(
    struct listening_sockets *all, enum service service, const char *address)
{
	struct listening *l;

	all->v = xgrow(all->v, all->n, sizeof *all->v);
	l = &all->v[all->n++];
	*l = (struct listening){
	    .service = service, .fd = -1, .address = xstrdup(address), .lock = -1};
	return l;
}

/* ---- from systemd ---- */

static int handed_over(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	long n;

	if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	n = strtol(fds, NULL, 10);
	return n > 0 && n <= MOST_FDS ? (int)n : 0;
}

static bool take_one(
    struct listening_sockets *all, int fd, const char *name, char *error, size_t size)
{
	int listens = 0;
	socklen_t n = sizeof listens;
	struct listening *l;

	for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
		if (strcmp(name, services[i].name) != 0)
			continue;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) != 0 || !listens)
			break;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		l = add(all, (enum service)i, "systemd");
		l->fd = fd;
		return true;
	}
	snprintf(error, size,
	    "socket \"%s\" from systemd: a listening stream socket with "
	    "FileDescriptorName=policy or =socketmap is wanted",
	    name);
	return false;
}

static bool take_over(struct listening_sockets *all, char *error, size_t size)
{
	const char *given = getenv("LISTEN_FDNAMES");
	char *names = xstrdup(given != NULL ? given : ""), *rest = names;
	int n = handed_over();
	bool fine = true;

	for (int i = 0; i < n && fine; i++) {
		const char *name = strsep(&rest, ":");

		fine = take_one(all, FIRST_FD + i, name != NULL ? name : "", error, size);
	}
	free(names);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return fine;
}

/* ---- our own ---- */

static int bind_to(int family, const struct sockaddr *a, socklen_t n)
{
	int on = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), saved;

	if (fd < 0)
		return -1;
	if (family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, a, n) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int open_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t before;
	int fd;

	if (strlen(path) >= sizeof a.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path); /* a dead one's: we have the lock and nobody accepts there */
	before = umask(0177); /* nobody connects before owner and mode are right */
	fd = bind_to(AF_UNIX, (struct sockaddr *)&a, sizeof a);
	umask(before);
	return fd;
}

/* "inet:port@host", checked by the configuration */
static int open_inet(const char *address, const char **why)
{
	int family = strncmp(address, "inet6:", 6) == 0 ? AF_INET6 : AF_INET, fd, rc;
	struct addrinfo hints = {
	    .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found;
	const char *at = strchr(address, '@'), *colon = strchr(address, ':');
	char *port = xstrndup(colon + 1, (size_t)(at - colon - 1));

	rc = getaddrinfo(at + 1, port, &hints, &found);
	free(port);
	if (rc != 0) {
		*why = gai_strerror(rc);
		return -1;
	}
	fd = bind_to(family, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return fd;
}

static bool open_one(struct listening *l, const struct config *c, const struct identity *id,
    bool *busy, char *error, size_t size)
{
	const struct lock_owner owner = {"mailhooks-policy", services[l->service].setting};
	const char *path = lock_socket_path(l->address), *why = NULL;

	if (!lock_address(l->address, &owner, &l->lock, error, size)) {
		*busy = true;
		return false;
	}
	l->fd = path != NULL ? open_unix(path) : open_inet(l->address, &why);
	if (l->fd < 0) {
		*busy = why == NULL && errno == EADDRINUSE;
		snprintf(error, size, "cannot listen on \"%s\": %s; see %s", l->address,
		    why != NULL ? why : strerror(errno), owner.setting);
		return false;
	}
	l->ours = true;
	return path == NULL || privileges_own(path, id, c->policy.socket_owner,
				   c->policy.socket_group, c->policy.socket_mode, error, size);
}

static bool has_service(const struct listening_sockets *all, enum service service)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].service == service)
			return true;
	return false;
}

bool listen_open(struct listening_sockets *all, const struct config *c, const struct identity *id,
    bool *busy, char *error, size_t size)
{
	const struct strlist *lists[] = {
	    [SERVICE_POLICY] = &c->policy.listen,
	    [SERVICE_SOCKETMAP] = &c->socketmap.listen,
	};

	*all = (struct listening_sockets){0};
	*busy = false;
	if (!take_over(all, error, size))
		return false;
	for (int s = SERVICE_POLICY; s <= SERVICE_SOCKETMAP; s++) {
		if (has_service(all, (enum service)s))
			continue;
		for (size_t i = 0; i < lists[s]->n; i++)
			if (!open_one(add(all, (enum service)s, lists[s]->v[i]), c, id, busy, error,
				size))
				return false;
	}
	if (all->n == 0)
		snprintf(error, size, "policy.listen and socketmap.listen are both empty");
	return all->n > 0;
}

void listen_remove_files(struct listening_sockets *all)
{
	for (size_t i = 0; i < all->n; i++) {
		const char *path = lock_socket_path(all->v[i].address);

		if (path != NULL && all->v[i].ours)
			unlink(path);
		all->v[i].ours = false;
	}
}

void listen_stopping(struct listening_sockets *all)
{
	for (size_t i = 0; i < all->n; i++)
		lock_stopping(all->v[i].lock);
}

void listen_close(struct listening_sockets *all)
{
	listen_remove_files(all);
	for (size_t i = 0; i < all->n; i++) {
		if (all->v[i].fd >= 0)
			close(all->v[i].fd);
		unlock(all->v[i].lock);
		free(all->v[i].address);
	}
	free(all->v);
	*all = (struct listening_sockets){0};
}
