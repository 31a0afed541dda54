/* Where sections begin and end, their IMAP paths, and that nothing malformed fails (R6, R8). */
#include "common/limits.h"
#include "common/message.h"
#include "tests/unit/mime_checks.h"

static void check_tree(const char *text, const char *expected)
{
	struct rig_bytes b;
	struct mime *m = parse_text(text, &b);
	char *tree = rig_describe(m);

	assert_string_equal(tree, expected);
	free(tree);
	done(m, &b);
}

#define MULTIPART(b) "Content-Type: multipart/mixed; boundary=" b "\n\n"

static void test_paths(void **state)
{
	static const struct {
		const char *text, *tree;
	} cases[] = {
	    {"Subject: s\n\nbody\n", "1 text/plain\n"},
	    {"Content-Type: TEXT/HTML\n\nbody\n", "1 text/html\n"},
	    {MULTIPART("b") "--b\n\nx\n--b\nContent-Type: image/png\n\ny\n--b--\n",
		"TEXT multipart/mixed\n1 text/plain\n2 image/png\n"},
	    /* a multipart in a multipart */
	    {MULTIPART("b") "--b\n" MULTIPART("c") "--c\n\nx\n--c\n\ny\n--c--\n--b\n\nz\n--b--\n",
		"TEXT multipart/mixed\n1 multipart/mixed\n1.1 text/plain\n1.2 text/plain\n"
		"2 text/plain\n"},
	    /* a message whose content is a message */
	    {"Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nSubject: s\n\nx\n",
		"1 message/rfc822\n1.1 message/rfc822\n1.1.1 text/plain\n"},
	    {"Content-Type: message/rfc822\n\n" MULTIPART("b") "--b\n\nx\n--b--\n",
		"1 message/rfc822\n1.TEXT multipart/mixed\n1.1 text/plain\n"},
	    /* the example of RFC 3501 6.4.5, without its parts 3 and 4.2.2 */
	    {MULTIPART("b") "--b\n\nx\n--b\nContent-Type: message/rfc822\n\n" MULTIPART(
		 "c") "--c\n\ny\n--c\n" MULTIPART("d") "--d\n\nz\n--d--\n--c--\n--b--\n",
		"TEXT multipart/mixed\n1 text/plain\n2 message/rfc822\n2.TEXT multipart/mixed\n"
		"2.1 text/plain\n2.2 multipart/mixed\n2.2.1 text/plain\n"},
	    /* RFC 2046 5.1.5: the default type in a digest */
	    {"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: s\n\nx\n--b\n"
	     "Content-Type: text/plain\n\ny\n--b--\n",
		"TEXT multipart/digest\n1 message/rfc822\n1.1 text/plain\n2 text/plain\n"},
	    {"Content-Type: message/news\n\nSubject: s\n\nx\n", "1 message/news\n1.1 text/plain\n"},
	    {"Content-Type: message/global\n\nSubject: s\n\nx\n",
		"1 message/global\n1.1 text/plain\n"},
	    {"Content-Type: message/partial\n\nSubject: s\n\nx\n", "1 message/partial\n"},
	    {"Content-Type: message/delivery-status\n\nx: y\n", "1 message/delivery-status\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_tree(cases[i].text, cases[i].tree);
}

static void test_malformed(void **state)
{
	static const struct {
		const char *text, *tree;
	} cases[] = {
	    {"", "1 text/plain no-blank-line\n"},
	    {"Subject: s\n", "1 text/plain no-blank-line\n"},
	    {"Subject: s", "1 text/plain no-blank-line\n"},
	    {"no field\n\nx\n", "1 text/plain bad-field\n"},
	    {" fold of nothing\n\nx\n", "1 text/plain bad-field\n"},
	    {"A: b\n  \nC: d\n\nx\n", "1 text/plain bad-field\n"},
	    {"Content-Type : image/png\n\nx\n", "1 image/png bad-field\n"},
	    {"A: \xe4\n\nx\n", "1 text/plain eight-bit-header\n"},
	    /* no end */
	    {MULTIPART("b") "--b\n\nx\n", "TEXT multipart/mixed unterminated\n1 text/plain\n"},
	    {MULTIPART("b") "--b\n" MULTIPART("c") "--c\n\nx\n--b--\n",
		"TEXT multipart/mixed\n1 multipart/mixed unterminated\n1.1 text/plain\n"},
	    {MULTIPART("b") "--b\n" MULTIPART("c") "--c\n\nx\n--b\n\ny\n--b--\n",
		"TEXT multipart/mixed\n1 multipart/mixed unterminated\n1.1 text/plain\n"
		"2 text/plain\n"},
	    /* no parts */
	    {MULTIPART("b") "x\n", "TEXT multipart/mixed unterminated no-parts\n"},
	    {MULTIPART("b") "--b--\n", "TEXT multipart/mixed no-parts\n"},
	    {"Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n",
		"1 multipart/mixed no-boundary\n"},
	    {MULTIPART("\"\"") "--\n\nx\n", "1 multipart/mixed no-boundary\n"},
	    {MULTIPART("b") "--b\n--b\n--b--\n",
		"TEXT multipart/mixed\n1 text/plain no-blank-line\n2 text/plain no-blank-line\n"},
	    {MULTIPART("b") "--b\nContent-Type: image/png\n--b--\n",
		"TEXT multipart/mixed\n1 image/png no-blank-line\n"},
	    {MULTIPART("b") "--b\nContent-Type: message/rfc822\n\n--b--\n",
		"TEXT multipart/mixed\n1 message/rfc822\n1.1 text/plain no-blank-line\n"},
	    /* a header that a delimiter cuts is not entered */
	    {MULTIPART("b") "--b\nContent-Type: multipart/mixed; boundary=c\n--b\n--c\n--b--\n",
		"TEXT multipart/mixed\n1 multipart/mixed no-blank-line\n"
		"2 text/plain bad-field no-blank-line\n"},
	    /* delimiters that are none, or too many */
	    {MULTIPART("b") "--b\n\nx\n--bb\n--b--x\n--b x\n--b--\n",
		"TEXT multipart/mixed boundary-like\n1 text/plain\n"},
	    {MULTIPART("b") "--b \t\n\nx\n--b-- \n", "TEXT multipart/mixed\n1 text/plain\n"},
	    {MULTIPART("b") "--b\n\nx\n--b--\n--b\n\ny\n",
		"TEXT multipart/mixed after-close\n1 text/plain\n"},
	    {MULTIPART("b") "--b\n" MULTIPART("b") "--b\n\nx\n--b--\n--b--\n",
		"TEXT multipart/mixed\n1 multipart/mixed boundary-reused\n1.1 text/plain\n"},
	    {MULTIPART("b--") "--b--\n" MULTIPART("b") "--b\n\nx\n--b--\n--b----\n",
		"TEXT multipart/mixed\n1 multipart/mixed boundary-reused\n1.1 text/plain\n"},
	    /* one boundary is the beginning of another: whole lines decide */
	    {MULTIPART("b") "--b\n" MULTIPART(
		 "bc") "--bc\n\nx\n--bc\n\ny\n--bc--\n--b\n\nz\n--b--\n",
		"TEXT multipart/mixed\n1 multipart/mixed\n1.1 text/plain\n1.2 text/plain\n"
		"2 text/plain\n"},
	    /* an encoding around what should be readable */
	    {"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTogYg==\n",
		"1 message/rfc822 encoded-container\n"},
	    {"Content-Transfer-Encoding: quoted-printable\n" MULTIPART("b") "--b\n\nx\n--b--\n",
		"TEXT multipart/mixed encoded-container\n1 text/plain\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_tree(cases[i].text, cases[i].tree);
}

/* header, body: what the section at the path is made of, line ends as CRLF in the message. */
static void check_section(
    const struct mime *m, const char *path, const char *header, const char *body)
{
	const char *expected[] = {[MIME_HEADER] = header, [MIME_BODY] = body};
	struct rig_out whole = {NULL, 0, 0};
	const struct mime_sink whole_sink = {rig_write, &whole};
	size_t n, both = 0;

	assert_int_equal(mime_read(m, path, MIME_WHOLE, &whole_sink), MIME_OK);
	for (int piece = MIME_HEADER; piece <= MIME_BODY; piece++) {
		struct rig_out out = {NULL, 0, 0};
		const struct mime_sink sink = {rig_write, &out};
		char *wanted = rig_crlf(expected[piece], &n);

		assert_int_equal(mime_read(m, path, (enum mime_piece)piece, &sink), MIME_OK);
		assert_int_equal(out.n, n);
		if (n > 0) {
			assert_memory_equal(out.s, wanted, n);
			assert_memory_equal(whole.s + both, wanted, n);
		}
		both += n;
		free(out.s);
		free(wanted);
	}
	assert_int_equal(whole.n, both);
	free(whole.s);
}

static void test_exact_bytes(void **state)
{
	struct rig_bytes b;
	struct mime *m = parse_text(
	    "A: b\n" MULTIPART("b") "preamble\n--b\n\none\n\n--b\n"
				    "Content-Type: message/rfc822\n\nS: t\n\ntwo\n--b\nX: y\n\n"
				    "--b--\nepilogue\n",
	    &b);

	(void)state;
	check_section(m, "TEXT", "A: b\n" MULTIPART("b"),
	    "preamble\n--b\n\none\n\n--b\nContent-Type: message/rfc822\n\nS: t\n\ntwo\n--b\n"
	    "X: y\n\n--b--\nepilogue\n");
	/* The last line end of a part belongs to the delimiter, an empty line before it does not.
	 */
	check_section(m, "1", "\n", "one\n");
	check_section(m, "2", "Content-Type: message/rfc822\n\n", "S: t\n\ntwo");
	check_section(m, "2.1", "S: t\n\n", "two");
	check_section(m, "3", "X: y\n", "");
	assert_ptr_equal(mime_find(m, ""), mime_section(m, 0));
	assert_ptr_equal(mime_find(m, "text"), mime_section(m, 0));
	assert_null(mime_find(m, "4"));
	assert_null(mime_find(m, "2.2"));
	assert_null(mime_section(m, mime_section_count(m)));
	done(m, &b);
}

/* Bare line feeds end lines as CRLF does; a bare CR does not. Both are told, and NUL. */
static void test_line_ends(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *tree;
	} cases[] = {
#define RAW(s) s, sizeof(s) - 1
	    {RAW("A: b\n\nx\n"), "1 text/plain bare-line-end\n"},
	    {RAW("A: b\r\n\r\nx\ry\r\n"), "1 text/plain bare-line-end\n"},
	    {RAW("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\n\nx\n--b--\n"),
		"TEXT multipart/mixed bare-line-end\n1 text/plain bare-line-end\n"},
	    {RAW("Content-Type: multipart/mixed; boundary=b\r\n\r\n\r--b\r\n"),
		"TEXT multipart/mixed unterminated no-parts bare-line-end\n"},
	    {RAW("A: b\r\n\r\nx\0y\r\n"), "1 text/plain nul\n"},
	    {RAW("A\0: b\r\n\r\nx\r\n"), "1 text/plain bad-field nul\n"},
	    {RAW("Content-Type: image/png; name=a\0b\r\n\r\nx\r\n"), "1 image/png nul\n"},
	    {RAW("Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n\n"),
		"1 application/x\n"},
	    {RAW("A: b\r\n\r\nx\r"), "1 text/plain bare-line-end\n"},
	    {RAW("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\n\r\nx\r\n--b--\r\n"),
		"TEXT multipart/mixed bare-line-end\n1 text/plain\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rig_bytes b = {cases[i].text, cases[i].n, 0, 0};
		struct mime *m = rig_parse(&b);
		char *tree = rig_describe(m);

		assert_null(rig_broken(m, b.n));
		assert_string_equal(tree, cases[i].tree);
		free(tree);
		mime_free(m);
	}
}

/* Lines and fields of every length around the sizes of the buffers; any size of reads. */
static void test_long_lines(void **state)
{
	static const size_t sizes[] = {
	    998, 16383, 16384, 16385, 65000, 65535, 65792, 66000, 200001};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char *fill = xmalloc(sizes[i] + 1), *text;
		struct rig_bytes b;
		struct mime *m;

		memset(fill, 'x', sizes[i]);
		fill[sizes[i]] = '\0';
		text =
		    xasprintf("X: %s\n" MULTIPART("b") "--b\nY: %s\n\n%s\n--b%s\n--b%s--\n--b\n\n"
						       "%s\n--b--\n",
			fill, fill, fill, fill, fill, fill);
		m = parse_text(text, &b);
		assert_int_equal(mime_section_count(m), 3);
		assert_int_equal(mime_flags(m), MIME_BOUNDARY_LIKE);
		mime_free(m);
		b.most = 7;
		m = rig_parse(&b);
		assert_int_equal(mime_section_count(m), 3);
		assert_int_equal(mime_section(m, 2)->end - mime_section(m, 2)->body, sizes[i]);
		done(m, &b);
		free(text);
		free(fill);
	}
}

/* A line that is cut in pieces must not lose its CR to one of them, wherever the cut is. */
static void test_cut_lines(void **state)
{
	char *fill = xmalloc(66000);

	(void)state;
	memset(fill, 'x', 66000);
	for (size_t n = 65400; n < 65800; n++) {
		struct rig_bytes b;
		struct mime *m;
		char *text = xasprintf("A: b\n\n%.*s\n%.*s\n", (int)n, fill, (int)n, fill);

		m = parse_text(text, &b);
		assert_int_equal(mime_flags(m), 0);
		done(m, &b);
		free(text);
	}
	free(fill);
}

static char *repeat(const char *before, const char *each, size_t times)
{
	size_t nbefore = strlen(before), n = strlen(each);
	char *text = xmalloc(nbefore + n * times + 1);

	memcpy(text, before, nbefore);
	for (size_t i = 0; i < times; i++)
		memcpy(text + nbefore + i * n, each, n);
	text[nbefore + n * times] = '\0';
	return text;
}

static void test_limits(void **state)
{
	static const struct {
		const char *before, *each;
		unsigned flag;
		size_t sections, attachments;
	} cases[] = {
	    {MULTIPART("b"), "--b\n\nx\n", MIME_TOO_MANY, LIMIT_MIME_SECTIONS, 0},
	    {"", "Content-Type: message/rfc822\n\n", MIME_TOO_DEEP, LIMIT_MIME_DEPTH, 0},
	    /* the innermost takes all delimiters */
	    {"", MULTIPART("b") "--b\n", MIME_TOO_DEEP, LIMIT_MIME_SECTIONS, 0},
	    {"Content-Type: text/plain;", " x=y;\n", MIME_CUT, 1, 0},
	    {"Content-Type: text/plain; name=", "abcdefghij", MIME_CUT, 1, 1},
	    {"\n", "begin 644 x\n#86)C\n`\nend\n", MIME_TOO_MANY, 1, LIMIT_MIME_ATTACHMENTS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = repeat(cases[i].before, cases[i].each, 2000);
		struct rig_bytes b;
		struct mime *m = parse_text(text, &b);

		assert_true(mime_flags(m) & cases[i].flag);
		assert_int_equal(mime_section_count(m), cases[i].sections);
		assert_int_equal(mime_attachment_count(m), cases[i].attachments);
		done(m, &b);
		free(text);
	}
}

static void test_unreadable(void **state)
{
	struct rig_bytes b;
	struct mime *m = parse_text(MULTIPART("b") "--b\nContent-Type: a/b\n\nx\n--b--\n", &b);
	struct rig_out out = {NULL, 0, 0};
	const struct mime_sink sink = {rig_write, &out};
	size_t n = b.n;

	(void)state;
	b.fails_at = 1;
	assert_int_equal(mime_read(m, "1", MIME_BODY, &sink), MIME_UNREAD);
	assert_int_equal(mime_save(m, 0, &sink), MIME_UNREAD);
	assert_int_equal(errno, EIO);
	assert_int_equal(mime_read(m, "2", MIME_BODY, &sink), MIME_ABSENT);
	assert_int_equal(mime_save(m, 1, &sink), MIME_ABSENT);
	for (b.fails_at = 1; b.fails_at < n; b.fails_at++) {
		errno = 0;
		assert_null(rig_parse(&b));
		assert_int_equal(errno, EIO);
	}
	b.fails_at = 0;
	out.most = 3;
	assert_int_equal(mime_read(m, "", MIME_WHOLE, &sink), MIME_STOPPED);
	assert_int_equal(out.n, 0);
	done(m, &b);
}

/* The same through a struct message, whose body is in a file. */
static void test_message(void **state)
{
	static const char body[] = "--b\r\n\r\nhello\r\n--b--\r\n";
	struct message *message = message_new(
	    &(struct message_options){.memory = 4, .directory = "/tmp", .most = 1 << 20});
	struct mime *m;

	(void)state;
	assert_true(message_header(message, "Subject", " s"));
	assert_true(message_header(message, "Content-Type", " multipart/mixed;\n\tboundary=b"));
	assert_int_equal(message_body(message, body, sizeof body - 1), 0);
	m = mime_parse(message);
	assert_non_null(m);
	assert_int_equal(mime_section_count(m), 2);
	assert_int_equal(mime_section(m, 0)->end, message_size(message));
	assert_int_equal(mime_section(m, 0)->body, message_body_offset(message));
	check_section(m, "1", "\n", "hello");
	mime_free(m);
	message_free(message);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < MIME_FLAGS; bit++)
		assert_non_null(mime_flag_name(1u << bit));
	assert_null(mime_flag_name(1u << MIME_FLAGS));
	assert_null(mime_flag_name(3));
	assert_string_equal(mime_flag_name(MIME_DUPLICATE_FIELD), "duplicate-field");
	assert_string_equal(mime_flag_name(MIME_TOO_DEEP), "too-deep");
	assert_string_equal(mime_flag_name(MIME_NOT_UNPACKED), "not-unpacked");
	assert_string_equal(mime_kind_name(MIME_PART), "MIME");
	assert_string_equal(mime_kind_name(MIME_TNEF), "TNEF");
	mime_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_exact_bytes),
	    cmocka_unit_test(test_line_ends),
	    cmocka_unit_test(test_long_lines),
	    cmocka_unit_test(test_cut_lines),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_unreadable),
	    cmocka_unit_test(test_message),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
