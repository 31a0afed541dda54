/* signing_encode.h - transfer encodings and the lines of a text that is put in. Private to
 * common/signing*. Pure. */
#pragma once

#include "common/signing/signing_bytes.h"

#include <stdbool.h>
#include <stddef.h>

/* Quoted-printable from the beginning of a line on. CR LF is a line end, everything else is kept;
 * no line is longer than 76 or begins with "--" (it could be a delimiter). */
void signing_quoted(struct signing_bytes *out, const char *bytes, size_t n);
/* Base64 in lines of width, the first of which has `column` characters already; no line end at the
 * end. */
void signing_base64(
    struct signing_bytes *out, const char *bytes, size_t n, unsigned width, unsigned column);

/* How the text stands in the part. */
struct signing_layout {
	bool lead;	 /* a line end before it */
	bool blank;	 /* and an empty line: the line before would flow into it */
	bool trail;	 /* a line end behind it */
	bool flowed;	 /* RFC 3676 */
	const char *eol; /* of the part */
};
/* text: lines ended by LF, none at the end. UTF-8 in and out. */
void signing_lay_out(struct signing_bytes *out, const char *text, const struct signing_layout *);
