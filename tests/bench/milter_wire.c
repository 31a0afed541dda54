/* milter_wire.c - see milter_wire.h. */
#include "milter_wire.h"

#include <libmilter/mfapi.h>

#include <arpa/inet.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define LENGTH_BYTES MILTER_LEN_BYTES

void wire_reserve(struct wire_buffer *buffer, size_t more)
{
	size_t needed = buffer->size + more;

	if (needed <= buffer->capacity)
		return;
	if (needed < 2 * buffer->capacity)
		needed = 2 * buffer->capacity;
	buffer->bytes = realloc(buffer->bytes, needed);
	if (buffer->bytes == NULL)
		err(EX_OSERR, "%zu bytes for packets", needed);
	buffer->capacity = needed;
}

void wire_free(struct wire_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct wire_buffer){0};
}

void wire_add_bytes(struct wire_buffer *buffer, const void *bytes, size_t size)
{
	if (size == 0)
		return;
	wire_reserve(buffer, size);
	memcpy(buffer->bytes + buffer->size, bytes, size);
	buffer->size += size;
}

void wire_add_string(struct wire_buffer *buffer, const char *text)
{
	wire_add_bytes(buffer, text, strlen(text) + 1);
}

void wire_add_u32(struct wire_buffer *buffer, uint32_t value)
{
	uint32_t big_endian = htonl(value);

	wire_add_bytes(buffer, &big_endian, sizeof(big_endian));
}

size_t wire_open(struct wire_buffer *buffer, char command)
{
	size_t start = buffer->size;

	wire_add_u32(buffer, 0); /* the length, filled in by wire_close() */
	wire_add_bytes(buffer, &command, 1);
	return start;
}

void wire_close(struct wire_buffer *buffer, size_t start)
{
	uint32_t length = htonl((uint32_t)(buffer->size - start - LENGTH_BYTES));

	memcpy(buffer->bytes + start, &length, sizeof(length));
}

static uint32_t get_u32(const unsigned char *bytes)
{
	uint32_t big_endian;

	memcpy(&big_endian, bytes, sizeof(big_endian));
	return ntohl(big_endian);
}

enum wire_result wire_next(
    const unsigned char *bytes, size_t size, struct wire_reply *reply, size_t *used)
{
	uint32_t length;

	if (size < LENGTH_BYTES)
		return WIRE_MORE;
	length = get_u32(bytes);
	if (length < 1 || length > WIRE_MAX_REPLY)
		return WIRE_MALFORMED;
	if (size - LENGTH_BYTES < length)
		return WIRE_MORE;
	reply->code = (char)bytes[LENGTH_BYTES];
	reply->data = bytes + LENGTH_BYTES + 1;
	reply->size = length - 1;
	*used = LENGTH_BYTES + length;
	return WIRE_REPLY;
}

int wire_negotiation(const struct wire_reply *reply, struct wire_negotiation *answer)
{
	const unsigned char *p = reply->data, *end = reply->data + reply->size, *nul;
	uint32_t stage;

	*answer = (struct wire_negotiation){0};
	if (reply->code != SMFIC_OPTNEG || reply->size < MILTER_OPTLEN)
		return -1;
	answer->version = get_u32(p);
	answer->actions = get_u32(p + 4);
	answer->steps = get_u32(p + 8);
	for (p += MILTER_OPTLEN; p < end; p = nul + 1) {
		if (end - p <= 4)
			return -1;
		stage = get_u32(p);
		p += 4;
		nul = memchr(p, '\0', (size_t)(end - p));
		if (stage >= WIRE_STAGES || nul == NULL)
			return -1;
		answer->macros[stage] = (const char *)p;
	}
	return 0;
}
