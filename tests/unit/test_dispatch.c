/* Tasks between the loop and the workers: done, late, refused; what runs too long harms nobody. */
#include "policy/dispatch.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"

#include <event2/event.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct job {
	struct task task;
	int work_ms;
	atomic_bool worked;
};

static struct event_base *base;
static int ends[3], nfreed, nwanted;
static char logged[2048];

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

static void work(struct task *t)
{
	struct job *j = (struct job *)t;

	usleep((useconds_t)j->work_ms * 1000);
	atomic_store(&j->worked, true);
}

static void finish(struct task *t, enum task_end end)
{
	struct job *j = (struct job *)t;

	assert_true(end != TASK_DONE || atomic_load(&j->worked));
	ends[end]++;
	if (ends[TASK_DONE] + ends[TASK_LATE] + ends[TASK_REFUSED] == nwanted)
		event_base_loopbreak(base);
}

static void free_job(struct task *t)
{
	nfreed++;
	free(t);
}

static void submit(struct dispatch *d, int work_ms, int deadline_ms)
{
	struct job *j = xcalloc(1, sizeof *j);

	j->task = (struct task){.work = work,
	    .finish = finish,
	    .free = free_job,
	    .deadline_ms = clock_ms() + deadline_ms};
	j->work_ms = work_ms;
	dispatch_submit(d, &j->task);
}

static struct dispatch *begin(int workers, int queue, int wanted)
{
	char error[200] = "";
	struct dispatch *d;

	base = event_base_new();
	memset(ends, 0, sizeof ends);
	nfreed = 0;
	nwanted = wanted;
	logged[0] = '\0';
	log_capture(hear, NULL);
	d = dispatch_new(base, workers, queue, error, sizeof error);
	assert_string_equal(error, "");
	return d;
}

static void end(struct dispatch *d, int done, int late, int refused)
{
	dispatch_free(d);
	event_base_free(base);
	log_capture(NULL, NULL);
	assert_int_equal(ends[TASK_DONE], done);
	assert_int_equal(ends[TASK_LATE], late);
	assert_int_equal(ends[TASK_REFUSED], refused);
	assert_int_equal(nfreed, done + late + refused);
}

static void test_many_tasks(void **state)
{
	struct dispatch *d = begin(4, 2000, 2000);

	(void)state;
	for (int i = 0; i < 2000; i++)
		submit(d, 0, 60000);
	event_base_dispatch(base);
	end(d, 2000, 0, 0);
	assert_string_equal(logged, "");
}

/* One worker hangs: its caller has the default at the deadline, the others are served meanwhile. */
static void test_late_task(void **state)
{
	struct dispatch *d = begin(2, 100, 11);
	int64_t start = clock_ms();

	(void)state;
	submit(d, 600, 100);
	for (int i = 0; i < 10; i++)
		submit(d, 1, 60000);
	event_base_dispatch(base);
	assert_true(clock_ms() - start < 600);
	end(d, 10, 1, 0);
	assert_non_null(strstr(logged, "1 requests were answered by default: not done within"));
}

/* All workers hang: what waits in the queue has its default at its own deadline and never runs. */
static void test_late_in_the_queue(void **state)
{
	struct dispatch *d = begin(1, 100, 6);

	(void)state;
	submit(d, 500, 50);
	for (int i = 0; i < 5; i++)
		submit(d, 0, 60);
	event_base_dispatch(base);
	end(d, 0, 6, 0);
}

static void test_full_queue(void **state)
{
	struct dispatch *d = begin(1, 3, 10);

	(void)state;
	submit(d, 100, 60000);
	for (int i = 0; i < 9; i++)
		submit(d, 0, 60000);
	assert_int_equal(ends[TASK_REFUSED], 6); /* at once */
	event_base_dispatch(base);
	end(d, 4, 0, 6);
	assert_non_null(strstr(logged, "policy.queue was full"));
}

static void test_end_with_tasks(void **state)
{
	struct dispatch *d = begin(1, 10, 99);

	(void)state;
	for (int i = 0; i < 5; i++)
		submit(d, 50, 60000);
	dispatch_free(d);
	event_base_free(base);
	log_capture(NULL, NULL);
	assert_int_equal(nfreed, 5);
	assert_int_equal(ends[TASK_DONE] + ends[TASK_LATE], 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_many_tasks),
	    cmocka_unit_test(test_late_task),
	    cmocka_unit_test(test_late_in_the_queue),
	    cmocka_unit_test(test_full_queue),
	    cmocka_unit_test(test_end_with_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
