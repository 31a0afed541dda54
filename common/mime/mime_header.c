/* mime_header.c - the header of one section: its Content-* fields, and what they mean.
 *
 * The lines come from the scan of the structure; a field is unfolded and bounded on the way.
 * GMime parses the values (comments, quoting, RFC 2231, encoded words) when the header is
 * complete. */
#include "common/mime/mime_internal.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of these one header has one each; two mean different things to different readers (R8). */
static const struct {
	const char *name;
	enum mime_field field;
} fields[] = {
    {"Content-Type", FIELD_TYPE},
    {"Content-Disposition", FIELD_DISPOSITION},
    {"Content-Transfer-Encoding", FIELD_ENCODING},
    {"MIME-Version", FIELD_NONE},
    {"Content-ID", FIELD_NONE},
    {"Content-Description", FIELD_NONE},
    {"Content-Location", FIELD_NONE},
    {"Content-Base", FIELD_NONE},
    {"Content-Language", FIELD_NONE},
    {"Content-MD5", FIELD_NONE},
    {"Content-Duration", FIELD_NONE},
    {"Content-Class", FIELD_NONE},
};
#define FIELDS (sizeof fields / sizeof *fields)
#define SEEN_TYPE (1u << 0)
#define SEEN_MIME_VERSION (1u << 3)

void mime_header_reset(struct mime_header *h)
{
	char *text = h->text;

	for (size_t i = 0; i < FIELD_KEPT; i++)
		free(h->value[i]);
	*h = (struct mime_header){.current = FIELD_NONE, .text = text, .items = h->items};
}

void mime_header_free(struct mime_header *h)
{
	mime_header_reset(h);
	free(h->text);
	h->text = NULL;
}

bool mime_header_is_mime(const struct mime_header *h)
{
	return h->seen & (SEEN_TYPE | SEEN_MIME_VERSION);
}

static void append(struct mime_header *h, const char *s, size_t n)
{
	if (h->text == NULL)
		h->text = xmalloc(LIMIT_MIME_FIELD_BYTES + 1);
	if (n > LIMIT_MIME_FIELD_BYTES - h->n) {
		n = LIMIT_MIME_FIELD_BYTES - h->n;
		h->flags |= MIME_CUT;
	}
	for (size_t i = 0; i < n; i++) /* a NUL would hide what follows it */
		h->text[h->n++] = s[i] != '\0' ? s[i] : '?';
}

static void finish_field(struct mime_header *h)
{
	if (h->current != FIELD_NONE)
		h->value[h->current] = xstrndup(h->text, h->n);
	h->current = FIELD_NONE;
}

static void start_field(struct mime_header *h, const struct mime_line *line)
{
	const char *colon = memchr(line->s, ':', line->n);
	size_t n = colon != NULL ? (size_t)(colon - line->s) : 0, name = n;

	while (name > 0 && (line->s[name - 1] == ' ' || line->s[name - 1] == '\t'))
		name--;
	/* RFC 5322 2.2; blanks before the colon were allowed once (4.5) and are obeyed by few */
	if (name == 0 || name != n)
		h->flags |= MIME_BAD_FIELD;
	for (size_t i = 0; i < name; i++) {
		if (line->s[i] > ' ' && line->s[i] < 0x7f)
			continue;
		h->flags |= MIME_BAD_FIELD;
		return;
	}
	h->any |= name > 0;
	for (size_t i = 0; i < FIELDS; i++) {
		if (strlen(fields[i].name) != name ||
		    strncasecmp(fields[i].name, line->s, name) != 0)
			continue;
		if (h->seen & 1u << i) {
			h->flags |= MIME_DUPLICATE_FIELD;
			return;
		}
		h->seen |= 1u << i;
		h->current = fields[i].field;
		h->n = 0;
		if (h->current != FIELD_NONE)
			append(h, colon + 1, line->n - n - 1);
		return;
	}
}

static bool all_blank(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] != ' ' && s[i] != '\t')
			return false;
	return true;
}

static bool has_eight_bits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] > 0x7f)
			return true;
	return false;
}

void mime_header_line(struct mime_header *h, const struct mime_line *line)
{
	if (has_eight_bits(line->s, line->n))
		h->flags |= MIME_EIGHT_BIT_HEADER;
	if (line->first && line->n > 0 && line->s[0] != ' ' && line->s[0] != '\t') {
		finish_field(h);
		start_field(h, line);
		return;
	}
	/* A fold of nothing, or of blanks only: some take that for the end of the header. */
	if (line->first && (!h->any || all_blank(line->s, line->n)))
		h->flags |= MIME_BAD_FIELD;
	if (h->current != FIELD_NONE)
		append(h, line->s, line->n);
}

static char *lower(const char *s, size_t n)
{
	char *out = xstrndup(s, n);

	for (char *p = out; *p != '\0'; p++)
		*p = g_ascii_tolower(*p);
	return out;
}

/* A word of a field: what comes before blanks, comments and parameters. */
static char *first_word(const char *value)
{
	const char *s = value + strspn(value, " \t\r\n");
	size_t n = strcspn(s, " \t\r\n;(");

	return lower(s, n < LIMIT_MIME_NAME_BYTES ? n : LIMIT_MIME_NAME_BYTES);
}

/* Nothing but blanks, comments or parameters follows the first word: others may read on. */
static bool is_one_word(const char *value)
{
	const char *s = value + strspn(value, " \t\r\n");

	s += strcspn(s, " \t\r\n;(,");
	s += strspn(s, " \t\r\n");
	return *s == '\0' || *s == ';' || *s == '(';
}

static char *clean_text(const char *s, unsigned *flags)
{
	return s != NULL ? mime_text(s, strlen(s), NULL, flags) : xstrdup("");
}

/* "type/subtype", lower case. GMime reads it; where it cannot, it says application/octet-stream. */
static char *read_type(const char *value, unsigned *flags)
{
	char *first = xstrndup(value, strcspn(value, ";")), *out;
	GMimeContentType *type = g_mime_content_type_parse(NULL, first);

	if (!is_one_word(first))
		*flags |= MIME_BAD_TYPE;
	if (g_mime_content_type_is_type(type, "application", "octet-stream") &&
	    strcasestr(first, "octet-stream") == NULL) {
		*flags |= MIME_BAD_TYPE;
		/* "text" alone is from before MIME; nobody knows what the rest is */
		value += strspn(value, " \t\r\n");
		out = xstrdup(
		    strncasecmp(value, "text", 4) == 0 ? "text/plain" : "application/octet-stream");
	} else {
		char *whole = g_mime_content_type_get_mime_type(type);

		out = lower(whole, LIMIT_MIME_NAME_BYTES);
		g_free(whole);
	}
	g_object_unref(type);
	free(first);
	return out;
}

/* What GMime gets of a value: `first`, then the good parameters. Encoded words and parameters
 * beyond what anybody needs are cut off: for each it makes a converter or an object. */
static char *clean_value(struct mime_header *h, char *value, const char *first, unsigned *flags)
{
	unsigned left = LIMIT_MIME_ITEMS - h->items, most;
	char *parameters, *out;

	most = left = left < LIMIT_MIME_FIELD_ITEMS ? left : LIMIT_MIME_FIELD_ITEMS;
	parameters = mime_parameters(value, &left, flags);
	for (char *p = strstr(parameters, "=?"); p != NULL; p = strstr(p + 1, "=?")) {
		if (left == 0) {
			*p = '\0';
			*flags |= MIME_CUT;
			break;
		}
		left--;
	}
	h->items += most - left;
	out = xasprintf("%s%s", first, parameters);
	free(parameters);
	return out;
}

static void apply_type(struct mime_header *h, struct mime_node *n, bool in_digest, char **boundary)
{
	char *value = h->value[FIELD_TYPE], *whole, *clean;
	GMimeContentType *type;
	const char *text;

	if (value == NULL) {
		n->s.type = xstrdup(in_digest ? "message" : "text");
		n->s.subtype = xstrdup(in_digest ? "rfc822" : "plain");
		n->s.charset = xstrdup("");
		n->s.type_filename = xstrdup("");
		return;
	}
	whole = read_type(value, &n->s.flags);
	n->s.type = xstrndup(whole, strcspn(whole, "/"));
	n->s.subtype = xstrdup(strchr(whole, '/') + 1);
	clean = clean_value(h, value, whole, &n->s.flags);
	type = g_mime_content_type_parse(NULL, clean);
	text = g_mime_content_type_get_parameter(type, "charset");
	n->s.charset = clean_text(text, &n->s.flags);
	text = g_mime_content_type_get_parameter(type, "name");
	n->s.type_filename = clean_text(text, &n->s.flags);
	text = g_mime_content_type_get_parameter(type, "boundary");
	if (strcmp(n->s.type, "multipart") == 0) {
		if (text != NULL && *text != '\0' && strlen(text) <= LIMIT_MIME_BOUNDARY_BYTES)
			*boundary = xstrdup(text);
		else
			n->s.flags |= MIME_NO_BOUNDARY;
	}
	g_object_unref(type);
	free(clean);
	free(whole);
}

static void apply_disposition(struct mime_header *h, struct mime_node *n)
{
	char *value = h->value[FIELD_DISPOSITION], *clean;
	GMimeContentDisposition *disposition;
	const char *text;

	if (value == NULL) {
		n->s.disposition = xstrdup("");
		n->s.disposition_filename = xstrdup("");
		return;
	}
	n->s.disposition = first_word(value);
	if (!is_one_word(value))
		n->s.flags |= MIME_BAD_PARAMETER;
	clean = clean_value(h, value, n->s.disposition, &n->s.flags);
	disposition = g_mime_content_disposition_parse(NULL, clean);
	text = g_mime_content_disposition_get_parameter(disposition, "filename");
	n->s.disposition_filename = clean_text(text, &n->s.flags);
	g_object_unref(disposition);
	free(clean);
}

static void apply_encoding(struct mime_header *h, struct mime_node *n)
{
	static const char *const binhex[] = {
	    "binhex", "x-binhex", "binhex40", "x-binhex40", "mac-binhex40", "x-mac-binhex40", NULL};
	const char *value = h->value[FIELD_ENCODING];

	n->encoding = GMIME_CONTENT_ENCODING_DEFAULT;
	n->s.encoding = value != NULL ? first_word(value) : xstrdup("");
	n->binhex =
	    strcmp(n->s.type, "application") == 0 &&
	    (strcmp(n->s.subtype, "mac-binhex40") == 0 || strcmp(n->s.subtype, "mac-binhex") == 0 ||
		strcmp(n->s.subtype, "x-mac-binhex40") == 0);
	if (value == NULL)
		return;
	if (!is_one_word(value))
		n->s.flags |= MIME_BAD_PARAMETER;
	n->encoding = g_mime_content_encoding_from_string(n->s.encoding);
	for (size_t i = 0; binhex[i] != NULL; i++) {
		if (strcmp(n->s.encoding, binhex[i]) == 0) {
			n->binhex = true;
			return;
		}
	}
	if (n->encoding == GMIME_CONTENT_ENCODING_DEFAULT)
		n->s.flags |= MIME_UNKNOWN_ENCODING;
}

void mime_header_apply(struct mime_header *h, struct mime_node *n, bool in_digest, char **boundary)
{
	*boundary = NULL;
	finish_field(h);
	n->header_read = true;
	n->s.flags |= h->flags;
	apply_type(h, n, in_digest, boundary);
	apply_disposition(h, n);
	apply_encoding(h, n);
	if (*n->s.type_filename != '\0' && *n->s.disposition_filename != '\0' &&
	    strcmp(n->s.type_filename, n->s.disposition_filename) != 0)
		n->s.flags |= MIME_NAMES_DIFFER;
	if ((n->encoding == GMIME_CONTENT_ENCODING_BASE64 ||
		n->encoding == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE ||
		n->encoding == GMIME_CONTENT_ENCODING_UUENCODE || n->binhex) &&
	    (strcmp(n->s.type, "multipart") == 0 || strcmp(n->s.type, "message") == 0))
		n->s.flags |= MIME_ENCODED_CONTAINER;
}
