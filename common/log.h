/* log.h - the log: syslog or standard error, one line per event.
 *
 * Every line carries the session id and, once known, the queue id of a struct log_id. Whatever
 * the arguments contain, control characters (C0, C1, DEL; line separators and marks that turn
 * the reading direction) and invalid UTF-8 are escaped and the line is cut at
 * LIMIT_LOG_LINE_BYTES, so no peer can forge or split a line (R19). Escapes are \t \n \r, \xNN for
 * each byte of anything else, and \\ for a backslash, so that a text can be read back.
 * When standard error is the journal, lines begin with their level as sd-daemon(3) has it.
 * Thread-safe. Never put foreign text into the format argument (R2; the compiler checks). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LVL_BUG, LOG_LVL_ERROR, LOG_LVL_WARN, LOG_LVL_INFO, LOG_LVL_DEBUG };
enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };
enum log_format { LOG_AS_TEXT, LOG_AS_JSON };

struct log_id {
	char session[24]; /* "" outside of a session */
	char queue[64];	  /* the MTA's queue id, "" while unknown */
};

/* program must stay valid. facility is a syslog facility number. Call once, before threads. */
void log_open(
    const char *program, enum log_target, enum log_format, int facility, enum log_level least);
void log_reopen(void); /* after SIGUSR1: closes and opens the syslog connection */
enum log_level log_least(void);

/* id may be NULL. bug: a broken invariant of ours (builds with MAILHOOKS_ABORT_ON_BUG abort, unless
 * log_capture() listens); error: an administrator must act;
 * warn: something could not be honoured; info: what happened to mail; debug: for developers. */
void log_bug(const struct log_id *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_error(const struct log_id *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const struct log_id *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(const struct log_id *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_debug(const struct log_id *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Logs and exits with the given status (sysexits.h). For start-up only. */
_Noreturn void log_fatal(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Escape n bytes of s as described above into out (size bytes, always terminated); returns the
 * length written. Exposed for files that are not the log (LUAERRORS.LOG) and for tests. */
size_t log_escape(char *out, size_t size, const char *s, size_t n);
/* The same escaped text as a JSON string body (without quotes): valid JSON for any input bytes,
 * and safe on a terminal after decoding. */
size_t log_escape_json(char *out, size_t size, const char *s, size_t n);

/* A test's ear: called with every finished line instead of writing it. NULL restores. */
void log_capture(void (*ear)(enum log_level, const char *line, void *), void *arg);
