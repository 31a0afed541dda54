/* patch.h - changes to a byte stream: at these offsets, these bytes in place of those.
 *
 * A message of 50 MB whose text gains two lines is described by two lines. Only the bytes put in
 * are kept; what stays is read from its source when the new stream is written. Owned by one
 * caller, not synchronised. */
#pragma once

#include "common/mime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct patch;

struct patch *patch_new(void);
void patch_free(struct patch *); /* NULL is fine */

/* Put n bytes (copied) at offset `at` in place of the `drop` bytes there. From front to back:
 * false, and nothing added, when `at` lies before the end of the change before. */
bool patch_replace(struct patch *, uint64_t at, uint64_t drop, const void *bytes, size_t n);
size_t patch_count(const struct patch *);
/* The bytes that change i puts in, and where. */
const char *patch_bytes(const struct patch *, size_t i, size_t *n, uint64_t *at);
/* What becomes of `size` bytes that all changes lie within. */
uint64_t patch_size(const struct patch *, uint64_t size);
/* The new stream, from offset `from` of the old one on, which no change lies before. MIME_UNREAD
 * with errno, also when the source ends before the last change. */
enum mime_result patch_write(
    const struct patch *, const struct mime_source *, uint64_t from, const struct mime_sink *);
