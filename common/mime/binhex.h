/* binhex.h - decoder of BinHex 4.0 (RFC 1741), the Macintosh's text form of a file.
 *
 * A codec: bytes in, the data fork out; no file, no clock, no log. Feed it the text from the
 * first ":" on (what stands before is skipped), in pieces of any size. A struct binhex belongs
 * to one thread. Checksums that are wrong are reported and nothing more. Constant memory; the
 * data fork stops at LIMIT_BINHEX_FILE_BYTES (a run length makes 255 bytes of three). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binhex;

enum binhex_state {
	BINHEX_MORE,  /* feed on */
	BINHEX_DONE,  /* both forks are complete, or the closing ":" was seen */
	BINHEX_WRONG, /* not BinHex from here on: foreign character, impossible header */
};

struct binhex_info {
	unsigned char name[64]; /* as sent, Macintosh Roman; name_size bytes, not terminated */
	size_t name_size;
	char type[4], creator[4];
	uint32_t data_size, resource_size; /* as stated */
	uint64_t data_got;		   /* bytes of the data fork that came out */
	bool header;			   /* the header was read; else nothing here is valid */
	bool complete;			   /* the whole data fork came out */
	bool wrong_sum;			   /* of the header or of a fork */
	bool too_large;			   /* cut at LIMIT_BINHEX_FILE_BYTES */
};

/* out takes the data fork; false stops with BINHEX_WRONG. NULL: the file is only measured. */
struct binhex *binhex_new(bool (*out)(void *arg, const void *bytes, size_t n), void *arg);
void binhex_free(struct binhex *); /* NULL is fine */
/* After DONE or WRONG it takes nothing more and repeats that answer. */
enum binhex_state binhex_feed(struct binhex *, const void *bytes, size_t n);
const struct binhex_info *binhex_info(const struct binhex *);
