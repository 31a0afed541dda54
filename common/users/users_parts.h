/* users_parts.h - private to common/users/: what the readers of files share. */
#pragma once

#include <stddef.h>

/* ASCII upper case to lower case, in place. */
char *users_lower(char *);
/* A regular file of at most LIMIT_USERS_BYTES, malloc'ed and terminated; NULL with *why (a
 * constant, or strerror). */
char *users_read_file(const char *path, size_t *n, const char **why);
