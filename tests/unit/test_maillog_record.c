/* test_maillog_record.c - what the log said, in the store; who listens hears of it after that. */
#include "common/list.h"
#include "common/log.h"
#include "common/store.h"
#include "common/store/store_shared.h"
#include "policy/maillog_events.h"
#include "policy/maillog_record.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CALL_MS 2000
#define TEXT(s) ((char *)(uintptr_t)(s)) /* a dialogue owns its texts; this one does not */

static char directory[64], url[100];
static struct store *store;
static int stop;
static int64_t now;

/* ---- a disk: what was written to the WAL since its last fsync(2) would be lost with the power
 * ----
 */

static sqlite3_vfs disk, *system_disk;
static const sqlite3_io_methods *file_methods;
static unsigned unsafe_writes;
static bool disk_fails, disk_is_full;

static int write_wal(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
	if (disk_is_full)
		return SQLITE_FULL;
	unsafe_writes++;
	return file_methods->xWrite(f, bytes, n, at);
}

static int sync_wal(sqlite3_file *f, int flags)
{
	if (disk_fails)
		return SQLITE_IOERR_FSYNC;
	unsafe_writes = 0;
	return file_methods->xSync(f, flags);
}

static int open_on_disk(
    sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	static sqlite3_io_methods wal_methods;
	int rc = system_disk->xOpen(system_disk, name, f, flags, out_flags);

	(void)vfs;
	if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL)) {
		file_methods = f->pMethods;
		wal_methods = *f->pMethods;
		wal_methods.xWrite = write_wal;
		wal_methods.xSync = sync_wal;
		f->pMethods = &wal_methods;
	}
	return rc;
}

static void use_disk(void)
{
	system_disk = sqlite3_vfs_find(NULL);
	disk = *system_disk;
	disk.zName = "test disk";
	disk.xOpen = open_on_disk;
	assert_int_equal(sqlite3_vfs_register(&disk, true), SQLITE_OK);
}

/* ---- the rig ---- */

static struct {
	enum maillog_event event;
	char queue_id[32];
	unsigned n;
	uint64_t attempts; /* in the store when it was heard */
} heard;

static uint64_t count(const char *domain)
{
	struct store_window w = {.dimension = domain != NULL ? STORE_DOMAIN : STORE_ALL,
	    .key = domain != NULL ? domain : "",
	    .result = ""};
	struct store_count c;

	assert_int_equal(store_attempt_count(store, &w, &c, CALL_MS), STORE_FOUND);
	return c.n;
}

static void hear(enum maillog_event event, const char *queue_id, int64_t time_ms, void *arg)
{
	assert_ptr_equal(arg, &heard);
	assert_int_equal(time_ms, now);
	heard.event = event;
	snprintf(heard.queue_id, sizeof heard.queue_id, "%s", queue_id);
	heard.n++;
	heard.attempts = count(NULL);
}

static int set_up(void **state)
{
	(void)state;
	now = (int64_t)time(NULL) * 1000;
	snprintf(directory, sizeof directory, "/tmp/maillog_record.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(url, sizeof url, "sqlite:%s/store.db", directory);
	use_disk();
	store = store_shared_get(url);
	assert_non_null(store);
	stop = eventfd(0, 0);
	maillog_events_listen(hear, &heard);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm"};

	(void)state;
	store_shared_put(store);
	store_shared_close();
	close(stop);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		char *file = xasprintf("%s/store.db%s", directory, ends[i]);

		unlink(file);
		free(file);
	}
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

static void try_host(const struct dialogues_listener *to, const char *key, const char *domain)
{
	char *a[] = {TEXT("bob@d.test")}, *r[] = {TEXT("450 4.2.1 no")};
	struct dialogue d = {.key = TEXT(key),
	    .time_ms = now,
	    .server = TEXT("mx1.mail.example.com"),
	    .address = TEXT("192.0.2.1"),
	    .domain = TEXT(domain),
	    .connection = TEXT(""),
	    .stage = TEXT("RCPT TO"),
	    .result = TEXT("450 4.2.1 no"),
	    .delay_ms = -1};

	if (domain != NULL) {
		d.recipients = (struct strlist){a, 1, 0};
		d.results = (struct strlist){r, 1, 0};
	}
	to->tried("4AAAA1", &d, domain != NULL ? "s@s.test" : NULL, to->arg);
}

static void assert_facts(int64_t retries, const char *sender)
{
	struct store_facts f = {0};

	assert_int_equal(store_facts_get(store, "4AAAA1", &f, CALL_MS),
	    sender != NULL ? STORE_FOUND : STORE_ABSENT);
	if (sender != NULL) {
		assert_int_equal(f.retries, retries);
		assert_string_equal(f.sender, sender);
	}
	store_facts_clear(&f);
}

/* ---- tests ---- */

static void test_a_message(void **state)
{
	struct recorder *r = recorder_new(url, stop);
	struct dialogues_listener to = recorder_listener(r);

	(void)state;
	to.known("4AAAA1", "s@s.test", 900, now, to.arg);
	assert_facts(0, "s@s.test");
	for (int twice = 0; twice < 2; twice++) { /* a log that is read again */
		try_host(&to, "k1", "d.test");
		to.deferred("4AAAA1", now, to.arg);
		assert_facts(1, "s@s.test");
		assert_int_equal(count(NULL), 1);
	}
	assert_int_equal(heard.n, 2);
	assert_int_equal(heard.event, MAILLOG_EVENT_DEFERRED);
	assert_string_equal(heard.queue_id, "4AAAA1");
	assert_int_equal(heard.attempts, 1);
	assert_int_equal(recorder_state(r), RECORDER_SAFE);
	to.removed("4AAAA1", now, to.arg);
	assert_facts(0, NULL);
	assert_int_equal(heard.event, MAILLOG_EVENT_REMOVED);
	recorder_free(r);
}

/* The log did not say whom it was for: the facts may. */
static void test_facts_fill_in(void **state)
{
	struct recorder *r = recorder_new(url, stop);
	struct dialogues_listener to = recorder_listener(r);
	struct store_facts f = {.sender = xstrdup("known@s.test")};

	(void)state;
	strlist_add(&f.recipients, "a@Facts.test");
	strlist_add(&f.recipients, "b@facts.test");
	assert_int_equal(store_facts_put(store, "4AAAA1", &f,
			     STORE_FACT_SENDER | STORE_FACT_RECIPIENTS, CALL_MS),
	    STORE_FOUND);
	store_facts_clear(&f);
	to.known("4AAAA1", "log@s.test", 900, now, to.arg); /* the milter knows better */
	assert_facts(0, "known@s.test");
	try_host(&to, "k2", NULL);
	assert_int_equal(count("facts.test"), 1);
	recorder_free(r);
}

static void hear_nothing(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

/* R18: the place in the log is not safe before the attempts are on the disk: after a power failure
 * they would be passed over. */
static void test_power_failure(void **state)
{
	struct recorder *r = recorder_new(url, stop);
	struct dialogues_listener to = recorder_listener(r);

	(void)state;
	log_capture(hear_nothing, NULL);
	try_host(&to, "k4", "d.test");
	assert_true(unsafe_writes > 0);
	disk_fails = true;
	assert_int_equal(recorder_state(r), RECORDER_WAIT);
	disk_fails = false;
	assert_int_equal(recorder_state(r), RECORDER_SAFE);
	assert_int_equal(unsafe_writes, 0);
	log_capture(NULL, NULL);
	recorder_free(r);
}

/* R18: what could not be changed on a full disk is read again when there is room, and not before.
 */
static void test_full_disk(void **state)
{
	struct recorder *r = recorder_new(url, stop);
	struct dialogues_listener to = recorder_listener(r);

	(void)state;
	log_capture(hear_nothing, NULL);
	disk_is_full = true;
	to.known("4AAAA2", "s@s.test", 900, now, to.arg);
	assert_int_equal(recorder_state(r), RECORDER_WAIT);
	disk_is_full = false;
	assert_int_equal(recorder_state(r), RECORDER_BEHIND);
	to.known("4AAAA2", "s@s.test", 900, now, to.arg);
	assert_int_equal(recorder_state(r), RECORDER_SAFE);
	log_capture(NULL, NULL);
	recorder_free(r);
}

/* R18: a store that is not there is waited for until we stop; then nothing is safe. */
static void test_stopped_while_waiting(void **state)
{
	struct recorder *r = recorder_new("sqlite:/nonexistent/store.db", stop);
	struct dialogues_listener to = recorder_listener(r);
	unsigned before = heard.n;
	uint64_t one = 1;

	(void)state;
	log_capture(hear_nothing, NULL);
	assert_int_equal(recorder_state(r), RECORDER_WAIT);
	assert_int_equal(write(stop, &one, sizeof one), sizeof one);
	try_host(&to, "k3", "d.test"); /* returns */
	to.deferred("4AAAA1", now, to.arg);
	assert_int_equal(heard.n, before);
	assert_int_equal(recorder_state(r), RECORDER_STOPPED);
	log_capture(NULL, NULL);
	recorder_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_message),
	    cmocka_unit_test(test_facts_fill_in),
	    cmocka_unit_test(test_power_failure),
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_stopped_while_waiting),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
