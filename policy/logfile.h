/* logfile.h - reads a log file line by line while it is written, rotated and cut.
 *
 * A file is renamed or copied and cut by a rotator at any time: what was not read yet is then read
 * from the rotated file, before the new one. What cannot be read any more is logged as a gap. Each
 * line has a key that is the same whenever and wherever it is read: the digest of the first line of
 * its file, and its place in it. One thread at a time; never waits. */
#pragma once

#include "common/maillog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define LOGFILE_LINE_BYTES 65536 /* longer lines are passed over; MTAs stop at 2 KiB */
#define LOGFILE_KEY_BYTES 64

struct logfile;

/* position: what logfile_position() gave, or NULL: from the beginning of the file as it is now. The
 * file need not exist yet. */
struct logfile *logfile_open(const char *path, const char *position);
void logfile_close(struct logfile *); /* NULL is fine */

/* The next whole line, valid until the next call. False: there is none at the moment. */
bool logfile_next(struct logfile *, struct maillog_text *line, char key[static LOGFILE_KEY_BYTES]);

/* Behind the last line that was returned; as a text without line ends. */
void logfile_position(const struct logfile *, char *out, size_t size);
