/* container_rig.h - makes BinHex texts and TNEF streams for tests, from RFC 1741 and MS-OXTNEF. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct made {
	unsigned char *s;
	size_t n;
};

/* What is allocated for n bytes: powers of two, so that adding bytes one by one is quick. */
static inline size_t made_room(size_t n)
{
	size_t room = 64;

	while (n > 0 && room < n)
		room *= 2;
	return n > 0 ? room : 0;
}

static inline void made_add(struct made *m, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	if (made_room(m->n + n) != made_room(m->n))
		m->s = xrealloc(m->s, made_room(m->n + n));
	memcpy(m->s + m->n, bytes, n);
	m->n += n;
}

static inline void made_byte(struct made *m, unsigned byte)
{
	made_add(m, &(unsigned char){(unsigned char)byte}, 1);
}

/* A number of `size` bytes, high or low byte first. */
static inline void made_high(struct made *m, uint64_t value, int size)
{
	while (size-- > 0)
		made_byte(m, value >> 8 * size & 0xff);
}

static inline void made_low(struct made *m, uint64_t value, int size)
{
	for (; size > 0; size--, value >>= 8)
		made_byte(m, value & 0xff);
}

/* BinHex: CRC bit by bit over the bytes and the two zero bytes in its own place. */
static inline unsigned made_crc(const unsigned char *s, size_t n)
{
	unsigned crc = 0;

	for (size_t i = 0; i < 8 * (n + 2); i++) {
		unsigned bit = i / 8 < n ? s[i / 8] >> (7 - i % 8) & 1 : 0;

		crc = (crc << 1 | bit) ^ (crc & 0x8000 ? 0x11021 : 0);
	}
	return crc;
}

static inline void made_section(struct made *raw, const void *bytes, size_t n, unsigned spoil)
{
	made_add(raw, bytes, n);
	made_high(raw, made_crc(bytes, n) ^ spoil, 2);
}

struct binhex_recipe {
	const char *name;
	const void *data;
	size_t size;
	uint32_t stated;     /* size of the data fork in the header when it is to lie; else 0 */
	unsigned spoil_head; /* what to change in a CRC */
	unsigned spoil_data;
	bool runs; /* pack repeated bytes */
};

static inline struct made made_binhex_raw(const struct binhex_recipe *r)
{
	struct made head = {NULL, 0}, raw = {NULL, 0};

	made_byte(&head, (unsigned)strlen(r->name));
	made_add(&head, r->name, strlen(r->name));
	made_add(&head, "\0TEXTttxt\0\0", 11);
	made_high(&head, r->stated ? r->stated : r->size, 4);
	made_high(&head, 0, 4);
	made_section(&raw, head.s, head.n, r->spoil_head);
	made_section(&raw, r->data, r->size, r->spoil_data);
	made_section(&raw, "", 0, 0);
	free(head.s);
	return raw;
}

/* ":" ... ":" in lines of 64 characters. */
static inline struct made made_binhex(const struct binhex_recipe *r)
{
	static const char alphabet[] =
	    "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
	struct made raw = made_binhex_raw(r), packed = {NULL, 0}, text = {NULL, 0};
	uint32_t bits = 0;
	unsigned nbits = 0;
	size_t column = 1;

	for (size_t i = 0; i < raw.n;) {
		size_t run = 1;

		while (r->runs && run < 255 && i + run < raw.n && raw.s[i + run] == raw.s[i])
			run++;
		made_byte(&packed, raw.s[i]);
		if (raw.s[i] == 0x90)
			made_byte(&packed, 0);
		if (run > 1) {
			made_byte(&packed, 0x90);
			made_byte(&packed, (unsigned)run);
		}
		i += run;
	}
	made_byte(&text, ':');
	for (size_t i = 0; i <= packed.n; i++) {
		bits = bits << 8 | (i < packed.n ? packed.s[i] : 0);
		for (nbits += 8; nbits >= 6; nbits -= 6) {
			made_byte(&text, (unsigned char)alphabet[bits >> (nbits - 6) & 63]);
			if (++column % 64 == 0)
				made_add(&text, "\r\n", 2);
			if (i == packed.n) /* what is left of the last byte */
				break;
		}
	}
	made_add(&text, ":\r\n", 3);
	free(raw.s);
	free(packed.s);
	return text;
}

/* TNEF */
static inline struct made made_tnef(void)
{
	struct made m = {NULL, 0};

	made_low(&m, 0x223e9f78, 4);
	made_low(&m, 1, 2);
	return m;
}

static inline void made_attribute(
    struct made *m, unsigned level, uint32_t id, const void *bytes, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += ((const unsigned char *)bytes)[i];
	made_byte(m, level);
	made_low(m, id, 4);
	made_low(m, n, 4);
	made_add(m, bytes, n);
	made_low(m, sum & 0xffff, 2);
}

/* A property of one value of variable size. */
static inline void made_property(
    struct made *m, unsigned type, unsigned id, const void *bytes, size_t n)
{
	made_low(m, type, 2);
	made_low(m, id, 2);
	made_low(m, 1, 4);
	made_low(m, n, 4);
	made_add(m, bytes, n);
	made_add(m, "\0\0\0", (4 - n % 4) % 4);
}

/* An attachment with a title and data, and properties when n is not 0. */
static inline void made_file(struct made *m, const char *title, const void *data, size_t size,
    const struct made *properties, unsigned count)
{
	struct made counted = {NULL, 0};

	made_attribute(m, 2, 0x00069002, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0", 14);
	if (title != NULL)
		made_attribute(m, 2, 0x00018010, title, strlen(title) + 1);
	if (data != NULL)
		made_attribute(m, 2, 0x0006800f, data, size);
	if (count > 0) {
		made_low(&counted, count, 4);
		made_add(&counted, properties->s, properties->n);
		made_attribute(m, 2, 0x00069005, counted.s, counted.n);
		free(counted.s);
	}
}
