/* mime_uue.c - see mime_uue.h.
 *
 * GMime decodes. It is given one line at a time, cut or filled up to the length that the line
 * states: with CRLF in its input, or a check character behind the data, it drops the rest. */
#include "common/mime/mime_uue.h"

#include <gmime/gmime.h>

#include <string.h>

static bool blank(const char *s, const char *end)
{
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	return s == end;
}

bool mime_uue_begin(const char *line, size_t length, const char **name, size_t *n)
{
	const char *p = line + 6, *end = line + length, *mode;

	if (length < 6 || memcmp(line, "begin ", 6) != 0)
		return false;
	while (p < end && *p == ' ')
		p++;
	for (mode = p; p < end && *p >= '0' && *p <= '7';)
		p++;
	if (p - mode < 3 || p - mode > 4 || p == end || *p != ' ')
		return false;
	while (p < end && *p == ' ')
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*name = p;
	*n = (size_t)(end - p);
	return *n > 0;
}

enum mime_uue_line mime_uue_line(
    const char *line, size_t length, unsigned char out[MIME_UUE_LINE_BYTES], size_t *n)
{
	char whole[1 + 84]; /* the length, 63 bytes in groups of four characters */
	size_t bytes, expected, have;
	GMimeEncoding decoder;

	*n = 0;
	if (length >= 3 && memcmp(line, "end", 3) == 0 && blank(line + 3, line + length))
		return UUE_END;
	if (length == 0 || line[0] == '`' || line[0] == ' ')
		return length == 0 || blank(line + 1, line + length) ? UUE_EMPTY : UUE_WRONG;
	if (line[0] < ' ' || line[0] > '`')
		return UUE_WRONG;
	bytes = (size_t)(line[0] - ' ');
	expected = (bytes + 2) / 3 * 4;
	have = length - 1 < expected ? length - 1 : expected;
	memset(whole, ' ', sizeof whole); /* blanks at the end of a line get lost on the way */
	memcpy(whole, line, 1 + have);
	for (size_t i = 1; i <= have; i++)
		if (whole[i] < ' ' || whole[i] > '`')
			return UUE_WRONG;
	g_mime_encoding_init_decode(&decoder, GMIME_CONTENT_ENCODING_UUENCODE);
	*n = g_mime_encoding_step(&decoder, whole, 1 + expected, (char *)out);
	/* Two more are a check sum or an encoder that counts in groups. */
	return have < expected || length - 1 > expected + 2 ? UUE_SHORT : UUE_DATA;
}
