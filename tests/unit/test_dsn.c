/* Delivery status notifications: what is read from a report, and the text part that is put in. */
#include "common/dsn.h"

#include "common/limits.h"
#include "common/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each recipient as "final,original,action,status,remote,diagnostic;". */
static char *summary(const char *text)
{
	struct dsn d;
	char *out;

	dsn_parse(&d, text, strlen(text));
	out = xasprintf("%s|", d.reporting_mta);
	for (size_t i = 0; i < d.n; i++) {
		const struct dsn_recipient *r = &d.recipients[i];
		char *more = xasprintf("%s%s,%s,%s,%s,%s,%s;", out, r->final, r->original,
		    r->action, r->status, r->remote_mta, r->diagnostic);

		free(out);
		out = more;
	}
	dsn_clear(&d);
	return out;
}

static void test_reports(void **state)
{
	static const char *const rows[][2] = {
	    {"", "|"},
	    {"\r\n\r\n", "|"},
	    {"Reporting-MTA: dns; mail.test\r\nX-Postfix-Queue-ID: 4Y\r\nArrival-Date: now\r\n\r\n"
	     "Final-Recipient: rfc822; bob@two.test\r\nOriginal-Recipient: rfc822;Bob@two.test\r\n"
	     "Action: Failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.two.test\r\n"
	     "Diagnostic-Code: smtp; 550 5.1.1 no such\r\n    user; really\r\n",
		"mail.test|bob@two.test,Bob@two.test,failed,5.1.1,mx.two.test,550 5.1.1 no such    user; really;"},
	    {"reporting-mta:dns;m\n\nFINAL-RECIPIENT : no\n\nFinal-Recipient: rfc822; a@b\nAction: delayed\n\n"
	     "Final-Recipient: rfc822; c@d\n",
		"m|a@b,,delayed,,,;c@d,,,,,;"},
	    {"Reporting-MTA: dns; one\nReporting-MTA: dns; two\n\nFinal-Recipient: rfc822; a@b\n"
	     "Final-Recipient: rfc822; x@y\nno field\n:\n: value\n",
		"one|a@b,,,,,;"},
	    {" folded: nothing\n\nAction: failed\n\nFinal-Recipient: plain@b\n", "|plain@b,,,,,;"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *got = summary(rows[i][0]);

		assert_string_equal(got, rows[i][1]);
		free(got);
	}
}

static void test_bounds(void **state)
{
	size_t groups = LIMIT_DSN_RECIPIENTS + 50, n = 0;
	char *text = malloc(groups * 40), *field = malloc(100000);
	struct dsn d;

	(void)state;
	for (size_t i = 0; i < groups; i++)
		n += (size_t)snprintf(text + n, 40, "Final-Recipient: rfc822; a%zu@b\n\n", i);
	dsn_parse(&d, text, n);
	assert_int_equal(d.n, LIMIT_DSN_RECIPIENTS);
	dsn_clear(&d);
	memset(field, 'x', 100000);
	memcpy(field, "Final-Recipient: ", 17);
	dsn_parse(&d, field, 100000);
	assert_int_equal(strlen(d.recipients[0].final), LIMIT_DSN_TEXT_BYTES - 1); /* the blank */
	dsn_clear(&d);
	free(text);
	free(field);
}

static void test_header_field(void **state)
{
	static const char header[] =
	    "Subject: the\r\n original\r\nTo: x\r\n\r\nMessage-ID: in the body\r\n";
	char *value = dsn_header_field(header, strlen(header), "subject");

	(void)state;
	assert_string_equal(value, "the original");
	free(value);
	value = dsn_header_field(header, strlen(header), "Message-ID");
	assert_string_equal(value, "");
	free(value);
}

static void expect_part(const char *text, const char *head, const char *body)
{
	size_t n;
	char *part = dsn_text_part(text, &n), *blank = strstr(part, "\r\n\r\n");

	assert_int_equal(n, strlen(part));
	assert_non_null(blank);
	assert_string_equal(blank + 4, body);
	*blank = '\0';
	assert_non_null(strstr(part, head));
	free(part);
}

static void test_text_part(void **state)
{
	char line[1100];

	(void)state;
	expect_part("hello\nworld\r\n", "charset=us-ascii", "hello\r\nworld\r\n");
	expect_part("", "charset=us-ascii", "");
	expect_part("tsch\xC3\xBC\xC3\x9F = x\n", "quoted-printable", "tsch=C3=BC=C3=9F =3D x\r\n");
	/* what could be a delimiter of the report */
	expect_part("a\n--b\n", "quoted-printable", "a\r\n=2D-b\r\n");
	memset(line, 'y', sizeof line);
	line[sizeof line - 1] = '\0';
	{
		size_t n;
		char *part = dsn_text_part(line, &n);

		assert_non_null(strstr(part, "quoted-printable"));
		free(part);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reports),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_header_field),
	    cmocka_unit_test(test_text_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
