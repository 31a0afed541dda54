/* users.h - who is local: the users of this service, their addresses, aliases and settings.
 *
 * The setting users.source says who the users are: accounts of the machine, a file, the same text
 * in the store, or nobody. A user gets the mail for user@D in every domain D of local_domains, and
 * for the addresses that the file gives him. An alias file says whom other local addresses stand
 * for; commands, files and included lists in it are never followed.
 *
 * A struct users belongs to one loading of the configuration and is immutable for its callers;
 * thread-safe. What is read is bounded (limits.h). Answers have three values: UNKNOWN means that
 * the name service or the store did not answer, never "no". Names are compared without regard to
 * ASCII case and come back in lower case. */
#pragma once

#include "common/config.h"
#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>

#define USERS_STORE_SETTING "Users" /* of the service: the text, with users.source = "store" */

struct users;

enum users_answer { USERS_YES, USERS_NO, USERS_UNKNOWN };

/* NULL: error says file, line and what is wrong. Keeps a reference to the configuration. */
struct users *users_load(struct config *, char *error, size_t size);
void users_free(struct users *); /* NULL is fine */

/* The file as it stands, malloc'ed, if it is a sound list of users; else NULL and error. */
char *users_check_file(const char *path, char *error, size_t size);

/* A name that may stand in a path: letters, digits and ._+-= and bytes above 127, at most
 * LIMIT_USER_NAME_BYTES, no dot or hyphen at its beginning. Nobody else is a user. */
bool users_name_is_sound(const char *name);

bool users_are_off(const struct users *); /* users.source = "" */
/* Is it a bare local part, in a local domain or an address that a user has? */
bool users_is_local(struct users *, const char *address);
/* Is name a user? */
enum users_answer users_exist(struct users *, const char *name);
/* Whose mailbox is it, aliases aside? *name is the caller's to free, NULL unless YES. */
enum users_answer users_find(struct users *, const char *address, char **name);
/* All users, sorted, at most LIMIT_USERS; added to names. */
enum users_answer users_list(struct users *, struct strlist *names);
/* His addresses in the file, or user@D for each local domain; added to addresses. */
enum users_answer users_addresses(struct users *, const char *name, struct strlist *addresses);

/* ---- settings: those in the store, and below them those in the file ---- */

/* Of a user, or of the service (user NULL). *value is the caller's to free, NULL unless YES. */
enum users_answer users_setting(
    struct users *, const char *user, const char *name, char **value, int ms);
/* All of a user, as name, value, name, value ... ; added to pairs. A store that does not answer
 * gives UNKNOWN and those in the file. */
enum users_answer users_settings(struct users *, const char *user, struct strlist *pairs, int ms);
/* What the file says, without asking the store; added to pairs. */
void users_presets(struct users *, const char *user, struct strlist *pairs);
/* The value of a name in pairs, the later ones first; NULL: none. */
const char *users_pair(const struct strlist *pairs, const char *name);

/* ---- expansion ---- */

enum users_kind {
	USERS_USER,    /* the mailbox of .user */
	USERS_ALIAS,   /* stands for those that follow; .whole false: for more than them */
	USERS_NOBODY,  /* local, but neither user nor alias */
	USERS_REMOTE,  /* on another host */
	USERS_FORWARD, /* where a user forwards his mail to */
};

struct users_target {
	enum users_kind kind;
	char *address; /* as it can stand in an envelope */
	char *user;    /* USERS_USER, and USERS_FORWARD: whose; else NULL */
	bool whole;    /* USERS_ALIAS */
};

struct users_expansion {
	struct users_target *v;
	size_t n;
	bool whole; /* false: there is more (a command, a file, a list), or there are too many */
};

/* Whom the address stands for, each once, aliases before what they stand for. forwards: with the
 * setting Forwards of users who have UseForwards. UNKNOWN: out is incomplete. */
enum users_answer users_expand(
    struct users *, const char *address, bool forwards, int ms, struct users_expansion *out);
void users_expansion_clear(struct users_expansion *);
