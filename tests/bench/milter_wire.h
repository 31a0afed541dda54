/* milter_wire.h - packets of the milter protocol, as the MTA sees them.
 *
 * Pure: no socket, no clock, no output. The constants are those of <libmilter/mfdef.h>; the MTA's
 * side is written by hand because libmilter implements the filter's side only. A buffer that
 * cannot grow ends the program: this is a tool, not a daemon. Not shared between threads. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WIRE_STAGES 7		 /* macro lists a milter can ask for, SMFIM_CONNECT..SMFIM_EOH */
#define WIRE_MAX_REPLY (1 << 20) /* bytes; a longer packet is taken for garbage */

struct wire_buffer {
	unsigned char *bytes;
	size_t size, capacity;
};

void wire_reserve(struct wire_buffer *, size_t more);
void wire_free(struct wire_buffer *);

/* A packet is built by wire_open(), any number of wire_add_*(), and wire_close() with what
 * wire_open() returned. */
size_t wire_open(struct wire_buffer *, char command);
void wire_add_bytes(struct wire_buffer *, const void *bytes, size_t size);
void wire_add_string(struct wire_buffer *, const char *text); /* with its final NUL */
void wire_add_u32(struct wire_buffer *, uint32_t value);
void wire_close(struct wire_buffer *, size_t start);

struct wire_reply { /* data points into the bytes that were given */
	char code;
	const unsigned char *data;
	size_t size;
};

enum wire_result { WIRE_REPLY, WIRE_MORE, WIRE_MALFORMED };

/* The first packet in bytes; *used is its length there. */
enum wire_result wire_next(
    const unsigned char *bytes, size_t size, struct wire_reply *, size_t *used);

struct wire_negotiation {
	uint32_t version, actions, steps;
	const char *macros[WIRE_STAGES]; /* names asked for, NULL: the MTA's default list */
};

/* Strings point into the reply. Returns 0, or -1 when it is not an answer to SMFIC_OPTNEG. */
int wire_negotiation(const struct wire_reply *, struct wire_negotiation *);
