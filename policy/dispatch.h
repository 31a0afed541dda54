/* dispatch.h - from the event loop to the workers and back.
 *
 * The loop never blocks: whatever may wait runs as a task in a worker thread. Each worker has a
 * slot for one task; further tasks wait in a bounded queue. A task that is not done at its deadline
 * is answered by default and its late result thrown away, so a script that hangs costs its caller
 * the deadline and one worker, never another client. All functions belong to the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct event;
struct event_base;
struct dispatch;
struct worker;

enum task_end {
	TASK_DONE,
	TASK_LATE,    /* the deadline has passed; work() may still be running */
	TASK_REFUSED, /* the queue is full */
};

struct task {
	/* In a worker thread. Touches only what finish() does not touch before TASK_DONE. */
	void (*work)(struct task *);
	/* In the loop, once. */
	void (*finish)(struct task *, enum task_end);
	/* In the loop, when nobody uses the task any more. */
	void (*free)(struct task *);
	int64_t deadline_ms; /* monotonic */

	/* dispatch.c only */
	struct dispatch *dispatch;
	struct event *timer;
	bool running, ended;
	TAILQ_ENTRY(task) entry;
};

/* NULL: error says why. */
struct dispatch *dispatch_new(
    struct event_base *, int workers, int queue, char *error, size_t size);
/* Waits for the workers; what they still have is finished as late. */
void dispatch_free(struct dispatch *);
/* Takes over the task. finish() may be called before this returns. */
void dispatch_submit(struct dispatch *, struct task *);
