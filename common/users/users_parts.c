/* users_parts.c - see users_parts.h. */
#include "common/users/users_parts.h"

#include "common/limits.h"
#include "common/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *users_lower(char *s)
{
	for (char *p = s; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p | 0x20);
	return s;
}

/* What it holds when it has been opened, from one descriptor. */
static char *read_all(int fd, size_t *n, const char **why)
{
	struct stat st;
	char *text;
	ssize_t got;

	*why = "not a plain file";
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return NULL;
	*why = "too long";
	if (st.st_size > LIMIT_USERS_BYTES)
		return NULL;
	text = xmalloc((size_t)st.st_size + 1);
	for (*n = 0; *n < (size_t)st.st_size; *n += (size_t)got) {
		got = read(fd, text + *n, (size_t)st.st_size - *n);
		if (got < 0) {
			*why = strerror(errno);
			free(text);
			return NULL;
		}
		if (got == 0)
			break;
	}
	text[*n] = '\0';
	return text;
}

char *users_read_file(const char *path, size_t *n, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text;

	if (fd < 0) {
		*why = strerror(errno);
		return NULL;
	}
	text = read_all(fd, n, why);
	close(fd);
	return text;
}
