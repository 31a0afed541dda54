/* mime_words.c - see mime_words.h. GMime's encoder. */
#include "common/mime_words.h"

#include "common/list.h"

#include <gmime/gmime.h>

char *mime_words_encode(const char *text)
{
	char *encoded = g_mime_utils_header_encode_text(NULL, text, "utf-8");
	char *out = xstrdup(encoded);

	g_free(encoded);
	return out;
}
