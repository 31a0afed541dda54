/* Where a signature goes, in which bytes, and which messages are left alone (R8, R9). */
#include "common/limits.h"
#include "tests/unit/mime_checks.h"
#include "tests/unit/signing_rig.h"

#define PLAIN "-- \nACME"
#define HTML "<p>ACME</p>"

struct signed_case {
	const char *before, *after; /* after NULL: left alone */
};

static void check_cases(
    const struct signed_case *cases, size_t n, const char *plain, const char *html)
{
	for (size_t i = 0; i < n; i++) {
		const char *why = NULL;
		char *got = rig_sign(cases[i].before, plain, html, &why);

		if (cases[i].after == NULL) {
			if (got != NULL)
				fail_msg("case %zu is signed:\n%s", i, got);
			assert_non_null(why);
		} else {
			if (got == NULL)
				fail_msg("case %zu is left alone: %s\n%s", i, why, cases[i].before);
			assert_string_equal(got, cases[i].after);
		}
		free(got);
	}
}

#define CHECK(cases, plain, html) check_cases(cases, sizeof cases / sizeof *cases, plain, html)
#define TEXT(more) "Content-Type: text/plain" more "\n\n"
#define MARKUP(more) "Content-Type: text/html" more "\n\n"
#define QP "\nContent-Transfer-Encoding: quoted-printable"
#define B64 "\nContent-Transfer-Encoding: base64"
#define MULTI(kind, b) "Content-Type: multipart/" kind "; boundary=" b "\n\n"

static void test_plain(void **state)
{
	static const struct signed_case cases[] = {
	    /* a message that is not MIME */
	    {"Subject: s\n\nhello\n", "Subject: s\n\nhello\n-- \nACME\n"},
	    {"Subject: s\n\n", "Subject: s\n\n-- \nACME\n"},
	    {"Subject: s\n\n\n", "Subject: s\n\n\n-- \nACME\n"},
	    {"Subject: s\n\nhello", "Subject: s\n\nhello\n-- \nACME\n"},
	    {TEXT("; charset=utf-8") "x\n", TEXT("; charset=utf-8") "x\n-- \nACME\n"},
	    /* quoted-printable: whole line, no line end, soft line break at the end, "=" at the end
	     */
	    {TEXT(QP) "x=20\n", TEXT(QP) "x=20\n=2D-=20\nACME\n"},
	    {TEXT(QP) "x=3D", TEXT(QP) "x=3D\n=2D-=20\nACME\n"},
	    {TEXT(QP) "x=\n", TEXT(QP) "x=\n\n=2D-=20\nACME\n"},
	    {TEXT(QP) "x=  \n", TEXT(QP) "x=  \n\n=2D-=20\nACME\n"},
	    {TEXT(QP) "x=", TEXT(QP) "x=\n\n=2D-=20\nACME\n"},
	    {TEXT(QP) "x=0D=0A=\n", TEXT(QP) "x=0D=0A=\n=2D-=20\nACME\n"},
	    {TEXT(QP) "x=0D=0A", TEXT(QP) "x=0D=0A=\n=2D-=20\nACME\n"},
	    {TEXT(QP) "", TEXT(QP) "=2D-=20\nACME\n"},
	    /* base64: "hello\r\n", "hello\n", "hello", "" */
	    {TEXT(B64) "aGVsbG8NCg==\n", TEXT(B64) "aGVsbG8NCi0tIA0KQUNNRQ0K\n"},
	    {TEXT(B64) "aGVsbG8K\n", TEXT(B64) "aGVsbG8KLS0gCkFDTUUK\n"},
	    {TEXT(B64) "aGVsbG8=\n\n", TEXT(B64) "aGVsbG8NCi0tIA0KQUNNRQ==\n\n"},
	    {TEXT(B64) "\n", TEXT(B64) "LS0gDQpBQ01F\n"},
	    /* base64 keeps its lines, and goes on in their width */
	    {TEXT(B64) "aGVs\nbG8N\nCg==\n", TEXT(B64) "aGVs\nbG8N\nCi0t\nIA0K\nQUNN\nRQ0K\n"},
	    {TEXT(B64) "aGVs\nbG8N\nCmhl\n",
		TEXT(B64) "aGVs\nbG8N\nCmhl\nDQot\nLSAN\nCkFD\nTUU=\n"},
	};

	(void)state;
	CHECK(cases, PLAIN, HTML);
}

static void test_html(void **state)
{
	static const struct signed_case cases[] = {
	    {MARKUP("") "<html><body>x</body></html>\n",
		MARKUP("") "<html><body>x\n<p>ACME</p>\n</body></html>\n"},
	    {MARKUP("") "<body>x\n</BODY >\n", MARKUP("") "<body>x\n<p>ACME</p>\n</BODY >\n"},
	    {MARKUP("") "<p>x</html>\n", MARKUP("") "<p>x\n<p>ACME</p>\n</html>\n"},
	    {MARKUP("") "<p>x\n", MARKUP("") "<p>x\n<p>ACME</p>\n"},
	    /* the last one counts: a quoted message brings its own */
	    {MARKUP("") "<body>x<body>y</body></html>z</body></html>\n",
		MARKUP("") "<body>x<body>y</body></html>z\n<p>ACME</p>\n</body></html>\n"},
	    /* what only looks like one */
	    {MARKUP("") "x</body><!-- </body> --><!--[if mso]></body><![endif]-->\n",
		MARKUP(
		    "") "x\n<p>ACME</p>\n</body><!-- </body> --><!--[if mso]></body><![endif]-->\n"},
	    {MARKUP("") "x</body><script>'</body>'</script><style></body></style>\n",
		MARKUP(
		    "") "x\n<p>ACME</p>\n</body><script>'</body>'</script><style></body></style>\n"},
	    {MARKUP("") "x</body><a title=\"</body>\" b='</body>'>\n",
		MARKUP("") "x\n<p>ACME</p>\n</body><a title=\"</body>\" b='</body>'>\n"},
	    {MARKUP("") "x<!--[if !mso]><!-->y</body><!--<![endif]-->\n",
		MARKUP("") "x<!--[if !mso]><!-->y\n<p>ACME</p>\n</body><!--<![endif]-->\n"},
	    {MARKUP("") "x</body2></xbody>\n", MARKUP("") "x</body2></xbody>\n<p>ACME</p>\n"},
	    {MARKUP("") "1 < 2 </ body>\n", MARKUP("") "1 < 2 </ body>\n<p>ACME</p>\n"},
	    /* it would not be seen */
	    {MARKUP("") "x<!-- y\n", NULL},
	    {MARKUP("") "x<script>y\n", NULL},
	    {MARKUP("") "x<a href=\"\n", NULL},
	    /* quoted-printable: the line is cut, not changed */
	    {MARKUP(QP) "<body>x=3Dy </body></html>\n",
		MARKUP(QP) "<body>x=3Dy =\n\n<p>ACME</p>\n</body></html>\n"},
	    {MARKUP(QP) "<body>x=\n</body>\n", MARKUP(QP) "<body>x=\n\n<p>ACME</p>\n</body>\n"},
	    {MARKUP(QP) "<body>x\n</body>\n", MARKUP(QP) "<body>x\n<p>ACME</p>\n</body>\n"},
	    {MARKUP(QP) "x=3C/body=3E\n", MARKUP(QP) "x=\n\n<p>ACME</p>\n=3C/body=3E\n"},
	    /* base64: "<p>x</body></html>" in all three places of a quantum */
	    {MARKUP(B64) "PHA+eDwvYm9keT48L2h0bWw+\n",
		MARKUP(B64) "PHA+eA0KPHA+QUNNRTwvcD4NCjwvYm9keT48L2h0bWw+\n"},
	    {MARKUP(B64) "PHA+eHk8L2JvZHk+PC9odG1sPg==\n",
		MARKUP(B64) "PHA+eHkNCjxwPkFDTUU8L3A+DQo8L2JvZHk+PC9odG1sPg==\n"},
	    {MARKUP(B64) "PHA+eHl6PC9ib2R5PjwvaHRtbD4=\n",
		MARKUP(B64) "PHA+eHl6DQo8cD5BQ01FPC9wPg0KPC9ib2R5PjwvaHRtbD4=\n"},
	};

	(void)state;
	CHECK(cases, PLAIN, HTML);
}

static void test_structure(void **state)
{
	static const struct signed_case cases[] = {
	    {MULTI("alternative", "b") "--b\n\nx\n--b\n" MARKUP("") "<b>x</b>\n--b--\n",
		MULTI("alternative", "b") "--b\n\nx\n-- \nACME\n--b\n" MARKUP(
		    "") "<b>x</b>\n<p>ACME</p>\n--b--\n"},
	    /* the preamble and the epilogue stay */
	    {MULTI("mixed", "b") "pre\n--b\n\nx\n--b--\npost\n",
		MULTI("mixed", "b") "pre\n--b\n\nx\n-- \nACME\n--b--\npost\n"},
	    /* parts without a body, without a header, without either */
	    {MULTI("mixed", "b") "--b\n" TEXT("") "--b--\n",
		MULTI("mixed", "b") "--b\n" TEXT("") "-- \nACME\n--b--\n"},
	    {MULTI("mixed", "b") "--b\n\n--b--\n", MULTI("mixed", "b") "--b\n\n-- \nACME\n--b--\n"},
	    {MULTI("mixed", "b") "--b\n\n\n--b--\n",
		MULTI("mixed", "b") "--b\n\n-- \nACME\n--b--\n"},
	    {MULTI("mixed", "b") "--b\n\nx\n\n--b--\n",
		MULTI("mixed", "b") "--b\n\nx\n-- \nACME\n\n--b--\n"},
	    /* only the first body part; attachments never */
	    {MULTI("mixed",
		 "b") "--b\nContent-Disposition: attachment\n\nx\n--b\n\ny\n--b\n\nz\n--b--\n",
		MULTI("mixed",
		    "b") "--b\nContent-Disposition: attachment\n\nx\n--b\n\ny\n-- \nACME\n--b\n\nz\n--b--\n"},
	    {MULTI("mixed", "b") "--b\n" TEXT("; name=a.txt") "x\n--b--\n", NULL},
	    {MULTI("mixed", "b") "--b\nContent-Disposition: inline; filename=a\n\nx\n--b--\n",
		NULL},
	    {MULTI("mixed", "b") "--b\nContent-Type: image/png\n\nx\n--b--\n", NULL},
	    {MULTI("mixed", "b") "--b\nContent-Type: message/rfc822\n\n" TEXT("") "x\n--b--\n",
		NULL},
	    /* mixed { related { alternative { plain, related { html, image } } }, pdf } */
	    {MULTI("mixed", "a") "--a\n" MULTI("alternative", "c") "--c\n\nx\n--c\n" MULTI(
		 "related",
		 "d") "--d\n" MARKUP("") "<body>x</body>\n--d\nContent-Type: image/png\n"
					 "Content-ID: <i>\n\n</body>\n--d--\n--c--\n--a\n"
					 "Content-Type: application/pdf\n\nx\n--a--\n",
		MULTI("mixed", "a") "--a\n" MULTI(
		    "alternative", "c") "--c\n\nx\n-- \nACME\n--c\n" MULTI("related",
		    "d") "--d\n" MARKUP("") "<body>x\n<p>ACME</p>\n</body>\n--d\n"
					    "Content-Type: image/png\nContent-ID: <i>\n\n</body>\n--d--\n--c--\n"
					    "--a\nContent-Type: application/pdf\n\nx\n--a--\n"},
	};

	(void)state;
	CHECK(cases, PLAIN, HTML);
}

static void test_delimiter(void **state)
{
	static const struct signed_case cases[] = {
	    {MULTI("mixed", "\"=_\"") "--=_\n\nx=y\n--=_--\n",
		MULTI("mixed", "\"=_\"") "--=_\nContent-Transfer-Encoding: quoted-printable\n\n"
					 "x=3Dy\n=2D-=3D_\nACME\n--=_--\n"},
	    {MULTI("mixed", "\"=_\"") "--=_\n" TEXT(QP) "x=3Dy\n--=_--\n",
		MULTI("mixed", "\"=_\"") "--=_\n" TEXT(QP) "x=3Dy\n=2D-=3D_\nACME\n--=_--\n"},
	    /* of the outer multipart; the prefix is enough */
	    {MULTI("mixed", "\"=\"") "--=\n" MULTI("mixed", "b") "--b\n\nx\n--b--\n--=--\n",
		MULTI("mixed", "\"=\"") "--=\n" MULTI(
		    "mixed", "b") "--b\nContent-Transfer-Encoding: "
				  "quoted-printable\n\nx\n=2D-=3D_\nACME\n--b--\n--=--\n"},
	    {MULTI("mixed", "b") "--b\n\nx\n--b--\n",
		MULTI("mixed", "b") "--b\n\nx\n--=_\nACME\n--b--\n"},
	};

	(void)state;
	CHECK(cases, "--=_\nACME", HTML);
}

static void test_charsets(void **state)
{
	static const struct signed_case cases[] = {
	    /* the charset of the part */
	    {TEXT("; charset=iso-8859-15" QP) "x\n",
		TEXT("; charset=iso-8859-15" QP) "x\n=A4 =E4\n"},
	    {TEXT("; charset=utf-8" QP) "x\n", TEXT("; charset=utf-8" QP) "x\n=E2=82=AC =C3=A4\n"},
	    {TEXT("; charset=windows-1252" QP) "x\n",
		TEXT("; charset=windows-1252" QP) "x\n=80 =E4\n"},
	    {TEXT("; charset=\"utf-8\"\nContent-Transfer-Encoding: 8bit") "x\n",
		TEXT(
		    "; charset=\"utf-8\"\nContent-Transfer-Encoding: 8bit") "x\n\xe2\x82\xac \xc3\xa4\n"},
	    /* 8-bit text that nobody announced */
	    {TEXT("; charset=utf-8") "\xc3\xb6\n",
		TEXT("; charset=utf-8") "\xc3\xb6\n\xe2\x82\xac \xc3\xa4\n"},
	    /* characters that it has not: UTF-8, all of it */
	    {TEXT("; charset=koi8-r; format=fixed" QP) "=F0=D2=D7\n",
		TEXT("; charset=utf-8; format=fixed" QP) "=D0=9F=D1=80=D0=B2\n=E2=82=AC =C3=A4\n"},
	    {TEXT("; x=1; CharSet=\"iso-8859-1\" ; y=2" QP) "=FC\n",
		TEXT("; x=1; CharSet=utf-8 ; y=2" QP) "=C3=BC\n=E2=82=AC =C3=A4\n"},
	    {TEXT("; charset=iso-8859-1" B64) "/A0K\n",
		TEXT("; charset=utf-8" B64) "w7wNCuKCrCDDpA0K\n"},
	    /* 7bit, charset not enough or not there at all */
	    {TEXT("") "x=\n", "Content-Transfer-Encoding: quoted-printable\n" TEXT(
				  "; charset=utf-8") "x=3D\n=E2=82=AC =C3=A4\n"},
	    {"Subject: s\n\nx\n",
		"Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8\nMIME-Version: 1.0\nSubject: s\n\nx\n=E2=82=AC =C3=A4\n"},
	    {TEXT("; charset=utf-8") "x \n", "Content-Transfer-Encoding: quoted-printable\n" TEXT(
						 "; charset=utf-8") "x=20\n=E2=82=AC =C3=A4\n"},
	    {MULTI("mixed", "b") "--b\n\nx\n--b--\n",
		MULTI("mixed",
		    "b") "--b\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8\n\nx\n=E2=82=AC =C3=A4\n--b--\n"},
	    {MULTI("mixed", "b") "--b\nContent-Transfer-Encoding:\n  7bit\nX: y\n--b--\n", NULL},
	    {MULTI("mixed", "b") "--b\nContent-Transfer-Encoding:\n  7bit\nX: y\n\n--b--\n",
		MULTI("mixed",
		    "b") "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\nX: y\n\n=E2=82=AC =C3=A4\n--b--\n"},
	    /* cannot be converted: the nearest ASCII */
	    {TEXT("; charset=us-ascii") "\xfc\n", TEXT("; charset=us-ascii") "\xfc\nEUR a\n"},
	    {TEXT("; charset=nonsense" QP) "=FC\n", TEXT("; charset=nonsense" QP) "=FC\nEUR a\n"},
	    {"Subject: s\n\nbegin 644 x\n#86)C\n`\nend\n",
		"Subject: s\n\nbegin 644 x\n#86)C\n`\nend\nEUR a\n"},
	    {TEXT("; charset*=us-ascii''iso-8859-1" QP) "=FC\n",
		TEXT("; charset*=us-ascii''iso-8859-1" QP) "=FC\nEUR a\n"},
	    /* no text can be put in */
	    {TEXT("; charset=utf-7") "x\n", NULL},
	    {TEXT("; charset=hz-gb-2312") "x\n", NULL},
	    {TEXT("; charset=ibm037") "x\n", NULL},
	};

	(void)state;
	CHECK(cases, "\xe2\x82\xac \xc3\xa4", HTML);
}

/* HTML says in numbers what the charset has not, and plain text in an escape what it has. */
static void test_html_charsets(void **state)
{
	static const struct signed_case cases[] = {
	    {MARKUP("") "x\n", MARKUP("") "x\n&#8364; &#228;\n"},
	    {MARKUP("; charset=utf-8") "x\n", MARKUP("; charset=utf-8") "x\n&#8364; &#228;\n"},
	    {MARKUP("; charset=utf-8" QP) "x\n",
		MARKUP("; charset=utf-8" QP) "x\n=E2=82=AC =C3=A4\n"},
	    {MARKUP("; charset=iso-8859-1" QP) "x\n",
		MARKUP("; charset=iso-8859-1" QP) "x\n&#8364; =E4\n"},
	    {MARKUP("; charset=nonsense" QP) "x\n",
		MARKUP("; charset=nonsense" QP) "x\n&#8364; &#228;\n"},
	};

	(void)state;
	CHECK(cases, PLAIN, "\xe2\x82\xac \xc3\xa4");
}

#define KANJI "\xe6\x97\xa5\xe6\x9c\xac"

static void test_japanese(void **state)
{
	static const struct signed_case cases[] = {
	    {TEXT("; charset=ISO-2022-JP") "\x1b$BF|\x1b(B\n",
		TEXT("; charset=ISO-2022-JP") "\x1b$BF|\x1b(B\n\x1b$BF|K\\\x1b(B\n"},
	    {TEXT("; charset=Shift_JIS" QP) "\\=93=FA\n",
		TEXT("; charset=Shift_JIS" QP) "\\=93=FA\n=93=FA=96{\n"},
	    {TEXT("; charset=euc-jp" QP) "x\n", TEXT("; charset=euc-jp" QP) "x\n=C6=FC=CB=DC\n"},
	    /* ends in the middle of another charset */
	    {TEXT("; charset=ISO-2022-JP") "\x1b$BF|\n", NULL},
	};
	/* what looks like a tag between escapes is none: 0x3c 0x2f is a character */
	static const struct signed_case html[] = {
	    {MARKUP("; charset=iso-2022-jp") "a</body>\x1b$B</body>\x1b(B\n",
		MARKUP(
		    "; charset=iso-2022-jp") "a\n\x1b$BF|K\\\x1b(B\n</body>\x1b$B</body>\x1b(B\n"},
	};

	(void)state;
	CHECK(cases, KANJI, HTML);
	CHECK(html, PLAIN, KANJI);
}

/* UTF-16 keeps its byte order and its mark, and is base64 or becomes it. */
static void test_wide(void **state)
{
	static const struct signed_case cases[] = {
	    /* FE FF 0078 000D 000A; FF FE 7800 0D00 0A00; without a mark */
	    {TEXT("; charset=utf-16" B64) "/v8AeAANAAo=\n",
		TEXT("; charset=utf-16" B64) "/v8AeAANAAoAQQANAAo=\n"},
	    {TEXT("; charset=utf-16" B64) "//54AA0ACgA=\n",
		TEXT("; charset=utf-16" B64) "//54AA0ACgBBAA0ACgA=\n"},
	    {TEXT("; charset=utf-16le" B64) "eAANAAoA\n",
		TEXT("; charset=utf-16le" B64) "eAANAAoAQQANAAoA\n"},
	    /* no encoding, and no line whose length base64 could have; "N-" is U+4E2D */
	    {TEXT("; charset=utf-16be") "N-", "Content-Transfer-Encoding: base64\n" TEXT(
						  "; charset=utf-16be") "Ti0ADQAKAEEADQAK\n"},
	    /* half a character */
	    {TEXT("; charset=utf-16" B64) "/v8AeA0=\n", NULL},
	};

	(void)state;
	CHECK(cases, "A", HTML);
}

static void test_flowed(void **state)
{
#define FLOWED TEXT("; format=\"Flowed\"; charset=us-ascii")
	static const struct signed_case cases[] = {
	    {FLOWED "x\n", FLOWED "x\n-- \nACME\n  Inc\n >\n"},
	    /* the line before would flow into the signature */
	    {FLOWED "x \n", FLOWED "x \n\n-- \nACME\n  Inc\n >\n"},
	    {FLOWED "-- \n", FLOWED "-- \n-- \nACME\n  Inc\n >\n"},
	    {TEXT("; format=flowed" QP) "x=20\n",
		TEXT("; format=flowed" QP) "x=20\n\n=2D-=20\nACME\n  Inc\n >\n"},
	};

	(void)state;
	CHECK(cases, "-- \nACME  \n Inc\n>", HTML);
}

static void test_left_alone(void **state)
{
	static const char *const cases[] = {
	    /* signed, encrypted */
	    MULTI("signed",
		"b") "--b\n\nx\n--b\nContent-Type: application/pkcs7-signature\n\ny\n--b--\n",
	    MULTI("mixed", "a") "--a\n" MULTI(
		"signed", "b") "--b\n\nx\n--b--\n--a\n\nfooter\n--a--\n",
	    MULTI("encrypted",
		"b") "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b--\n",
	    "Content-Type: application/pkcs7-mime\n\nx\n",
	    "Content-Type: application/x-pkcs7-mime; name=smime.p7m" B64 "\n\nAAAA\n",
	    "Subject: s\n\n-----BEGIN PGP MESSAGE-----\n\nx\n-----END PGP MESSAGE-----\n",
	    "Subject: s\n\nx\n-----BEGIN PGP SIGNED MESSAGE-----\n",
	    MARKUP("") "<p>x<br>-----BEGIN PGP MESSAGE-----\n",
	    TEXT(B64) "LS0tLS1CRUdJTiBQR1AgTUVTU0FHRS0tLS0tDQo=\n",
	    "DKIM-Signature: v=1; b=x\n\nx\n",
	    "Subject: s\nARC-Message-Signature: i=1\n\nx\n",
	    /* calendar, reports */
	    "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n",
	    MULTI("alternative", "b") "--b\n\nx\n--b\nContent-Type: text/calendar\n\ny\n--b--\n",
	    MULTI("report; report-type=delivery-status",
		"b") "--b\n\nx\n--b\nContent-Type: message/delivery-status\n\ny\n--b--\n",
	    /* no text */
	    "Content-Type: image/png\n\nx\n",
	    "Content-Type: text/enriched\n\nx\n",
	    MULTI("digest", "b") "--b\n" TEXT("") "x\n--b--\n",
	    /* mail programs read them in different ways */
	    "Content-Type: text/plain\nContent-Type: text/html\n\nx\n",
	    TEXT("; charset=utf-8; charset=utf-16") "x\n",
	    MULTI("mixed", "b; boundary=c") "--b\n\nx\n--b--\n",
	    MULTI("mixed", "b") "--b\n\nx\n",
	    MULTI("mixed", "b") "--b\n\nx\n--bc\n--b--\n",
	    MULTI("mixed", "b") B64 "--b\n\nx\n--b--\n",
	    "no field\n\nx\n",
	    TEXT("\nContent-Transfer-Encoding: x-uuencode") "x\n",
	    TEXT("\nContent-Transfer-Encoding: rot13") "x\n",
	    TEXT("\nContent-Transfer-Encoding: binary") "x\n",
	    TEXT(QP) "x=zz\n",
	    TEXT(QP) "x=4",
	    TEXT(B64) "aGVs*bG8=\n",
	    TEXT(B64) "aGVsbG8\n",
	    TEXT(B64) "aGVsbG8=aGVs\n",
	    TEXT(B64) "=GVs\n",
	    TEXT(B64) "AA==\n", /* a NUL */
	    TEXT("\nContent-MD5: x") "x\n",
	    "",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *why = NULL;
		char *got = rig_sign(cases[i], PLAIN, HTML, &why);

		if (got != NULL)
			fail_msg("case %zu is signed:\n%s", i, got);
		assert_non_null(why);
	}
}

/* Signed messages that a message brings along do not matter. */
static void test_forwarded(void **state)
{
	static const struct signed_case cases[] = {
	    {MULTI("mixed",
		 "a") "--a\n\nx\n--a\nContent-Type: message/rfc822\n\nDKIM-Signature: x\n" MULTI("signed",
		 "b") "--b\n\ny\n--b--\n--a--\n",
		MULTI("mixed", "a") "--a\n\nx\n-- \nACME\n--a\nContent-Type: message/rfc822\n\nDKIM-Signature: x\n" MULTI(
		    "signed", "b") "--b\n\ny\n--b--\n--a--\n"},
	    {MULTI("mixed",
		 "a") "--a\n\n> -----BEGIN PGP MESSAGE-----\n--a\nContent-Type: text/calendar\nContent-Disposition: attachment\n\ny\n--a--\n",
		MULTI("mixed",
		    "a") "--a\n\n> -----BEGIN PGP MESSAGE-----\n-- \nACME\n--a\nContent-Type: text/calendar\nContent-Disposition: attachment\n\ny\n--a--\n"},
	};

	(void)state;
	CHECK(cases, PLAIN, HTML);
}

static void test_texts(void **state)
{
	const char *why = NULL;
	char *got, *longest;

	(void)state;
	assert_null(rig_sign("Subject: s\n\nx\n", NULL, HTML, &why));
	assert_null(rig_sign("Subject: s\n\nx\n", "", "", &why));
	assert_null(rig_sign("Subject: s\n\nx\n", "\n\r\n", "", &why));
	/* any line ends, no control characters, not UTF-8 (R9) */
	got = rig_sign("Subject: s\n\nx\n", "a\rb\r\nc\n.\n\x01\x1b[m\td\n\n", NULL, &why);
	assert_string_equal(got, "Subject: s\n\nx\na\nb\nc\n.\n[m\td\n");
	free(got);
	got = rig_sign(TEXT("; charset=windows-1252" QP) "x\n", "\x80\x81", NULL, &why);
	assert_string_equal(
	    got, "Content-Type: text/plain; charset=utf-8" QP "\n\nx\n=E2=82=AC=EF=BF=BD\n");
	free(got);
	/* a line that no transport takes; a text that nobody reads */
	longest = xmalloc(300001);
	memset(longest, 'a', 300000);
	longest[300000] = '\0';
	assert_null(rig_sign("Subject: s\n\nx\n", longest, NULL, &why));
	longest[1000] = '\0';
	got = rig_sign("Subject: s\n\nx\n", longest, NULL, &why);
	assert_memory_equal(
	    got, "Content-Transfer-Encoding: quoted-printable\nMIME-Version: 1.0\n", 62);
	for (const char *p = got; *p != '\0'; p += strcspn(p, "\n") + 1)
		assert_true(strcspn(p, "\n") <= 76);
	free(got);
	free(longest);
}

/* Bounds: of parts, and of what is encoded anew. A part that is too long gets the nearest ASCII. */
static void test_bounds(void **state)
{
	struct signing_bytes text = {NULL, 0, 0};
	const char *why = NULL;
	char *got;

	(void)state;
	for (size_t parts = LIMIT_SIGNING_PARTS; parts < LIMIT_SIGNING_PARTS + 2; parts++) {
		text.n = 0;
		signing_bytes_text(&text, MULTI("alternative", "b") "--b\n");
		for (size_t i = 0; i < parts; i++)
			signing_bytes_text(&text, "\nx\n--b\n");
		signing_bytes_text(&text, "Content-Type: image/png\n\nx\n--b--\n");
		got = rig_sign(text.s, PLAIN, HTML, &why);
		assert_int_equal(got != NULL, parts <= LIMIT_SIGNING_PARTS);
		free(got);
	}
	text.n = 0;
	signing_bytes_text(&text, "Subject: s\n\n");
	while (text.n < LIMIT_SIGNING_REWRITTEN_BYTES)
		signing_bytes_text(
		    &text, "a line of text that is repeated until there is a lot of it\n");
	got = rig_sign(text.s, "\xe2\x82\xac", HTML, &why);
	assert_non_null(got);
	assert_memory_equal(got, text.s, text.n);
	assert_string_equal(got + text.n, "EUR\n");
	free(got);
	signing_bytes_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_html),
	    cmocka_unit_test(test_structure),
	    cmocka_unit_test(test_delimiter),
	    cmocka_unit_test(test_charsets),
	    cmocka_unit_test(test_html_charsets),
	    cmocka_unit_test(test_japanese),
	    cmocka_unit_test(test_wide),
	    cmocka_unit_test(test_flowed),
	    cmocka_unit_test(test_left_alone),
	    cmocka_unit_test(test_forwarded),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
