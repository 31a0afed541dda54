/* sqlite_pool.h - connections to one SQLite file, each call with one of its own and a deadline;
 * private to the store's SQLite engine.
 *
 * The file is in WAL mode with synchronous = NORMAL: readers never wait, one writer at a time among
 * all processes. A power cut may lose the last transactions, never damage the file. No lock is
 * waited for and no statement runs past the deadline; only a disk's fsync cannot be cut short.
 *
 *   struct sqlite_conn *c = sqlite_pool_write(pool, until);        NULL: answer UNKNOWN
 *   sqlite_conn_do(c, "DELETE FROM t WHERE name = ?", "t", name);
 *   return sqlite_pool_end(c, STORE_FOUND);                        commits, or UNKNOWN
 *
 * After a failure every further call on that connection does nothing until sqlite_pool_end(),
 * which rolls back, tells the log and answers UNKNOWN: no result need be looked at in between. */
#pragma once

#include "common/store.h"

#include <sqlite3.h>

struct sqlite_pool;
struct sqlite_conn;

/* Creates or migrates the file within o->open_ms. NULL: why is set. */
struct sqlite_pool *sqlite_pool_open(
    const char *path, const struct store_options *o, char *why, size_t size);
void sqlite_pool_close(struct sqlite_pool *); /* no connection may be out */

/* What is committed reaches the disk: with synchronous = NORMAL the WAL waits for the next
 * checkpoint. UNKNOWN: it may not have. */
enum store_answer sqlite_pool_sync(struct sqlite_pool *, int64_t until);

const char *sqlite_pool_path(const struct sqlite_pool *);

/* A connection in a read transaction, or in a write transaction that has the lock already. NULL:
 * none to be had before `until`. Give it back with sqlite_pool_end(). */
struct sqlite_conn *sqlite_pool_read(struct sqlite_pool *, int64_t until);
struct sqlite_conn *sqlite_pool_write(struct sqlite_pool *, int64_t until);
/* Commits and returns `answer`; rolls back and returns UNKNOWN if anything failed. */
enum store_answer sqlite_pool_end(struct sqlite_conn *, enum store_answer answer);

/* sql must be a string that lives as long as the pool: statements are cached by its address.
 * types has one letter per argument: t text, z text or NULL if empty, i int64_t, d double. Texts
 * must live until the statement has run. */

/* Run it to its end. */
void sqlite_conn_do(struct sqlite_conn *, const char *sql, const char *types, ...);
/* Run it to its first row; NULL: there is none. Continue with sqlite_conn_next(), which returns
 * false at the end; or leave it: the next use of that statement starts anew. */
sqlite3_stmt *sqlite_conn_row(struct sqlite_conn *, const char *sql, const char *types, ...);
bool sqlite_conn_next(struct sqlite_conn *, sqlite3_stmt *);
/* The first column of the first row, `otherwise` if there is none. */
int64_t sqlite_conn_int(
    struct sqlite_conn *, int64_t otherwise, const char *sql, const char *types, ...);
int64_t sqlite_conn_changes(struct sqlite_conn *); /* rows changed by the last statement */
bool sqlite_conn_failed(const struct sqlite_conn *);
/* Text of a column; "" for NULL. Good until the statement moves on. */
const char *sqlite_column(sqlite3_stmt *, int column);
