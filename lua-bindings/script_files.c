/* script_files.c - see script_files.h. A file is read through one descriptor, so what is checked is
 * what is run; only regular files count. Not synchronised. */
#include "lua-bindings/script_files.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_lua(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && name[0] != '.' && strcasecmp(name + n - 4, ".lua") == 0;
}

static bool read_fd(int fd, struct script_file *f, char *error, size_t size)
{
	size_t cap = 64 * 1024;
	ssize_t got;

	f->text = xmalloc(cap + 1);
	while ((got = read(fd, f->text + f->size, cap - f->size)) > 0) {
		f->size += (size_t)got;
		if (f->size > LIMIT_SCRIPT_BYTES) {
			snprintf(error, size, "larger than %u bytes", LIMIT_SCRIPT_BYTES);
			return false;
		}
		if (f->size == cap)
			f->text = xrealloc(f->text, (cap *= 2) + 1);
	}
	if (got < 0) {
		snprintf(error, size, "%s", strerror(errno));
		return false;
	}
	f->text[f->size] = '\0';
	return true;
}

static bool add(struct script_files *files, int dir, const char *prefix, const char *name,
    char *error, size_t size)
{
	struct script_file f = {.name = xasprintf("%s%s", prefix, name)};
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char why[200] = "";
	struct stat st;
	bool fine = true;

	if (files->n >= LIMIT_SCRIPT_FILES)
		fine = false, snprintf(why, sizeof why, "more than %d scripts", LIMIT_SCRIPT_FILES);
	else if (fd < 0 || fstat(fd, &st) != 0)
		fine = false, snprintf(why, sizeof why, "%s", strerror(errno));
	else if (S_ISREG(st.st_mode))
		fine = read_fd(fd, &f, why, sizeof why);
	if (fd >= 0)
		close(fd);
	if (fine && f.text != NULL) {
		files->v = xrealloc(files->v, (files->n + 1) * sizeof *files->v);
		files->v[files->n++] = f;
		return true;
	}
	if (!fine && *prefix != '\0') {
		/* a user's own, or a part of one: what is wrong with it is not everybody's trouble
		 */
		log_error(NULL, "script %s: %s; the file is left out", f.name, why);
		fine = true;
	} else if (!fine) {
		snprintf(error, size, "script %s: %s", f.name, why);
	}
	free(f.name);
	free(f.text);
	return fine;
}

static bool walk(struct script_files *, int fd, const char *prefix, char *error, size_t size);

static bool descend(struct script_files *files, int dir, const char *name, char *error, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *prefix;
	bool fine;

	if (fd < 0) /* a plain file, or a directory that is none of our business */
		return true;
	prefix = xasprintf("%s/", name);
	fine = walk(files, fd, prefix, error, size);
	free(prefix);
	return fine;
}

/* Takes over fd. */
static bool walk(struct script_files *files, int fd, const char *prefix, char *error, size_t size)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	bool fine = true;

	if (d == NULL) {
		snprintf(error, size, "%s", strerror(errno));
		close(fd);
		return false;
	}
	while (fine && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (is_lua(e->d_name))
			fine = add(files, dirfd(d), prefix, e->d_name, error, size);
		else if (*prefix == '\0')
			fine = descend(files, dirfd(d), e->d_name, error, size);
	}
	closedir(d);
	return fine;
}

static int by_name(const void *a, const void *b)
{
	const struct script_file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

bool script_files_read(struct script_files *files, const char *directory, char *error, size_t size)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*files = (struct script_files){0};
	if (fd < 0) {
		snprintf(error, size,
		    "scripts = \"%s\": %s; create the directory or set `scripts` to the right one",
		    directory, strerror(errno));
		return false;
	}
	if (!walk(files, fd, "", error, size)) {
		script_files_free(files);
		return false;
	}
	if (files->n > 0)
		qsort(files->v, files->n, sizeof *files->v, by_name);
	return true;
}

void script_files_free(struct script_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		compat_source_free(&files->v[i].compat);
		free(files->v[i].name);
		free(files->v[i].text);
	}
	free(files->v);
	*files = (struct script_files){0};
}

const struct script_file *script_files_find(const struct script_files *files, const char *name)
{
	const struct script_file *found = NULL;

	for (size_t i = 0; i < files->n; i++) {
		if (strcmp(files->v[i].name, name) == 0)
			return &files->v[i];
		if (found == NULL && strcasecmp(files->v[i].name, name) == 0)
			found = &files->v[i];
	}
	return found;
}

static bool is_word(int c)
{
	return isalnum(c) || c == '_';
}

static bool mentions(const struct script_file *f, const char *identifier)
{
	size_t n = strlen(identifier);

	for (const char *p = f->text;
	     (p = memmem(p, f->size - (size_t)(p - f->text), identifier, n)); p += n) {
		bool starts = p == f->text || !is_word((unsigned char)p[-1]);

		if (starts && !is_word((unsigned char)p[n])) /* text ends in NUL */
			return true;
	}
	return false;
}

bool script_files_mention(const struct script_files *files, const char *identifier)
{
	for (size_t i = 0; i < files->n; i++)
		if (mentions(&files->v[i], identifier))
			return true;
	return false;
}

/* ---- keeping a copy ---- */

static bool write_file(const char *directory, const struct script_file *f)
{
	char *path = xasprintf("%s/%s", directory, f->name);
	char *slash = strrchr(path, '/');
	size_t done = 0;
	int fd;

	*slash = '\0'; /* the directory of the file, one level deep at most */
	mkdir(path, 0750);
	*slash = '/';
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	free(path);
	if (fd < 0)
		return false;
	while (done < f->size) {
		ssize_t n = write(fd, f->text + done, f->size - done);

		if (n < 0)
			break;
		done += (size_t)n;
	}
	return (fsync(fd) | close(fd)) == 0 && done == f->size;
}

/* Only ever called with directories of our own below state_dir. */
static void remove_tree(const char *directory, int depth)
{
	DIR *d = opendir(directory);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		char *path;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		path = xasprintf("%s/%s", directory, e->d_name);
		if (unlink(path) != 0 && depth > 0)
			remove_tree(path, depth - 1);
		free(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(directory);
}

bool script_files_write(
    const struct script_files *files, const char *directory, char *error, size_t size)
{
	char *fresh = xasprintf("%s.new", directory), *old = xasprintf("%s.old", directory);
	bool fine;

	remove_tree(fresh, 1);
	fine = mkdir(fresh, 0750) == 0;
	for (size_t i = 0; fine && i < files->n; i++)
		fine = write_file(fresh, &files->v[i]);
	if (fine) {
		remove_tree(old, 1);
		fine = (rename(directory, old) == 0 || errno == ENOENT) &&
		       rename(fresh, directory) == 0;
	}
	if (!fine)
		snprintf(error, size, "cannot keep a copy of the scripts in %s: %s", directory,
		    strerror(errno));
	else
		remove_tree(old, 1);
	free(fresh);
	free(old);
	return fine;
}
