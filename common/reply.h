/* reply.h - an SMTP reply as a script wrote it, made safe to send.
 *
 * Pure: no log, no clock, no I/O. Sources: RFC 5321 4.2, RFC 3463, and the limits of
 * smfi_setmlreply as observed. */
#pragma once

#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>

enum reply_problem {		     /* bits; what had to be repaired, for one log line */
	REPLY_CONTROL = 1 << 0,	     /* CR, LF, NUL or another control character inside a line */
	REPLY_LONG = 1 << 1,	     /* a line was cut at LIMIT_REPLY_LINE_BYTES */
	REPLY_LINES = 1 << 2,	     /* more than LIMIT_REPLY_LINES lines */
	REPLY_CLASS = 1 << 3,	     /* enhanced code of another class than the code: dropped */
	REPLY_CODES_DIFFER = 1 << 4, /* continuation lines with another code: the first one wins */
};

enum reply_parsed {
	REPLY_NONE, /* NULL, "" or blanks: the host's own reply */
	REPLY_OK,
	REPLY_NONSENSE, /* does not begin with a code from 200 to 599 */
};

struct reply {
	int code;	/* 0 = no reply chosen */
	char xcode[12]; /* enhanced status code such as "5.7.1"; never empty when code >= 400 */
	int nlines;	/* at least 1 when code != 0 */
	char *lines[LIMIT_REPLY_LINES]; /* owned text without codes and line ends, may be "" */
};

/* Parse n bytes at s. Lines may end in CR LF or LF; each may repeat the code ("550-", "550 ").
 * An xcode missing for code >= 400 is filled in from the code. *problems gets REPLY_* bits; NULL is
 * fine. Codes of 200 to 399 are parsed too: that no milter can send them is the caller's business.
 * What the struct held before is not looked at; unless REPLY_OK comes back it is zeroed. */
enum reply_parsed reply_parse(struct reply *, const char *s, size_t n, unsigned *problems);
/* One line from parts; text (NULL: none) is cleaned the same way. xcode NULL or unfit: filled in
 * from the code. A code outside of 200 to 599 leaves code 0. As above, the struct may be fresh. */
void reply_set(struct reply *, int code, const char *xcode, const char *text);
void reply_copy(struct reply *to, const struct reply *from); /* frees what `to` held */
void reply_free(struct reply *);			     /* leaves it zeroed */
/* Human-readable list of problem bits in a static table's words, e.g. "text cut at 980 bytes". */
const char *reply_problem_text(unsigned problems, char *out, size_t size);
/* The whole reply as one string, lines joined by " / ", for logs and `replay`. */
char *reply_text(const struct reply *); /* malloc'ed */
