/* routed_file.h - what routed.h remembers, on disk: a line of time, server, domain and whether it
 * wants nothing for each.
 *
 * Lines are added one by one and not synced: what they are there for, mail that qmgr(8) has under
 * way, outlives this process and not the machine. Not synchronised. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Calls found for each line that is whole, in order. False: it cannot be read, errno says why;
 * without a file there is nothing to read. */
bool routed_file_read(const char *path,
    void (*found)(const char *server, const char *domain, int64_t age_seconds, bool nothing));

/* A new file, which takes the place of the one at path with routed_file_replace(), and goes on to
 * be written to then. NULL, or false: it could not, errno says why. */
FILE *routed_file_new(const char *path);
bool routed_file_replace(FILE *, const char *path);
bool routed_file_add(
    FILE *, const char *server, const char *domain, int64_t age_seconds, bool nothing);
