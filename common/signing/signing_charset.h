/* signing_charset.h - text from and to the charsets of mail. Private to common/signing*. Pure. */
#pragma once

#include "common/signing/signing_bytes.h"

#include <stdbool.h>
#include <stddef.h>

enum signing_charset {
	CHARSET_ASCII,	 /* bytes below 128 are ASCII wherever they stand behind "<" */
	CHARSET_ISO2022, /* the same outside of its escapes */
	CHARSET_WIDE,	 /* UTF-16, UTF-32 */
	CHARSET_UNKNOWN, /* to iconv; taken for ASCII-compatible, and only ASCII is put in */
	CHARSET_UNFIT,	 /* UTF-7, HZ, EBCDIC ...: no text can be put in */
};

/* "" is us-ascii. */
enum signing_charset signing_charset_kind(const char *charset);
bool signing_charset_is(const char *charset, const char *name); /* the same one; case ignored */

/* What to do with a character that the charset does not have. */
enum signing_missing {
	MISSING_FAILS,
	MISSING_ENTITY, /* HTML: &#8364; */
	MISSING_NEAREST /* the nearest ASCII, or "?" */
};
/* UTF-8 text in charset, added to out. False: something is missing, or no such charset. */
bool signing_from_utf8(struct signing_bytes *out, const char *text, size_t n, const char *charset,
    enum signing_missing);
/* False: the bytes are wrong in that charset. */
bool signing_to_utf8(struct signing_bytes *out, const char *bytes, size_t n, const char *charset);
/* The name that keeps the byte order of this text: "utf-16" becomes UTF-16BE or UTF-16LE. */
const char *signing_charset_exact(const char *charset, const char *bytes, size_t n);

/* What a script gave as valid UTF-8, lines ended by LF, without other control characters than TAB
 * and without line ends at the end. malloc'ed. */
char *signing_clean(const char *text);
