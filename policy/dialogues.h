/* dialogues.h - puts the lines of a mail log together to dialogues of one message with one host.
 *
 * A dialogue may leave several lines, one for each recipient, and its TLS and its connection stand
 * in lines of the process that name no message. What belongs together is found by process, message
 * and host. A dialogue is over when the process turns to another message, when every recipient of
 * the message has its outcome (Postfix says how many there are), when the message leaves the queue
 * or is tried again; or when the log has said no more of it for DIALOGUES_QUIET_MS, in which case
 * lines that come later add nothing to it.
 *
 * What it does depends on the lines alone, but for that last case, and its whole state can be saved
 * and loaded: whoever reads on from there gets the same dialogues under the same keys. One thread
 * at a time. */
#pragma once

#include "common/list.h"
#include "common/maillog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DIALOGUES_QUIET_MS 1000	  /* MTAs write all recipients of one answer at once */
#define DIALOGUES_KEY_BYTES 256	  /* of a line */
#define DIALOGUES_MESSAGES 20000  /* that are known at once; the oldest are forgotten */
#define DIALOGUES_PROCESSES 20000 /* the same; a log file takes any line of a local user */
#define DIALOGUES_HOSTS 1000	  /* of one message in one process; MTAs try some tens */

struct dialogues;

struct dialogue {
	char *key; /* of its first line */
	int64_t time_ms;
	char *server, *address, *domain, *connection, *tls;
	char *stage, *result; /* the worst: a deferral, else a refusal, else the success */
	int64_t delay_ms;     /* -1 = not said */
	struct strlist recipients, results; /* side by side */

	int rank;    /* how bad its result is; of dialogues.c */
	bool handed; /* the listener has it; of dialogues.c */
};

struct dialogues_listener { /* called while a line is read, in this order for one message */
	/* sender, size and total are NULL or -1 when the log has not said them. */
	void (*tried)(const char *queue_id, const struct dialogue *, const char *sender, void *);
	void (*known)(const char *queue_id, const char *sender, int64_t size, int64_t time_ms,
	    void *); /* the message is in the queue */
	/* At least one recipient was put off; once for each run of the queue. time_ms: when the
	 * run began, or the first such line. */
	void (*deferred)(const char *queue_id, int64_t time_ms, void *);
	void (*removed)(const char *queue_id, int64_t time_ms, void *);
	void *arg;
};

struct dialogues *dialogues_new(const struct dialogues_listener *);
void dialogues_free(struct dialogues *); /* what is not over is not told */

/* key: unique for this line. now_ms: of a monotonic clock. */
void dialogues_line(
    struct dialogues *, const struct maillog_line *, const char *key, int64_t now_ms);
/* There is nothing more to read at the moment: tell of what has been quiet. Returns how many
 * milliseconds from now this is wanted again, or -1. */
int64_t dialogues_quiet(struct dialogues *, int64_t now_ms);

void dialogues_save(const struct dialogues *, FILE *);
/* Into a new one. False: this is not what dialogues_save() wrote; throw it away. */
bool dialogues_load(struct dialogues *, const char *saved, size_t n, int64_t now_ms);
