/* logfile_rotate.h - which log file is which: contents are known by their first line, wherever a
 * rotator has put them. For logfile.c; one thread at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LOGFILE_IDENTITY_BYTES 33 /* 32 hexadecimal digits */

/* The digest of the first line, which is copied and renamed with the rest. False: there is no
 * whole line yet, or the file cannot be read. */
bool logfile_identity(int fd, char identity[static LOGFILE_IDENTITY_BYTES]);

/* Open what a rotator made of the content with that identity and at least that many bytes: the
 * file itself, or one beside it whose name goes on ("mail.log.1", "mail.log-20261121"). Compressed
 * ones are not looked at. -1: there is none. */
int logfile_find(const char *path, const char *identity, int64_t bytes);

/* Open the oldest file that was written to after that time, or else the one of that path, unless it
 * is the content `but`: the one to read next. -1: there is none, or its first line is not whole
 * yet. */
int logfile_next_after(const char *path, int64_t written_ns, const char *but);

/* Is there a compressed one that was written to after that time, and nothing of what it was made
 * from? Compressors keep the time. */
bool logfile_is_compressed_after(const char *path, int64_t written_ns);

int64_t logfile_written_ns(int fd); /* when it was written to last */
