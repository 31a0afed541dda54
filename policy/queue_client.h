/* queue_client.h - asks mailhooks-queue; see queue_command.h for what it can do.
 *
 * Waits for the answer. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Do it to the message; for QUEUE_LIST id is "" and line gets each line of the list. False: why
 * (size bytes) says what went wrong. */
bool queue_client_ask(const char *socket, char letter, const char *id,
    void (*line)(const char *text, size_t n, void *arg), void *arg, char *why, size_t size);
