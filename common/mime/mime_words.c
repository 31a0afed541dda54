/* mime_words.c - see mime_words.h. GMime's encoder. */
#include "common/mime_words.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/mime/mime_internal.h"

#include <gmime/gmime.h>

#include <string.h>

char *mime_words_encode(const char *text)
{
	char *encoded = g_mime_utils_header_encode_text(NULL, text, "utf-8");
	char *out = xstrdup(encoded);

	g_free(encoded);
	return out;
}

static char *taken(char *from_glib)
{
	char *out = xstrdup(from_glib != NULL ? from_glib : "");

	g_free(from_glib);
	return out;
}

char *mime_words_encode_addresses(const char *field)
{
	InternetAddressList *list = NULL;
	char *out;

	mime_prepare();
	if (strlen(field) <= LIMIT_MIME_FIELD_BYTES)
		list = internet_address_list_parse(NULL, field);
	if (list == NULL)
		return mime_words_encode(field);
	out = internet_address_list_to_string(list, NULL, TRUE);
	g_object_unref(list);
	return taken(out);
}

char *mime_words_decode(const char *value)
{
	mime_prepare();
	return taken(g_mime_utils_header_decode_text(NULL, value));
}
