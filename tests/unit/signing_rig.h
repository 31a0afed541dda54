/* signing_rig.h - signs a message in memory and gives back the whole new message, with its changed
 * header fields in place: tests and the fuzz target look at what a recipient would see. */
#pragma once

#include "common/signing.h"
#include "common/signing/signing_header.h"
#include "tests/unit/mime_rig.h"

/* NULL: left alone, *why says why. malloc'ed, *n bytes. */
static inline char *rig_sign_bytes(
    struct rig_bytes *b, const char *plain, const char *html, size_t *n, const char **why)
{
	const struct mime_source source = {rig_read, b};
	const char *const texts[SIGNING_FORMATS] = {plain, html};
	struct mime *m = mime_parse_source(&source);
	struct signing *g = signing_look(m, &source, why);
	struct signing_changes c = {.body = NULL};
	struct rig_out out = {NULL, 0, 0};
	const struct mime_sink sink = {rig_write, &out};

	if (g != NULL && signing_add(g, texts, &c, why)) {
		uint64_t body = mime_section(m, 0)->body;
		struct signing_bytes header = {NULL, 0, 0};

		signing_bytes_add(&header, b->s, body);
		for (size_t i = 0; i < c.nfields; i++)
			signing_header_set(&header, c.fields[i].name, c.fields[i].value);
		rig_write(&out, header.s, header.n);
		signing_bytes_free(&header);
		if (patch_write(c.body, &source, body, &sink) != MIME_OK)
			*why = "the patch cannot be written";
		signing_changes_clear(&c);
	}
	signing_free(g);
	mime_free(m);
	*n = out.n;
	return out.s;
}

/* The same for texts whose lines end in LF, both ways. */
static inline char *rig_sign(
    const char *text, const char *plain, const char *html, const char **why)
{
	struct rig_bytes b = {NULL, 0, 0, 0};
	size_t n = 0, k = 0;
	char *out;

	b.s = rig_crlf(text, &b.n);
	out = rig_sign_bytes(&b, plain, html, &n, why);
	for (size_t i = 0; out != NULL && i < n; i++)
		if (out[i] != '\r' || out[i + 1] != '\n')
			out[k++] = out[i];
	if (out != NULL)
		out[k] = '\0';
	free((char *)b.s);
	return out;
}
