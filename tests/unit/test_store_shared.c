/* The store's handle of a process: shared by threads, replaced by a reload, not by a fork. */
#include "common/log.h"
#include "common/store/store_shared.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 20000
#define THREADS 8
#define ROUNDS 25

static char folder[40], urls[2][100];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/var/tmp/mailhooks-shared-XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < 2; i++)
		snprintf(urls[i], sizeof urls[i], "sqlite:%s/%d", folder, i);
	return 0;
}

static int teardown(void **state)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	char path[100];

	(void)state;
	store_shared_close();
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < 3; k++) {
			snprintf(path, sizeof path, "%s/%d%s", folder, i, endings[k]);
			unlink(path);
		}
	return rmdir(folder);
}

static void test_reload(void **state)
{
	struct store *first = store_shared_get(urls[0]), *again = store_shared_get(urls[0]);
	struct store *second;

	(void)state;
	assert_non_null(first);
	assert_ptr_equal(first, again);
	second = store_shared_get(urls[1]); /* the first one is still in use */
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	assert_int_equal(store_setting_set(first, NULL, "a", "1", WAIT_MS), STORE_FOUND);
	store_shared_put(again);
	store_shared_put(first);
	assert_int_equal(store_setting_set(second, NULL, "a", "2", WAIT_MS), STORE_FOUND);
	store_shared_put(second);
	again = store_shared_get(urls[1]); /* kept while nobody uses it */
	assert_ptr_equal(again, second);
	store_shared_put(again);
}

/* A child does not use what its parent opened. */
static void test_fork(void **state)
{
	struct store *mine = store_shared_get(urls[0]);
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(mine);
	pid = fork();
	if (pid == 0) {
		struct store *own = store_shared_get(urls[0]);

		_exit(own != NULL && own != mine ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	store_shared_put(mine);
}

static atomic_uint kept;

static void *work(void *arg)
{
	const char *name = arg;

	for (int i = 0; i < ROUNDS; i++) {
		const char *url = urls[(i + name[0]) % 2]; /* reload upon reload */
		struct store *store = store_shared_get(url);

		if (store == NULL)
			continue;
		if (store_setting_set(store, NULL, name, "x", WAIT_MS) == STORE_FOUND)
			atomic_fetch_add(&kept, 1);
		store_shared_put(store);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static char names[THREADS][2];
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		names[i][0] = (char)('a' + i);
		assert_int_equal(pthread_create(&threads[i], NULL, work, names[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(kept, THREADS * ROUNDS);
}

static unsigned lines;

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	lines++;
	assert_null(strstr(line, "secret"));
}

static void test_log(void **state)
{
	static const char url[] = "redis://user:secret@redis.test:6379/0";

	(void)state;
	log_capture(hear, NULL);
	store_shared_report(url, STORE_FOUND);
	assert_int_equal(lines, 0);
	store_shared_report(url, STORE_UNKNOWN);
	store_shared_report(url, STORE_UNKNOWN);
	assert_int_equal(lines, 1);
	store_shared_report(url, STORE_FOUND); /* one call that succeeded does not mean much */
	store_shared_report(url, STORE_UNKNOWN);
	assert_int_equal(lines, 1);
	for (int i = 0; i < 300 && lines == 1; i++) {
		poll(NULL, 0, 100);
		store_shared_report(url, STORE_ABSENT);
	}
	assert_int_equal(lines, 2);
	store_shared_report(url, STORE_FOUND);
	assert_int_equal(lines, 2);
	lines = 0;
	for (int i = 0; i < 3; i++)
		assert_null(store_shared_get("sqlite:/nonexistent/folder/store.db"));
	assert_int_equal(lines, 1); /* it is not tried again at once */
	log_capture(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
