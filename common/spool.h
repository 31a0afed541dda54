/* spool.h - bytes kept in memory up to a bound and in an unlinked file beyond it.
 *
 * Owned by one message; not synchronised. The file has no name, so nothing is left behind whatever
 * happens to the process, and nobody else can open it (R4). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct spool;

/* directory is where the file would live and must outlive the spool; nothing is opened before the
 * bytes in memory exceed `memory`. */
struct spool *spool_new(const char *directory, size_t memory);
void spool_free(struct spool *); /* NULL is fine */

/* All of it or nothing: 0, or -1 with errno. */
int spool_append(struct spool *, const void *bytes, size_t n);
uint64_t spool_size(const struct spool *);
/* Read up to n bytes at offset; returns the number read, 0 at the end, -1 with errno. */
ssize_t spool_read(const struct spool *, uint64_t offset, void *out, size_t n);
