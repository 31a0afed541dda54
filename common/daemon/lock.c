/* lock.c - see lock.h. */
#include "common/daemon/lock.h"

#include "common/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char *lock_socket_path(const char *address)
{
	static const char *const prefixes[] = {"unix:", "local:"};

	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (strncmp(address, prefixes[i], strlen(prefixes[i])) == 0)
			return address + strlen(prefixes[i]);
	return *address == '/' ? address : NULL;
}

/* Does anybody accept connections there? */
static bool is_live(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool live;

	if (fd < 0 || strlen(path) >= sizeof to.sun_path)
		return false;
	memcpy(to.sun_path, path, strlen(path));
	live = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
	close(fd);
	return live;
}

static char *lock_path(const char *socket_path)
{
	return xasprintf("%s.lock", socket_path);
}

/* In a directory that everybody can write to anybody could put a socket of his own there (R4). */
static bool is_private(const char *socket_path, char *error, size_t size)
{
	char *directory = xstrdup(socket_path), *slash = strrchr(directory, '/');
	struct stat st;
	bool fine;

	if (slash != NULL)
		slash[slash == directory ? 1 : 0] = '\0';
	fine = slash == NULL || stat(directory, &st) != 0 || (st.st_mode & S_IWOTH) == 0;
	if (!fine)
		snprintf(error, size,
		    "%s: everybody can write to the directory; choose one of its own", socket_path);
	free(directory);
	return fine;
}

static bool take(const char *path, const char *socket_path, const struct lock_owner *owner, int *fd,
    char *error, size_t size)
{
	char holder[32] = "";
	ssize_t n;

	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0) {
		snprintf(error, size, "lock file %s: %s", path, strerror(errno));
		return false;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		n = pread(*fd, holder, sizeof holder - 1, 0);
		snprintf(error, size, "another %s (process %.*s) serves %s; stop it first",
		    owner->program, n > 0 ? (int)strcspn(holder, "\n") : 1, n > 0 ? holder : "?",
		    socket_path);
		return false;
	}
	if (is_live(socket_path)) {
		snprintf(error, size, "another program listens on %s; choose another %s",
		    socket_path, owner->setting);
		return false;
	}
	n = snprintf(holder, sizeof holder, "%d\n", (int)getpid());
	if (ftruncate(*fd, 0) != 0 || pwrite(*fd, holder, (size_t)n, 0) != n) {
		snprintf(error, size, "lock file %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

bool lock_address(
    const char *address, const struct lock_owner *owner, int *fd, char *error, size_t size)
{
	const char *socket_path = lock_socket_path(address);
	char *path;
	bool fine;

	*fd = -1;
	if (socket_path == NULL)
		return true;
	path = lock_path(socket_path);
	fine =
	    is_private(socket_path, error, size) && take(path, socket_path, owner, fd, error, size);
	free(path);
	if (!fine && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return fine;
}

void unlock_address(int fd)
{
	if (fd >= 0)
		close(fd); /* the file stays: removing it would race with the next instance */
}
