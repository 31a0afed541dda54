/* users_private.h - private to common/users/: the inside of struct users.
 *
 *   users.c           loading, addresses, the list
 *   users_system.c    accounts of the machine
 *   users_settings.c  settings in the store and in the file
 *   users_expand.c    whom an address stands for
 *   users_text.c      the format of the file, aliases.c that of aliases(5)
 */
#pragma once

#include "common/users.h"
#include "common/users/aliases.h"
#include "common/users/users_text.h"

#include <pthread.h>
#include <stdint.h>

enum users_source { USERS_OFF, USERS_SYSTEM, USERS_FILE, USERS_STORE };

struct users {
	struct config *config;
	enum users_source source;
	struct aliases *aliases; /* NULL: none */
	pthread_rwlock_t lock;	 /* of text */
	struct users_text *text; /* NULL: not known; of USERS_FILE and USERS_STORE */
	pthread_mutex_t refresh; /* of what follows: one thread asks the store */
	int64_t next_ms;	 /* monotonic: when to ask again */
};

/* The text of the file or the store, locked until users_unlock(); NULL, and not locked: there is
 * none, because it is not known (or the source has none). */
const struct users_text *users_lock(struct users *);
void users_unlock(struct users *);

/* The local part without the extension, or NULL when there is none; malloc'ed. */
char *users_without_extension(const struct users *, const char *local);
/* Is it bare, or in a local domain? */
bool users_in_local_domain(const struct users *, const char *address);

/* users_system.c */
enum users_answer users_system_has(const struct users *, const char *name);
enum users_answer users_system_list(const struct users *, struct strlist *names);
