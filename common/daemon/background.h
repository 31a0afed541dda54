/* background.h - a daemon leaves the terminal; its exit status tells the starter how it went.
 *
 * The process that was started lives until the daemon says that it is ready, or why it is not.
 * Call before threads. */
#pragma once

/* Go on in a child of its own session. A failure is logged and ends the process. */
void background_enter(void);
/* The daemon serves: give up the terminal, and the starter ends with status 0. Both do nothing
 * when background_enter() was not called, and have an effect once. */
void background_ready(void);
void background_failed(int status); /* the starter ends with this status */
