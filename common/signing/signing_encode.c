/* signing_encode.c - see signing_encode.h. By hand although GMime encodes: it knows no column to go
 * on from, and lets a line begin like a delimiter. */
#include "common/signing/signing_encode.h"

#include <glib.h>

#include <string.h>

#define QUOTED_LINE 76 /* RFC 2045 6.7, with the "=" of a soft line break */

static bool is_line_end(const char *bytes, size_t n, size_t i)
{
	return i + 1 < n && bytes[i] == '\r' && bytes[i + 1] == '\n';
}

void signing_quoted(struct signing_bytes *out, const char *bytes, size_t n)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t column = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];
		bool last = i + 1 == n || is_line_end(bytes, n, i + 1), plain;
		char escape[3] = {'=', hex[c >> 4], hex[c & 15]};

		if (is_line_end(bytes, n, i)) {
			signing_bytes_add(out, "\r\n", 2);
			column = 0;
			i++;
			continue;
		}
		plain = c == ' ' || c == '\t' ? !last : c > ' ' && c < 0x7f && c != '=';
		if (column + (plain ? 1 : 3) > QUOTED_LINE - 1) {
			signing_bytes_add(out, "=\r\n", 3);
			column = 0;
		}
		if (column == 0 && c == '-' && i + 1 < n && bytes[i + 1] == '-')
			plain = false;
		signing_bytes_add(out, plain ? &bytes[i] : escape, plain ? 1 : 3);
		column += plain ? 1 : 3;
	}
}

void signing_base64(
    struct signing_bytes *out, const char *bytes, size_t n, unsigned width, unsigned column)
{
	char *digits = g_base64_encode((const unsigned char *)(n > 0 ? bytes : ""), n);
	size_t left = strlen(digits), at = 0;

	while (left > 0) {
		size_t room = column < width ? width - column : 0;
		size_t now = left < room ? left : room;

		signing_bytes_add(out, digits + at, now);
		at += now;
		left -= now;
		column = 0;
		if (left > 0)
			signing_bytes_add(out, "\r\n", 2);
	}
	g_free(digits);
}

/* RFC 3676 4.1, 4.2: a line that ends in a blank goes on in the next one, and what begins with a
 * blank, ">" or "From " needs a blank before it. The separator "-- " stays. */
static void flowed_line(struct signing_bytes *out, const char *line, size_t n)
{
	if (n == 3 && memcmp(line, "-- ", 3) == 0) {
		signing_bytes_add(out, line, n);
		return;
	}
	while (n > 0 && line[n - 1] == ' ')
		n--;
	if (n > 0 && (line[0] == ' ' || line[0] == '>' || (n > 4 && memcmp(line, "From ", 5) == 0)))
		signing_bytes_add(out, " ", 1);
	signing_bytes_add(out, line, n);
}

void signing_lay_out(
    struct signing_bytes *out, const char *text, const struct signing_layout *layout)
{
	if (layout->lead)
		signing_bytes_text(out, layout->eol);
	if (layout->blank)
		signing_bytes_text(out, layout->eol);
	for (const char *line = text;;) {
		size_t n = strcspn(line, "\n");

		if (layout->flowed)
			flowed_line(out, line, n);
		else
			signing_bytes_add(out, line, n);
		if (line[n] == '\0')
			break;
		signing_bytes_text(out, layout->eol);
		line += n + 1;
	}
	if (layout->trail)
		signing_bytes_text(out, layout->eol);
}
