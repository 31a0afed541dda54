/* Files inside of text and TNEF: uuencoded, BinHex and TNEF files; listed, and saved as listed
 * (R15). */
#include "common/limits.h"
#include "tests/unit/container_rig.h"
#include "tests/unit/mime_checks.h"

#define MULTIPART "Content-Type: multipart/mixed; boundary=b\n\n"

/* "abc" is one line: #86)C */
static void test_uue(void **state)
{
	static const struct {
		const char *text, *files;
	} cases[] = {
	    {"\nhello\nbegin 644 x.bin\n#86)C\n`\nend\nbye\n",
		"1 UUE application/octet-stream x.bin 3\n"},
	    {"\nbegin 644 x\n#86)C\n \nend\n", "1 UUE application/octet-stream x 3\n"},
	    {"\nbegin 644 x\n#86)C\n\nend\n", "1 UUE application/octet-stream x 3\n"},
	    {"\nbegin 0644  two words.txt \n#86)C\nend\n",
		"1 UUE application/octet-stream two words.txt 3\n"},
	    /* several, one after the other and without an end between */
	    {"\nbegin 644 x\n#86)C\n`\nend\nbegin 644 y\n#86)C\n`\nend\n",
		"1 UUE application/octet-stream x 3\n1 UUE application/octet-stream y 3\n"},
	    {"\nbegin 644 x\n#86)C\nbegin 644 y\n#86)C\nend\n",
		"1 UUE application/octet-stream x 3 damaged\n"
		"1 UUE application/octet-stream y 3\n"},
	    /* lines of wrong lengths: too short is filled, a check character is not data */
	    {"\nbegin 644 x\n#86\n`\nend\n", "1 UUE application/octet-stream x 3 damaged\n"},
	    {"\nbegin 644 x\n#86)C!\n`\nend\n", "1 UUE application/octet-stream x 3\n"},
	    {"\nbegin 644 x\n#86)C!!!!!!\n`\nend\n",
		"1 UUE application/octet-stream x 3 damaged\n"},
	    {"\nbegin 644 x\n!80``\n\"86(`\n`\nend\n", "1 UUE application/octet-stream x 3\n"},
	    /* no end */
	    {"\nbegin 644 x\n#86)C\n", "1 UUE application/octet-stream x 3 damaged\n"},
	    {"\nbegin 644 x\n#86)C\n`\ntext\n", "1 UUE application/octet-stream x 3\n"},
	    {"\nbegin 644 x\n#86)C\nlower case is no data\n#86)C\n",
		"1 UUE application/octet-stream x 3 damaged\n"},
	    {"\nbegin 644 empty\n`\nend\n", "1 UUE application/octet-stream empty 0\n"},
	    /* what only looks like it */
	    {"\nbegin 644 miles from here\nand so on\n", ""},
	    {"\nbegin 644 x\n\n#86)C\n", ""},
	    {"\nbegin 64 x\n#86)C\nend\n", ""},
	    {"\nbegin 644\n#86)C\nend\n", ""},
	    {"\nbegin 888 x\n#86)C\nend\n", ""},
	    {"\n begin 644 x\n#86)C\nend\n", ""},
	    {"\nbegin 644 x\nbegin 644 y\n#86)C\nend\n", "1 UUE application/octet-stream y 3\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_list(cases[i].text, cases[i].files);
}

static void test_uue_bytes(void **state)
{
	static const struct {
		const char *lines, *bytes;
		size_t n;
	} cases[] = {
	    {"#86)C\n", "abc", 3},
	    {"!80``\n\"86(`\n", "aab", 3},
	    {"#80``\n", "a\0\0", 3},
	    {"#80  \n", "a\0\0", 3},
	    {"#80\n", "a\0\0", 3}, /* blanks at the end got lost */
	    {"#86)C!!!!\n#86)C\n", "abcabc", 6},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = xasprintf("\nbegin 644 x\n%s`\nend\n", cases[i].lines);
		struct rig_bytes b;
		struct mime *m = parse_text(text, &b);

		assert_int_equal(mime_attachment_count(m), 1);
		check_bytes(m, 0, cases[i].bytes, cases[i].n);
		done(m, &b);
		free(text);
	}
}

/* Files in the text of MIME parts, also of an encoded one; and as the encoding of a part. */
static void test_files_in_parts(void **state)
{
	static const struct {
		const char *text, *files;
	} cases[] = {
	    {"MIME-Version: 1.0\n\nbegin 644 x\n#86)C\n`\nend\n",
		"1 MIMEUUE application/octet-stream x 3\n"},
	    {MULTIPART "--b\nContent-Transfer-Encoding: base64\n\n"
		       "YmVnaW4gNjQ0IHgKIzg2KUMKYAplbmQK\n--b--\n",
		"2 MIMEUUE application/octet-stream x 3\n"},
	    {"Content-Type: text/plain; name=t.txt\n\nbegin 644 x\n#86)C\n`\nend\n",
		"1 MIME text/plain t.txt 28\n1 MIMEUUE application/octet-stream x 3\n"},
	    {"Content-Type: image/gif; name=i.gif\n\nbegin 644 x\n#86)C\n`\nend\n",
		"1 MIME image/gif i.gif 28\n"},
	    {"Content-Type: image/gif\nContent-Transfer-Encoding: x-uuencode\n\n"
	     "begin 644 x.gif\n#86)C\n`\nend\n",
		"1 MIMEUUE image/gif x.gif 3\n"},
	    {"Content-Type: image/gif; name=i.gif\nContent-Transfer-Encoding: uuencode\n\n"
	     "begin 644 i.gif\n#86)C\n`\nend\n",
		"1 MIMEUUE image/gif i.gif 3\n"},
	    {"Content-Type: image/gif\nContent-Transfer-Encoding: x-uue\n\nnothing\n",
		"1 MIME image/gif  9\n"},
	    {"Content-Type: message/rfc822\n\nA: b\n\nbegin 644 x\n#86)C\n`\nend\n",
		"2 MIMEUUE application/octet-stream x 3\n"},
	    /* where no part can be told, the text is searched all the same */
	    {"Content-Type: multipart/mixed\n\nbegin 644 x\n#86)C\n`\nend\n",
		"1 MIMEUUE application/octet-stream x 3\n"},
	};
	struct rig_bytes b;
	struct mime *m;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_list(cases[i].text, cases[i].files);
	m = parse_text("Content-Type: a/b; name=harmless.txt\nContent-Transfer-Encoding: x-uue\n\n"
		       "begin 644 x.exe\n#86)C\n`\nend\n",
	    &b);
	assert_string_equal(mime_attachment(m, 0)->name, "harmless.txt");
	assert_true(mime_flags(m) & MIME_NAMES_DIFFER);
	done(m, &b);
}

/* A message around made bytes. */
static struct mime *parse_around(
    const char *before, const struct made *inside, const char *after, struct rig_bytes *b)
{
	struct made all = {NULL, 0};
	size_t n;
	char *text = rig_crlf(before, &n);
	struct mime *m;

	made_add(&all, text, n);
	free(text);
	made_add(&all, inside->s, inside->n);
	text = rig_crlf(after, &n);
	made_add(&all, text, n);
	free(text);
	*b = (struct rig_bytes){.s = (char *)all.s, .n = all.n};
	m = rig_parse(b);
	assert_null(rig_broken(m, b->n));
	assert_null(rig_unsaved(m));
	return m;
}

#define BANNER "(This file must be converted with BinHex 4.0)\n\n"
#define BANNER_LINE "(This file must be converted with BinHex 4.0)\r\n"

static void check_binhex(
    const char *before, const struct binhex_recipe *r, const char *after, const char *expected)
{
	struct made text = made_binhex(r);
	struct rig_bytes b;
	struct mime *m = parse_around(before, &text, after, &b);
	char *files = list_files(m);

	assert_string_equal(files, expected);
	if (*files != '\0')
		check_bytes(m, 0, r->data, r->size);
	free(files);
	free(text.s);
	done(m, &b);
}

static void test_binhex(void **state)
{
	static const char data[] = "some data for a file, long enough for more than one line of "
				   "the text that BinHex makes of it";
	struct binhex_recipe r = {.name = "f\x8ar", .data = data, .size = sizeof data - 1};

	(void)state;
	check_binhex("\n" BANNER, &r, "bye\n", "1 BINHEX application/octet-stream f\xc3\xa4r 92\n");
	check_binhex("MIME-Version: 1.0\n\nhello\n" BANNER, &r, "",
	    "1 MIMEBINHEX application/octet-stream f\xc3\xa4r 92\n");
	check_binhex("Content-Type: application/mac-binhex40; name=f.hqx\n\n" BANNER, &r, "",
	    "1 MIMEBINHEX application/octet-stream f.hqx 92\n");
	check_binhex("Content-Type: application/mac-binhex40\n\n", &r, "",
	    "1 MIMEBINHEX application/octet-stream f\xc3\xa4r 92\n");
	check_binhex("Content-Type: image/gif\nContent-Transfer-Encoding: x-binhex40\n\n", &r, "",
	    "1 MIMEBINHEX application/octet-stream f\xc3\xa4r 92\n");
	check_binhex("\n", &r, "", ""); /* a line that begins with a colon is only that */
	check_binhex("\n" BANNER "words before it\n", &r, "begin 644 x\n#86)C\n`\nend\n",
	    "1 BINHEX application/octet-stream f\xc3\xa4r 92\n"
	    "1 UUE application/octet-stream x 3\n");
	r.spoil_data = 1;
	check_binhex(
	    "\n" BANNER, &r, "", "1 BINHEX application/octet-stream f\xc3\xa4r 92 damaged\n");
	check_list("\n" BANNER ":not BinHex\n", "");
	check_list(
	    "\n" BANNER "begin 644 x\n#86)C\n`\nend\n", "1 UUE application/octet-stream x 3\n");
	check_list("Content-Type: application/mac-binhex40; name=f\n\nnot BinHex\n",
	    "1 MIME application/mac-binhex40 f 12\n");
}

/* A UUE file that hides behind a BinHex file which never ends is found. */
static void test_hidden(void **state)
{
	struct made text = made_binhex(&(struct binhex_recipe){"f", "data", 4, .stated = 1 << 20});
	struct rig_bytes b;
	struct mime *m;
	char *files;

	(void)state;
	text.n -= 3; /* the closing colon */
	m = parse_around("\n" BANNER, &text, "\nbegin 644 x\n#86)C\n`\nend\n", &b);
	files = list_files(m);
	assert_non_null(strstr(files, "1 BINHEX application/octet-stream f "));
	assert_non_null(strstr(files, "1 UUE application/octet-stream x 3\n"));
	free(files);
	free(text.s);
	done(m, &b);
}

static bool count(void *arg, const void *bytes, size_t n)
{
	(void)bytes;
	*(uint64_t *)arg += n;
	return true;
}

/* Two files of 4 GB in 1.2 MB each: the first is cut at its own limit, the second at that of the
 * message; what is saved is what was listed. */
static void test_bombs(void **state)
{
	struct made head =
	    made_binhex(&(struct binhex_recipe){.name = "bo", .data = "", .stated = 0xffffffff});
	struct made text = {NULL, 0};
	struct rig_bytes b = {0};
	struct mime *m;

	(void)state;
	made_add(&text, "\r\n", 2);
	for (int i = 0; i < 2; i++) {
		made_add(&text, BANNER_LINE, sizeof BANNER_LINE - 1);
		made_add(&text, head.s, 33); /* colon and header; what follows are runs of 255 */
		for (size_t k = 0; k < LIMIT_BINHEX_FILE_BYTES / (8 * 3 * 254) + 1; k++)
			made_add(&text,
			    "N2q3rj$rN2q3rj$rN2q3rj$rN2q3rj$rN2q3rj$rN2q3rj$r"
			    "N2q3rj$rN2q3rj$r\r\n",
			    66);
	}
	b.s = (char *)text.s;
	b.n = text.n;
	m = rig_parse(&b);
	assert_int_equal(mime_attachment_count(m), 2);
	assert_true(mime_flags(m) & MIME_NOT_UNPACKED);
	assert_int_equal(mime_attachment(m, 0)->size, LIMIT_BINHEX_FILE_BYTES);
	assert_int_equal(
	    mime_attachment(m, 1)->size, LIMIT_BINHEX_MESSAGE_BYTES - LIMIT_BINHEX_FILE_BYTES);
	for (size_t i = 0; i < 2; i++) {
		uint64_t written = 0;
		const struct mime_sink sink = {count, &written};

		assert_int_equal(mime_save(m, i, &sink), MIME_PARTIAL);
		assert_int_equal(written, mime_attachment(m, i)->size);
	}
	mime_free(m);
	free(text.s);
	free(head.s);
}

static struct made tnef_stream(void)
{
	struct made m = made_tnef(), p = {NULL, 0};

	made_property(&p, 0x1f, 0x3707, "\xe4\0.\0p\0d\0f\0\0\0", 12);
	made_property(&p, 0x1e, 0x370e, "Application/PDF", 16);
	made_attribute(&m, 1, 0x00069007, "\xe3\x04\0\0\0\0\0\0", 8); /* code page 1251 */
	made_file(&m, "A~1.PDF", "pdf data", 8, &p, 2);
	made_file(&m, "\xe0.txt", "text\0data", 9, NULL, 0);
	free(p.s);
	return m;
}

static void test_tnef(void **state)
{
	static const char *const headers[] = {
	    "Content-Type: application/ms-tnef; name=winmail.dat\n\n",
	    "Content-Type: application/vnd.ms-tnef; name=winmail.dat\n\n",
	    "Content-Type: application/octet-stream; name=WINMAIL.DAT\n\n",
	};
	struct made stream = tnef_stream();
	struct rig_bytes b;
	struct mime *m;
	char *files, *expected;

	(void)state;
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
		m = parse_around(headers[i], &stream, "", &b);
		files = list_files(m);
		expected = xasprintf("1 MIME %.*s %s %zu\n1 TNEF application/pdf \xc3\xa4.pdf 8\n"
				     "1 TNEF application/octet-stream \xd0\xb0.txt 9\n",
		    (int)strcspn(headers[i] + 14, ";"), headers[i] + 14,
		    i < 2 ? "winmail.dat" : "WINMAIL.DAT", stream.n);
		assert_string_equal(files, expected);
		check_bytes(m, 0, stream.s, stream.n);
		check_bytes(m, 1, "pdf data", 8);
		check_bytes(m, 2, "text\0data", 9);
		free(files);
		free(expected);
		done(m, &b);
	}
	/* cut in the second file: what is whole stays, the rest is what is there */
	stream.n -= 8;
	m = parse_around(headers[0], &stream, "", &b);
	assert_int_equal(mime_attachment_count(m), 3);
	assert_true(mime_flags(m) & MIME_FILE_DAMAGED);
	check_bytes(m, 1, "pdf data", 8);
	check_bytes(m, 2, "tex", 3);
	done(m, &b);
	free(stream.s);
	check_list("Content-Type: application/ms-tnef; name=a\n\nnot TNEF\n",
	    "1 MIME application/ms-tnef a 10\n");
}

/* R15: a message whose TNEF stream is as large as can be, and while that is held another one is
 * looked into, and so on. */
struct tower {
	uint64_t seen;
	int level, unpacked, refused;
};

static void climb(struct tower *above);

static ssize_t read_tower(void *arg, uint64_t offset, void *out, size_t n)
{
	static const char head[] = "Content-Type: application/ms-tnef\r\n\r\n";
	const uint64_t size = 52000000;
	struct tower *t = arg;

	if (offset >= sizeof head - 1 && offset < t->seen) { /* the second pass: it is held now */
		climb(t);
		return 0;
	}
	t->seen = offset + n;
	if (offset >= size)
		return 0;
	if (n > size - offset)
		n = (size_t)(size - offset);
	memset(out, 'A', n);
	for (size_t i = 0; i < n && offset + i < sizeof head - 1; i++)
		((char *)out)[i] = head[offset + i];
	return (ssize_t)n;
}

static void climb(struct tower *below)
{
	struct tower t = {.level = below->level + 1};
	const struct mime_source source = {read_tower, &t};
	struct mime *m;

	if (t.level > 6)
		return;
	m = mime_parse_source(&source);
	assert_int_equal(mime_section_count(m), 1);
	below->unpacked = t.unpacked + !(mime_flags(m) & MIME_NOT_UNPACKED);
	below->refused = t.refused + !!(mime_flags(m) & MIME_NOT_UNPACKED);
	mime_free(m);
}

static void test_tnef_of_many_messages(void **state)
{
	struct tower ground = {0}, top = {.level = 5};

	(void)state;
	climb(&ground);
	assert_int_equal(ground.unpacked, LIMIT_TNEF_HELD_BYTES / 52000000);
	assert_int_equal(ground.refused, 6 - ground.unpacked);
	climb(&top); /* all was given back */
	assert_int_equal(top.unpacked, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_uue),
	    cmocka_unit_test(test_uue_bytes),
	    cmocka_unit_test(test_files_in_parts),
	    cmocka_unit_test(test_binhex),
	    cmocka_unit_test(test_hidden),
	    cmocka_unit_test(test_bombs),
	    cmocka_unit_test(test_tnef),
	    cmocka_unit_test(test_tnef_of_many_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
