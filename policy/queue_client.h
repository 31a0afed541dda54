/* queue_client.h - asks mailhooks-queue; see queue_command.h for what it can do.
 *
 * Waits for the answer. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct queue_listener {					     /* borrowed */
	void (*line)(const char *text, size_t n, void *arg); /* each line of a list */
	bool (*stopped)(void *arg); /* true: the rest is not wanted; asked all the time */
	void *arg;
};

/* Do it to the message; for a list id is "" and somebody listens, else NULL. False: why (size
 * bytes) says what went wrong. */
bool queue_client_ask(const char *socket, char letter, const char *id,
    const struct queue_listener *, char *why, size_t size);
