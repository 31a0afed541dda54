/* Attachments that are MIME parts: which they are, how they are encoded, where they are saved. */
#include "tests/unit/mime_checks.h"

#include <unistd.h>

#define MULTIPART "Content-Type: multipart/mixed; boundary=b\n\n"

static void test_parts(void **state)
{
	static const struct {
		const char *text, *files;
	} cases[] = {
	    {"\ntext\n", ""},
	    {"Content-Type: text/html\nContent-Disposition: inline\n\nx\n", ""},
	    {"Content-Disposition: attachment\n\ntext\n", "1 MIME text/plain  6\n"},
	    {"Content-Disposition: x-strange\n\ntext\n", "1 MIME text/plain  6\n"},
	    {"Content-Type: text/plain; name=a.txt\n\ntext\n", "1 MIME text/plain a.txt 6\n"},
	    {"Content-Disposition: inline; filename=b\nContent-Type: image/png; name=a\n\nx\n",
		"1 MIME image/png b 3\n"},
	    {"Content-Type: image/png\n\nx\n", "1 MIME image/png  3\n"},
	    {"Content-Type: message/delivery-status\n\nx: y\n", ""},
	    {"Content-Type: message/rfc822\n\nA: b\n\nx\n", ""},
	    {"Content-Type: message/rfc822\nContent-Disposition: attachment; filename=f.eml\n\n"
	     "Content-Type: a/b\n\nx\n",
		"1 MIME message/rfc822 f.eml 24\n2 MIME a/b  3\n"},
	    {"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTogYg==\n",
		"1 MIME message/rfc822  4\n"},
	    {"Content-Type: multipart/mixed; boundary=b; name=outer\n\n--b\n\nx\n--b\n"
	     "Content-Type: a/b\n\ny\n--b--\n",
		"3 MIME a/b  1\n"},
	    /* without parts there is nothing else to list */
	    {"Content-Type: multipart/mixed; name=x.exe\n\nx\n",
		"1 MIME multipart/mixed x.exe 3\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_list(cases[i].text, cases[i].files);
}

static void test_encodings(void **state)
{
	static const struct {
		const char *encoding, *body, *bytes;
		unsigned flags;
	} cases[] = {
	    {"7bit", "as it is\n", "as it is\r\n", 0},
	    {"8bit", "\xc3\xa4\n", "\xc3\xa4\r\n", 0},
	    {"binary", "a\rb\n", "a\rb\r\n", 0},
	    {"base64", "SGVsbG8gd29ybGQ=\n", "Hello world", 0},
	    {"BASE64", "SGVs\nbG8g\nd29ybGQ=\n", "Hello world", 0},
	    {"base64", "SGVsbG8gd29ybGQ", "Hello world", MIME_BAD_ENCODING}, /* no padding */
	    {"base64", "SGVs*bG8=", "Hello", MIME_BAD_ENCODING},
	    {"base64", "SGVsbG8=d29ybGQ=", "Hello", MIME_BAD_ENCODING}, /* others go on */
	    {"base64", "SGVsb", "Hel", MIME_BAD_ENCODING},
	    {"base64", "====", "", MIME_BAD_ENCODING},
	    {"base64", "", "", 0},
	    {"quoted-printable", "a=3Db=3d=\n c\n", "a=b= c\r\n", 0},
	    {"quoted-printable", "soft=", "soft", 0},
	    {"quoted-printable", "a=4", "a", MIME_BAD_ENCODING},
	    {"quoted-printable", "a=zzb", "a=zzb", MIME_BAD_ENCODING},
	    {"x-unknown", "a=3D\n", "a=3D\r\n", MIME_UNKNOWN_ENCODING},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = xasprintf("Content-Type: application/x\n"
				       "Content-Transfer-Encoding: %s\n\n%s",
		    cases[i].encoding, cases[i].body);
		struct rig_bytes b;
		struct mime *m = parse_text(text, &b);

		check_bytes(m, 0, cases[i].bytes, strlen(cases[i].bytes));
		assert_int_equal(
		    mime_flags(m) & (MIME_BAD_ENCODING | MIME_UNKNOWN_ENCODING), cases[i].flags);
		b.most = 1; /* byte by byte */
		check_bytes(m, 0, cases[i].bytes, strlen(cases[i].bytes));
		done(m, &b);
		free(text);
	}
}

static void test_sinks(void **state)
{
	struct rig_bytes b;
	struct mime *m = parse_text(MULTIPART "--b\nContent-Type: a/b\n\nhello\n--b\n\n"
					      "begin 644 x\n#86)C\n`\nend\n--b--\n",
	    &b);
	struct rig_out out = {NULL, 0, 2};
	const struct mime_sink sink = {rig_write, &out};
	int pipes[2], closed = -1;
	const struct mime_sink to_pipe = {mime_write_fd, &pipes[1]};
	const struct mime_sink to_nowhere = {mime_write_fd, &closed};
	char got[8];

	(void)state;
	assert_int_equal(mime_save(m, 0, &sink), MIME_STOPPED);
	assert_int_equal(mime_save(m, 1, &sink), MIME_STOPPED);
	assert_int_equal(mime_save(m, 2, &sink), MIME_ABSENT);
	assert_null(mime_attachment(m, 2));
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(mime_save(m, 0, &to_pipe), MIME_OK);
	assert_int_equal(mime_save(m, 1, &to_pipe), MIME_OK);
	assert_int_equal(read(pipes[0], got, sizeof got), 8);
	assert_memory_equal(got, "helloabc", 8);
	assert_int_equal(mime_save(m, 0, &to_nowhere), MIME_STOPPED);
	assert_int_equal(errno, EBADF);
	close(pipes[0]);
	close(pipes[1]);
	done(m, &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_encodings),
	    cmocka_unit_test(test_sinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
