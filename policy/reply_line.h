/* reply_line.h - what may be answered for the last line of a remote server's reply. Pure.
 *
 * Postfix takes the code of the last line. A line break in an answer, or one without a code, would
 * make it lose its place in the session. */
#pragma once

#include <stdbool.h>

/* The line for a reply with this code when a script wants another reply, malloc'ed. any: also to
 * and from 2xx and 3xx. NULL: it cannot be; *why says why, or is NULL when it is the same. */
char *reply_line_replace(
    int code, const char *reply, const char *wanted, bool any, const char **why);
