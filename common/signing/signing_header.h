/* signing_header.h - the header of one part, to look at and to change. Private to common/signing*.
 */
#pragma once

#include "common/signing.h"
#include "common/signing/signing_bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The header as it stands, with its empty line. False: longer than LIMIT_SIGNING_HEADER_BYTES, or
 * it cannot be read. */
bool signing_header_read(
    struct signing_bytes *out, const struct mime_source *, uint64_t from, uint64_t to);
/* The value of the first field of that name, between the colon and the last line end; NULL. */
const char *signing_header_value(const struct signing_bytes *, const char *name, size_t *n);
/* Is the parameter of Content-Type what it is said to be? Cases ignored. */
bool signing_header_parameter_is(
    const struct signing_bytes *, const char *parameter, const char *value);
/* The value of Content-Type with charset in place of `old`, which was read from it ("" = none),
 * malloc'ed; of text/plain when there is no such field. NULL: it is written in a way that cannot be
 * changed (RFC 2231, characters that were cleaned away). */
char *signing_header_new_type(const struct signing_bytes *, const char *old, const char *charset);
/* Replace the value of a field, or add it in front. */
void signing_header_set(struct signing_bytes *, const char *name, const char *value);
