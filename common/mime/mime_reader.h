/* mime_reader.h - a range of a message read in sequence, transfer encoding undone; lines of it.
 * Private to common/mime*.c. Fixed buffers; a reader reads its range once. */
#pragma once

#include "common/mime.h"

#include <gmime/gmime.h>

#define MIME_CHUNK 16384		/* bytes asked of the source at once */
#define MIME_OUT (MIME_CHUNK + 64)	/* room that a decoded chunk needs */
#define MIME_LINE_BUFFER (4 * MIME_OUT) /* longer lines come in pieces */

struct mime_reader {
	const struct mime_source *source;
	uint64_t offset, end;
	GMimeEncoding decoder;
	unsigned flags; /* MIME_BAD_ENCODING, complete at the end of the range */
	/* What the decoder forgives without a word */
	unsigned digits, padding; /* base64 */
	int escape;		  /* quoted-printable: bytes after "=", or -1 */
	bool flushed;
	char in[MIME_CHUNK];
};

/* encoding: base64 and quoted-printable are undone, everything else is passed as it is. */
void mime_reader_start(struct mime_reader *, const struct mime_source *, uint64_t offset,
    uint64_t end, GMimeContentEncoding encoding);
/* At most MIME_OUT bytes into out, which has room for them; 0 at the end, -1 with errno. */
ssize_t mime_reader_read(struct mime_reader *, char *out);

struct mime_line {
	const char *s; /* valid until the next call */
	size_t n;      /* without the line end */
	unsigned eol;  /* bytes of the line end: 2, 1 for LF alone, 0 at the end or in a piece */
	uint64_t offset;
	bool first, last; /* piece that begins, that ends a line */
};

struct mime_lines {
	struct mime_reader *reader;
	uint64_t offset; /* of buffer[0] */
	size_t at, have;
	bool ended, inside;
	char buffer[MIME_LINE_BUFFER];
};

/* offset: what the first byte of the reader counts as. */
void mime_lines_start(struct mime_lines *, struct mime_reader *, uint64_t offset);
int mime_lines_next(struct mime_lines *, struct mime_line *); /* 1, 0 at the end, -1 with errno */
