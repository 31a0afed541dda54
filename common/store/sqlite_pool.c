/* sqlite_pool.c - see sqlite_pool.h.
 *
 * Writers of one process take turns, which wakes them at once; SQLite's own lock, shared
 * with other processes, can only be polled, and the poll backs off from half a millisecond. */
#include "common/store/sqlite_pool.h"

#include "common/clock.h"
#include "common/store/sqlite_schema.h"
#include "common/store/store_text.h"
#include "common/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATEMENTS 64	    /* more than the engine has */
#define PROGRESS_STEPS 1000 /* virtual machine steps between looks at the clock, some 50 us */
#define FILE_MODE 0660	    /* the umask has the last word; mail addresses are not for others */
#define WAL_PAGES "4000"    /* between checkpoints, each with two fsyncs: some 150 attempts */
#define WAL_KEEP_BYTES "67108864" /* a WAL that grew in a rush is cut back to this */

struct statement {
	const char *sql;
	sqlite3_stmt *stmt;
};

struct sqlite_conn {
	struct sqlite_pool *pool;
	struct sqlite_conn *next; /* while idle */
	sqlite3 *db;
	struct statement statements[STATEMENTS];
	size_t nstatements;
	int64_t until;
	bool writing, failed;
	char error[200];
};

struct sqlite_pool {
	char *path;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t returned;
	struct sqlite_conn *idle;
	unsigned open, most;
	struct turn writer; /* the connection that writes has it */
};

/* ---- one connection ---- */

static void fail(struct sqlite_conn *c)
{
	if (c->failed)
		return;
	c->failed = true;
	snprintf(c->error, sizeof c->error, "%s", sqlite3_errmsg(c->db));
}

static int on_busy(void *arg, int tries)
{
	struct sqlite_conn *c = arg;
	int64_t left = c->until - clock_ms();
	useconds_t wait = tries < 4 ? 500u << tries : 5000;

	if (left <= 0)
		return 0;
	if (wait > left * 1000)
		wait = (useconds_t)(left * 1000);
	usleep(wait);
	return 1;
}

static int on_progress(void *arg)
{
	const struct sqlite_conn *c = arg;

	return clock_ms() >= c->until;
}

static void conn_close(struct sqlite_conn *c)
{
	for (size_t i = 0; i < c->nstatements; i++)
		sqlite3_finalize(c->statements[i].stmt);
	sqlite3_close(c->db);
	free(c);
}

/* A change to WAL mode can be refused as busy without asking the busy handler. */
static int set_modes(struct sqlite_conn *c)
{
	static const char modes[] =
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF;"
	    "PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = " WAL_PAGES ";"
	    "PRAGMA journal_size_limit = " WAL_KEEP_BYTES ";";
	int rc;

	for (int tries = 0;; tries++) {
		rc = sqlite3_exec(c->db, modes, NULL, NULL, NULL);
		if (rc != SQLITE_BUSY || !on_busy(c, tries))
			return rc;
	}
}

static struct sqlite_conn *conn_open(struct sqlite_pool *p, int64_t until, char *why, size_t size)
{
	struct sqlite_conn *c = xcalloc(1, sizeof *c);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;

	c->pool = p;
	c->until = until;
	if (sqlite3_open_v2(p->path, &c->db, flags, NULL) == SQLITE_OK) {
		sqlite3_busy_handler(c->db, on_busy, c);
		sqlite3_progress_handler(c->db, PROGRESS_STEPS, on_progress, c);
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		if (set_modes(c) == SQLITE_OK)
			return c;
	}
	snprintf(why, size, "store: %s: %s", p->path,
	    c->db != NULL ? sqlite3_errmsg(c->db) : "out of memory");
	conn_close(c);
	return NULL;
}

/* ---- statements ---- */

static sqlite3_stmt *prepare(struct sqlite_conn *c, const char *sql)
{
	struct statement *s;

	for (size_t i = 0; i < c->nstatements; i++)
		if (c->statements[i].sql == sql) {
			sqlite3_reset(c->statements[i].stmt);
			return c->statements[i].stmt;
		}
	if (c->nstatements == STATEMENTS) { /* the oldest makes room */
		sqlite3_finalize(c->statements[0].stmt);
		c->nstatements--;
		memmove(
		    &c->statements[0], &c->statements[1], c->nstatements * sizeof c->statements[0]);
	}
	s = &c->statements[c->nstatements];
	s->sql = sql;
	if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL) !=
	    SQLITE_OK)
		return NULL;
	c->nstatements++;
	return s->stmt;
}

static int bind_text(sqlite3_stmt *stmt, int at, const char *text, bool null_if_empty)
{
	if (null_if_empty && text[0] == '\0')
		return sqlite3_bind_null(stmt, at);
	return sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static sqlite3_stmt *start(struct sqlite_conn *c, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *stmt;
	int rc = SQLITE_OK;

	if (c->failed)
		return NULL;
	stmt = prepare(c, sql);
	if (stmt == NULL) {
		fail(c);
		return NULL;
	}
	for (int i = 0; types[i] != '\0' && rc == SQLITE_OK; i++) {
		switch (types[i]) {
		case 'i':
			rc = sqlite3_bind_int64(stmt, i + 1, va_arg(ap, int64_t));
			break;
		case 'd':
			rc = sqlite3_bind_double(stmt, i + 1, va_arg(ap, double));
			break;
		default:
			rc = bind_text(stmt, i + 1, va_arg(ap, const char *), types[i] == 'z');
			break;
		}
	}
	if (rc != SQLITE_OK) {
		fail(c);
		return NULL;
	}
	return stmt;
}

bool sqlite_conn_next(struct sqlite_conn *c, sqlite3_stmt *stmt)
{
	int rc;

	if (c->failed || stmt == NULL)
		return false;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		fail(c);
	sqlite3_reset(stmt);
	return false;
}

void sqlite_conn_do(struct sqlite_conn *c, const char *sql, const char *types, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, types);
	stmt = start(c, sql, types, ap);
	va_end(ap);
	while (sqlite_conn_next(c, stmt))
		;
}

sqlite3_stmt *sqlite_conn_row(struct sqlite_conn *c, const char *sql, const char *types, ...)
{
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, types);
	stmt = start(c, sql, types, ap);
	va_end(ap);
	return sqlite_conn_next(c, stmt) ? stmt : NULL;
}

int64_t sqlite_conn_int(
    struct sqlite_conn *c, int64_t otherwise, const char *sql, const char *types, ...)
{
	int64_t value = otherwise;
	sqlite3_stmt *stmt;
	va_list ap;

	va_start(ap, types);
	stmt = start(c, sql, types, ap);
	va_end(ap);
	if (sqlite_conn_next(c, stmt)) {
		value = sqlite3_column_int64(stmt, 0);
		sqlite3_reset(stmt);
	}
	return value;
}

int64_t sqlite_conn_changes(struct sqlite_conn *c)
{
	return sqlite3_changes64(c->db);
}

bool sqlite_conn_failed(const struct sqlite_conn *c)
{
	return c->failed;
}

const char *sqlite_column(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return text != NULL ? text : "";
}

/* ---- the pool ---- */

/* An idle connection, or leave to open one (*open), before `until`. */
static struct sqlite_conn *take(struct sqlite_pool *p, int64_t until, bool *open)
{
	struct sqlite_conn *c = NULL;
	bool time_left = true;

	*open = false;
	pthread_mutex_lock(&p->lock);
	while (p->idle == NULL && p->open == p->most && time_left)
		time_left = turn_wait(&p->returned, &p->lock, until);
	if (p->idle != NULL) {
		c = p->idle;
		p->idle = c->next;
	} else if (p->open < p->most) {
		p->open++;
		*open = true;
	}
	pthread_mutex_unlock(&p->lock);
	return c;
}

static void give(struct sqlite_pool *p, struct sqlite_conn *c)
{
	pthread_mutex_lock(&p->lock);
	if (c != NULL) {
		c->next = p->idle;
		p->idle = c;
	} else {
		p->open--;
	}
	pthread_cond_signal(&p->returned);
	pthread_mutex_unlock(&p->lock);
}

static struct sqlite_conn *begin(struct sqlite_pool *p, int64_t until, const char *sql)
{
	struct sqlite_conn *c;
	char why[256];
	bool open;

	if (clock_ms() >= until)
		return NULL;
	c = take(p, until, &open);
	if (open) {
		c = conn_open(p, until, why, sizeof why);
		if (c == NULL) {
			store_complain("%s", why);
			give(p, NULL);
		}
	}
	if (c == NULL)
		return NULL;
	c->until = until;
	c->failed = c->writing = false;
	sqlite_conn_do(c, sql, "");
	if (!c->failed)
		return c;
	store_complain("%s: %s", p->path, c->error);
	give(p, c);
	return NULL;
}

struct sqlite_conn *sqlite_pool_read(struct sqlite_pool *p, int64_t until)
{
	static const char sql[] = "BEGIN";

	return begin(p, until, sql);
}

struct sqlite_conn *sqlite_pool_write(struct sqlite_pool *p, int64_t until)
{
	static const char sql[] = "BEGIN IMMEDIATE";
	struct sqlite_conn *c;

	if (!turn_take(&p->writer, until))
		return NULL;
	c = begin(p, until, sql);
	if (c == NULL)
		turn_give(&p->writer);
	else
		c->writing = true;
	return c;
}

enum store_answer sqlite_pool_end(struct sqlite_conn *c, enum store_answer answer)
{
	static const char commit[] = "COMMIT";
	struct sqlite_pool *p = c->pool;
	bool writing = c->writing;

	for (size_t i = 0; i < c->nstatements; i++)
		sqlite3_reset(c->statements[i].stmt);
	/* What was done within the deadline is kept even if the end of it has come. */
	c->until = INT64_MAX;
	sqlite_conn_do(c, commit, "");
	if (c->failed) {
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
		store_complain("%s: %s", p->path, c->error);
		answer = STORE_UNKNOWN;
	}
	give(p, c);
	if (writing)
		turn_give(&p->writer);
	return answer;
}

enum store_answer sqlite_pool_sync(struct sqlite_pool *p, int64_t until)
{
	static const char schema[] = "SELECT count(*) FROM sqlite_master";
	struct sqlite_conn *c = sqlite_pool_read(p, until);
	sqlite3_file *wal = NULL;

	if (c == NULL)
		return STORE_UNKNOWN;
	/* a transaction begins, and the WAL is open, with the first statement that reads */
	sqlite_conn_int(c, 0, schema, "");
	if (sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK ||
	    wal == NULL || wal->pMethods == NULL ||
	    wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) != SQLITE_OK) {
		c->failed = true;
		snprintf(c->error, sizeof c->error, "the WAL does not reach the disk");
	}
	return sqlite_pool_end(c, STORE_FOUND);
}

/* SQLite would create the file with the mode 0644; its WAL takes the mode of the file. */
static int create_file(const char *path, char *why, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);

	if (fd < 0 && errno == EEXIST) /* opening and closing it would drop SQLite's own locks */
		return 0;
	if (fd < 0) {
		snprintf(why, size, "store: %s: %s", path, strerror(errno));
		return -1;
	}
	close(fd);
	return 0;
}

static void pool_free(struct sqlite_pool *p)
{
	while (p->idle != NULL) {
		struct sqlite_conn *c = p->idle;

		p->idle = c->next;
		conn_close(c);
	}
	turn_destroy(&p->writer);
	pthread_cond_destroy(&p->returned);
	pthread_mutex_destroy(&p->lock);
	free(p->path);
	free(p);
}

struct sqlite_pool *sqlite_pool_open(
    const char *path, const struct store_options *o, char *why, size_t size)
{
	int64_t until = clock_ms() + o->open_ms;
	struct sqlite_pool *p;
	struct sqlite_conn *c;

	if (path[0] == '\0') {
		snprintf(why, size, "store: sqlite: without a path; write sqlite:/path/to/file");
		return NULL;
	}
	if (create_file(path, why, size) < 0)
		return NULL;
	p = xcalloc(1, sizeof *p);
	p->path = xstrdup(path);
	p->most = o->connections;
	pthread_mutex_init(&p->lock, NULL);
	turn_init(&p->writer);
	turn_condition(&p->returned);
	c = conn_open(p, until, why, size);
	if (c == NULL)
		goto fail;
	p->open = 1;
	give(p, c);
	if (sqlite_schema_update(c->db, path, why, size) == 0)
		return p;
fail:
	pool_free(p);
	return NULL;
}

void sqlite_pool_close(struct sqlite_pool *p)
{
	if (p != NULL)
		pool_free(p);
}

const char *sqlite_pool_path(const struct sqlite_pool *p)
{
	return p->path;
}
