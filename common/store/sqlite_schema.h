/* sqlite_schema.h - tables of the store's SQLite file and their history; private to the engine. */
#pragma once

#include <sqlite3.h>

#include <stddef.h>

/* Attempts are also counted in buckets of 2^level milliseconds. These numbers stand in the
 * triggers of version 1 and cannot change without a migration that counts anew. */
enum { SQLITE_LEVEL_FINE = 10, SQLITE_LEVEL_MIDDLE = 17, SQLITE_LEVEL_COARSE = 24 };

#define SQLITE_KEY_ALL 1 /* keys.id of STORE_ALL */

/* Bring an open file to the newest version. The caller has set a busy handler. 0, or -1 with why
 * set: also when the file is newer than this program, or is not a store. */
int sqlite_schema_update(sqlite3 *, const char *path, char *why, size_t size);
