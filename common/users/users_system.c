/* users_system.c - the accounts of the machine as the name service knows them.
 *
 * The name service may ask a server; how long that takes is its own configuration (nscd, sssd).
 * Accounts of services have numbers outside of users.least_uid ... most_uid. */
#include "common/limits.h"
#include "common/users/users_private.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>

#define FIRST_BYTES 1024

static bool is_user(const struct users *u, const struct passwd *pw)
{
	return pw->pw_uid >= (uid_t)u->config->users.least_uid &&
	       pw->pw_uid <= (uid_t)u->config->users.most_uid && users_name_is_sound(pw->pw_name);
}

/* What getpwnam_r() gives when there is no such account differs between services (its manual). */
static bool means_absent(int error)
{
	return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

enum users_answer users_system_has(const struct users *u, const char *name)
{
	struct passwd pw, *found = NULL;
	enum users_answer answer;
	char *memory = NULL;
	size_t n = FIRST_BYTES;
	int error;

	do {
		memory = xrealloc(memory, n);
		error = getpwnam_r(name, &pw, memory, n, &found);
	} while (error == ERANGE && (n *= 2) <= LIMIT_PASSWD_BYTES);
	if (found != NULL)
		answer = is_user(u, found) ? USERS_YES : USERS_NO;
	else
		answer = means_absent(error) ? USERS_NO : USERS_UNKNOWN;
	free(memory);
	return answer;
}

enum users_answer users_system_list(const struct users *u, struct strlist *names)
{
	/* The walk through all accounts has one position for the whole process. */
	static pthread_mutex_t walk = PTHREAD_MUTEX_INITIALIZER;
	char *memory = xmalloc(LIMIT_PASSWD_BYTES);
	struct passwd pw, *found;
	int error = 0;

	pthread_mutex_lock(&walk);
	setpwent();
	while (names->n < LIMIT_USERS &&
	       (error = getpwent_r(&pw, memory, LIMIT_PASSWD_BYTES, &found)) == 0)
		if (is_user(u, found))
			strlist_add(names, found->pw_name);
	endpwent();
	pthread_mutex_unlock(&walk);
	free(memory);
	return means_absent(error) ? USERS_YES : USERS_UNKNOWN;
}
