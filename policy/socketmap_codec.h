/* socketmap_codec.h - the socketmap protocol of Postfix and Sendmail: netstrings.
 *
 * Pure: no socket, no clock, no log. A request is "NAME KEY", a reply "OK VALUE", "NOTFOUND ",
 * "TEMP REASON" or "PERM REASON", each as a netstring "LENGTH:TEXT,". Sources: socketmap_table(5)
 * and the netstring page of D. J. Bernstein. By hand: no library reads netstrings piecewise. */
#pragma once

#include "policy/codec.h"

#include <stdbool.h>
#include <stddef.h>

enum socketmap_status {
	SOCKETMAP_OK,
	SOCKETMAP_NOTFOUND,
	SOCKETMAP_TEMP,
	SOCKETMAP_PERM,
};

struct socketmap_reader {
	char *text; /* of the netstring, NUL behind it */
	size_t n, length;
	int digits;    /* of the length so far */
	bool in_text;  /* the colon was seen */
	bool complete; /* the message was handed out; the next byte begins another one */

	/* valid after CODEC_MESSAGE until the next call */
	const char *name, *key;
	size_t key_n;	 /* the key may hold anything but NUL */
	const char *why; /* after CODEC_BROKEN: a constant text */
};

/* Zero it before use. */
void socketmap_reader_clear(struct socketmap_reader *);
bool socketmap_reader_idle(const struct socketmap_reader *); /* nothing of a request yet? */
/* Takes bytes, *p and *n move on. After CODEC_BROKEN only clear is of use. */
enum codec socketmap_feed(struct socketmap_reader *, const char **p, size_t *n);

/* A reply as bytes, malloc'ed, *size of them. value is ignored with NOTFOUND. NULL: the value
 * cannot be sent: CR, LF or NUL in it (R10), longer than a client takes, or empty with OK, which
 * Postfix treats as an error. */
char *socketmap_reply(enum socketmap_status, const char *value, size_t n, size_t *size);
