/* users_text.h - private to common/users/: the format of the file of users.
 *
 *   # a comment
 *   ann: ann@example.com, info@example.com
 *       UseForwards = yes
 *       Forwards = ann@elsewhere.example
 *   bob:
 *
 * A user begins at the beginning of a line: name, colon, addresses (none: user@ each local
 * domain). Lines below him that begin with white space are his settings. Pure; immutable once
 * read. */
#pragma once

#include "common/list.h"

#include <stddef.h>

struct users_entry {
	char *name;		  /* lower case */
	struct strlist addresses; /* lower case */
	struct strlist settings;  /* name, value, name, value ... */
};

struct users_address {
	char *address;
	size_t user; /* index of .v */
};

struct users_text {
	struct users_entry *v; /* sorted by name */
	size_t n;
	struct users_address *addresses; /* sorted */
	size_t naddresses;
};

/* NULL: error says "PLACE:LINE: what". */
struct users_text *users_text_read(
    const char *text, size_t n, const char *place, char *error, size_t size);
void users_text_free(struct users_text *); /* NULL is fine */
/* name and address in lower case; NULL: none. */
const struct users_entry *users_text_find(const struct users_text *, const char *name);
const struct users_entry *users_text_owner(const struct users_text *, const char *address);
