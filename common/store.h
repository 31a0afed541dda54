/* store.h - send attempts, rate limits, holds, settings and message facts, in one of two engines.
 *
 *   sqlite:PATH                                  embedded; shared live by the programs of one host
 *   redis://[user:password@]host[:port][/db]     one server
 *   rediss://...                                 the same in TLS, certificate and host name
 * verified redis+unix:///path[?db=n]                    one server on a unix socket
 *   redis-sentinel://[..@]host[:port],.../master[/db]   the master that Sentinel names
 *   redis-cluster://[..@]host[:port],...         Redis Cluster; no db
 *   rediss-sentinel:// and rediss-cluster://     the same in TLS
 * Options after '?': ca, cert, key (PEM files), name (host name to verify instead of the one
 * connected to), sentinel_user, sentinel_password, db. User, password and values are %-decoded.
 *
 * Answers have three values. STORE_UNKNOWN means that the store could not be asked within the
 * deadline, or could not do it (away, slow, full, read-only); it never means "no" or "none".
 *
 * Every call ends within its deadline of `ms` milliseconds, save the time of a disk's fsync.
 * A handle is thread-safe: it owns a bounded set of connections, and each call uses one of them
 * alone. It does not survive fork(): open it in the process that uses it. Redis need not be there
 * when the handle is opened.
 *
 * Times are milliseconds since 1970. Texts are any bytes without NUL; NULL is the empty text.
 * A text that is longer than its bound in limits.h is clipped, a key is replaced by its digest.
 * Strings handed to a visitor are valid only until it returns; visitors run without any lock. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum store_answer { STORE_FOUND, STORE_ABSENT, STORE_UNKNOWN };

struct store_options {
	const char *prefix;	      /* of every Redis key; no braces */
	unsigned connections;	      /* to one server or file at most */
	int open_ms;		      /* to create or migrate the SQLite file */
	int64_t attempts_keep_ms;     /* older attempts are neither kept nor counted */
	uint64_t attempts_keep_count; /* the newest are kept */
	int64_t facts_keep_ms;	      /* after the last change to a message's facts */
	unsigned breaker_failures; /* in a row, after which a Redis server is skipped; 0 = never */
	unsigned breaker_ms;	   /* ... for this long */
	size_t fallback_attempts;  /* kept in memory for a Redis outage; 0 = no fallback */
	size_t fallback_limits;	   /* rate limits kept in memory for it; 0 = no fallback */
	int64_t (*clock)(void *);  /* milliseconds since 1970; NULL: the system's or Redis's */
	void *clock_arg;
};

void store_options_default(struct store_options *);

/* NULL: why (size bytes) says what, where and the way out; never a password. options may be NULL
 * and are copied, prefix included. Close it when no call is running any more. */
struct store *store_open(const char *url, const struct store_options *, char *why, size_t size);
void store_close(struct store *); /* NULL is fine */

/* ---- send attempts ---- */

/* What attempts are counted by, and holds are set on. The values are kept in the store. */
enum store_dimension {
	STORE_ALL,	/* every attempt; the key is "" */
	STORE_SERVER,	/* host name of the MX host */
	STORE_ADDRESS,	/* its IP address */
	STORE_DOMAIN,	/* destination domain */
	STORE_PROVIDER, /* registrable domain of the MX host */
	STORE_DIMENSIONS
};

/* "all", "server", "address", "domain", "provider". */
const char *store_dimension_name(enum store_dimension);
bool store_dimension_parse(const char *name, enum store_dimension *);

struct store_recipient {
	const char *address, *result;
};

struct store_attempt {
	const char *event; /* unique key of this attempt; a second one of that key is ignored */
	int64_t time_ms;
	const char *queue_id;
	const char *server, *address, *domain, *provider; /* "" = unknown; stored in lower case */
	const char *sender, *stage;
	const char *result; /* begins with the reply code: "451 4.7.1 try later" */
	const char *tls;
	const char *connection;
	int64_t delay_ms;
	const struct store_recipient *recipients;
	size_t nrecipients; /* those above LIMIT_STORE_RECIPIENTS are not kept */
};

/* FOUND: it is kept (now, or since an earlier call with that event), or too old to be kept. fresh
 * (may be NULL) tells whether this call recorded it; meaningless if only the fallback has it. */
enum store_answer store_attempt_add(
    struct store *, const struct store_attempt *, bool *fresh, int ms);

struct store_window {
	enum store_dimension dimension;
	const char *key;
	const char *result; /* beginning of the result: "4", "421"; "" = any */
	int64_t since_ms;   /* attempts at or after it ... */
	int64_t before_ms;  /* ... and before this; 0 = no end */
};

struct store_count {
	uint64_t n;
	bool local; /* Redis is away: what this process remembers of its own attempts */
};

/* Exact, O(log n) in the number of kept attempts. A `result` that goes on after the reply code
 * must look at the attempts of that code in the window; above LIMIT_STORE_SCAN of them the answer
 * is UNKNOWN. FOUND also when the number is 0. */
enum store_answer store_attempt_count(
    struct store *, const struct store_window *, struct store_count *, int ms);

/* Visit attempts, newest first, until `visit` returns false or `most` were visited. FOUND or, when
 * there is none, ABSENT. UNKNOWN may come after some were visited. */
enum store_answer store_attempt_find(struct store *, const struct store_window *, size_t most,
    bool (*visit)(const struct store_attempt *, void *), void *arg, int ms);

/* Where the next page begins: before this attempt, newest first. */
struct store_cursor {
	int64_t time_ms;
	char event[256];
	bool set, end; /* end: there are no more */
};

/* The same a page at a time, for who cannot wait for all of it: zero the cursor before the first,
 * and call again until cursor->end or UNKNOWN. A page has at most LIMIT_STORE_PAGE attempts, and
 * may have none. */
enum store_answer store_attempt_page(struct store *, const struct store_window *,
    struct store_cursor *, bool (*visit)(const struct store_attempt *, void *), void *arg, int ms);
/* Attempts before this are neither kept nor counted. */
int64_t store_attempt_oldest(struct store *);

/* ---- rate limits ---- */

/* GCRA: `count` per period, evenly; at most `burst` at once. A key that rested may therefore use
 * up to burst + count in its first period. */
struct store_rate_window {
	uint64_t count;
	int64_t period_ms;
	uint64_t burst; /* 0 = count */
};

struct store_rate_limit { /* one limit: all windows pass, or nothing is taken from any */
	const char *key;
	const struct store_rate_window *windows; /* of different periods */
	size_t nwindows;			 /* 1 .. LIMIT_STORE_RATE_WINDOWS */
};

enum store_rate { STORE_RATE_PASS, STORE_RATE_OVER, STORE_RATE_UNKNOWN };

struct store_rate_state {
	int64_t retry_ms;   /* OVER: when it would pass; -1 = never, cost is above a burst */
	uint64_t remaining; /* of the tightest window, after this call */
	size_t window;	    /* the window that decided */
	bool local;	    /* Redis is away: decided by this process */
};

/* cost: messages, recipients or bytes, as the limit means it. take charges it if it passes, peek
 * never. state may be NULL. One round trip. */
enum store_rate store_rate_take(struct store *, const struct store_rate_limit *, uint64_t cost,
    struct store_rate_state *, int ms);
enum store_rate store_rate_peek(struct store *, const struct store_rate_limit *, uint64_t cost,
    struct store_rate_state *, int ms);

/* ---- holds ---- */

struct store_hold {
	enum store_dimension dimension;
	const char *key;
	int64_t until_ms;
	int64_t set_ms; /* filled in by the store */
	const char *who, *reason;
};

/* Replaces an earlier hold on that key. FOUND or UNKNOWN. */
enum store_answer store_hold_set(struct store *, const struct store_hold *, int ms);
/* visit (may be NULL) is called with the hold when there is one that has not ended. */
enum store_answer store_hold_get(struct store *, enum store_dimension, const char *key,
    void (*visit)(const struct store_hold *, void *), void *arg, int ms);
/* All that have not ended, soonest end first, up to LIMIT_STORE_HOLDS. ABSENT: none. */
enum store_answer store_hold_list(
    struct store *, bool (*visit)(const struct store_hold *, void *), void *arg, int ms);
/* ABSENT: there was none. */
enum store_answer store_hold_release(struct store *, enum store_dimension, const char *key, int ms);

/* ---- settings ---- */

/* user NULL: the settings of the whole service. *value is the caller's to free, NULL unless
 * FOUND. A value above LIMIT_STORE_VALUE_BYTES is refused (UNKNOWN), not clipped. */
enum store_answer store_setting_get(
    struct store *, const char *user, const char *name, char **value, int ms);
/* ABSENT: not kept, the user has LIMIT_STORE_SETTINGS already. */
enum store_answer store_setting_set(
    struct store *, const char *user, const char *name, const char *value, int ms);
enum store_answer store_setting_delete(struct store *, const char *user, const char *name, int ms);
/* The names, sorted, added to `names`. ABSENT: none. */
enum store_answer store_setting_list(
    struct store *, const char *user, struct strlist *names, int ms);

/* ---- message facts ---- */

enum store_fact {
	STORE_FACT_SENDER = 1 << 0,
	STORE_FACT_SIZE = 1 << 1,
	STORE_FACT_ARRIVAL = 1 << 2,
	STORE_FACT_RETRIES = 1 << 3,
	STORE_FACT_LAST_TRY = 1 << 4,
	STORE_FACT_RECIPIENTS = 1 << 5,
	STORE_FACT_NEXT_HOPS = 1 << 6,
	STORE_FACT_EVERY = (1 << 7) - 1
};

struct store_facts { /* zero it before use; owns its strings */
	char *sender;
	int64_t size, arrival_ms, retries, last_try_ms;
	struct strlist recipients, next_hops; /* bounded by LIMIT_STORE_RECIPIENTS each */
};

void store_facts_clear(struct store_facts *);

/* Set the named facts (enum store_fact bits) of a message and keep the others; a message that was
 * not known begins with empty ones. FOUND or UNKNOWN. */
enum store_answer store_facts_put(
    struct store *, const char *queue_id, const struct store_facts *, unsigned which, int ms);
/* *facts is cleared first. */
enum store_answer store_facts_get(
    struct store *, const char *queue_id, struct store_facts *, int ms);
/* A queue run tried the message at that time: one more retry, unless a try at or after that time is
 * known already, so a log line read twice counts once. ABSENT: message not known. */
enum store_answer store_facts_tried(struct store *, const char *queue_id, int64_t time_ms, int ms);
enum store_answer store_facts_delete(struct store *, const char *queue_id, int ms);

struct store_hop_facts {   /* over the known messages for one next hop */
	uint64_t messages; /* counted up to LIMIT_STORE_HOP_MESSAGES */
	int64_t most_retries, largest_size;
};

/* ABSENT: no message is known for it. */
enum store_answer store_facts_hop(
    struct store *, const char *next_hop, struct store_hop_facts *, int ms);

/* ---- upkeep ---- */

/* What was recorded before is on the disk and outlasts a power failure. FOUND or UNKNOWN. A Redis
 * server has settings of its own for that: nothing is done and the answer is FOUND. */
enum store_answer store_sync(struct store *, int ms);

/* Remove what is past its retention, beyond the little that every write removes. FOUND: nothing
 * is left to remove; ABSENT: some is, call again. Once an hour is plenty. */
enum store_answer store_expire(struct store *, int ms);

/* Bring what the fallback holds to Redis now. FOUND: nothing is pending; ABSENT: some still is. The
 * fallback does the same by itself once Redis is back. */
enum store_answer store_merge(struct store *, int ms);

struct store_status {
	const char *engine;	  /* "sqlite", "redis", "redis-sentinel", "redis-cluster" */
	bool away;		  /* the last call found Redis away */
	uint64_t pending;	  /* attempts and limits that wait to be merged */
	uint64_t merged, dropped; /* of them, since the start; dropped for want of memory */
};

void store_status(struct store *, struct store_status *);

/* The time that attempts are counted by. */
int64_t store_time(struct store *);
/* The file, NULL unless the engine is "sqlite": for common/sql/, which only reads it. */
const char *store_sqlite_file(struct store *);
