/* privileges.c - see privileges.h. */
#include "common/daemon/privileges.h"

#include "common/list.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool find_user(const char *name, struct passwd **pw, char *error, size_t size)
{
	errno = 0;
	*pw = getpwnam(name);
	if (*pw == NULL)
		snprintf(error, size, "user \"%s\": %s; create it or change the setting", name,
		    errno ? strerror(errno) : "no such user");
	return *pw != NULL;
}

static bool find_group(const char *name, gid_t *gid, char *error, size_t size)
{
	struct group *gr;

	errno = 0;
	gr = getgrnam(name);
	if (gr == NULL)
		snprintf(error, size, "group \"%s\": %s; create it or change the setting", name,
		    errno ? strerror(errno) : "no such group");
	else
		*gid = gr->gr_gid;
	return gr != NULL;
}

bool privileges_identity(const struct config *c, struct identity *id, char *error, size_t size)
{
	struct passwd *pw;

	*id = (struct identity){.uid = geteuid(), .gid = getegid()};
	if (geteuid() != 0 || *c->user == '\0')
		return true;
	if (!find_user(c->user, &pw, error, size))
		return false;
	*id = (struct identity){.uid = pw->pw_uid, .gid = pw->pw_gid, .change = true};
	return *c->group == '\0' || find_group(c->group, &id->gid, error, size);
}

static bool ensure(const char *directory, const struct identity *id, char *error, size_t size)
{
	struct stat st;

	if (stat(directory, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return true;
		errno = ENOTDIR;
	} else if (errno == ENOENT && mkdir(directory, 0755) == 0 &&
		   (!id->change || chown(directory, id->uid, id->gid) == 0)) {
		return true;
	}
	snprintf(error, size, "directory %s: %s", directory, strerror(errno));
	return false;
}

static bool ensure_parent(const char *file, const struct identity *id, char *error, size_t size)
{
	char *copy, *slash;
	bool fine = true;

	if (*file != '/')
		return true;
	copy = xstrdup(file);
	slash = strrchr(copy, '/');
	*slash = '\0';
	if (*copy != '\0')
		fine = ensure(copy, id, error, size);
	free(copy);
	return fine;
}

static const char *socket_path(const char *address)
{
	const char *slash = strchr(address, '/');

	return strncmp(address, "inet", 4) != 0 && slash != NULL ? slash : "";
}

static bool ensure_for_sockets(
    const struct strlist *addresses, const struct identity *id, char *error, size_t size)
{
	for (size_t i = 0; i < addresses->n; i++)
		if (!ensure_parent(socket_path(addresses->v[i]), id, error, size))
			return false;
	return true;
}

bool privileges_directories(
    const struct config *c, const struct identity *id, char *error, size_t size)
{
	if (!ensure(c->state_dir, id, error, size) || !ensure_parent(c->lua.out, id, error, size) ||
	    !ensure_parent(c->lua.errors, id, error, size))
		return false;
	return ensure_for_sockets(&c->milter.listen, id, error, size) &&
	       ensure_for_sockets(&c->policy.listen, id, error, size) &&
	       ensure_for_sockets(&c->socketmap.listen, id, error, size);
}

bool privileges_own(const char *path, const struct identity *id, const char *owner,
    const char *group, mode_t mode, char *error, size_t size)
{
	struct passwd *pw;
	uid_t uid = id->uid;
	gid_t gid = id->gid;

	if (*owner != '\0') {
		if (!find_user(owner, &pw, error, size))
			return false;
		uid = pw->pw_uid;
	}
	if (*group != '\0' && !find_group(group, &gid, error, size))
		return false;
	/* root does this in a directory of the other user: a link in the place of path leads
	 * nowhere (R4) */
	if (fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) != 0 ||
	    lchown(path, uid, gid) != 0) {
		snprintf(error, size, "owner or mode of %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

bool privileges_drop(const struct config *c, const struct identity *id, char *error, size_t size)
{
	if (!id->change)
		return true;
	if (initgroups(c->user, id->gid) != 0 || setresgid(id->gid, id->gid, id->gid) != 0 ||
	    setresuid(id->uid, id->uid, id->uid) != 0) {
		snprintf(error, size, "cannot become user \"%s\": %s", c->user, strerror(errno));
		return false;
	}
	if (id->uid != 0 && setuid(0) == 0) { /* the kernel must not let us back */
		snprintf(error, size, "privileges of root could not be dropped");
		return false;
	}
	return true;
}
