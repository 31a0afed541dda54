/* tagged.h - private to common/: what the addresses of both schemes have in common. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TAGGED_MOST_BYTES 254 /* RFC 5321 4.5.3.1.3: a path has 256, with its brackets */

/* ASCII only: addresses do not depend on the locale. */
char tagged_fold(char c);
/* n bytes in small letters, malloc'ed. */
char *tagged_lower(const char *s, size_t n);
/* Too long to be looked at any further. */
bool tagged_too_long(const char *address);
/* NULL: an address that a tag can be put into or can have been put into. Otherwise why not: it is
 * none, or its local part is quoted, or its domain has characters that cannot stand there. */
const char *tagged_refused(const char *address);
