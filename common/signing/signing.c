/* signing.c - see signing.h: which messages, and which of their parts. */
#include "common/signing.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/signing/signing_header.h"
#include "common/signing/signing_internal.h"

#include <stdlib.h>
#include <string.h>

/* What mail programs may read in different ways, in a part or in what is around it: where the text
 * would be seen cannot be known. */
#define AMBIGUOUS                                                                           \
	(MIME_DUPLICATE_FIELD | MIME_DUPLICATE_BOUNDARY | MIME_DUPLICATE_CHARSET |          \
	    MIME_ENCODED_CONTAINER | MIME_UNTERMINATED | MIME_NO_BOUNDARY | MIME_NO_PARTS | \
	    MIME_BOUNDARY_REUSED | MIME_BOUNDARY_LIKE | MIME_AFTER_CLOSE | MIME_TOO_DEEP |  \
	    MIME_TOO_MANY | MIME_BAD_FIELD | MIME_NO_BLANK_LINE | MIME_BAD_TYPE |           \
	    MIME_BAD_PARAMETER | MIME_UNKNOWN_ENCODING | MIME_CUT)

/* Sections that say: leave this message alone. */
static const struct {
	const char *type, *subtype, *why;
} untouchable[] = {
    {"multipart", "signed", "it is signed"},
    {"multipart", "encrypted", "it is encrypted"},
    {"multipart", "report", "it is a report"},
    {"message", "delivery-status", "it is a report"},
    {"message", "disposition-notification", "it is a report"},
    {"application", "pkcs7-mime", "it is signed or encrypted"},
    {"application", "x-pkcs7-mime", "it is signed or encrypted"},
    {"application", "pgp-encrypted", "it is encrypted"},
    {"application", "pgp", "it is signed or encrypted"},
    {"text", "calendar", "it is about a calendar"},
};

/* Fields that hold a signature over the body. */
static const char *const signatures[] = {
    "DKIM-Signature", "ARC-Message-Signature", "DomainKey-Signature"};

/* Which parts of a multipart are its body; all others are like "mixed" (RFC 2046 5.1.3). */
enum walk { WALK_FIRST, WALK_ALL, WALK_NONE };
static const struct {
	const char *subtype;
	enum walk walk;
} walks[] = {
    {"alternative", WALK_ALL},
    {"digest", WALK_NONE},
    {"appledouble", WALK_NONE},
    {"form-data", WALK_NONE},
    {"byteranges", WALK_NONE},
    {"x-mixed-replace", WALK_NONE},
};

static const struct {
	const char *name;
	enum signing_encoding encoding;
} encodings[] = {
    {"", SIGNING_IDENTITY},
    {"7bit", SIGNING_IDENTITY},
    {"8bit", SIGNING_IDENTITY},
    {"quoted-printable", SIGNING_QUOTED},
    {"base64", SIGNING_BASE64},
};

static bool is(const struct mime_section *s, const char *type, const char *subtype)
{
	return strcmp(s->type, type) == 0 && strcmp(s->subtype, subtype) == 0;
}

/* The section is a message that the message brings along, or lies within one. */
static bool is_embedded(const struct mime *m, const struct mime_section *s)
{
	while (s->parent > 0) {
		s = mime_section(m, s->parent - 1);
		if (strcmp(s->type, "message") == 0)
			return true;
	}
	return false;
}

static const char *untouchable_section(const struct mime *m, const struct mime_section *s)
{
	/* Such lines and bytes would not come through the MTA as they are (R9). */
	if (s->flags & (MIME_BARE_LINE_END | MIME_NUL) || strcmp(s->encoding, "binary") == 0)
		return "it has lines that are no lines of mail";
	if (is_embedded(m, s) || strcmp(s->disposition, "attachment") == 0)
		return NULL;
	for (size_t i = 0; i < sizeof untouchable / sizeof *untouchable; i++)
		if (is(s, untouchable[i].type, untouchable[i].subtype))
			return untouchable[i].why;
	return NULL;
}

static const char *untouchable_header(struct signing *g)
{
	const struct mime_section *s = mime_section(g->mime, 0);
	struct signing_bytes header = {NULL, 0, 0};
	const char *why = NULL;
	size_t n;

	if (!signing_header_read(&header, &g->source, s->start, s->body))
		why = "its header is too long, or cannot be read";
	for (size_t i = 0; why == NULL && i < sizeof signatures / sizeof *signatures; i++)
		if (signing_header_value(&header, signatures[i], &n) != NULL)
			why = "another host has signed it";
	g->is_mime = why == NULL && (signing_header_value(&header, "MIME-Version", &n) != NULL ||
					signing_header_value(&header, "Content-Type", &n) != NULL);
	signing_bytes_free(&header);
	return why;
}

/* ---- one part ---- */

static const char *look_at_text(struct signing *g, struct signing_part *p)
{
	const struct signing_taker taker = {signing_watch_byte, &p->watch};
	const char *why;

	signing_watch_start(&p->watch, p->format == SIGNING_HTML, p->kind == CHARSET_ISO2022);
	why = signing_decode(&g->source, p->s->body, p->s->end, p->encoding, &taker, &p->body);
	if (why != NULL || p->kind == CHARSET_WIDE)
		return why;
	if (p->watch.nul)
		return "its text has NUL bytes";
	if (p->watch.pgp)
		return "it is signed or encrypted with PGP";
	if (p->watch.shifted)
		return "its text ends within another charset";
	if (p->format == SIGNING_HTML && !p->watch.body.found && !p->watch.html.found &&
	    !signing_watch_html_open(&p->watch))
		return "its HTML ends within a tag or a comment";
	return NULL;
}

static const char *look_at_part(struct signing *g, struct signing_part *p)
{
	const char *why = "it has an encoding that text cannot be put into";
	size_t n;

	for (size_t i = 0; why != NULL && i < sizeof encodings / sizeof *encodings; i++) {
		if (strcmp(p->s->encoding, encodings[i].name) == 0) {
			p->encoding = encodings[i].encoding;
			why = NULL;
		}
	}
	for (const struct mime_section *s = p->s; why == NULL;) {
		if (s->flags & AMBIGUOUS)
			why = "its structure is not clear";
		if (s->parent == 0)
			break;
		s = mime_section(g->mime, s->parent - 1);
	}
	if (why != NULL)
		return why;
	p->charset = *p->s->charset != '\0' ? p->s->charset : "us-ascii";
	p->kind = signing_charset_kind(p->charset);
	if (p->kind == CHARSET_UNFIT)
		return "it has a charset that text cannot be put into";
	if (!signing_header_read(&p->header, &g->source, p->s->start, p->s->body))
		return "its header is too long, or cannot be read";
	if (signing_header_value(&p->header, "Content-MD5", &n) != NULL)
		return "it has a checksum";
	p->flowed = p->format == SIGNING_PLAIN &&
		    signing_header_parameter_is(&p->header, "format", "flowed");
	why = look_at_text(g, p);
	p->seven_bit = p->encoding == SIGNING_IDENTITY && strcmp(p->s->encoding, "8bit") != 0 &&
		       !p->body.eight_bit;
	return why;
}

static void add_part(struct signing *g, size_t index, enum signing_format format)
{
	struct signing_part *p;

	g->parts = xgrow(g->parts, g->nparts, sizeof *g->parts);
	p = &g->parts[g->nparts++];
	*p = (struct signing_part){
	    .index = index, .s = mime_section(g->mime, index), .format = format};
	for (size_t i = 0; i < mime_attachment_count(g->mime); i++) {
		const struct mime_attachment *a = mime_attachment(g->mime, i);

		p->files |= a->section == index + 1 && a->kind != MIME_PART;
	}
}

/* ---- which parts ---- */

static bool is_attachment(const struct mime_section *s)
{
	return (*s->disposition != '\0' && strcmp(s->disposition, "inline") != 0) ||
	       *s->type_filename != '\0' || *s->disposition_filename != '\0';
}

static enum walk walk_of(const struct mime_section *s)
{
	for (size_t i = 0; i < sizeof walks / sizeof *walks; i++)
		if (strcmp(s->subtype, walks[i].subtype) == 0)
			return walks[i].walk;
	return WALK_FIRST;
}

/* True: there was a body part in it. As deep as LIMIT_MIME_DEPTH. */
static bool collect(struct signing *g, size_t index)
{
	const struct mime_section *s = mime_section(g->mime, index);
	bool found = false;
	enum walk walk;

	if (is_attachment(s) || g->nparts > LIMIT_SIGNING_PARTS)
		return false;
	if (is(s, "text", "plain") || is(s, "text", "html")) {
		add_part(g, index, is(s, "text", "html") ? SIGNING_HTML : SIGNING_PLAIN);
		return true;
	}
	if (strcmp(s->type, "multipart") != 0 || (walk = walk_of(s)) == WALK_NONE)
		return false;
	for (size_t i = index + 1; i < mime_section_count(g->mime); i++) {
		if (mime_section(g->mime, i)->parent != index + 1)
			continue;
		found |= collect(g, i);
		if (found && walk == WALK_FIRST)
			break;
	}
	return found;
}

static const char *look(struct signing *g)
{
	const char *why = NULL;

	for (size_t i = 0; why == NULL && i < mime_section_count(g->mime); i++)
		why = untouchable_section(g->mime, mime_section(g->mime, i));
	if (why == NULL)
		why = untouchable_header(g);
	if (why == NULL && !collect(g, 0))
		why = "it has no text";
	if (g->nparts > LIMIT_SIGNING_PARTS)
		why = "it has too many texts";
	for (size_t i = 0; why == NULL && i < g->nparts; i++)
		why = look_at_part(g, &g->parts[i]);
	return why;
}

struct signing *signing_look(
    const struct mime *mime, const struct mime_source *source, const char **why)
{
	struct signing *g = xcalloc(1, sizeof *g);

	g->mime = mime;
	g->source = *source;
	*why = look(g);
	if (*why == NULL)
		return g;
	signing_free(g);
	return NULL;
}

void signing_free(struct signing *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->nparts; i++)
		signing_bytes_free(&g->parts[i].header);
	free(g->parts);
	free(g);
}

bool signing_wants(const struct signing *g, enum signing_format format)
{
	for (size_t i = 0; i < g->nparts; i++)
		if (g->parts[i].format == format)
			return true;
	return false;
}

bool signing_add(struct signing *g, const char *const texts[SIGNING_FORMATS],
    struct signing_changes *out, const char **why)
{
	char *clean[SIGNING_FORMATS] = {NULL};

	*out = (struct signing_changes){.body = patch_new()};
	*why = NULL;
	for (int f = 0; f < SIGNING_FORMATS; f++) {
		if (texts[f] != NULL && strlen(texts[f]) > LIMIT_SIGNING_TEXT_BYTES)
			*why = "the signature is too long";
		else if (texts[f] != NULL)
			clean[f] = signing_clean(texts[f]);
	}
	for (size_t i = 0; *why == NULL && i < g->nparts; i++) {
		struct signing_part *p = &g->parts[i];

		if (clean[p->format] != NULL && *clean[p->format] != '\0')
			*why = signing_put(g, p, clean[p->format], out);
	}
	if (*why == NULL && patch_count(out->body) == 0)
		*why = "there is nothing to put in";
	for (int f = 0; f < SIGNING_FORMATS; f++)
		free(clean[f]);
	if (*why != NULL)
		signing_changes_clear(out);
	return *why == NULL;
}

void signing_changes_clear(struct signing_changes *c)
{
	patch_free(c->body);
	for (size_t i = 0; i < c->nfields; i++)
		free(c->fields[i].value);
	*c = (struct signing_changes){.body = NULL};
}
