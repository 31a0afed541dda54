/* signing_check.h - what must hold of every message that gets a signature: all but one stretch of
 * text in each signed part is as it was, and a reader of MIME that is not ours sees it there. For
 * the property test and the fuzz target. */
#pragma once

#include "common/mime/mime_reader.h"
#include "common/signing/signing_charset.h"
#include "tests/unit/signing_rig.h"

#include <stdbool.h>

#define CHECK_MARK "ACME 7361"
#define CHECK_WORDS CHECK_MARK " Gr\xc3\xbc\xc3\x9f\x65 \xe2\x82\xac"
#define CHECK_ASCII CHECK_MARK " Grusse EUR"
#define CHECK_PLAIN "-- \n" CHECK_WORDS
#define CHECK_HTML "<p>" CHECK_WORDS "</p>"

/* The body of a section, decoded by GMime; blanks at line ends mean nothing in quoted-printable. */
static inline struct signing_bytes check_decoded(struct rig_bytes *b, const struct mime_section *s)
{
	GMimeContentEncoding encoding = g_mime_content_encoding_from_string(s->encoding);
	struct rig_out raw = {NULL, 0, 0};
	struct mime_reader *reader = xmalloc(sizeof *reader);
	char *buffer = xmalloc(MIME_OUT);
	struct signing_bytes out = {NULL, 0, 0};
	struct rig_bytes trimmed;
	ssize_t got;

	rig_write(&raw, "", 0);
	for (size_t i = s->body; i < s->end; i++) {
		size_t k = i;

		while (encoding == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE && k < s->end &&
		       (b->s[k] == ' ' || b->s[k] == '\t'))
			k++;
		if (k > i && (k == s->end || b->s[k] == '\r'))
			i = k;
		if (i < s->end)
			rig_write(&raw, &b->s[i], 1);
	}
	trimmed = (struct rig_bytes){raw.s, raw.n, 0, 0};
	mime_reader_start(reader, &(struct mime_source){rig_read, &trimmed}, 0, raw.n, encoding);
	signing_bytes_add(&out, "", 0);
	while ((got = mime_reader_read(reader, buffer)) > 0)
		signing_bytes_add(&out, buffer, (size_t)got);
	free(buffer);
	free(reader);
	free(raw.s);
	return out;
}

static inline size_t check_count(const struct signing_bytes *b)
{
	size_t n = 0, length = strlen(CHECK_MARK);

	for (size_t i = 0; i + length <= b->n; i++)
		n += memcmp(b->s + i, CHECK_MARK, length) == 0;
	return n;
}

/* The one is the other without one stretch of it. */
static inline bool check_grown(const struct signing_bytes *old, const struct signing_bytes *new)
{
	size_t before = 0, after = 0;

	if (new->n < old->n)
		return false;
	while (before < old->n && old->s[before] == new->s[before])
		before++;
	while (after < old->n && old->s[old->n - after - 1] == new->s[new->n - after - 1])
		after++;
	return before + after >= old->n;
}

/* In its own characters, in numbers, or in the nearest ASCII. */
static inline bool check_readable(const struct signing_bytes *text)
{
	static const char *const numbers[][2] = {
	    {"&#252;", "\xc3\xbc"}, {"&#223;", "\xc3\x9f"}, {"&#8364;", "\xe2\x82\xac"}};
	struct signing_bytes plain = {NULL, 0, 0};
	bool found;

	for (size_t i = 0; i < text->n; i++) {
		const char *s = text->s + i;
		size_t k = 0;

		while (k < 3 && strncmp(s, numbers[k][0], strlen(numbers[k][0])) != 0)
			k++;
		signing_bytes_add(
		    &plain, k < 3 ? numbers[k][1] : s, k < 3 ? strlen(numbers[k][1]) : 1);
		i += k < 3 ? strlen(numbers[k][0]) - 1 : 0;
	}
	found = memmem(plain.s, plain.n, CHECK_WORDS, strlen(CHECK_WORDS)) != NULL ||
		memmem(plain.s, plain.n, CHECK_ASCII, strlen(CHECK_ASCII)) != NULL;
	signing_bytes_free(&plain);
	return found;
}

static inline const char *check_text(struct rig_bytes *was, const struct mime_section *a,
    struct rig_bytes *is, const struct mime_section *b)
{
	struct signing_bytes raw_a = check_decoded(was, a), raw_b = check_decoded(is, b);
	struct signing_bytes old = {NULL, 0, 0}, new = {NULL, 0, 0};
	const char *why = NULL;

	if (!signing_to_utf8(
		&old, raw_a.s, raw_a.n, signing_charset_exact(a->charset, raw_a.s, raw_a.n)) ||
	    !signing_to_utf8(
		&new, raw_b.s, raw_b.n, signing_charset_exact(b->charset, raw_b.s, raw_b.n))) {
		/* wrong or unknown charset: the bytes then */
		signing_bytes_free(&old);
		signing_bytes_free(&new);
		if (strcmp(a->charset, b->charset) != 0)
			why = "a text that cannot be converted has another charset";
		if (!check_grown(&raw_a, &raw_b) || check_count(&raw_b) <= check_count(&raw_a))
			why = "the bytes of a text have changed";
	} else if (!check_grown(&old, &new)) {
		why = "a text has changed";
	} else if (check_count(&new) != check_count(&old) + 1) {
		why = "the signature is not in the text";
	} else if (!check_readable(&new)) {
		why = "the signature is not readable";
	}
	signing_bytes_free(&old);
	signing_bytes_free(&new);
	signing_bytes_free(&raw_a);
	signing_bytes_free(&raw_b);
	return why;
}

static inline bool check_same(const char *a, size_t na, const char *b, size_t nb)
{
	return na == nb && (na == 0 || memcmp(a, b, na) == 0);
}

static inline const char *check_sections(
    struct rig_bytes *was, const struct mime *old, struct rig_bytes *is, const struct mime *new)
{
	size_t texts = 0;
	const char *why = NULL;

	if (mime_section_count(old) != mime_section_count(new))
		return "there are other sections now";
	for (size_t i = 0; i < mime_section_count(old) && why == NULL; i++) {
		const struct mime_section *a = mime_section(old, i), *b = mime_section(new, i);
		bool leaf =
		    i + 1 == mime_section_count(old) || mime_section(old, i + 1)->parent != i + 1;

		if (strcmp(a->path, b->path) != 0 || strcmp(a->type, b->type) != 0 ||
		    strcmp(a->subtype, b->subtype) != 0)
			why = "a section has another place or type";
		else if (!leaf && i > 0 &&
			 !check_same(was->s + a->start, a->body - a->start, is->s + b->start,
			     b->body - b->start))
			why = "the header of a container has changed";
		else if (leaf && !check_same(was->s + a->start, a->end - a->start, is->s + b->start,
				     b->end - b->start)) {
			texts++;
			why = strcmp(a->type, "text") != 0 ? "a part that is no text has changed"
							   : check_text(was, a, is, b);
		}
	}
	return why != NULL ? why : texts > 0 ? NULL : "nothing has changed";
}

/* Lines of mail only, and none too long that was not so before. */
static inline const char *check_lines(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((s[i] == '\n' && (i == 0 || s[i - 1] != '\r')) ||
		    (s[i] == '\r' && (i + 1 == n || s[i + 1] != '\n')))
			return "a line end is none";
	return NULL;
}

/* NULL: signed as it must be, or left alone (*is_signed false); else what is wrong. */
static inline const char *check_signing(struct rig_bytes *b, bool *is_signed)
{
	const char *why = NULL, *wrong = NULL;
	struct rig_bytes new = {NULL, 0, 0, 0};
	struct mime *m, *n;
	size_t size = 0;
	char *text = rig_sign_bytes(b, CHECK_PLAIN, CHECK_HTML, &size, &why);

	*is_signed = text != NULL;
	if (text == NULL)
		return why != NULL ? NULL : "left alone without a word";
	new.s = text;
	new.n = size;
	m = rig_parse(b);
	n = rig_parse(&new);
	wrong = check_sections(b, m, &new, n);
	if (wrong == NULL)
		wrong = check_lines(text, size);
	mime_free(m);
	mime_free(n);
	free(text);
	return wrong;
}
