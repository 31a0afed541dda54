/* mime_rig.h - a message in memory for the tests of MIME: parse it, describe what was found,
 * check what must hold of every answer, and hold the tree against GMime's own parser. */
#pragma once

#include "common/list.h"
#include "common/mime.h"

#include <gmime/gmime.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rig_bytes {
	const char *s;
	size_t n;
	size_t fails_at; /* reading from here on fails with EIO; 0: never */
	size_t most;	 /* bytes given at once; 0: all */
};

static inline ssize_t rig_read(void *arg, uint64_t offset, void *out, size_t n)
{
	const struct rig_bytes *b = arg;

	if (b->fails_at > 0 && offset + n > b->fails_at) {
		errno = EIO;
		return -1;
	}
	if (offset >= b->n)
		return 0;
	if (n > b->n - offset)
		n = b->n - (size_t)offset;
	if (b->most > 0 && n > b->most)
		n = b->most;
	memcpy(out, b->s + offset, n);
	return (ssize_t)n;
}

/* The bytes must stay until mime_free(). */
static inline struct mime *rig_parse(struct rig_bytes *b)
{
	const struct mime_source source = {rig_read, b};

	return mime_parse_source(&source);
}

/* Text whose lines end in LF, as a message. */
static inline char *rig_crlf(const char *text, size_t *n)
{
	char *out = xmalloc(2 * strlen(text) + 1), *p = out;

	for (; *text != '\0'; text++) {
		if (*text == '\n')
			*p++ = '\r';
		*p++ = *text;
	}
	*p = '\0';
	*n = (size_t)(p - out);
	return out;
}

struct rig_out {
	char *s;
	size_t n;
	size_t most; /* refuses what goes beyond; 0: takes everything */
};

static inline bool rig_write(void *arg, const void *bytes, size_t n)
{
	struct rig_out *o = arg;

	if (o->most > 0 && o->n + n > o->most)
		return false;
	o->s = xrealloc(o->s, o->n + n + 1);
	memcpy(o->s + o->n, bytes, n);
	o->n += n;
	o->s[o->n] = '\0';
	return true;
}

/* One line for each section: path, type, flags. */
static inline char *rig_describe(const struct mime *m)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < mime_section_count(m); i++) {
		const struct mime_section *s = mime_section(m, i);
		char *line = xasprintf("%s%s %s/%s", all, s->path, s->type, s->subtype);

		for (unsigned bit = 0; bit < MIME_FLAGS; bit++) {
			if (s->flags & 1u << bit) {
				char *more = xasprintf("%s %s", line, mime_flag_name(1u << bit));

				free(line);
				line = more;
			}
		}
		free(all);
		all = xasprintf("%s\n", line);
		free(line);
	}
	return all;
}

static inline bool rig_clean(const char *s)
{
	for (const char *p = s; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return g_utf8_validate(s, -1, NULL);
}

/* What holds of every structure of n bytes, however broken; NULL, or what does not. */
static inline const char *rig_broken(const struct mime *m, size_t n)
{
	for (size_t i = 0; i < mime_section_count(m); i++) {
		const struct mime_section *s = mime_section(m, i), *p;

		if (s->start > s->body || s->body > s->end || s->end > n)
			return "offsets are out of order";
		if (mime_find(m, s->path) != s)
			return "a path leads to another section";
		if (!rig_clean(s->type_filename) || !rig_clean(s->disposition_filename))
			return "a file name is not clean";
		if (i == 0) {
			if (s->parent != 0 || s->start != 0 || s->end != n)
				return "the first section is not the message";
			continue;
		}
		if (s->parent < 1 || s->parent > i)
			return "a section comes before the one around it";
		p = mime_section(m, s->parent - 1);
		if (s->start < p->body || s->end > p->end)
			return "a section leaves the one around it";
		for (size_t k = i; k-- > 0;) {
			const struct mime_section *before = mime_section(m, k);

			if (before->parent != s->parent)
				continue;
			if (before->end > s->start)
				return "two sections overlap";
			break;
		}
	}
	return NULL;
}

/* Saves every attachment; NULL, or what is wrong with one. */
static inline const char *rig_unsaved(const struct mime *m)
{
	for (size_t i = 0; i < mime_attachment_count(m); i++) {
		const struct mime_attachment *a = mime_attachment(m, i);
		struct rig_out out = {NULL, 0, 0};
		const struct mime_sink sink = {rig_write, &out};
		enum mime_result result = mime_save(m, i, &sink);

		free(out.s);
		if (a->section < 1 || a->section > mime_section_count(m))
			return "an attachment of no section";
		if (!rig_clean(a->name) || strchr(a->type, '/') == NULL)
			return "name or type of an attachment is not clean";
		if (result == MIME_OK ? out.n != a->size
				      : result != MIME_PARTIAL || !(a->flags & MIME_NOT_UNPACKED))
			return "an attachment is not what was listed";
	}
	return NULL;
}

/* GMime's tree, in the order of the text. */
struct rig_tree {
	const struct mime *m;
	size_t at; /* next of our sections */
	char *why;
};

static inline void rig_differs(struct rig_tree *t, const char *what)
{
	if (t->why == NULL)
		t->why = xasprintf("section %zu: %s", t->at, what);
}

/* GMime leaves in a name what has no place in one; then ours is another. */
static inline void rig_compare_name(
    struct rig_tree *t, const struct mime_section *s, const char *name)
{
	const char *ours =
	    *s->disposition_filename != '\0' ? s->disposition_filename : s->type_filename;
	size_t n = name != NULL ? strlen(name) : 0;

	if (n == 0 || !rig_clean(name) || name[0] == ' ' || name[n - 1] == ' ')
		return;
	if (strcmp(ours, name) != 0)
		rig_differs(t, "another file name");
}

static inline void rig_compare(struct rig_tree *t, GMimeObject *o)
{
	GMimeContentType *type = g_mime_object_get_content_type(o);
	const struct mime_section *s = mime_section(t->m, t->at);

	if (s == NULL) {
		rig_differs(t, "GMime has more");
		return;
	}
	if (!g_mime_content_type_is_type(type, s->type, s->subtype))
		rig_differs(t, "another type");
	if (GMIME_IS_PART(o)) {
		GMimeDataWrapper *content = g_mime_part_get_content((GMimePart *)o);
		GMimeStream *stream =
		    content != NULL ? g_mime_data_wrapper_get_stream(content) : NULL;

		/* an empty part: only the place may differ, whose the last line end is */
		if (stream != NULL && stream->bound_end != stream->bound_start &&
		    ((uint64_t)stream->bound_start != s->body ||
			(uint64_t)stream->bound_end != s->end))
			rig_differs(t, "another body");
		if ((stream == NULL || stream->bound_end == stream->bound_start) &&
		    s->body != s->end)
			rig_differs(t, "GMime has no body");
		rig_compare_name(t, s, g_mime_part_get_filename((GMimePart *)o));
	}
	t->at++;
	if (GMIME_IS_MULTIPART(o)) {
		int n = g_mime_multipart_get_count((GMimeMultipart *)o);

		for (int i = 0; i < n && t->why == NULL; i++)
			rig_compare(t, g_mime_multipart_get_part((GMimeMultipart *)o, i));
	} else if (GMIME_IS_MESSAGE_PART(o)) {
		GMimeMessage *inner = g_mime_message_part_get_message((GMimeMessagePart *)o);

		if (inner != NULL && g_mime_message_get_mime_part(inner) != NULL)
			rig_compare(t, g_mime_message_get_mime_part(inner));
	}
}

/* NULL when GMime reads the same tree with the same bodies; else why not (free() it). */
static inline char *rig_unlike_gmime(const struct mime *m, const char *s, size_t n)
{
	struct rig_tree t = {m, 0, NULL};
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(s, n);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message;

	g_mime_parser_set_persist_stream(parser, TRUE);
	message = g_mime_parser_construct_message(parser, NULL);
	if (message == NULL) {
		t.why = xstrdup("GMime sees no message");
	} else {
		rig_compare(&t, g_mime_message_get_mime_part(message));
		if (t.why == NULL && t.at != mime_section_count(m))
			rig_differs(&t, "GMime has less");
		g_object_unref(message);
	}
	g_object_unref(parser);
	g_object_unref(stream);
	return t.why;
}
