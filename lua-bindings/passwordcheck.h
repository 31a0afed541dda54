/* passwordcheck.h - passwordcheck.lua: may a user have this password?
 *
 * No Lua type appears here. The password is never logged by us. Called once in the life of
 * `mailhooks passwd-check`. */
#pragma once

#include "lua-bindings/script_set.h"

#include <stddef.h>

enum passwordcheck {
	PASSWORDCHECK_ALLOWED, /* also without a script, or when it has no opinion */
	PASSWORDCHECK_REFUSED,
	PASSWORDCHECK_FAILED, /* the script could not say; logged, and refused all the same */
};

/* message: for the user, "" when ALLOWED. */
enum passwordcheck passwordcheck(
    struct script_set *, const char *user, const char *password, char *message, size_t size);
