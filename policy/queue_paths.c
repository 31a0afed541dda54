/* queue_paths.c - see queue_paths.h.
 *
 * Whoever writes where the socket is could put one of his own there, or a link to a file that is
 * then given away with the socket; whoever writes where the commands are is root. */
#include "policy/queue_paths.h"

#include "common/list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* sticky: names there stay with their owners, which is enough on the way. */
static bool is_safe(const char *directory, bool sticky)
{
	struct stat st;

	if (stat(directory, &st) != 0)
		return true; /* not there: nobody but those above can change that */
	if (st.st_uid != 0)
		return false;
	if (sticky && (st.st_mode & S_ISVTX) != 0)
		return true;
	return (st.st_mode & S_IWOTH) == 0 && ((st.st_mode & S_IWGRP) == 0 || st.st_gid == 0);
}

/* The same for the path as it is written, with the links in it. */
static char *unsafe_part(const char *path)
{
	char *part = xstrdup(path), *slash = part;

	for (bool last = true; slash != NULL; last = false) {
		if (!is_safe(part[0] != '\0' ? part : "/", !last))
			return part;
		slash = strrchr(part, '/');
		if (slash != NULL)
			*slash = '\0';
	}
	free(part);
	return NULL;
}

char *queue_paths_unsafe(const char *directory)
{
	char *unsafe = unsafe_part(directory), *real = realpath(directory, NULL);

	if (unsafe == NULL && real != NULL)
		unsafe = unsafe_part(real);
	free(real);
	return unsafe;
}
