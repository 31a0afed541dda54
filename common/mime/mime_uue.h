/* mime_uue.h - one uuencoded file, line by line. Private to common/mime*.c. Pure, no memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define MIME_UUE_LINE_BYTES 64 /* a line holds 63 bytes at most */

/* "begin 644 name": true, and *name, *n are the bytes of the name inside the line. */
bool mime_uue_begin(const char *line, size_t length, const char **name, size_t *n);

enum mime_uue_line {
	UUE_DATA,  /* *n bytes in out */
	UUE_SHORT, /* the same, but the line's length is not the one it states */
	UUE_EMPTY, /* a line of no bytes: "end" should follow */
	UUE_END,   /* "end" */
	UUE_WRONG, /* no line of a uuencoded file */
};
enum mime_uue_line mime_uue_line(
    const char *line, size_t length, unsigned char out[MIME_UUE_LINE_BYTES], size_t *n);
