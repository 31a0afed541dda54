/* message.h - one message in transit: envelope, header fields, body.
 *
 * The message is the CRLF byte stream that the milter received: offset 0 is the first byte of
 * the first header field, fields end in CRLF (folds included), an empty line, the body. The
 * first bytes (message_options.memory, header included) stay in memory, the rest goes to an
 * unlinked file (spool.h). What can be read is always the beginning of the stream: from the first
 * byte that could not be kept on, everything is only counted.
 * Owned by one session; not synchronised. */
#pragma once

#include "common/envelope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct message_options {
	size_t memory;	       /* bytes kept in memory before the body is spilled */
	const char *directory; /* where the unlinked file lives; must outlive the message */
	uint64_t most; /* bytes stored at most, header included; later body bytes only count */
};

struct header_field {
	char *name;  /* as received, case kept */
	char *value; /* as it stands after the colon, first blank included; a fold is "\n", blank */
};

struct message;

struct message *message_new(const struct message_options *);
/* Another owner, in the same session: it lives until each of them has freed it. */
struct message *message_ref(const struct message *);
void message_free(struct message *); /* NULL is fine */

/* Envelope; argv as for envelope_address_parse(). */
void message_set_sender(struct message *, char **argv);
/* False: it is one more than LIMIT_RECIPIENTS and was not kept; refuse it. */
bool message_add_recipient(struct message *, char **argv);
void message_drop_last_recipient(struct message *);		       /* it was refused */
const struct envelope_address *message_sender(const struct message *); /* NULL before MAIL */
size_t message_recipient_count(const struct message *);
const struct envelope_address *message_recipient(const struct message *, size_t i); /* or NULL */

/* Header and body in the order of arrival. value as libmilter gives it with SMFIP_HDR_LEADSPC,
 * folds as "\n" or "\r\n". False: over LIMIT_HEADERS or LIMIT_HEADERS_BYTES, counted only. */
bool message_header(struct message *, const char *name, const char *value);
/* 0 stored or counted, -1 could not be stored (errno), and so for the rest of the message: the
 * caller answers with a temporary failure. */
int message_body(struct message *, const void *bytes, size_t n);
void message_count_only(struct message *); /* from now on body bytes are counted, not stored */

bool message_header_whole(const struct message *); /* no field was counted only */
size_t message_header_count(const struct message *);
const struct header_field *message_header_field(const struct message *, size_t i); /* or NULL */
size_t message_header_instances(const struct message *, const char *name); /* case ignored */
/* Value of the last field of that name, ASCII case ignored; unfolded (RFC 5322 2.2.3), blanks at
 * both ends removed. malloc'ed; NULL when absent. */
char *message_header_unfolded(const struct message *, const char *name);

uint64_t message_size(const struct message *);	       /* header + empty line + body */
uint64_t message_body_offset(const struct message *);  /* where the body starts */
uint64_t message_longest_line(const struct message *); /* body bytes without the line end */
/* Some of message_size() was counted only, for whatever reason: message_read() ends before it. */
bool message_truncated(const struct message *);
/* Read up to n bytes at offset; returns the number read, 0 at the end, -1 with errno. */
ssize_t message_read(const struct message *, uint64_t offset, void *out, size_t n);
