/* signing_internal.h - what signing.c finds out and signing_put.c needs. Private to
 * common/signing*. */
#pragma once

#include "common/signing.h"
#include "common/signing/signing_bytes.h"
#include "common/signing/signing_charset.h"
#include "common/signing/signing_watch.h"

/* A part that text can be put into. */
struct signing_part {
	size_t index; /* of its section */
	const struct mime_section *s;
	enum signing_format format;
	enum signing_encoding encoding;
	enum signing_charset kind;
	const char *charset; /* "us-ascii" when it has none */
	bool seven_bit;	     /* lines that are not encoded, of ASCII only */
	bool flowed;
	bool files; /* uuencoded or BinHex files in the text: never encode it anew */
	struct signing_bytes header;
	struct signing_body body;   /* as sent; not of a wide charset */
	struct signing_watch watch; /* the same */
};

struct signing {
	const struct mime *mime;
	struct mime_source source;
	bool is_mime; /* the message says so */
	struct signing_part *parts;
	size_t nparts;
	uint64_t rewritten; /* bytes of parts, or of their ends, that were encoded anew */
};

/* May n more bytes be encoded anew? Then they count. */
bool signing_may_rewrite(struct signing *, uint64_t n);
/* Puts text, which signing_clean() made, into the part. NULL, or why it cannot be. */
const char *signing_put(
    struct signing *, struct signing_part *, const char *text, struct signing_changes *);
