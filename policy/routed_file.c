/* routed_file.c - see routed_file.h. */
#include "policy/routed_file.h"

#include "common/limits.h"
#include "common/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES (2 * LIMIT_DNS_NAME_BYTES + 40)

/* "1763755200 a.example.net example.com\n", with " -" at the end if nothing is wanted; one that is
 * damaged or was not written to its end is passed over. */
static bool read_line(char *line, int64_t *when, char **server, char **domain, bool *nothing)
{
	char *rest, *end = strchr(line, '\n'), *blank;

	if (end == NULL)
		return false;
	*nothing = end - line > 2 && end[-2] == ' ' && end[-1] == '-';
	end[*nothing ? -2 : 0] = '\0';
	*when = strtoll(line, &rest, 10);
	blank = *rest == ' ' ? strchr(rest + 1, ' ') : NULL;
	if (blank == NULL || *when < 0)
		return false;
	*blank = '\0';
	*server = rest + 1;
	*domain = blank + 1;
	return **server != '\0' && **domain != '\0' && strchr(*domain, ' ') == NULL;
}

bool routed_file_read(const char *path,
    void (*found)(const char *server, const char *domain, int64_t age_seconds, bool nothing))
{
	int64_t now = time(NULL), when;
	FILE *in = fopen(path, "re");
	char line[LINE_BYTES], *server, *domain;
	bool fine, nothing;

	if (in == NULL)
		return errno == ENOENT;
	while (fgets(line, sizeof line, in) != NULL)
		if (read_line(line, &when, &server, &domain, &nothing))
			found(server, domain, when < now ? now - when : 0, nothing);
	fine = !ferror(in);
	fclose(in);
	return fine;
}

FILE *routed_file_new(const char *path)
{
	char *next = xasprintf("%s.new", path);
	int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *out = fd >= 0 ? fdopen(fd, "a") : NULL;

	if (out == NULL && fd >= 0)
		close(fd);
	free(next);
	return out;
}

bool routed_file_replace(FILE *out, const char *path)
{
	char *next = xasprintf("%s.new", path);
	bool fine = fflush(out) == 0 && !ferror(out) && rename(next, path) == 0;

	free(next);
	return fine;
}

bool routed_file_add(
    FILE *out, const char *server, const char *domain, int64_t age_seconds, bool nothing)
{
	return fprintf(out, "%lld %s %s%s\n", (long long)time(NULL) - age_seconds, server, domain,
		   nothing ? " -" : "") > 0;
}
