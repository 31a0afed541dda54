/* dsn.c - see dsn.h. */
#include "common/dsn.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/signing/signing_charset.h"
#include "common/signing/signing_decode.h"
#include "common/signing/signing_encode.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- fields ---- */

struct field {
	const char *name;
	size_t name_n;
	char *value; /* unfolded, blanks at both ends removed */
};

/* Length of the line at p without its end; *next is the line after it. */
static size_t line_length(const char *p, const char *end, const char **next)
{
	const char *stop = memchr(p, '\n', (size_t)(end - p));

	*next = stop != NULL ? stop + 1 : end;
	if (stop == NULL)
		stop = end;
	if (stop > p && stop[-1] == '\r')
		stop--;
	return (size_t)(stop - p);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void append(char *value, size_t *n, const char *p, size_t length)
{
	if (length > LIMIT_DSN_TEXT_BYTES - *n)
		length = LIMIT_DSN_TEXT_BYTES - *n;
	memcpy(value + *n, p, length);
	*n += length;
}

/* The field at *p with the lines that continue it. False: an empty line, or the end. A line that is
 * no field gives one without a name. */
static bool next_field(const char **p, const char *end, struct field *f)
{
	const char *line = *p, *next, *colon;
	size_t length, n = 0;

	if (line == end || (length = line_length(line, end, &next)) == 0)
		return false;
	colon = memchr(line, ':', length);
	f->name = line;
	f->name_n = colon != NULL ? (size_t)(colon - line) : 0;
	f->value = xmalloc(LIMIT_DSN_TEXT_BYTES + 1);
	if (colon != NULL)
		append(f->value, &n, colon + 1, length - f->name_n - 1);
	while (next < end && is_blank(*next)) {
		line = next;
		length = line_length(line, end, &next);
		append(f->value, &n, line, length);
	}
	while (n > 0 && is_blank(f->value[n - 1]))
		n--;
	f->value[n] = '\0';
	n = strspn(f->value, " \t");
	memmove(f->value, f->value + n, strlen(f->value + n) + 1);
	*p = next;
	return true;
}

static bool is_named(const struct field *f, const char *name)
{
	return f->name_n == strlen(name) && strncasecmp(f->name, name, f->name_n) == 0;
}

char *dsn_header_field(const char *header, size_t n, const char *name)
{
	const char *p = header, *end = header + n;
	struct field f;

	while (next_field(&p, end, &f)) {
		if (is_named(&f, name))
			return f.value;
		free(f.value);
	}
	return xstrdup("");
}

/* ---- the report ---- */

/* "rfc822; ann@b.test" without its type. */
static void drop_type(char *value)
{
	char *semicolon = strchr(value, ';');

	if (semicolon == NULL)
		return;
	semicolon++;
	semicolon += strspn(semicolon, " \t");
	memmove(value, semicolon, strlen(semicolon) + 1);
}

static void lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s |= 0x20;
}

static const struct {
	const char *name;
	size_t offset;
	bool typed;
} fields[] = {
    {"Final-Recipient", offsetof(struct dsn_recipient, final), true},
    {"Original-Recipient", offsetof(struct dsn_recipient, original), true},
    {"Action", offsetof(struct dsn_recipient, action), false},
    {"Status", offsetof(struct dsn_recipient, status), false},
    {"Remote-MTA", offsetof(struct dsn_recipient, remote_mta), true},
    {"Diagnostic-Code", offsetof(struct dsn_recipient, diagnostic), true},
};

#define NFIELDS (sizeof fields / sizeof *fields)

static char **text_of(struct dsn_recipient *r, size_t i)
{
	return (char **)((char *)r + fields[i].offset);
}

static void take(struct dsn_recipient *r, struct field *f)
{
	for (size_t i = 0; i < NFIELDS; i++) {
		char **text = text_of(r, i);

		if (*text != NULL || !is_named(f, fields[i].name))
			continue;
		if (fields[i].typed)
			drop_type(f->value);
		*text = f->value;
		f->value = NULL;
		return;
	}
}

static void recipient_free(struct dsn_recipient *r)
{
	for (size_t i = 0; i < NFIELDS; i++)
		free(*text_of(r, i));
}

/* One group of fields. True: it is about a recipient. */
static bool read_group(const char **p, const char *end, struct dsn *out, struct dsn_recipient *r)
{
	struct field f;

	while (next_field(p, end, &f)) {
		if (is_named(&f, "Reporting-MTA") && out->reporting_mta == NULL) {
			drop_type(f.value);
			out->reporting_mta = f.value;
			continue;
		}
		take(r, &f);
		free(f.value);
	}
	return r->final != NULL;
}

void dsn_parse(struct dsn *out, const char *text, size_t n)
{
	const char *p = text, *end = text + n, *next;

	*out = (struct dsn){0};
	while (p < end && out->n < LIMIT_DSN_RECIPIENTS) {
		struct dsn_recipient r = {0};

		if (line_length(p, end, &next) == 0) {
			p = next;
			continue;
		}
		if (!read_group(&p, end, out, &r)) {
			recipient_free(&r);
			continue;
		}
		for (size_t i = 0; i < NFIELDS; i++)
			if (*text_of(&r, i) == NULL)
				*text_of(&r, i) = xstrdup("");
		lower(r.action);
		out->recipients = xgrow(out->recipients, out->n, sizeof r);
		out->recipients[out->n++] = r;
	}
	if (out->reporting_mta == NULL)
		out->reporting_mta = xstrdup("");
}

void dsn_clear(struct dsn *d)
{
	for (size_t i = 0; i < d->n; i++)
		recipient_free(&d->recipients[i]);
	free(d->recipients);
	free(d->reporting_mta);
	*d = (struct dsn){0};
}

/* ---- the part for people ---- */

#define LONGEST_LINE 998 /* RFC 5322 2.1.1 */

static void take_byte(void *arg, unsigned char c, const struct signing_place *place)
{
	struct signing_bytes *b = arg;

	(void)place;
	if (c != '\r' && c != '\0' && b->n < LIMIT_DSN_PART_BYTES)
		signing_bytes_add(b, &c, 1);
}

/* In its charset, else as UTF-8, else as windows-1252, in which every byte is something. */
static char *as_utf8(const char *bytes, size_t n, const char *charset)
{
	const char *const tries[] = {charset, "utf-8", "windows-1252", "iso-8859-1"};
	struct signing_bytes out = {0};

	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		if (*tries[i] != '\0' && signing_to_utf8(&out, bytes, n, tries[i]))
			break;
		signing_bytes_free(&out);
	}
	return out.s != NULL ? out.s : xstrdup("");
}

static enum signing_encoding encoding_of(const struct mime_section *s)
{
	if (strcmp(s->encoding, "quoted-printable") == 0)
		return SIGNING_QUOTED;
	return strcmp(s->encoding, "base64") == 0 ? SIGNING_BASE64 : SIGNING_IDENTITY;
}

char *dsn_part_text(const struct mime_source *source, const struct mime_section *s)
{
	struct signing_bytes bytes = {0};
	struct signing_taker taker = {take_byte, &bytes};
	struct signing_body body;
	char *text;

	if (signing_decode(source, s->body, s->end, encoding_of(s), &taker, &body) != NULL)
		signing_bytes_free(&bytes);
	text = as_utf8(bytes.s != NULL ? bytes.s : "", bytes.n, s->charset);
	signing_bytes_free(&bytes);
	return text;
}

/* Line ends CRLF, NUL and a CR alone left out. */
static char *with_crlf(const char *text, size_t *size)
{
	char *out = xmalloc(2 * strlen(text) + 1);
	size_t n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\r')
			continue;
		if (*p == '\n')
			out[n++] = '\r';
		out[n++] = *p;
	}
	out[n] = '\0';
	*size = n;
	return out;
}

/* Can it stand as it is? A line that begins with "--" could be taken for a delimiter. */
static bool is_plain(const char *s, size_t n)
{
	size_t column = 0;

	for (size_t i = 0; i < n; i++) {
		column = s[i] == '\n' ? 0 : column + 1;
		if ((s[i] & 0x80) != 0 || column > LONGEST_LINE ||
		    (column == 2 && s[i] == '-' && s[i - 1] == '-'))
			return false;
	}
	return true;
}

char *dsn_text_part(const char *text, size_t *size)
{
	static const char plain[] = "Content-Description: Notification\r\n"
				    "Content-Type: text/plain; charset=us-ascii\r\n\r\n";
	static const char quoted[] = "Content-Description: Notification\r\n"
				     "Content-Type: text/plain; charset=utf-8\r\n"
				     "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
	struct signing_bytes b = {0};
	size_t n;
	char *valid = as_utf8(text, strlen(text), "utf-8");
	char *lines = with_crlf(valid, &n);

	if (is_plain(lines, n)) {
		signing_bytes_text(&b, plain);
		signing_bytes_add(&b, lines, n);
	} else {
		signing_bytes_text(&b, quoted);
		signing_quoted(&b, lines, n);
	}
	free(lines);
	free(valid);
	*size = b.n;
	return b.s;
}
