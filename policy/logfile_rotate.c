/* logfile_rotate.c - see logfile_rotate.h. */
#include "policy/logfile_rotate.h"

#include "common/digest.h"
#include "common/list.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES 1024 /* of the first line: it has a time, a process and a queue id */

bool logfile_identity(int fd, char identity[static LOGFILE_IDENTITY_BYTES])
{
	unsigned char sum[DIGEST_BYTES];
	char first[FIRST_BYTES];
	ssize_t n = pread(fd, first, sizeof first, 0);
	const char *end = n > 0 ? memchr(first, '\n', (size_t)n) : NULL;

	if (end == NULL && n < (ssize_t)sizeof first)
		return false;
	if (end != NULL)
		n = end - first;
	if (digest_make(DIGEST_SHA256, first, (size_t)n, sum) < 16)
		return false;
	for (size_t i = 0; i < 16; i++)
		snprintf(identity + 2 * i, 3, "%02x", sum[i]);
	return true;
}

int64_t logfile_written_ns(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* The length of the name without the end that a compressor gave it; 0: none did. */
static size_t compressed_from(const char *name)
{
	static const char *const ends[] = {".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z"};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (strlen(name) > strlen(ends[i]) &&
		    strcmp(name + strlen(name) - strlen(ends[i]), ends[i]) == 0)
			return strlen(name) - strlen(ends[i]);
	return 0;
}

/* What stands beside the file under longer names, as paths. */
static void list_others(const char *path, bool compressed, struct strlist *found)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	char *directory = xstrndup(path, slash != NULL ? (size_t)(slash - path) + 1 : 0);
	DIR *d = opendir(*directory != '\0' ? directory : ".");
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char *whole;

		if (strncmp(e->d_name, base, strlen(base)) != 0 || strcmp(e->d_name, base) == 0 ||
		    (compressed_from(e->d_name) != 0) != compressed)
			continue;
		whole = xasprintf("%s%s", directory, e->d_name);
		strlist_add(found, whole);
		free(whole);
	}
	if (d != NULL)
		closedir(d);
	free(directory);
}

static void list_files(const char *path, struct strlist *found)
{
	strlist_add(found, path);
	list_others(path, false, found);
}

static int open_log(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool has(int fd, const char *identity, int64_t bytes)
{
	char found[LOGFILE_IDENTITY_BYTES];
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size >= bytes && logfile_identity(fd, found) &&
	       strcmp(found, identity) == 0;
}

int logfile_find(const char *path, const char *identity, int64_t bytes)
{
	struct strlist files = STRLIST_INIT;
	int found = -1;

	list_files(path, &files);
	for (size_t i = 0; i < files.n && found < 0; i++) {
		int fd = open_log(files.v[i]);

		if (fd >= 0 && has(fd, identity, bytes))
			found = fd;
		else if (fd >= 0)
			close(fd);
	}
	strlist_clear(&files);
	return found;
}

int logfile_next_after(const char *path, int64_t written_ns, const char *but)
{
	struct strlist files = STRLIST_INIT;
	char identity[LOGFILE_IDENTITY_BYTES];
	int64_t oldest = INT64_MAX;
	int found = -1;

	list_files(path, &files);
	for (size_t i = 0; i < files.n; i++) {
		int fd = open_log(files.v[i]);
		int64_t written = fd >= 0 ? logfile_written_ns(fd) : 0;

		if (fd < 0)
			continue;
		/* the file itself is the newest, whatever the grain of the clock */
		if ((i > 0 && written <= written_ns) || (found >= 0 && written >= oldest) ||
		    !logfile_identity(fd, identity) || strcmp(identity, but) == 0) {
			close(fd);
			continue;
		}
		if (found >= 0)
			close(found);
		found = fd;
		oldest = written;
	}
	strlist_clear(&files);
	return found;
}

/* Compressors remove the file last: until then it can still be read. */
static bool has_original(const char *compressed)
{
	char *original = xstrndup(compressed, compressed_from(compressed));
	bool there = access(original, F_OK) == 0;

	free(original);
	return there;
}

bool logfile_is_compressed_after(const char *path, int64_t written_ns)
{
	struct strlist files = STRLIST_INIT;
	bool any = false;

	list_others(path, true, &files);
	for (size_t i = 0; i < files.n; i++) {
		int fd = has_original(files.v[i]) ? -1 : open_log(files.v[i]);

		any |= fd >= 0 && logfile_written_ns(fd) > written_ns;
		if (fd >= 0)
			close(fd);
	}
	strlist_clear(&files);
	return any;
}
