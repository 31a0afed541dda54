/* A whole message: structure, attachments and their bytes; where no flag says that it is
 * ambiguous, GMime's parser must see the same tree (R6, R8, R15). */
#include "tests/fuzz/must.h"
#include "tests/unit/mime_rig.h"

static void read_pieces(const struct mime *m, size_t n)
{
	for (size_t i = 0; i < mime_section_count(m); i++) {
		const struct mime_section *s = mime_section(m, i);
		struct rig_out out = {NULL, 0, 0};
		const struct mime_sink sink = {rig_write, &out};

		MUST(mime_read(m, s->path, MIME_HEADER, &sink) == MIME_OK);
		MUST(out.n == s->body - s->start);
		MUST(mime_read(m, s->path, MIME_BODY, &sink) == MIME_OK);
		MUST(out.n == s->end - s->start && out.n <= n);
		free(out.s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_bytes bytes = {(const char *)data, size, 0, 0};
	struct mime *m = rig_parse(&bytes);
	char *unlike;

	MUST(m != NULL && mime_section_count(m) > 0);
	MUST(rig_broken(m, size) == NULL);
	MUST(rig_unsaved(m) == NULL);
	read_pieces(m, size);
	if (size > 0 && mime_flags(m) == 0) {
		unlike = rig_unlike_gmime(m, bytes.s, size);
		if (unlike != NULL)
			fprintf(stderr, "%s\n", unlike);
		MUST(unlike == NULL);
	}
	mime_free(m);
	return 0;
}
