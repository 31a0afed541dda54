/* binhex.c - see binhex.h.
 *
 * By hand although libuu decodes it: that library works on files, keeps its state in globals
 * and is GPL. Three layers: characters to bytes (6 bits each), bytes to expanded bytes (0x90 n
 * repeats the byte before), expanded bytes to header, data fork, resource fork, each followed
 * by a CRC of its own. */
#include "common/mime/binhex.h"

#include "common/limits.h"
#include "common/list.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RUN 0x90      /* RFC 1741: repeat count follows; a count of 0 is the byte itself */
#define AFTER_NAME 19 /* version, type, creator, flags, two lengths; then the CRC */
#define BAD 64
#define BLANK 65

enum section { LENGTH, HEADER, DATA, RESOURCE, END };

struct binhex {
	struct binhex_info info;
	enum binhex_state state;
	bool (*out)(void *arg, const void *bytes, size_t n);
	void *arg;

	bool begun;    /* the first ":" was seen */
	uint32_t bits; /* of the characters that make no byte yet */
	unsigned nbits;
	bool run;     /* the last byte was RUN */
	int previous; /* what a run repeats, -1 at the start */

	enum section section;
	uint64_t left;	    /* bytes of the section, its CRC not counted */
	unsigned crc, ncrc; /* of the section; CRC bytes read */
	unsigned stated;
	unsigned char header[1 + 63 + AFTER_NAME];
	size_t nheader;
	unsigned char buffer[4096];
	size_t nbuffer;
};

static unsigned char values[256];
static unsigned short crc_table[256];

static pthread_once_t tables_made = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	static const char alphabet[] =
	    "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";

	memset(values, BAD, sizeof values);
	for (unsigned i = 0; alphabet[i] != '\0'; i++)
		values[(unsigned char)alphabet[i]] = (unsigned char)i;
	values['\r'] = values['\n'] = values[' '] = values['\t'] = BLANK;
	for (unsigned i = 0; i < 256; i++) { /* CCITT: x^16 + x^12 + x^5 + 1, start 0 */
		unsigned crc = i << 8;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0);
		crc_table[i] = (unsigned short)crc;
	}
}

struct binhex *binhex_new(bool (*out)(void *arg, const void *bytes, size_t n), void *arg)
{
	struct binhex *b = xcalloc(1, sizeof *b);

	pthread_once(&tables_made, make_tables);
	b->out = out;
	b->arg = arg;
	b->previous = -1;
	b->section = LENGTH;
	return b;
}

void binhex_free(struct binhex *b)
{
	free(b);
}

const struct binhex_info *binhex_info(const struct binhex *b)
{
	return &b->info;
}

static unsigned add_crc(unsigned crc, unsigned char byte)
{
	return ((crc << 8) & 0xff00) ^ crc_table[(crc >> 8 ^ byte) & 0xff];
}

static void write_out(struct binhex *b)
{
	if (b->nbuffer > 0 && b->out != NULL && !b->out(b->arg, b->buffer, b->nbuffer))
		b->state = BINHEX_WRONG;
	b->nbuffer = 0;
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void start_section(struct binhex *b, enum section section, uint64_t size)
{
	b->section = section;
	b->left = size;
	b->crc = b->ncrc = b->stated = 0;
}

static void read_header(struct binhex *b)
{
	const unsigned char *p = b->header + 1 + b->info.name_size + 1; /* after the version */

	memcpy(b->info.name, b->header + 1, b->info.name_size);
	memcpy(b->info.type, p, 4);
	memcpy(b->info.creator, p + 4, 4);
	b->info.data_size = get32(p + 10);
	b->info.resource_size = get32(p + 14);
	b->info.header = true;
}

static void end_section(struct binhex *b)
{
	if (b->stated != b->crc)
		b->info.wrong_sum = true;
	if (b->section == HEADER) {
		read_header(b);
		start_section(b, DATA, b->info.data_size);
	} else if (b->section == DATA) {
		b->info.complete = true;
		start_section(b, RESOURCE, b->info.resource_size);
	} else {
		b->section = END;
		if (b->state == BINHEX_MORE)
			b->state = BINHEX_DONE;
	}
}

/* One expanded byte. */
static void take_byte(struct binhex *b, unsigned char byte)
{
	if (b->section == LENGTH) {
		if (byte == 0 || byte > 63) { /* a Macintosh file name */
			b->state = BINHEX_WRONG;
			return;
		}
		b->info.name_size = byte;
		start_section(b, HEADER, 1u + byte + AFTER_NAME);
	}
	if (b->left == 0) { /* the CRC that follows the section */
		b->stated = b->stated << 8 | byte;
		if (++b->ncrc == 2)
			end_section(b);
		return;
	}
	b->left--;
	b->crc = add_crc(b->crc, byte);
	if (b->section == HEADER) {
		b->header[b->nheader++] = byte;
	} else if (b->section == DATA) {
		b->buffer[b->nbuffer++] = byte;
		b->info.data_got++;
		if (b->nbuffer == sizeof b->buffer)
			write_out(b);
		if (b->info.data_got == LIMIT_BINHEX_FILE_BYTES && b->left > 0) {
			b->info.too_large = true;
			b->state = BINHEX_WRONG;
		}
	}
}

/* One byte as encoded: expands runs. */
static void expand(struct binhex *b, unsigned char byte)
{
	if (b->run) {
		b->run = false;
		if (byte == 0) {
			b->previous = RUN;
			take_byte(b, RUN);
		} else if (b->previous < 0) {
			b->state = BINHEX_WRONG; /* nothing to repeat */
		} else {
			/* the byte itself came out before */
			for (unsigned i = 1; i < byte && b->state == BINHEX_MORE; i++)
				take_byte(b, (unsigned char)b->previous);
		}
	} else if (byte == RUN) {
		b->run = true;
	} else {
		b->previous = byte;
		take_byte(b, byte);
	}
}

static void take_character(struct binhex *b, unsigned char c)
{
	unsigned value = values[c];

	if (value == BLANK)
		return;
	if (c == ':') {
		b->state = b->info.header ? BINHEX_DONE : BINHEX_WRONG;
		return;
	}
	if (value == BAD) {
		b->state = BINHEX_WRONG;
		return;
	}
	b->bits = b->bits << 6 | value;
	b->nbits += 6;
	if (b->nbits >= 8) {
		b->nbits -= 8;
		expand(b, b->bits >> b->nbits & 0xff);
	}
}

enum binhex_state binhex_feed(struct binhex *b, const void *bytes, size_t n)
{
	const unsigned char *p = bytes, *end = p + n;

	if (!b->begun && b->state == BINHEX_MORE) {
		p = n > 0 ? memchr(p, ':', n) : NULL;
		if (p == NULL)
			return BINHEX_MORE;
		p++;
		b->begun = true;
	}
	while (p < end && b->state == BINHEX_MORE)
		take_character(b, *p++);
	write_out(b); /* nobody says when the input ends */
	return b->state;
}
