/* aliases.h - private to common/users/: a file in the format of aliases(5).
 *
 * Names and targets only. A command, a file name or :include: is remembered as "there is more" and
 * never followed. A line that cannot be read is left out: it is the MTA's file, and the MTA says
 * so. Pure; immutable once read. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>

struct alias {
	char *name; /* lower case */
	struct strlist
	    targets; /* addresses; "\\name" means the mailbox, whatever the aliases say */
	int line;
	bool whole; /* false: there is a target that is no address */
};

struct aliases {
	struct alias *v; /* sorted by name */
	size_t n;
	int skipped;	   /* lines that could not be read, or were too many */
	int first_skipped; /* number of the first one of them */
};

struct aliases *aliases_read(const char *text, size_t n);
void aliases_free(struct aliases *);					    /* NULL is fine */
const struct alias *aliases_find(const struct aliases *, const char *name); /* lower case */
