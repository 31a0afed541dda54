/* luaout.h - LUA.OUT and LUAERRORS.LOG: what scripts print, and what goes wrong in them.
 *
 * One call is one write(2) to a file opened with O_APPEND, so lines of many threads never mix. A
 * file that was moved or deleted is opened anew within a second, at once after luaout_reopen().
 * Failure to write is logged once a minute at most and never hurts the mail. No Lua type appears
 * here. Thread-safe. */
#pragma once

#include "common/config.h"
#include "common/log.h"

#include <stdbool.h>
#include <stddef.h>

/* Take the paths lua.out and lua.errors from the configuration; "" throws that output away. At
 * start and after a reload. Before the first call output is thrown away. */
void luaout_configure(const struct config *);
void luaout_reopen(void); /* after SIGUSR1 */

/* n bytes of text and a line end, as they are: the file belongs to the script. */
void luaout_print(const char *text, size_t n);

/* One entry: a line with time, session, script and hook, then the traceback, indented, every line
 * of it escaped as in the log (it quotes foreign text, R19). Cut at LIMIT_TRACEBACK_BYTES. id,
 * script and hook may be NULL. True: luaout_capture_errors() listens and got it instead. */
bool luaout_error(
    const struct log_id *id, const char *script, const char *hook, const char *traceback);

/* For a command that shows what a script prints, and for tests: print lines go to ear instead of
 * the file. NULL restores. */
void luaout_capture(void (*ear)(const char *text, size_t n, void *arg), void *arg);
/* The same for errors: ear gets the message with its traceback, as Lua writes it. */
void luaout_capture_errors(void (*ear)(const char *text, size_t n, void *arg), void *arg);
