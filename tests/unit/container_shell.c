/* container_shell - what our decoders see in files, for test_containers.py.
 *
 *     container_shell tnef FILE...     a line "FILE flag...", below it " NAME-HEX CONTENTS-HEX"
 *     container_shell binhex FILE...   the same, with one file or none */
#include "common/list.h"
#include "common/mime/binhex.h"
#include "common/mime/tnef.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
	unsigned char *s;
	size_t n;
};

/* A block of exactly its size, so that a byte too far is seen by the sanitizer. */
static struct bytes slurp(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct bytes b = {NULL, 0};
	long size;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	rewind(f);
	b.s = xmalloc((size_t)size);
	b.n = fread(b.s, 1, (size_t)size, f);
	fclose(f);
	return b;
}

static void hex(const void *bytes, size_t n)
{
	putchar(' ');
	for (size_t i = 0; i < n; i++)
		printf("%02x", ((const unsigned char *)bytes)[i]);
}

static void show_tnef(const struct bytes *b)
{
	struct tnef t;

	tnef_read(&t, b->s, b->n);
	printf("%s%s%s%s%s\n", t.is_tnef ? " tnef" : "", t.damaged ? " damaged" : "",
	    t.wrong_sum ? " sum" : "", t.too_many ? " many" : "", t.too_deep ? " deep" : "");
	for (size_t i = 0; i < t.nfiles; i++) {
		hex(t.files[i].name.s, t.files[i].name.n);
		hex(b->s + t.files[i].offset, t.files[i].size);
		putchar('\n');
	}
	tnef_clear(&t);
}

static bool collect(void *arg, const void *bytes, size_t n)
{
	struct bytes *b = arg;

	b->s = xrealloc(b->s, b->n + n);
	memcpy(b->s + b->n, bytes, n);
	b->n += n;
	return true;
}

static void show_binhex(const struct bytes *b)
{
	struct bytes out = {NULL, 0};
	struct binhex *reader = binhex_new(collect, &out);
	const struct binhex_info *info = binhex_info(reader);
	enum binhex_state state = binhex_feed(reader, b->s, b->n);

	printf("%s%s%s%s\n", info->header ? " header" : "", info->complete ? " complete" : "",
	    info->wrong_sum ? " sum" : "", state == BINHEX_DONE ? " done" : "");
	if (info->header) {
		hex(info->name, info->name_size);
		hex(out.s, out.n);
		putchar('\n');
	}
	binhex_free(reader);
	free(out.s);
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		struct bytes b = slurp(argv[i]);

		fputs(argv[i], stdout);
		if (strcmp(argv[1], "tnef") == 0)
			show_tnef(&b);
		else
			show_binhex(&b);
		free(b.s);
	}
	return EXIT_SUCCESS;
}
