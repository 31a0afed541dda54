/* message.h - one message in transit: envelope, header fields, body.
 *
 * The message is the CRLF byte stream that the milter received: offset 0 is the first byte of
 * the first header field, fields end in CRLF (folds included), an empty line, the body. The
 * first LIMIT bytes (message_options.memory) stay in memory, the rest goes to an unlinked file.
 * Owned by one session; not synchronised. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct message_options {
	size_t memory;	       /* bytes kept in memory before the body is spilled */
	const char *directory; /* where the unlinked file lives; must outlive the message */
	uint64_t most;	       /* bytes stored at most; beyond that message_body() refuses */
};

struct header_field {
	char *name;  /* as received, case kept */
	char *value; /* as it stands after the colon, first blank included; folds are "\n" + blank */
};

struct esmtp_parameter {
	char *keyword; /* upper case */
	char *value;   /* "" without "=" */
};

struct envelope_address {
	char *address;	/* without angle brackets; "" is the null sender */
	char *raw;	/* the argument of the command as received, parameters included */
	struct esmtp_parameter *parameters;
	size_t nparameters;
};

struct message;

struct message *message_new(const struct message_options *);
void message_free(struct message *); /* NULL is fine */

/* Envelope. argv is libmilter's: address first, then ESMTP parameters, NULL at the end. */
void message_set_sender(struct message *, char **argv);
void message_add_recipient(struct message *, char **argv);
void message_drop_last_recipient(struct message *); /* it was refused */
const struct envelope_address *message_sender(const struct message *); /* NULL before MAIL */
size_t message_recipient_count(const struct message *);
const struct envelope_address *message_recipient(const struct message *, size_t i);

/* Parse one command argument vector on its own (the recipient that is being decided). */
void envelope_address_parse(struct envelope_address *, char **argv);
void envelope_address_free(struct envelope_address *);
const char *envelope_parameter(const struct envelope_address *, const char *keyword); /* or NULL */

/* Header and body in the order of arrival. False: the limit of fields was reached. */
bool message_header(struct message *, const char *name, const char *value);
/* 0 stored, -1 could not be stored (errno): the caller answers with a temporary failure. */
int message_body(struct message *, const void *bytes, size_t n);
void message_count_only(struct message *); /* from now on body bytes are counted, not stored */

size_t message_header_count(const struct message *);
const struct header_field *message_header_field(const struct message *, size_t i);
size_t message_header_instances(const struct message *, const char *name);
/* Last field of that name, ASCII case ignored; unfolded into out. NULL when absent. */
char *message_header_unfolded(const struct message *, const char *name); /* malloc'ed */

uint64_t message_size(const struct message *);	      /* header + empty line + body */
uint64_t message_body_offset(const struct message *); /* where the body starts */
uint64_t message_longest_line(const struct message *); /* body bytes without the line end */
/* Read up to n bytes at offset; returns the number read, 0 at the end, -1 with errno. */
ssize_t message_read(const struct message *, uint64_t offset, void *out, size_t n);
