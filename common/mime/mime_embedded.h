/* mime_embedded.h - files written into text: uuencoded and BinHex 4.0, found line by line.
 * Private to common/mime*.c.
 *
 * Feed it the lines of a decoded body in order, then call the end. It reports each file after
 * its last line, and can write one of them while it passes. Constant memory. */
#pragma once

#include "common/limits.h"
#include "common/mime/mime_reader.h"

struct embedded_file {
	bool binhex;
	uint64_t from; /* offset of its first line in the text */
	uint64_t size;
	const char *name; /* as sent, not terminated; valid during the report */
	size_t name_size;
	unsigned flags; /* MIME_FILE_DAMAGED, MIME_NOT_UNPACKED */
};

struct embedded {
	/* set by the caller before the first line */
	bool bare_binhex; /* the text is a BinHex file: no line announces it */
	void (*found)(void *arg, const struct embedded_file *);
	void *arg;
	uint64_t wanted; /* `from` of the file to write, UINT64_MAX for none */
	const struct mime_sink *sink;
	uint64_t room; /* bytes that BinHex files may still yield */
	bool full;     /* set by the caller in found(): look for nothing more */

	/* private */
	enum { EMBEDDED_NONE, EMBEDDED_UUE_BEGUN, EMBEDDED_UUE, EMBEDDED_BINHEX } state;
	struct embedded_file file;
	char name[LIMIT_MIME_NAME_BYTES];
	bool empty_line; /* the uuencoded file said that it is over */
	bool announced;	 /* a line said that BinHex follows */
	struct binhex *binhex;
	bool writing;

	/* for the caller */
	bool stopped;	/* the sink said so */
	bool done;	/* the wanted file is complete */
	unsigned flags; /* MIME_NOT_UNPACKED: a BinHex file was passed over, no room */
};

void embedded_line(struct embedded *, const struct mime_line *);
void embedded_end(struct embedded *);
