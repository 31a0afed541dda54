/* forward_trace.c - see forward_trace.h. */
#include "common/forward_trace.h"

#include "common/digest.h"
#include "common/list.h"
#include "common/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define KEY_BYTES 32

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *known; /* the file that key was read from, NULL: none yet */
static unsigned char key[KEY_BYTES];
static bool complained;

static bool read_key(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, key, sizeof key);
	close(fd);
	if (n != (ssize_t)sizeof key)
		errno = EINVAL; /* not a key of ours */
	return n == (ssize_t)sizeof key;
}

/* Under a name of its own first: whoever else makes one at the same time gets one or the other,
 * whole. */
static bool make_key(const char *path)
{
	char *own = xasprintf("%s.%ld", path, (long)getpid());
	int fd = open(own, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	unsigned char fresh[KEY_BYTES];
	bool fine = fd >= 0 && getrandom(fresh, sizeof fresh, 0) == (ssize_t)sizeof fresh &&
		    write(fd, fresh, sizeof fresh) == (ssize_t)sizeof fresh;
	int saved = errno;

	if (fd >= 0) {
		fine = close(fd) == 0 && fine;
		if (fine && link(own, path) != 0 && errno != EEXIST)
			fine = false;
		saved = errno;
		unlink(own);
	}
	errno = saved;
	free(own);
	return fine;
}

static bool have_key(const char *state_dir)
{
	char *path = xasprintf("%s/%s", state_dir, FORWARD_TRACE_KEY);
	bool fine = known != NULL && strcmp(known, path) == 0;

	if (!fine) {
		fine = read_key(path) || (errno == ENOENT && make_key(path) && read_key(path));
		if (!fine && !complained)
			log_error(NULL,
			    "%s: %s; forwarded mail is not marked, and only the MTA's limit on hops "
			    "ends a circle",
			    path, strerror(errno));
		complained = !fine;
		if (fine)
			xreplace(&known, path);
	}
	free(path);
	return fine;
}

bool forward_trace(const char *state_dir, const char *user, char mark[FORWARD_TRACE_BYTES])
{
	unsigned char digest[DIGEST_BYTES];
	char *lower = xstrdup(user);
	bool fine;

	for (char *p = lower; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	pthread_mutex_lock(&lock);
	fine = have_key(state_dir) &&
	       digest_hmac(DIGEST_SHA256, key, sizeof key, lower, strlen(lower), digest) > 0;
	pthread_mutex_unlock(&lock);
	for (int i = 0; fine && i < (FORWARD_TRACE_BYTES - 1) / 2; i++)
		snprintf(mark + 2 * i, 3, "%02x", digest[i]);
	free(lower);
	return fine;
}
