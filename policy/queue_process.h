/* queue_process.h - private to mailhooks-queue: runs a program of the MTA, for a bounded time.
 *
 * No shell; the program inherits nothing but what is listed in the .c. One thread. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>

struct queue_output { /* who reads what a program prints; borrowed */
	bool (*take)(const char *bytes, size_t n, void *arg); /* false: no more, please */
	void *arg;
	int ends[2]; /* when one of these can be read, nobody reads any more; -1 = none */
};

/* Run argv, the first word is the path, and wait for it; without an output nobody reads what it
 * prints. It is killed when it has not ended, or printed nothing, for quiet_ms; one that cannot be
 * killed is left to itself. False: it could not be run, was ended or failed; why (size bytes) says
 * so. */
bool queue_process_run(
    struct strlist *argv, int quiet_ms, const struct queue_output *, char *why, size_t size);
