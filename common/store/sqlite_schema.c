/* sqlite_schema.c - see sqlite_schema.h.
 *
 * PRAGMA user_version holds the number of migrations done, application_id marks the file as ours.
 * A migration that was released never changes; a new one is added at the end. All run in one
 * transaction, so a file is at a whole version or untouched.
 *
 * How attempts are counted: an attempt has up to five keys (all, server, address, domain,
 * provider). For each key and reply code, triggers keep the number of attempts in every bucket of
 * about 1 second, 2 minutes and 4.7 hours. A window is then the attempts up to its first whole
 * second, plus at most 127 buckets of each finer size, plus the coarse ones: exact whatever order
 * attempts arrive in, and all but independent of how many there are. */
#include "common/store/sqlite_schema.h"

#include <stdio.h>

#define APPLICATION_ID 0x6d686b73 /* "mhks" */

static const char version_1[] =
    "CREATE TABLE keys("
    " id INTEGER PRIMARY KEY, dimension INTEGER NOT NULL, value TEXT NOT NULL,"
    " UNIQUE(dimension, value));"
    "INSERT INTO keys VALUES(1, 0, '');"

    "CREATE TABLE attempts("
    " id INTEGER PRIMARY KEY, event TEXT NOT NULL UNIQUE, time INTEGER NOT NULL,"
    " code TEXT NOT NULL,"
    " server INTEGER, address INTEGER, domain INTEGER, provider INTEGER," /* keys.id or NULL */
    " queue_id TEXT NOT NULL, sender TEXT NOT NULL, stage TEXT NOT NULL, result TEXT NOT NULL,"
    " tls TEXT NOT NULL, connection TEXT NOT NULL, delay INTEGER NOT NULL);"
    "CREATE INDEX attempts_all ON attempts(time, code);"
    "CREATE INDEX attempts_server ON attempts(server, time, code) WHERE server IS NOT NULL;"
    "CREATE INDEX attempts_address ON attempts(address, time, code) WHERE address IS NOT NULL;"
    "CREATE INDEX attempts_domain ON attempts(domain, time, code) WHERE domain IS NOT NULL;"
    "CREATE INDEX attempts_provider ON attempts(provider, time, code) WHERE provider IS NOT NULL;"

    "CREATE TABLE attempt_recipients("
    " attempt INTEGER NOT NULL, n INTEGER NOT NULL, address TEXT NOT NULL, result TEXT NOT NULL,"
    " PRIMARY KEY(attempt, n)) WITHOUT ROWID;"

    "CREATE TABLE totals(attempts INTEGER NOT NULL);"
    "INSERT INTO totals VALUES(0);"
    "CREATE TABLE buckets("
    " key INTEGER NOT NULL, level INTEGER NOT NULL, bucket INTEGER NOT NULL, code TEXT NOT NULL,"
    " n INTEGER NOT NULL, PRIMARY KEY(key, level, bucket, code)) WITHOUT ROWID;"

    "CREATE TRIGGER attempts_added AFTER INSERT ON attempts BEGIN"
    " UPDATE totals SET attempts = attempts + 1;"
    " INSERT INTO buckets"
    "  SELECT k.id, l.level, new.time >> l.level, new.code, 1"
    "  FROM (SELECT 1 AS id UNION ALL SELECT new.server UNION ALL SELECT new.address"
    "   UNION ALL SELECT new.domain UNION ALL SELECT new.provider) AS k,"
    "   (SELECT 10 AS level UNION ALL SELECT 17 UNION ALL SELECT 24) AS l"
    "  WHERE k.id IS NOT NULL"
    "  ON CONFLICT(key, level, bucket, code) DO UPDATE SET n = n + 1;"
    "END;"

    "CREATE TRIGGER attempts_removed AFTER DELETE ON attempts BEGIN"
    " UPDATE totals SET attempts = attempts - 1;"
    " DELETE FROM attempt_recipients WHERE attempt = old.id;"
    " INSERT INTO buckets"
    "  SELECT k.id, l.level, old.time >> l.level, old.code, 0"
    "  FROM (SELECT 1 AS id UNION ALL SELECT old.server UNION ALL SELECT old.address"
    "   UNION ALL SELECT old.domain UNION ALL SELECT old.provider) AS k,"
    "   (SELECT 10 AS level UNION ALL SELECT 17 UNION ALL SELECT 24) AS l"
    "  WHERE k.id IS NOT NULL"
    "  ON CONFLICT(key, level, bucket, code) DO UPDATE SET n = n - 1;"
    " DELETE FROM buckets WHERE n <= 0 AND code = old.code AND level IN (10, 17, 24)"
    "  AND bucket IN (old.time >> 10, old.time >> 17, old.time >> 24)"
    "  AND key IN (1, old.server, old.address, old.domain, old.provider);"
    " DELETE FROM keys WHERE id IN (old.server, old.address, old.domain, old.provider)"
    "  AND NOT EXISTS (SELECT 1 FROM buckets WHERE key = keys.id);"
    "END;"

    "CREATE TABLE rates("
    " key TEXT NOT NULL, period INTEGER NOT NULL, tat REAL NOT NULL,"
    " PRIMARY KEY(key, period)) WITHOUT ROWID;"
    "CREATE INDEX rates_tat ON rates(tat);"

    "CREATE TABLE holds("
    " dimension INTEGER NOT NULL, value TEXT NOT NULL, until INTEGER NOT NULL,"
    " since INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,"
    " PRIMARY KEY(dimension, value)) WITHOUT ROWID;"
    "CREATE INDEX holds_until ON holds(until);"

    "CREATE TABLE settings("
    " user TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL," /* user '' = the service */
    " PRIMARY KEY(user, name)) WITHOUT ROWID;"

    "CREATE TABLE messages("
    " queue_id TEXT PRIMARY KEY, sender TEXT NOT NULL, size INTEGER NOT NULL,"
    " arrival INTEGER NOT NULL, retries INTEGER NOT NULL, last_try INTEGER NOT NULL,"
    " changed INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX messages_changed ON messages(changed);"
    "CREATE TABLE message_recipients("
    " queue_id TEXT NOT NULL, n INTEGER NOT NULL, address TEXT NOT NULL,"
    " PRIMARY KEY(queue_id, n)) WITHOUT ROWID;"
    "CREATE TABLE message_hops("
    " queue_id TEXT NOT NULL, n INTEGER NOT NULL, hop TEXT NOT NULL,"
    " PRIMARY KEY(queue_id, n)) WITHOUT ROWID;"
    "CREATE INDEX message_hops_hop ON message_hops(hop, queue_id);"
    "CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN"
    " DELETE FROM message_recipients WHERE queue_id = old.queue_id;"
    " DELETE FROM message_hops WHERE queue_id = old.queue_id;"
    "END;";

static const char *const migrations[] = {
    version_1,
};

#define VERSIONS ((int)(sizeof migrations / sizeof migrations[0]))

/* One number from one row; -1 with why set on failure. */
static int query(sqlite3 *db, const char *sql, const char *path, int *value, char *why, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW) {
		*value = sqlite3_column_int(stmt, 0);
		rc = 0;
	} else {
		snprintf(why, size, "store: %s: %s", path, sqlite3_errmsg(db));
	}
	sqlite3_finalize(stmt);
	return rc;
}

static int run(sqlite3 *db, const char *sql, const char *path, char *why, size_t size)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	snprintf(why, size, "store: %s: %s", path, sqlite3_errmsg(db));
	return -1;
}

/* In a transaction: is the file ours, and what is missing? */
static int migrate(sqlite3 *db, const char *path, char *why, size_t size)
{
	int version, application, tables;
	char pragma[96];

	if (query(db, "PRAGMA user_version", path, &version, why, size) < 0 ||
	    query(db, "PRAGMA application_id", path, &application, why, size) < 0 ||
	    query(db, "SELECT count(*) FROM sqlite_master", path, &tables, why, size) < 0)
		return -1;
	if (tables > 0 && application != APPLICATION_ID) {
		snprintf(why, size,
		    "store: %s: is another program's SQLite file; name a file of its own", path);
		return -1;
	}
	if (version < 0 || version > VERSIONS) {
		snprintf(why, size,
		    "store: %s: has version %d, this program knows %d; use the newer mailhooks",
		    path, version, VERSIONS);
		return -1;
	}
	for (int i = version; i < VERSIONS; i++)
		if (run(db, migrations[i], path, why, size) < 0)
			return -1;
	snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
	    APPLICATION_ID, VERSIONS);
	return run(db, pragma, path, why, size);
}

int sqlite_schema_update(sqlite3 *db, const char *path, char *why, size_t size)
{
	int version = 0;

	if (query(db, "PRAGMA user_version", path, &version, why, size) < 0)
		return -1;
	if (version == VERSIONS) { /* nothing to do, so no need to wait for the write lock */
		int application = 0;

		if (query(db, "PRAGMA application_id", path, &application, why, size) < 0)
			return -1;
		if (application == APPLICATION_ID)
			return 0;
	}
	if (run(db, "BEGIN IMMEDIATE", path, why, size) < 0)
		return -1;
	if (migrate(db, path, why, size) == 0 && run(db, "COMMIT", path, why, size) == 0)
		return 0;
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}
