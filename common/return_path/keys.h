/* keys.h - private to common/: the secrets of BATV and SRS, from files.
 *
 * The first secret of a file signs, all of them verify, so a key is replaced by putting a new one
 * above it and taking the old one away when what it signed has expired. A file is looked at
 * whenever its keys are asked for and read again when it has changed; one that cannot be used then
 * is logged and the keys known before stay in force. Secrets are overwritten before their memory is
 * freed, and no message contains one. Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum keys_format {
	KEYS_NUMBERED, /* BATV: "N secret", N from 0 to 9; "#" begins a comment, blank lines */
	KEYS_LINES,    /* SRS: each line is a secret, as postsrsd reads it */
};

struct key {
	int number; /* KEYS_NUMBERED: the N of the line; else its position from 0 */
	char *secret;
	size_t n; /* bytes of it */
};

struct keys {
	struct key *v;
	size_t n; /* at least 1 */
	unsigned references;
};

/* From the text of a file; one reference. NULL: error says what is wrong, with the line. Pure. */
struct keys *keys_parse(enum keys_format, const char *text, size_t n, char *error, size_t size);
/* From a file that nobody but its owner can write and that is not for everybody to read. */
struct keys *keys_read(enum keys_format, const char *path, char *error, size_t size);
/* The keys of this file as it is now, a reference; NULL: there never were usable ones, logged once
 * for each change of the file. */
struct keys *keys_current(enum keys_format, const char *path);
void keys_unref(struct keys *); /* NULL is fine */
