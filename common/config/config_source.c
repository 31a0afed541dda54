/* config_source.c - the text of a configuration file, made ready for libconfuse.
 *
 * By hand although libconfuse reads files and knows comments, for what its version 3.3 does: it
 * counts a comment's line up to three times, so that every later error names a wrong line; it
 * ends the program when the file cannot be read to its end (a directory); it takes a comment, a
 * string or a section that is never closed for the end of the file; it drops a `*` or `+` outside
 * of quotes without a word. So the file is read here, comments are replaced by blanks (which also
 * lets them stand inside of a list), and the rest is refused with its line. */
#include "common/config/config_private.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Characters that end a word without quotes; all other ones are part of it. */
#define WORD_ENDS " #\"'\t\n\r={}()+,*"

enum config_source config_source_read(const char *path, char **text, const char **why)
{
	char *s;
	size_t n = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		*why = strerror(errno);
		return errno == ENOENT || errno == ENOTDIR ? CONFIG_SOURCE_MISSING
							   : CONFIG_SOURCE_BAD;
	}
	s = xmalloc(LIMIT_CONFIG_BYTES + 1);
	*why = NULL;
	do {
		got = read(fd, s + n, LIMIT_CONFIG_BYTES + 1 - n);
		if (got > 0)
			n += (size_t)got;
	} while (n <= LIMIT_CONFIG_BYTES && (got > 0 || (got < 0 && errno == EINTR)));
	if (got < 0)
		*why = strerror(errno);
	else if (n > LIMIT_CONFIG_BYTES)
		*why = "it is too long for a configuration file";
	else if (memchr(s, '\0', n) != NULL)
		*why = "it contains a NUL byte, so it is not a text file";
	close(fd);
	if (*why != NULL) {
		free(s);
		return CONFIG_SOURCE_BAD;
	}
	s[n] = '\0';
	*text = xrealloc(s, n + 1);
	return CONFIG_SOURCE_OK;
}

static void blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

/* A comment at p: behind its last character; p itself when there is none; NULL: never closed. */
static char *comment_end(char *p)
{
	char *end;

	if (*p == '#' || (p[0] == '/' && p[1] == '/'))
		return p + strcspn(p, "\n");
	if (p[0] != '/' || p[1] != '*')
		return p;
	end = strstr(p + 2, "*/");
	return end != NULL ? end + 2 : NULL;
}

/* ${NAME} at p: behind the brace; p itself when it is none. */
static char *variable_end(char *p)
{
	char *end = p[0] == '$' && p[1] == '{' ? strchr(p, '}') : NULL;

	return end != NULL ? end + 1 : p;
}

/* A string whose quote stands at p: behind the closing quote; NULL: never closed. */
static char *string_end(char *p)
{
	char quote = *p++;

	while (*p != '\0' && *p != quote) {
		char *variable = quote == '"' ? variable_end(p) : p;

		if (variable != p)
			p = variable;
		else
			p += p[0] == '\\' && p[1] != '\0' ? 2 : 1;
	}
	return *p == quote ? p + 1 : NULL;
}

/* What stands at p and is no comment: behind it, or NULL and *why. */
static char *token_end(char *p, const char **why)
{
	char *end;

	*why = "the string that begins here is never closed: write its closing quote";
	if (*p == '"' || *p == '\'')
		return string_end(p);
	if ((end = variable_end(p)) != p)
		return end;
	if (p[0] == '+' && p[1] == '=')
		return p + 2;
	*why = "a value with * or + must be quoted: write \"...\" around it";
	if (*p == '*' || *p == '+')
		return NULL;
	end = p + strcspn(p, WORD_ENDS);
	return end != p ? end : p + 1;
}

static int lines_between(const char *from, const char *to)
{
	int n = 0;

	for (; from < to; from++)
		n += *from == '\n';
	return n;
}

bool config_source_clean(char *text, int *line, const char **why)
{
	int depth = 0, opened = 0; /* braces, and the line of the first one that is still open */
	char *end;

	*line = 1;
	for (char *p = text; *p != '\0'; p = end) {
		end = comment_end(p);
		*why = "the comment that begins here is never closed: write */";
		if (end == NULL)
			return false;
		if (end != p) {
			blank(p, end);
		} else if ((end = token_end(p, why)) == NULL) {
			return false;
		} else if (*p == '{') {
			opened = depth++ == 0 ? *line : opened;
		} else if (*p == '}') {
			depth--;
		}
		*line += lines_between(p, end);
	}
	*why = "the brace that opens here is never closed: write }";
	*line = opened;
	return depth <= 0; /* too many closing ones are found by libconfuse */
}
