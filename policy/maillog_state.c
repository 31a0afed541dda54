/* maillog_state.c - see maillog_state.h: a line each for format, source and position, then what
 * dialogues_save() writes. */
#include "policy/maillog_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT "mailhooks maillog 1\n"
#define MOST_BYTES (64 << 20) /* of the file; a busy host has some 100 KiB */

static bool flush(FILE *out)
{
	return fflush(out) == 0 && !ferror(out) && fsync(fileno(out)) == 0;
}

bool maillog_state_save(
    const char *path, const char *source, const char *position, const struct dialogues *g)
{
	char *next = xasprintf("%s.new", path);
	int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
	bool saved = false;
	int error;

	if (out != NULL) {
		fprintf(out, FORMAT "%s\n%s\n", source, position);
		dialogues_save(g, out);
		saved = flush(out);
	} else if (fd >= 0) {
		close(fd);
	}
	error = errno;
	if (out != NULL && fclose(out) != 0)
		saved = false;
	saved = saved && rename(next, path) == 0;
	if (!saved)
		errno = errno != 0 ? errno : error;
	free(next);
	return saved;
}

static char *read_all(const char *path, size_t *n)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	long size;

	if (in == NULL)
		return NULL;
	if (fseek(in, 0, SEEK_END) == 0 && (size = ftell(in)) >= 0 && size <= MOST_BYTES &&
	    fseek(in, 0, SEEK_SET) == 0) {
		text = xmalloc((size_t)size + 1);
		*n = fread(text, 1, (size_t)size, in);
		text[*n] = '\0';
	}
	fclose(in);
	if (text == NULL)
		errno = EFBIG;
	return text;
}

/* The next line of *rest, terminated in place; NULL: none. */
static char *take_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\n');

	if (end == NULL)
		return NULL;
	*end = '\0';
	*rest = end + 1;
	return line;
}

bool maillog_state_load(const char *path, const char *source, char *position, size_t size,
    struct dialogues *g, int64_t now_ms, const char **why)
{
	size_t n = 0;
	char *text = read_all(path, &n), *rest = text, *of, *place;
	bool loaded = false;

	*why = "";
	if (text == NULL) {
		if (errno != ENOENT)
			*why = strerror(errno);
		return false;
	}
	*why = "it is damaged";
	if (strncmp(rest, FORMAT, strlen(FORMAT)) == 0) {
		rest += strlen(FORMAT);
		of = take_line(&rest);
		place = of != NULL ? take_line(&rest) : NULL;
		if (place != NULL && strcmp(of, source) != 0) {
			*why = "";
		} else if (place != NULL && strlen(place) < size) {
			snprintf(position, size, "%s", place);
			loaded = dialogues_load(g, rest, n - (size_t)(rest - text), now_ms);
		}
	}
	free(text);
	return loaded;
}
