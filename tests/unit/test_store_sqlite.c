/* test_store_sqlite.c - what only the SQLite engine has: a file, other processes, a schema with a
 * history. */
#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "tests/unit/store_rig.h"

#include <sqlite3.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITERS 4
#define EACH 150

static sqlite3 *raw(const struct store_rig *r)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(r->file, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, WAIT_MS);
	return db;
}

static void raw_do(sqlite3 *db, const char *sql)
{
	char *error = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
}

static int64_t raw_int(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t value;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

/* ---- the file ---- */

static void the_file_is_in_wal_mode_and_not_for_others(void **state)
{
	struct store_rig *r = *state;
	sqlite3 *db = raw(r);
	sqlite3_stmt *stmt;
	struct stat st;

	assert_int_equal(stat(r->file, &st), 0);
	assert_int_equal(st.st_mode & 0007, 0);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "wal");
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

static void cannot_open(const struct store_rig *r, const char *url, const char *reason)
{
	char why[300] = "";

	assert_null(store_open(url, &r->options, why, sizeof why));
	if (strstr(why, reason) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", url, why, reason);
}

static void a_file_that_is_not_ours_stays_as_it_is(void **state)
{
	struct store_rig *r = *state;
	sqlite3 *db;
	int fd;

	cannot_open(r, "sqlite:", "without a path");
	cannot_open(r, "sqlite:/nonexistent/store.db", "No such file");
	cannot_open(r, "sqlite:/tmp", "/tmp");
	store_rig_add(r, 1, r->now_ms, "mx", "450 x");
	store_close(r->store);
	r->store = NULL;
	db = raw(r);
	raw_do(db, "PRAGMA user_version = 1000");
	cannot_open(r, r->url, "use the newer mailhooks");
	raw_do(db, "PRAGMA user_version = -1");
	cannot_open(r, r->url, "has version -1");
	raw_do(db, "PRAGMA user_version = 1; PRAGMA application_id = 7");
	cannot_open(r, r->url, "another program's");
	assert_int_equal(raw_int(db, "SELECT count(*) FROM attempts"), 1);
	sqlite3_close(db);

	fd = open(r->file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "this is not a database at all, but a text", 41), 41);
	close(fd);
	cannot_open(r, r->url, "not a database");
}

static void an_empty_file_becomes_a_store(void **state)
{
	struct store_rig *r = *state;

	store_close(r->store);
	r->store = NULL;
	assert_int_equal(truncate(r->file, 0), 0);
	store_rig_again(r);
	store_rig_add(r, 1, r->now_ms, "mx", "450 x");
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "4", 0), 1);
}

/* ---- locks and deadlines ---- */

static void a_locked_file_is_unknown_in_time(void **state)
{
	const struct store_hold h = {.dimension = STORE_SERVER, .key = "mx", .until_ms = INT64_MAX};
	struct store_rig *r = *state;
	sqlite3 *db = raw(r);
	int64_t began;

	store_rig_add(r, 1, r->now_ms, "mx", "450 x");
	raw_do(db, "BEGIN IMMEDIATE");
	began = clock_ms();
	assert_int_equal(store_hold_set(r->store, &h, 300), STORE_UNKNOWN);
	assert_in_range(clock_ms() - began, 295, 1300);
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "4", 0), 1); /* readers do not care */
	raw_do(db, "COMMIT");
	assert_int_equal(store_hold_set(r->store, &h, WAIT_MS), STORE_FOUND);
	sqlite3_close(db);
}

/* A long statement is cut short at the deadline: here a count over texts. */
static void a_long_statement_is_unknown_in_time(void **state)
{
	const struct store_window w = {.dimension = STORE_ALL, .result = "450 x"};
	struct store_rig *r = *state;
	struct store_count count;
	sqlite3 *db = raw(r);
	int64_t began;

	raw_do(db,
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90000)"
	    " INSERT INTO attempts SELECT i, 'e' || i, 1699999999000 + i % 1000, '450', NULL,"
	    " NULL, NULL, NULL, '', '', '', '450 x', '', '', 0 FROM n");
	sqlite3_close(db);
	assert_int_equal(store_attempt_count(r->store, &w, &count, WAIT_MS), STORE_FOUND);
	assert_int_equal(count.n, 90000);
	began = clock_ms();
	assert_int_equal(store_attempt_count(r->store, &w, &count, 1), STORE_UNKNOWN);
	assert_true(clock_ms() - began < 1001);
}

/* The disk is full, as far as this process can tell. */
static void no_room_is_unknown(void **state)
{
	struct store_rig *r = *state;
	enum store_answer answer = STORE_FOUND;
	struct rlimit small, old;
	struct stat st;
	unsigned n = 0;
	char wal[120];

	snprintf(wal, sizeof wal, "%s-wal", r->file);
	assert_int_equal(stat(wal, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){(rlim_t)st.st_size + 300000, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (answer == STORE_FOUND && n < 2000) {
		char event[24];
		struct store_attempt a = store_rig_attempt(event, n, r->now_ms, "mx", "450 x");

		answer = store_attempt_add(r->store, &a, NULL, WAIT_MS);
		n += answer == STORE_FOUND;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(answer, STORE_UNKNOWN);
	assert_in_range(n, 1, 1999);
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", 0), n);
	store_rig_add(r, n, r->now_ms, "mx", "450 x"); /* and goes on when there is room */
	assert_int_equal(store_rig_count(r, STORE_ALL, "", "", 0), n + 1);
}

/* ---- several threads and processes ---- */

struct crowd {
	struct store_rig *rig;
	atomic_int passed, unknown, number;
};

static void *use_much(void *arg)
{
	static const struct store_rate_window w[] = {{.count = 150, .period_ms = 3600000}};
	const struct store_rate_limit limit = {"shared", w, 1};
	const struct store_window all = {.dimension = STORE_ALL};
	struct crowd *c = arg;
	struct store_count count;
	char event[24];

	for (int i = 0; i < 50; i++) {
		unsigned n = (unsigned)atomic_fetch_add(&c->number, 1);
		struct store_attempt a = store_rig_attempt(event, n, START_MS - n, "mx", "450 x");
		enum store_rate rate = store_rate_take(c->rig->store, &limit, 1, NULL, WAIT_MS);

		atomic_fetch_add(&c->passed, rate == STORE_RATE_PASS);
		atomic_fetch_add(&c->unknown, rate == STORE_RATE_UNKNOWN);
		atomic_fetch_add(&c->unknown,
		    store_attempt_add(c->rig->store, &a, NULL, WAIT_MS) != STORE_FOUND);
		atomic_fetch_add(&c->unknown,
		    store_attempt_count(c->rig->store, &all, &count, WAIT_MS) != STORE_FOUND);
	}
	return NULL;
}

static void threads_share_a_handle(void **state)
{
	struct store_rig *r = *state;
	struct crowd c = {.rig = r};
	pthread_t threads[8];

	r->options.connections = 3;
	store_rig_again(r);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_much, &c), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(c.passed, 150);
	assert_int_equal(c.unknown, 0);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "4", 0), 400);
}

/* Each adds EACH attempts, half of which another one adds as well, and takes from one limit. */
static _Noreturn void write_much(struct store_rig *r, unsigned who)
{
	static const struct store_rate_window w[] = {{.count = 100, .period_ms = 3600000}};
	const struct store_rate_limit limit = {"shared", w, 1};
	char why[200];
	int passed = 0;

	r->store = store_open(r->url, &r->options, why, sizeof why);
	if (r->store == NULL)
		_exit(255);
	for (unsigned i = 0; i < EACH; i++) {
		unsigned n = who * EACH / 2 + i;
		char event[24];
		struct store_attempt a =
		    store_rig_attempt(event, n, START_MS - n, "mx", n % 2 ? "450 x" : "250 y");

		if (store_attempt_add(r->store, &a, NULL, WAIT_MS) != STORE_FOUND)
			_exit(254);
		switch (store_rate_take(r->store, &limit, 1, NULL, WAIT_MS)) {
		case STORE_RATE_PASS:
			passed++;
			break;
		case STORE_RATE_OVER:
			break;
		case STORE_RATE_UNKNOWN:
			_exit(253);
		}
	}
	store_close(r->store);
	_exit(passed);
}

static void processes_share_one_file(void **state)
{
	struct store_rig *r = *state;
	pid_t writers[WRITERS];
	int passed = 0;

	store_close(
	    r->store); /* a handle does not survive fork(); and all of them create the file */
	r->store = NULL;
	unlink(r->file);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = fork();
		assert_true(writers[i] >= 0);
		if (writers[i] == 0)
			write_much(r, i);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		int status;

		assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
		assert_true(WIFEXITED(status));
		assert_true(WEXITSTATUS(status) <= 100);
		passed += WEXITSTATUS(status);
	}
	assert_int_equal(passed, 100);
	store_rig_again(r);
	assert_int_equal(store_rig_count(r, STORE_SERVER, "mx", "", 0), (WRITERS + 1) * EACH / 2);
}

/* Kill writers at any moment: the file is whole, and the buckets agree with the attempts. */
static void a_killed_writer_harms_nothing(void **state)
{
	static const char disagree[] =
	    "SELECT count(*) FROM (SELECT bucket, code, n FROM buckets WHERE key = 1 AND level = 10"
	    " EXCEPT SELECT time >> 10, code, count(*) FROM attempts GROUP BY 1, 2)";
	struct store_rig *r = *state;
	sqlite3 *db;

	store_close(r->store);
	r->store = NULL;
	for (int i = 0; i < 6; i++) {
		pid_t writer = fork();

		assert_true(writer >= 0);
		if (writer == 0) {
			r->options.attempts_keep_count = 40;
			write_much(r, (unsigned)i);
		}
		usleep(20000 + 15000u * (unsigned)i);
		kill(writer, SIGKILL);
		waitpid(writer, NULL, 0);
	}
	store_rig_again(r);
	store_rig_add(r, 999999, r->now_ms, "mx", "450 x");
	db = raw(r);
	assert_int_equal(raw_int(db, "SELECT count(*) FROM pragma_integrity_check"
				     " WHERE integrity_check <> 'ok'"),
	    0);
	assert_int_equal(raw_int(db, disagree), 0);
	assert_int_equal(
	    raw_int(db, "SELECT attempts - (SELECT count(*) FROM attempts) FROM totals"), 0);
	sqlite3_close(db);
}

/* What is removed leaves nothing behind. */
static void nothing_is_left_of_old_attempts(void **state)
{
	const struct store_recipient recipient = {"a@example.com", "450"};
	struct store_rig *r = *state;
	char event[24];
	sqlite3 *db;

	for (unsigned i = 0; i < 300; i++) {
		char server[24];
		struct store_attempt a;

		snprintf(server, sizeof server, "mx%u.example", i % 70);
		a = store_rig_attempt(event, i, r->now_ms - i * 1000, server, "450 x");
		a.recipients = &recipient;
		a.nrecipients = 1;
		assert_int_equal(store_attempt_add(r->store, &a, NULL, WAIT_MS), STORE_FOUND);
	}
	r->now_ms += r->options.attempts_keep_ms + 1;
	assert_int_equal(store_expire(r->store, WAIT_MS), STORE_FOUND);
	db = raw(r);
	assert_int_equal(raw_int(db, "SELECT count(*) FROM attempts"), 0);
	assert_int_equal(raw_int(db, "SELECT count(*) FROM attempt_recipients"), 0);
	assert_int_equal(raw_int(db, "SELECT count(*) FROM buckets"), 0);
	assert_int_equal(raw_int(db, "SELECT count(*) FROM keys"), 1);
	sqlite3_close(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_rig_setup, store_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_file_is_in_wal_mode_and_not_for_others),
	    TEST(a_file_that_is_not_ours_stays_as_it_is),
	    TEST(an_empty_file_becomes_a_store),
	    TEST(a_locked_file_is_unknown_in_time),
	    TEST(a_long_statement_is_unknown_in_time),
	    TEST(no_room_is_unknown),
	    TEST(threads_share_a_handle),
	    TEST(processes_share_one_file),
	    TEST(a_killed_writer_harms_nothing),
	    TEST(nothing_is_left_of_old_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
