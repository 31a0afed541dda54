/* mime_words.h - text for the value of a header field, beyond ASCII as encoded words (RFC 2047). */
#pragma once

/* text is UTF-8; malloc'ed. */
char *mime_words_encode(const char *text);
