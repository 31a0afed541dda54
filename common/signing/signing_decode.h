/* signing_decode.h - a body read byte by byte, each with the place it has in the message.
 * Private to common/signing*. */
#pragma once

#include "common/mime.h"

#include <stdbool.h>
#include <stdint.h>

enum signing_encoding { SIGNING_IDENTITY, SIGNING_QUOTED, SIGNING_BASE64 };

/* Between two decoded bytes: where the next one begins in the message. */
struct signing_place {
	uint64_t raw;		 /* offset of the unit (byte, escape, quantum) with the next byte */
	uint64_t line;		 /* offset of the line of the message it stands on */
	unsigned char before[2]; /* base64: decoded bytes of the same quantum before the place */
	unsigned nbefore;
};

/* What a body looks like as sent; valid after a decoding that did not fail. */
struct signing_body {
	struct signing_place end; /* where more can be put */
	uint64_t data_end;	  /* base64: behind the last character that means anything */
	unsigned width;		  /* base64: characters of its first line */
	bool eight_bit;		  /* a byte above 127, not decoded */
	bool soft_end;	 /* quoted-printable: ends within a line, by "=" and its line end */
	bool escape_end; /* the same, without the line end */
	bool line_end;	 /* ends in a line end, or is empty */
};

struct signing_taker {
	void (*byte)(void *arg, unsigned char c, const struct signing_place *);
	void *arg;
};

/* Feeds taker with the decoded body [from, to). NULL, or why it cannot be decoded in one way only:
 * a constant text. */
const char *signing_decode(const struct mime_source *, uint64_t from, uint64_t to,
    enum signing_encoding, const struct signing_taker *, struct signing_body *);
