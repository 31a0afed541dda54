/* mime_checks.h - what the tests of MIME ask of a message. */
#pragma once

#include "tests/unit/mime_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

/* "section kind type name size flags\n" for each attachment. */
static inline char *list_files(const struct mime *m)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < mime_attachment_count(m); i++) {
		const struct mime_attachment *a = mime_attachment(m, i);
		char *line = xasprintf("%s%zu %s %s %s %" PRIu64 "%s%s\n", all, a->section,
		    mime_kind_name(a->kind), a->type, a->name, a->size,
		    a->flags & MIME_FILE_DAMAGED ? " damaged" : "",
		    a->flags & MIME_NOT_UNPACKED ? " cut" : "");

		free(all);
		all = line;
	}
	return all;
}

static inline struct mime *parse_text(const char *text, struct rig_bytes *b)
{
	struct mime *m;

	*b = (struct rig_bytes){0};
	b->s = rig_crlf(text, &b->n);
	m = rig_parse(b);
	assert_null(rig_broken(m, b->n));
	assert_null(rig_unsaved(m));
	return m;
}

static inline void done(struct mime *m, struct rig_bytes *b)
{
	mime_free(m);
	free((char *)b->s);
}

static inline void check_list(const char *text, const char *expected)
{
	struct rig_bytes b;
	struct mime *m = parse_text(text, &b);
	char *files = list_files(m);

	assert_string_equal(files, expected);
	free(files);
	done(m, &b);
}

static inline void check_bytes(const struct mime *m, size_t i, const void *bytes, size_t n)
{
	struct rig_out out = {NULL, 0, 0};
	const struct mime_sink sink = {rig_write, &out};

	assert_int_equal(mime_save(m, i, &sink), MIME_OK);
	assert_int_equal(out.n, n);
	if (n > 0)
		assert_memory_equal(out.s, bytes, n);
	free(out.s);
}
