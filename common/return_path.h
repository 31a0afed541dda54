/* return_path.h - BATV and SRS as the settings batv.* and srs.* have them.
 *
 * batv.h and srs.h are the schemes themselves; here are the keys of the files, the clock, and who
 * is rewritten. Thread-safe; reads a key file when it has changed. */
#pragma once

#include "common/config.h"

#include <stdbool.h>

enum return_path_op {
	RETURN_PATH_BATV_SIGN,
	RETURN_PATH_BATV_CHECK,
	RETURN_PATH_SRS_FORWARD,
	RETURN_PATH_SRS_REVERSE,
};

enum return_path {
	RETURN_PATH_DONE,
	RETURN_PATH_NOT,     /* signing: it cannot be done to this address; else it has no tag */
	RETURN_PATH_FORGED,  /* a tag that none of the keys has made */
	RETURN_PATH_EXPIRED, /* a tag of ours that is too old */
	RETURN_PATH_OFF,     /* not set up: no key file, or no domain */
	RETURN_PATH_UNKNOWN, /* the keys cannot be read; logged */
};

/* *out: the new address, malloc'ed, when it is DONE, else NULL. *why (may be NULL): what to tell
 * somebody who asked for it otherwise; a constant. */
enum return_path return_path_do(
    const struct config *, enum return_path_op, const char *address, char **out, const char **why);
/* Where an address points to whose tag is valid, of either scheme: *out, malloc'ed. Tags of BATV
 * count in batv.domains, everywhere when there are none. */
enum return_path return_path_reverse(const struct config *, const char *address, char **out);

/* Does batv.domains name the domain of this address? */
bool return_path_is_ours(const struct config *, const char *address);
/* Is this a sender that SRS never rewrites: without a domain, or of srs.domain, srs.exclude or
 * batv.domains? */
bool return_path_is_kept(const struct config *, const char *address);
/* What batv.bounces says of a bounce to this recipient: NULL, or the text of a 550 reply (without
 * codes), a constant. */
const char *return_path_refuses(const struct config *, const char *recipient);

/* Read the key files that the settings name, and tell of those that cannot be used. */
void return_path_check(
    const struct config *, void (*found)(void *arg, const char *path, const char *why), void *arg);
