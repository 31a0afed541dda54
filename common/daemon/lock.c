/* lock.c - see lock.h. */
#include "common/daemon/lock.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define HOLDER_BYTES 32 /* what stands in a lock file: "4711" or "4711 stopping" */
#define STOPPING " stopping"
#define LEAVING_MS 60000 /* patience with it; the systemd units kill it after 45 s */
#define LOOK_MS 50	 /* between two tries */

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

/* ---- the file ---- */

enum taken { TAKEN, TAKEN_BY_ANOTHER, TAKEN_UNKNOWN };

/* The process id and what it does, for messages and for who waits. What cannot be written is
 * missing there only. */
static void sign(int fd, const char *doing)
{
	char text[HOLDER_BYTES];
	int n = snprintf(text, sizeof text, "%d%s\n", (int)getpid(), doing);

	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
		log_debug(NULL, "lock file not signed: %s", strerror(errno));
}

/* Made by root, it is the directory's owner's: the service must be able to open it when it is next
 * started without privileges. */
static void give_away(int fd, const char *path)
{
	char *directory = xstrdup(path), *slash = strrchr(directory, '/');
	struct stat st;

	if (slash != NULL)
		*slash = '\0';
	if (geteuid() == 0 && slash != NULL && stat(directory, &st) == 0 && st.st_uid != 0 &&
	    fchown(fd, st.st_uid, st.st_gid) != 0)
		log_debug(NULL, "lock file %s: %s", path, strerror(errno));
	free(directory);
}

/* Root writes to it in a directory of another user: it must not be another name of a file elsewhere
 * (R4). */
static bool is_own(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink <= 1;
}

static int open_file(const char *path)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(path, flags | O_EXCL, 0600);

	if (fd >= 0)
		give_away(fd, path);
	else if (errno == EEXIST)
		fd = open(path, flags, 0600);
	if (fd >= 0 && !is_own(fd)) {
		close(fd);
		errno = EMLINK;
		fd = -1;
	}
	return fd;
}

/* The lock of the file, waiting for a holder that is about to end; errno for TAKEN_UNKNOWN. */
static enum taken take(const char *path, int *fd, char holder[static HOLDER_BYTES])
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	int64_t end = clock_ms() + LEAVING_MS;
	bool told = false;

	*fd = open_file(path);
	if (*fd < 0)
		return TAKEN_UNKNOWN;
	while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		ssize_t n;

		if (errno != EWOULDBLOCK)
			return TAKEN_UNKNOWN;
		n = pread(*fd, holder, HOLDER_BYTES - 1, 0);
		holder[n > 0 ? n : 0] = '\0';
		if (strstr(holder, STOPPING) == NULL || clock_ms() >= end) {
			holder[strcspn(holder, " \n")] = '\0';
			if (*holder == '\0')
				snprintf(holder, HOLDER_BYTES, "?");
			return TAKEN_BY_ANOTHER;
		}
		if (!told)
			log_info(NULL, "%s: waiting until process %.*s has stopped", path,
			    (int)strcspn(holder, " "), holder);
		told = true;
		nanosleep(&pause, NULL);
	}
	sign(*fd, "");
	return TAKEN;
}

static void give_up(int *fd)
{
	if (*fd >= 0)
		close(*fd); /* the file stays: removing it would race with the next instance */
	*fd = -1;
}

/* ---- addresses ---- */

static bool take_socket(
    const char *socket_path, const struct lock_owner *owner, int *fd, char *error, size_t size)
{
	char *path = xasprintf("%s.lock", socket_path), holder[HOLDER_BYTES] = "";
	enum taken taken = take(path, fd, holder);

	if (taken == TAKEN_UNKNOWN)
		snprintf(error, size, "lock file %s: %s%s", path, strerror(errno),
		    errno == EACCES ? "; if another user has left it there, remove it" : "");
	else if (taken == TAKEN_BY_ANOTHER)
		snprintf(error, size, "another %s (process %s) serves %s; stop it first",
		    owner->program, holder, socket_path);
	free(path);
	if (taken == TAKEN && is_live(socket_path)) {
		snprintf(error, size, "another program listens on %s; choose another %s",
		    socket_path, owner->setting);
		return false;
	}
	return taken == TAKEN;
}

bool lock_address(
    const char *address, const struct lock_owner *owner, int *fd, char *error, size_t size)
{
	const char *socket_path = lock_socket_path(address);

	*fd = -1;
	if (socket_path == NULL)
		return true;
	if (is_private(socket_path, error, size) &&
	    take_socket(socket_path, owner, fd, error, size))
		return true;
	give_up(fd);
	return false;
}

/* ---- directories ---- */

bool lock_state(const char *directory, const char *program, int *fd, char *error, size_t size)
{
	char *path = xasprintf("%s/%s.lock", directory, program), holder[HOLDER_BYTES] = "";
	enum taken taken = take(path, fd, holder);

	if (taken == TAKEN_UNKNOWN)
		log_warn(NULL, "lock file %s: %s: nothing keeps a second %s from using %s too",
		    path, strerror(errno), program, directory);
	else if (taken == TAKEN_BY_ANOTHER)
		snprintf(error, size,
		    "another %s (process %s) uses state_dir %s; stop it first, or give each a "
		    "state_dir of its own",
		    program, holder, directory);
	free(path);
	if (taken != TAKEN)
		give_up(fd);
	return taken != TAKEN_BY_ANOTHER;
}

/* ---- the end ---- */

void lock_stopping(int fd)
{
	if (fd >= 0)
		sign(fd, STOPPING);
}

void unlock(int fd)
{
	give_up(&fd);
}
