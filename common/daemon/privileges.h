/* privileges.h - directories and identity of a daemon that may start as root. Call before threads.
 */
#pragma once

#include "common/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct identity {
	uid_t uid;
	gid_t gid;
	bool change; /* we are root and the configuration names a user */
};

/* Who the daemon shall run as. False: error names the setting that is wrong. */
bool privileges_identity(const struct config *, struct identity *, char *error, size_t size);
/* Create the directories that the configuration names (state, run, log files, sockets) where they
 * are missing, owned by the identity; one level each. */
bool privileges_directories(
    const struct config *, const struct identity *, char *error, size_t size);
/* Give a file (a socket) its owner and mode; "" = those of the identity. */
bool privileges_own(const char *path, const struct identity *, const char *owner, const char *group,
    mode_t mode, char *error, size_t size);
/* Become the identity for good; no effect when change is false. */
bool privileges_drop(const struct config *, const struct identity *, char *error, size_t size);
