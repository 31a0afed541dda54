/* store_fill.c - see store_fill.h. */
#include "tests/bench/store_fill.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 5000 /* attempts of one script in Redis, which answers nobody else meanwhile */
#define FILE_URL "sqlite:"
#define REDIS_URL "redis+unix://"

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "store_fill: %s\n", what);
	exit(1);
}

/* ---- SQLite: ?1 attempts, the last at ?2 ms, over ?3 ms ---- */

static const char keys_sql[] =
    "INSERT INTO keys(dimension, value)"
    " SELECT 2, '192.0.2.1' UNION ALL SELECT 4, 'provider.example';"
    "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 2 FROM i WHERE n < 998)"
    " INSERT INTO keys(dimension, value) SELECT 1, 'mx' || n || '.example.com' FROM i;"
    "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 4999)"
    " INSERT INTO keys(dimension, value) SELECT 3, 'd' || n || '.example' FROM i;";

static const char attempts_sql[] =
    "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < ?1 - 1),"
    " named(n, server, domain) AS (SELECT n,"
    "  'mx' || CASE WHEN n % 2 THEN 0 ELSE n % 1000 END || '.example.com',"
    "  'd' || n % 5000 || '.example' FROM i)"
    " INSERT INTO attempts(event, time, code, server, address, domain, provider, queue_id, sender,"
    "  stage, result, tls, connection, delay)"
    " SELECT printf('bench:%012d', n), ?2 - ?3 * (?1 - n) / ?1,"
    "  CASE WHEN n % 3 = 0 THEN '450' ELSE '250' END,"
    "  (SELECT id FROM keys WHERE dimension = 1 AND value = server),"
    "  (SELECT id FROM keys WHERE dimension = 2 AND value = '192.0.2.1'),"
    "  (SELECT id FROM keys WHERE dimension = 3 AND value = domain),"
    "  (SELECT id FROM keys WHERE dimension = 4 AND value = 'provider.example'),"
    "  '4XyZ12abcdeFGHi', 'sender@example.org', 'RCPT',"
    "  CASE WHEN n % 3 = 0 THEN '450 4.7.1 try again later' ELSE '250 2.0.0 ok' END,"
    "  'TLSv1.3', '12345', 1234 FROM named";

static const char recipients_sql[] =
    "INSERT INTO attempt_recipients SELECT id, 0, 'somebody@example.com', '450 4.7.1 try later'"
    " FROM attempts";

static void run_sql(sqlite3 *db, const char *sql, uint64_t n, int64_t last_ms, int64_t span_ms)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	if (sqlite3_bind_parameter_count(st) == 3) {
		sqlite3_bind_int64(st, 1, (sqlite3_int64)n);
		sqlite3_bind_int64(st, 2, last_ms);
		sqlite3_bind_int64(st, 3, span_ms);
	}
	if (sqlite3_step(st) != SQLITE_DONE)
		die(sqlite3_errmsg(db));
	sqlite3_finalize(st);
}

/* The store has made its tables in the file. */
static void fill_file(const char *path, uint64_t n, int64_t last_ms, int64_t span_ms)
{
	static const char fast[] = "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;"
				   "PRAGMA recursive_triggers = OFF; BEGIN";
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, fast, NULL, NULL, NULL) ||
	    sqlite3_exec(db, keys_sql, NULL, NULL, NULL))
		die(sqlite3_errmsg(db));
	run_sql(db, attempts_sql, n, last_ms, span_ms);
	run_sql(db, recipients_sql, n, last_ms, span_ms);
	if (sqlite3_exec(db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL))
		die(sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* ---- Redis: ARGV: the first and the last number, attempts in all, time of the last, span ---- */

/* The lines below are those of another language. */
/* clang-format off */
static const char attempts_lua[] =
    "local base, n, last, span = 'mailhooks:{a}', ARGV[3], ARGV[4], ARGV[5]\n"
    "local life = span * 2 + 172800000\n"
    "for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do\n"
    "  local event = string.format('bench:%012d', i)\n"
    "  local server = 'mx' .. (i % 2 == 1 and 0 or i % 1000) .. '.example.com'\n"
    "  local domain = 'd' .. i % 5000 .. '.example'\n"
    "  local code = i % 3 == 0 and '450' or '250'\n"
    "  local time = string.format('%.0f', math.floor(last - span * (n - i) / n))\n"
    "  local keys = {'all:', 'server:' .. server, 'address:192.0.2.1', 'domain:' .. domain,\n"
    "    'provider:provider.example'}\n"
    "  redis.call('HSET', base .. 'e:' .. event, 'queue_id', '4XyZ12abcdeFGHi',\n"
    "    'server', server, 'address', '192.0.2.1', 'domain', domain,\n"
    "    'provider', 'provider.example', 'sender', 'sender@example.org', 'stage', 'RCPT',\n"
    "    'result', code == '450' and '450 4.7.1 try again later' or '250 2.0.0 ok',\n"
    "    'tls', 'TLSv1.3', 'connection', '12345', 'time', time, 'delay', 1234,\n"
    "    'a0', 'somebody@example.com', 'r0', '450 4.7.1 try later')\n"
    "  redis.call('PEXPIRE', base .. 'e:' .. event, life)\n"
    "  for _, key in ipairs(keys) do\n"
    "    redis.call('ZADD', base .. 'z:' .. code .. ':' .. key, time, event)\n"
    "    redis.call('SADD', base .. 'c:' .. key, code)\n"
    "    redis.call('PEXPIRE', base .. 'z:' .. code .. ':' .. key, life)\n"
    "    redis.call('PEXPIRE', base .. 'c:' .. key, life)\n"
    "  end\n"
    "end\n"
    "return 1\n";
/* clang-format on */

static void fill_redis(const char *path, uint64_t n, int64_t last_ms, int64_t span_ms)
{
	redisContext *redis = redisConnectUnix(path);

	if (redis == NULL || redis->err != 0)
		die(redis != NULL ? redis->errstr : "out of memory");
	for (uint64_t i = 0; i < n; i += AT_ONCE) {
		uint64_t to = (i + AT_ONCE < n ? i + AT_ONCE : n) - 1;
		redisReply *reply = redisCommand(redis,
		    "EVAL %s 0 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64,
		    attempts_lua, i, to, n, last_ms, span_ms);

		if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
			die(reply != NULL ? reply->str : redis->errstr);
		freeReplyObject(reply);
	}
	redisFree(redis);
}

bool store_fill(const char *url, uint64_t n, int64_t last_ms, int64_t span_ms)
{
	static const struct {
		const char *begins;
		void (*fill)(const char *path, uint64_t n, int64_t last_ms, int64_t span_ms);
	} kinds[] = {{FILE_URL, fill_file}, {REDIS_URL, fill_redis}};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t begins = strlen(kinds[i].begins);

		if (strncmp(url, kinds[i].begins, begins) == 0) {
			kinds[i].fill(url + begins, n, last_ms, span_ms);
			return true;
		}
	}
	return false;
}
