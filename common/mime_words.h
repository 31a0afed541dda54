/* mime_words.h - text for the value of a header field, beyond ASCII as encoded words (RFC 2047). */
#pragma once

/* text is UTF-8; malloc'ed. */
char *mime_words_encode(const char *text);
/* The same for a field of addresses: display names only become encoded words. What cannot be read
 * as addresses is encoded as text. malloc'ed. */
char *mime_words_encode_addresses(const char *field);
/* Encoded words as UTF-8 text. malloc'ed. */
char *mime_words_decode(const char *value);
